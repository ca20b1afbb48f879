//! What the behaviour tests are made of: the real gateway as a process, origins and clients that
//! speak raw bytes, certificates and load.
//!
//! Everything is threads and blocking sockets with timeouts, on ports that the system chooses, and
//! cleans up when dropped. A fake that cannot do its work panics: that fails the test, which is all
//! a test can do about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this code runs in tests alone, where a panic is how a failure is told"
)]

mod binary;
mod certificates;
mod client;
mod config;
mod detour;
mod gate;
mod gateway;
pub mod h2;
mod island;
mod load;
mod load_http2;
mod message;
mod origin;
mod patience;
pub mod process;
mod reader;
pub mod redis;
mod stream;
mod temp_dir;
mod web_sockets;

pub use binary::binary;
pub use certificates::{Authority, Issued, TlsClient};
pub use client::Client;
pub use config::Config;
pub use detour::Detour;
pub use gate::Gate;
pub use gateway::{Exited, Gateway, Starting, run_command, signal};
pub use island::{Island, networks_can_be_made};
pub use load::{Load, LoadReport};
pub use message::{Fields, Framing, Reply, Request, chunked};
pub use origin::{Origin, Place, Served};
pub use patience::{PATIENCE, eventually, until};
pub use reader::Reader;
pub use stream::Stream;
pub use temp_dir::TempDir;
pub use web_sockets::WebSocket;
