//! HTTP/2 (RFC 9113) by the `h2` crate. Here are its messages as the gateway sees them, the checks
//! that the crate leaves to its users, and the meter that throws out who floods it.

mod blocks;
mod bucket;
pub(crate) mod call;
mod client;
pub(crate) mod content;
mod fields;
mod fragment;
mod meter;
mod names;
pub(crate) mod reply;
mod request;
pub(crate) mod server;
mod transport;
mod walker;

/// Most content of a stream that waits with us for a peer that takes nothing, in bytes: whatever
/// room the peer has announced, it may not read what it got.
const MOST_WAITING: usize = 32 * 1024;

pub use call::Call;
pub use client::{Client, Driver};
pub use meter::{Flood, FrameBounds, SentError, Verdict};
pub use reply::Reply;
pub use server::{Prelude, Server, ServerSettings};
