//! How fast connections to a listener may come.

use std::time::Duration;

/// How fast connections may come; those beyond are closed at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionRate {
    /// From one address, of IPv6 its first 64 bits.
    pub per_client: Option<Pace>,
    /// From all together.
    pub total: Option<Pace>,
}

/// So many in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Connections in `per`; at least 1.
    pub limit: u32,
    /// The stretch of time; at least 1 ms.
    pub per: Duration,
    /// Connections that may come at once; at least 1.
    pub burst: u32,
}
