//! Keeps requests from waiting for a store that gives no answers. Some failures in a row open it;
//! only a probe that nobody waits for closes it again, so that no request ever is the one to find out.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Failures in a row after which the store is not asked any more.
const FAILURES: u32 = 5;
/// The first wait before a probe; every one that fails doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two probes.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Whether a store is asked. All workers of the node share it.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    open: AtomicBool,
}

impl Breaker {
    /// Whether requests may ask the store.
    pub(crate) fn is_closed(&self) -> bool {
        !self.open.load(Relaxed)
    }

    /// A request got its answer.
    pub(crate) fn succeeded(&self) {
        // Nearly always it is 0 already, and then nobody else's cache line is taken away.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A request got none. True if that opens it.
    pub(crate) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        failures >= FAILURES && self.open()
    }

    /// The store is known to be gone. True if it was not before.
    pub(crate) fn open(&self) -> bool {
        !self.open.swap(true, Relaxed)
    }

    /// A probe got its answer. True if that closes it.
    pub(crate) fn close(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.open.swap(false, Relaxed)
    }
}

/// How long to wait before the next probe after so many that failed; `random` from 0 to 1 spreads
/// the nodes.
pub(crate) fn wait(failed: u32, random: f64) -> Duration {
    let wait = FIRST_WAIT.saturating_mul(1 << failed.min(8)).min(LONGEST_WAIT);
    wait.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_once() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(!breaker.failed());
        }
        breaker.succeeded();
        assert_eq!((0..FAILURES).filter(|_| breaker.failed()).count(), 1);
        assert!(!breaker.is_closed());
        assert!(!breaker.failed());
        // What still comes in of answers from before does not close it.
        breaker.succeeded();
        assert!(!breaker.is_closed());
        assert!(breaker.close() && breaker.is_closed() && !breaker.close());
    }

    #[test]
    fn probes_become_rarer() {
        assert_eq!(wait(0, 1.0), Duration::from_millis(100));
        assert_eq!(wait(0, 0.0), Duration::from_millis(50));
        assert_eq!(wait(2, 1.0), Duration::from_millis(400));
        assert_eq!(wait(1000, 1.0), LONGEST_WAIT);
    }
}
