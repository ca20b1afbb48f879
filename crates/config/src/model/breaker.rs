//! A circuit breaker: when a service is spared.

use std::time::Duration;

/// When a service is spared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Breaker {
    /// Most open connections; not 0.
    pub connections: Option<u32>,
    /// Most requests that wait for a connection; not 0.
    pub pending: Option<u32>,
    /// Most requests under way; not 0.
    pub requests: Option<u32>,
    /// When it opens; `None` is never.
    pub trip: Option<Trip>,
}

/// When a breaker opens, and for how long. It has `errors` or `slow` or both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trip {
    /// It opens where so many tries fail.
    pub errors: Option<TripShare>,
    /// It opens where so many take longer than this.
    pub slow: Option<(Duration, TripShare)>,
    /// How far it looks back; 100 ms to 1 h.
    pub window: Duration,
    /// How long it is open the first time. Not zero.
    pub open: Duration,
    /// The longest that it is open; at least `open`.
    pub max_open: Duration,
    /// Requests let through at once to find out, and how many in a row must go well; 1 to 100.
    pub probes: u8,
}

/// How many tries of a window are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripShare {
    /// So large a part of them; above 0, at most 1.
    pub share: f64,
    /// Of at least so many; not 0.
    pub at_least: u32,
}
