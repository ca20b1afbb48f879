//! Whether an endpoint takes requests. It belongs to the endpoint and not to a configuration, so a
//! reload changes nothing about it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is known of an endpoint's health. Times are [`super::clock::millis`].
#[derive(Debug)]
pub struct EndpointHealth {
    /// It takes no requests before then: 0 when it is available, `u64::MAX` when it is down.
    away_until_ms: AtomicU64,
    /// Since when it has been available; 0 if it always was.
    since_available_ms: AtomicU64,
}

impl EndpointHealth {
    /// An endpoint that is available, and became so then; 0 for one that always was.
    pub(crate) fn since(now_ms: u64) -> EndpointHealth {
        EndpointHealth {
            away_until_ms: AtomicU64::new(0),
            since_available_ms: AtomicU64::new(now_ms),
        }
    }

    /// Whether it takes requests.
    pub(crate) fn is_available(&self, now_ms: u64) -> bool {
        self.away_until_ms.load(Relaxed) <= now_ms
    }

    /// Since when it has been available, for slow start; 0 if it always was.
    pub(crate) fn since_available_ms(&self) -> u64 {
        self.since_available_ms.load(Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn leave(&self) {
        self.away_until_ms.store(u64::MAX, Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn come_back(&self, now_ms: u64) {
        self.away_until_ms.store(0, Relaxed);
        self.since_available_ms.store(now_ms, Relaxed);
    }
}
