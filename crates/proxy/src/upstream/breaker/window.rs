//! What one worker saw of a service lately, in ticks of a tenth of the window. It has one writer;
//! whoever adds up may see a tick half begun, and be off by the few tries in it.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

use portcullis_core::metrics::Counter;

const TICKS: u64 = 10;

/// What one worker saw lately.
#[derive(Debug, Default)]
pub(super) struct Window([Tick; TICKS as usize]);

#[derive(Debug, Default)]
struct Tick {
    /// When it began, in milliseconds; 0 while it is being begun.
    begun_ms: AtomicU64,
    tries: Counter,
    errors: Counter,
    slow: Counter,
}

/// What all saw together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) tries: u64,
    pub(super) errors: u64,
    pub(super) slow: u64,
}

impl Window {
    /// Counts a try that ended now.
    pub(super) fn count(&self, window: Duration, now_ms: u64, error: bool, slow: bool) {
        let length = length(window);
        let begun_ms = now_ms / length * length + 1;
        let tick = &self.0[(now_ms / length % TICKS) as usize];
        if tick.begun_ms.load(Relaxed) != begun_ms {
            tick.begun_ms.store(0, Release);
            for counter in [&tick.tries, &tick.errors, &tick.slow] {
                counter.sub(counter.value());
            }
            tick.begun_ms.store(begun_ms, Release);
        }
        tick.tries.add(1);
        tick.errors.add(error.into());
        tick.slow.add(slow.into());
    }

    /// Adds what is in the window, and began at `from` or after.
    pub(super) fn add_to(&self, tally: &mut Tally, window: Duration, now_ms: u64, from: u64) {
        let length = length(window);
        let oldest = (now_ms / length + 1).saturating_sub(TICKS) * length;
        for tick in &self.0 {
            let begun_ms = tick.begun_ms.load(Acquire);
            // The tick in which it was closed holds what was before as well.
            if begun_ms > oldest && begun_ms > from {
                tally.tries += tick.tries.value();
                tally.errors += tick.errors.value();
                tally.slow += tick.slow.value();
            }
        }
    }
}

/// Milliseconds of a tick.
fn length(window: Duration) -> u64 {
    (u64::try_from(window.as_millis()).unwrap_or(u64::MAX) / TICKS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tally(window: &Window, now_ms: u64, from: u64) -> Tally {
        let mut tally = Tally::default();
        window.add_to(&mut tally, SECOND, now_ms, from);
        tally
    }

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let window = Window::default();
        window.count(SECOND, 50, true, false);
        window.count(SECOND, 950, false, true);
        assert_eq!(tally(&window, 999, 0), Tally { tries: 2, errors: 1, slow: 1 });
        assert_eq!(tally(&window, 1000, 0), Tally { tries: 1, errors: 0, slow: 1 });
        window.count(SECOND, 1050, false, false);
        assert_eq!(tally(&window, 1050, 0), Tally { tries: 2, errors: 0, slow: 1 });
        assert_eq!(tally(&window, 9000, 0), Tally::default());
    }

    #[test]
    fn what_was_before_it_closed_does_not_count() {
        let window = Window::default();
        window.count(SECOND, 450, true, false);
        window.count(SECOND, 650, true, false);
        assert_eq!(tally(&window, 700, 500), Tally { tries: 1, errors: 1, slow: 0 });
    }
}
