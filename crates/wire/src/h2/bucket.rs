//! What a peer may do at once, and in the long run.

use std::time::Instant;

/// Seconds in which an empty bucket fills.
const REFILL_SECONDS: u32 = 10;

/// A token bucket that looks at the clock only when it is empty.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) level: u32,
    size: u32,
    looked: Instant,
}

impl Bucket {
    pub(super) fn new(size: u32, now: Instant) -> Bucket {
        Bucket { level: size, size, looked: now }
    }

    /// Takes one out; `false` when there is none.
    pub(super) fn take(&mut self) -> bool {
        if self.level == 0 {
            self.refill(Instant::now());
        }
        let some = self.level > 0;
        self.level = self.level.saturating_sub(1);
        some
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.looked).as_millis();
        let earned = passed * u128::from(self.size) / u128::from(REFILL_SECONDS * 1000);
        if earned > 0 {
            self.looked = now;
            self.give(u32::try_from(earned).unwrap_or(u32::MAX));
        }
    }

    /// Puts some back; always true, for the sake of its callers.
    pub(super) fn give(&mut self, n: u32) -> bool {
        self.level = self.level.saturating_add(n).min(self.size);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn buckets_fill_in_ten_seconds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        bucket.level = 0;
        bucket.refill(start + Duration::from_secs(1));
        assert_eq!(bucket.level, 10);
        bucket.refill(start + Duration::from_secs(60));
        assert_eq!(bucket.level, 100);
    }
}
