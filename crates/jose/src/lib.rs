//! Signed tokens: JWS in its compact form (RFC 7515), keys and key sets (RFC 7517), algorithms
//! (RFC 7518, RFC 8037), claims (RFC 7519) and the advice on all of them (RFC 8725).
//!
//! Pure logic: nothing here reads a file, a socket or a clock. A request's way is
//! [`Token::parse`], [`Token::verify`] with a [`KeySet`], then [`Expectations::check`]. Whatever a
//! token says is a word of whoever sent it until its signature has been verified: no key, no
//! address and no algorithm is ever taken from it.

mod algorithm;
mod base64url;
mod cache;
mod claims;
mod error;
mod expectations;
mod json;
mod keys;
mod path;
mod signer;
#[cfg(test)]
mod testing;
mod token;

pub use algorithm::{Algorithm, Algorithms, UnknownAlgorithm};
pub use cache::VerifiedCache;
pub use claims::Claims;
pub use error::{ErrorCode, TokenError};
pub use expectations::{Expectations, Expected, Requirement, Scopes, Test, Typ};
pub use json::{JsonError, List, Number, Object, Value};
pub use keys::{Key, KeyError, KeySet, KeySetLimits, Skipped};
pub use path::{ClaimPath, PathError};
pub use signer::{Signer, SignerError};
pub use token::{Header, Token, Verified};
