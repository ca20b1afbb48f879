//! The gateway as a client of OAuth 2.0: it proves who it is, and asks for tokens.

mod client;
mod token;

pub(crate) use client::{Client, Way, encode};
pub(crate) use token::{TokenFault, TokenReply};
