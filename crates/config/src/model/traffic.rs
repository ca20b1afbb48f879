//! What happens to a route's traffic besides its being forwarded.

use std::sync::Arc;
use std::time::Duration;

use super::Name;

/// What holds a client to one service of a split.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SplitBy {
    /// Nothing: each request is drawn by itself.
    #[default]
    Random,
    /// A cookie of this name, which the gateway gives to clients that have none; kept for so long,
    /// or until the client's session ends.
    Cookie(Arc<str>, Option<Duration>),
    /// A header field; requests without it are drawn by themselves.
    Header(Arc<str>),
}

/// Copies of requests for another service.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror {
    /// The service's name; it exists in the configuration.
    pub service: Name,
    /// The share of requests, above 0 and at most 1.
    pub share: f64,
    /// Largest body that is copied, in bytes.
    pub body: usize,
    /// Most copies of the route under way at once by one worker.
    pub most: usize,
}

/// Faults on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// How long requests are held, and the share that are.
    pub delay: Option<(Duration, f64)>,
    /// The status that requests are refused with, and the share that are.
    pub abort: Option<(u16, f64)>,
}

/// How much a route's requests matter where there is too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Importance {
    /// Turned away first.
    Low,
    /// Turned away when that was not enough.
    #[default]
    Normal,
    /// Turned away last.
    High,
}

impl Importance {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Importance::Low => "low",
            Importance::Normal => "normal",
            Importance::High => "high",
        }
    }

    /// How many times later than for the least important a worker may be before requests of this
    /// importance are turned away.
    #[must_use]
    pub fn patience(self) -> u32 {
        match self {
            Importance::Low => 1,
            Importance::Normal => 2,
            Importance::High => 4,
        }
    }
}

/// How a service is kept from having more to do than it can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// Requests that a worker may always have under way.
    pub least: u32,
    /// Requests that a worker may have under way at most; not fewer.
    pub most: u32,
    /// How many times slower than usual the service may become, above 1.
    pub tolerance: f64,
}
