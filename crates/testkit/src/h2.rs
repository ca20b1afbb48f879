//! HTTP/2 at the level of frames: a client and an origin that send whatever a test wants, legal or
//! not, and read what comes back with no leniency at all.
//!
//! Written from RFC 9113 and RFC 7541, and on purpose over none of the libraries that the gateway
//! itself is made of: a mistake of theirs must not hide in the kit as well.

mod block;
mod client;
mod exchange;
mod frame;
mod hpack;
mod names;
mod peer;
mod served;
mod wire;

pub use block::Block;
pub use client::{H2Client, Outcome, PREFACE};
pub use exchange::{Exchange, GoAway, H2Reply};
pub use frame::{Frame, ToBytes};
pub use names::{code, flag, kind, setting};
pub use peer::Peer;
pub use served::{H2Request, H2Served};
pub use wire::Wire;
