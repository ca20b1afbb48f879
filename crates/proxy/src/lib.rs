//! The data plane of Portcullis: workers, router, pipeline, upstreams.
//!
//! [`Compiler`] turns a configuration into a [`Snapshot`]; [`Gateway`] runs workers and gives them
//! snapshots. The way of a request is the list of steps in `pipeline`.

mod accept;
mod admit;
mod client;
mod clock;
mod compile;
mod deadline;
pub mod explain;
mod forwarding;
mod gateway;
mod handover;
mod l4;
mod logins;
mod multiplex;
pub mod path;
mod penalty;
mod pipeline;
pub mod router;
pub mod snapshot;
mod sockets;
mod upstream;
mod worker;

pub use compile::{CompileError, CompileFault, CompileWarning, Compiled, Compiler, Owner};
pub use gateway::{ApplyError, Gateway, Pulse};
pub use handover::{Handed, Settled};
pub use snapshot::Snapshot;
pub use upstream::breaker::Phase;
