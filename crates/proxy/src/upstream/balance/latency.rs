//! What an endpoint's latency is taken to be: a moving average that goes up at once and comes down
//! with time. One word, so that workers share it without a lock; of two that write at once, one may
//! be lost.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a failure adds: an endpoint that fails at once must not look fast.
const FAILURE_FACTOR: f32 = 8.0;
/// Least and most that a failure counts as, in microseconds.
const FAILURE_FLOOR: f32 = 100_000.0;
const FAILURE_CEILING: f32 = 5_000_000.0;
/// What somebody counts as of whom nothing is known while the first requests are under way.
const UNKNOWN: f32 = 1_000_000.0;

/// A peak-sensitive moving average: in the upper half microseconds as an `f32`, in the lower
/// milliseconds of the clock, which may wrap around. 0 is nothing known.
#[derive(Debug, Default)]
pub(crate) struct Latency(AtomicU64);

impl Latency {
    /// Notes how long it took until the reply began, or the failure was known.
    pub(crate) fn note(&self, took: Duration, failed: bool, now_ms: u64, decay: Duration) {
        let before = self.0.load(Relaxed);
        let (value, since) = unpack(before, now_ms);
        let mut sample = (took.as_micros() as f32).max(1.0);
        if failed {
            let punished = (value * FAILURE_FACTOR).clamp(FAILURE_FLOOR, FAILURE_CEILING);
            sample = sample.max(punished);
        }
        let old = kept(since, decay);
        let value = if sample > value { sample } else { value * old + sample * (1.0 - old) };
        self.0.store(pack(value, now_ms), Relaxed);
    }

    /// What it is now, in microseconds: what nobody upholds decays, so that an endpoint that was
    /// slow is tried again. `None` where nothing is known.
    pub(crate) fn now(&self, now_ms: u64, decay: Duration) -> Option<f32> {
        let word = self.0.load(Relaxed);
        let (value, since) = unpack(word, now_ms);
        (word != 0).then(|| value * kept(since, decay))
    }

    /// What choosing an endpoint would cost that has so many requests under way, `weight` being 1
    /// for the usual one.
    pub(crate) fn cost(&self, active: u64, weight: f32, now_ms: u64, decay: Duration) -> f32 {
        let queue = active as f32 / weight.max(f32::MIN_POSITIVE);
        match self.now(now_ms, decay) {
            Some(latency) => latency * (queue + 1.0),
            // The first request finds out; others wait until it has.
            None => UNKNOWN * queue,
        }
    }
}

/// How much of a value is left after so many milliseconds.
fn kept(since: u32, decay: Duration) -> f32 {
    (-(since as f32) / (decay.as_secs_f32() * 1000.0)).exp()
}

fn pack(value: f32, now_ms: u64) -> u64 {
    // Never 0, for a value is never.
    (u64::from(value.max(1.0).to_bits()) << 32) | (now_ms & 0xFFFF_FFFF)
}

/// The value and how many milliseconds ago it was noted.
fn unpack(word: u64, now_ms: u64) -> (f32, u32) {
    let since = (now_ms as u32).wrapping_sub(word as u32);
    // One that another worker noted just now may lie ahead.
    let since = if since > u32::MAX / 2 { 0 } else { since };
    (f32::from_bits((word >> 32) as u32), since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_goes_up_at_once_and_comes_down_with_time() {
        let latency = Latency::default();
        assert_eq!(latency.now(5, DECAY), None);
        latency.note(ms(2), false, 1000, DECAY);
        latency.note(ms(50), false, 1010, DECAY);
        assert_eq!(latency.now(1010, DECAY), Some(50_000.0));
        latency.note(ms(2), false, 1010, DECAY);
        assert_eq!(latency.now(1010, DECAY), Some(50_000.0), "no time has passed");
        latency.note(ms(2), false, 11_010, DECAY);
        let now = latency.now(11_010, DECAY).unwrap();
        assert!((19_000.0..21_000.0).contains(&now), "{now}");
        let later = latency.now(61_010, DECAY).unwrap();
        assert!(later < 150.0, "what nobody upholds decays: {later}");
    }

    #[test]
    fn failing_fast_is_not_fast() {
        let latency = Latency::default();
        latency.note(ms(1), true, 10, DECAY);
        assert_eq!(latency.now(10, DECAY), Some(FAILURE_FLOOR));
        for _ in 0..10 {
            latency.note(ms(1), true, 10, DECAY);
        }
        assert_eq!(latency.now(10, DECAY), Some(FAILURE_CEILING));
    }

    #[test]
    fn requests_under_way_count_as_slowness() {
        let latency = Latency::default();
        assert_eq!(latency.cost(0, 1.0, 10, DECAY), 0.0, "somebody has to find out");
        assert!(latency.cost(1, 1.0, 10, DECAY) >= UNKNOWN);
        latency.note(ms(3), false, 10, DECAY);
        assert_eq!(latency.cost(0, 1.0, 10, DECAY), 3_000.0);
        assert_eq!(latency.cost(2, 1.0, 10, DECAY), 9_000.0);
        assert_eq!(latency.cost(2, 2.0, 10, DECAY), 6_000.0);
    }

    #[test]
    fn the_clock_may_wrap_and_differ_between_workers() {
        let latency = Latency::default();
        let wrap = u64::from(u32::MAX);
        latency.note(ms(8), false, wrap - 5, DECAY);
        assert!(latency.now(wrap + 5, DECAY).unwrap() > 7_900.0);
        assert_eq!(latency.now(wrap - 6, DECAY), Some(8_000.0));
    }
}
