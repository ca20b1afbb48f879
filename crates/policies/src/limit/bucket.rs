//! The token bucket, as the generic cell rate algorithm has it (ITU-T I.371): instead of tokens one
//! moment is remembered, that at which the bucket will be full again.

use super::Verdict;

/// A bucket of tokens. The state is the moment at which it is full again; 0 is a full one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Nanoseconds in which a token comes, rounded up, so that never more than the limit pass.
    pub interval: u64,
    /// Tokens in a full bucket.
    pub burst: u32,
    /// How long a request may wait for its tokens, in nanoseconds.
    pub max_wait: u64,
}

impl Bucket {
    /// A bucket that gives `limit` tokens in `per` nanoseconds. Both are at least 1.
    #[must_use]
    pub fn new(limit: u32, per: u64, burst: u32, max_wait: u64) -> Bucket {
        Bucket { interval: per.div_ceil(u64::from(limit.max(1))), burst, max_wait }
    }

    pub(super) fn take(&self, state: u128, now: u64, cost: u32) -> (Option<u128>, Verdict) {
        let full = self.interval.saturating_mul(u64::from(self.burst));
        let before = (state as u64).max(now);
        let after = before.saturating_add(self.interval.saturating_mul(u64::from(cost)));
        let debt = after - now;
        let wait = debt.saturating_sub(full);
        if wait > self.max_wait {
            let remaining = full.saturating_sub(before - now) / self.interval.max(1);
            return (None, Verdict { allowed: false, wait: 0, remaining, reset: wait });
        }
        let remaining = full.saturating_sub(debt) / self.interval.max(1);
        (Some(after.into()), Verdict { allowed: true, wait, remaining, reset: debt })
    }

    /// What has come in since is not given twice: a bucket that was full in between has forgotten
    /// the request already.
    pub(super) fn give_back(&self, state: u128, after: u128, now: u64, cost: u32) -> u128 {
        if u128::from(now) >= after {
            return state;
        }
        state.saturating_sub(u128::from(self.interval.saturating_mul(u64::from(cost))))
    }

    pub(super) fn worth(&self, state: u128, now: u64) -> u64 {
        (state as u64).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn passes(bucket: &Bucket, state: &mut u128, now: u64) -> bool {
        let (new, verdict) = bucket.take(*state, now, 1);
        *state = new.unwrap_or(*state);
        verdict.allowed
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = Bucket::new(3, SECOND, 5, 0);
        let mut state = 0;
        let now = 7 * SECOND;
        assert_eq!((0..10).filter(|_| passes(&bucket, &mut state, now)).count(), 5);
        assert!(!passes(&bucket, &mut state, now + 333_333_333));
        assert!(passes(&bucket, &mut state, now + 333_333_334));
        assert!(!passes(&bucket, &mut state, now + 333_333_335));
    }

    #[test]
    fn it_says_what_is_left_and_when() {
        let bucket = Bucket::new(10, SECOND, 2, 0);
        let (state, verdict) = bucket.take(0, SECOND, 1);
        let expected = Verdict { allowed: true, wait: 0, remaining: 1, reset: SECOND / 10 };
        assert_eq!(verdict, expected);
        let (state, _) = bucket.take(state.unwrap(), SECOND, 1);
        let (none, verdict) = bucket.take(state.unwrap(), SECOND, 1);
        assert_eq!(none, None);
        assert_eq!((verdict.remaining, verdict.reset), (0, SECOND / 10));
    }

    #[test]
    fn a_cost_takes_as_many() {
        let bucket = Bucket::new(10, SECOND, 10, 0);
        let (state, verdict) = bucket.take(0, SECOND, 7);
        assert_eq!(verdict.remaining, 3);
        let (none, verdict) = bucket.take(state.unwrap(), SECOND, 4);
        assert_eq!((none, verdict.remaining), (None, 3));
    }

    #[test]
    fn who_may_wait_is_told_how_long() {
        let bucket = Bucket::new(10, SECOND, 1, SECOND / 5);
        let (state, _) = bucket.take(0, SECOND, 1);
        let (state, verdict) = bucket.take(state.unwrap(), SECOND, 1);
        assert_eq!((verdict.allowed, verdict.wait), (true, SECOND / 10));
        let (state, verdict) = bucket.take(state.unwrap(), SECOND, 1);
        assert_eq!((verdict.allowed, verdict.wait), (true, SECOND / 5));
        let (none, verdict) = bucket.take(state.unwrap(), SECOND, 1);
        assert_eq!((none, verdict.allowed), (None, false));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = Bucket::new(10, SECOND, 2, 0);
        let (first, _) = bucket.take(0, SECOND, 2);
        let after = first.unwrap();
        let back = bucket.give_back(after, after, SECOND + 5, 2);
        assert!(bucket.take(back, SECOND + 10, 2).1.allowed);
        // Once it is full again there is nothing to give back.
        assert_eq!(bucket.give_back(after, after, 2 * SECOND, 2), after);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_burst_and_rate(
            limit in 1u32..50,
            burst in 1u32..50,
            gaps in prop::collection::vec(0u64..SECOND / 2, 1..200),
        ) {
            let bucket = Bucket::new(limit, SECOND, burst, 0);
            let (mut state, mut now) = (0, SECOND);
            let mut passed: Vec<u64> = Vec::new();
            for gap in gaps {
                now += gap;
                if passes(&bucket, &mut state, now) {
                    passed.push(now);
                }
            }
            for (first, &from) in passed.iter().enumerate() {
                for (last, &to) in passed.iter().enumerate().skip(first) {
                    let rate = u128::from(to - from) * u128::from(limit) / u128::from(SECOND);
                    let passed = (last - first + 1) as u128;
                    prop_assert!(passed <= u128::from(burst) + rate + 1);
                }
            }
        }
    }
}
