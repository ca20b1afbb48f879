//! A TCP route: which connections it takes and where they go.

use std::time::Duration;

use super::{HostPattern, Name, WeightedService};

/// A TCP route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpRoute {
    /// Its name.
    pub name: Name,
    /// The listener whose connections it takes; it exists and is no HTTP listener.
    pub listener: Name,
    /// The server names that it takes; empty takes what no other TCP route of the listener does. No
    /// other has any of them.
    pub sni: Vec<HostPattern>,
    /// The services and their shares; at least one of weight above 0.
    pub services: Vec<WeightedService>,
    /// To open a connection; `None` is the service's.
    pub connect: Option<Duration>,
    /// Without any byte in either direction; `None` is the service's
    /// [`tunnel`](super::ServiceTimeouts::tunnel).
    pub idle: Option<Duration>,
}
