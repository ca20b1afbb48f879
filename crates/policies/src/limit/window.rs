//! The sliding window: two fixed windows are counted, and of the earlier one as much as the sliding
//! window still covers.

use super::Verdict;

/// Bits of each of the three numbers of the state: which window, its count, the count before.
const BITS: u32 = 24;
const MASK: u128 = (1 << BITS) - 1;

/// A window that slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests in a window.
    pub limit: u32,
    /// Its length in nanoseconds.
    pub per: u64,
}

/// What is counted of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// The number of the window, as far as its bits go.
    index: u128,
    before: u64,
    current: u64,
}

impl Counts {
    fn of(state: u128) -> Counts {
        Counts {
            index: state & MASK,
            current: ((state >> BITS) & MASK) as u64,
            before: ((state >> (2 * BITS)) & MASK) as u64,
        }
    }

    fn state(self) -> u128 {
        self.index | u128::from(self.current) << BITS | u128::from(self.before) << (2 * BITS)
    }

    /// The same counts seen from the window of this number.
    fn at(self, index: u128) -> Counts {
        match index.wrapping_sub(self.index) & MASK {
            0 => self,
            1 => Counts { index, before: self.current, current: 0 },
            _ => Counts { index, before: 0, current: 0 },
        }
    }
}

impl Window {
    fn index(&self, now: u64) -> u128 {
        u128::from(now / self.per.max(1)) & MASK
    }

    pub(super) fn take(&self, state: u128, now: u64, cost: u32) -> (Option<u128>, Verdict) {
        let per = self.per.max(1);
        let passed = now % per;
        let counts = Counts::of(state).at(self.index(now));
        let left = self.left(counts, passed);
        let cost = u64::from(cost);
        if cost > left {
            let reset = self.until_room(counts, passed, cost);
            return (None, Verdict { allowed: false, wait: 0, remaining: left, reset });
        }
        let counts = Counts { current: counts.current + cost, ..counts };
        let verdict =
            Verdict { allowed: true, wait: 0, remaining: left - cost, reset: 2 * per - passed };
        (Some(counts.state()), verdict)
    }

    /// How much may still pass: what is counted is rounded up.
    fn left(&self, counts: Counts, passed: u64) -> u64 {
        let per = u128::from(self.per.max(1));
        let covered = per - u128::from(passed);
        let before = (u128::from(counts.before) * covered).div_ceil(per) as u64;
        u64::from(self.limit).saturating_sub(before + counts.current)
    }

    /// How long until so much may pass if nothing else comes.
    fn until_room(&self, counts: Counts, passed: u64, cost: u64) -> u64 {
        let per = self.per.max(1);
        let limit = u64::from(self.limit);
        // How far into a window as few of the `before` earlier ones are covered as there is room.
        let into = |before: u64, room: u64| {
            let covered = u128::from(room) * u128::from(per) / u128::from(before.max(1));
            per - u64::try_from(covered).unwrap_or(per).min(per)
        };
        match limit.checked_sub(counts.current + cost) {
            Some(room) => into(counts.before, room).saturating_sub(passed).max(1),
            None => per - passed + into(counts.current, limit.saturating_sub(cost)),
        }
    }

    pub(super) fn give_back(&self, state: u128, after: u128, now: u64, cost: u32) -> u128 {
        let cost = u64::from(cost);
        let counts = Counts::of(state).at(self.index(now));
        let counts = match counts.index.wrapping_sub(after & MASK) & MASK {
            0 => Counts { current: counts.current.saturating_sub(cost), ..counts },
            1 => Counts { before: counts.before.saturating_sub(cost), ..counts },
            _ => counts,
        };
        counts.state()
    }

    pub(super) fn worth(&self, state: u128, now: u64) -> u64 {
        let passed = now % self.per.max(1);
        u64::from(self.limit) - self.left(Counts::of(state).at(self.index(now)), passed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WINDOW: Window = Window { limit: 10, per: SECOND };

    fn take(state: &mut u128, now: u64, times: usize) -> usize {
        let mut passed = 0;
        for _ in 0..times {
            let (new, _) = WINDOW.take(*state, now, 1);
            passed += usize::from(new.is_some());
            *state = new.unwrap_or(*state);
        }
        passed
    }

    #[test]
    fn the_window_before_counts_as_far_as_it_is_covered() {
        let mut state = 0;
        assert_eq!(take(&mut state, SECOND, 20), 10);
        assert_eq!(take(&mut state, 2 * SECOND, 20), 0);
        assert_eq!(take(&mut state, 2 * SECOND + SECOND / 2, 20), 5);
        assert_eq!(take(&mut state, 3 * SECOND + SECOND / 2, 20), 7);
        assert_eq!(take(&mut state, 9 * SECOND, 20), 10);
    }

    #[test]
    fn a_refused_request_may_pass_when_it_was_told() {
        for (at, fill) in [(SECOND, 10), (SECOND + SECOND / 3, 10), (SECOND, 3)] {
            let mut state = 0;
            take(&mut state, at, fill);
            for later in [at + 1, at + SECOND / 2, at + SECOND] {
                let (new, verdict) = WINDOW.take(state, later, 9);
                if new.is_none() {
                    let told = later + verdict.reset;
                    assert!(WINDOW.take(state, told, 9).1.allowed, "{at} {fill} {later}");
                    assert!(!WINDOW.take(state, told - SECOND / 50, 9).1.allowed);
                }
            }
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (after, _) = WINDOW.take(0, SECOND, 10);
        let after = after.unwrap();
        let back = WINDOW.give_back(after, after, SECOND + 1, 10);
        assert!(WINDOW.take(back, SECOND + 1, 10).1.allowed);
        let back = WINDOW.give_back(after, after, 2 * SECOND, 10);
        assert!(WINDOW.take(back, 2 * SECOND, 10).1.allowed);
        assert_eq!(WINDOW.worth(back, 2 * SECOND), 0);
    }

    proptest! {
        #[test]
        fn no_fixed_window_has_more_than_the_limit(gaps in prop::collection::vec(0u64..SECOND / 4, 1..300)) {
            let (mut state, mut now) = (0u128, SECOND);
            let mut counted = std::collections::HashMap::<u64, u32>::new();
            for gap in gaps {
                now += gap;
                let (new, verdict) = WINDOW.take(state, now, 1);
                prop_assert_eq!(new.is_some(), verdict.allowed);
                if let Some(new) = new {
                    state = new;
                    let count = counted.entry(now / SECOND).or_default();
                    *count += 1;
                    prop_assert!(*count <= 10);
                }
            }
        }
    }
}
