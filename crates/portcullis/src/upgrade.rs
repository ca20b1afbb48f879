//! Giving way to a new binary without losing a connection.
//!
//! The old process starts the new one with a socket as its standard input and sends it a copy of
//! every listening socket. The new one loads its configuration, says that it is ready, and accepts
//! nothing yet: up to there all can be undone. Told to go, it serves, and both accept for a moment
//! from the same queues; then the old one closes its copies and drains. Whoever waits in a queue is
//! taken by the one or the other.
//!
//! Nothing here needs `unsafe`: descriptors travel as messages (SCM_RIGHTS), not as numbers.

mod giver;
mod heir;
mod message;
mod program;

pub(crate) use giver::{Attempt, Outcome, Successor};
pub(crate) use heir::Takeover;
pub(crate) use program::Program;
