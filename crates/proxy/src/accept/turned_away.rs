//! Connections that a listener did not let in: counted, and told once a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// No more than one line in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How many there were that nobody was told of. Workers share it, but only when connections are
/// refused.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    untold: AtomicU64,
    /// When there was a line last, in milliseconds since the start; 0 is never.
    told: AtomicU64,
    start: Instant,
}

impl Default for TurnedAway {
    fn default() -> TurnedAway {
        TurnedAway { untold: AtomicU64::new(0), told: AtomicU64::new(0), start: Instant::now() }
    }
}

impl TurnedAway {
    pub(crate) fn count(&self) {
        self.untold.fetch_add(1, Relaxed);
    }

    /// How many are to be told of now; 0 when none, or when it is too early, or when another worker
    /// tells.
    pub(crate) fn to_tell(&self, now: Instant) -> u64 {
        if self.untold.load(Relaxed) == 0 {
            return 0;
        }
        let now = now.saturating_duration_since(self.start) + TELL_EVERY;
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let told = self.told.load(Relaxed);
        let is_due = now - told.min(now) >= TELL_EVERY.as_millis() as u64;
        if is_due && self.told.compare_exchange(told, now, Relaxed, Relaxed).is_ok() {
            self.untold.swap(0, Relaxed)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_of_once_a_second() {
        let turned_away = TurnedAway::default();
        let start = turned_away.start;
        assert_eq!(turned_away.to_tell(start), 0);
        turned_away.count();
        assert_eq!(turned_away.to_tell(start), 1);
        turned_away.count();
        turned_away.count();
        assert_eq!(turned_away.to_tell(start + TELL_EVERY / 2), 0);
        assert_eq!(turned_away.to_tell(start + TELL_EVERY), 2);
        assert_eq!(turned_away.to_tell(start + 9 * TELL_EVERY), 0);
    }
}
