//! The sliding window: two fixed windows are counted, and of the earlier one as much as the sliding
//! window still covers.

use super::{STATE_BITS, Verdict};

/// A window that slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests in a window; at most one in a microsecond.
    pub limit: u32,
    /// Its length in nanoseconds.
    pub per: u64,
}

/// What is counted of a key. In a state the counts have as many bits as a window of this length
/// needs, and the number of the window has the rest, so that it does not come again for years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// The number of the window, as far as its bits go.
    index: u128,
    before: u64,
    current: u64,
}

impl Window {
    /// Bits of a count: the limit is at most one in a microsecond.
    fn bits(&self) -> u32 {
        (u64::BITS - (self.per / 1000).leading_zeros()).clamp(1, 24)
    }

    /// The bits of the number of a window.
    fn indices(&self) -> u128 {
        (1 << (STATE_BITS - 2 * self.bits())) - 1
    }

    fn index(&self, now: u64) -> u128 {
        u128::from(now / self.per.max(1)) & self.indices()
    }

    fn state(&self, counts: Counts) -> u128 {
        let most = (1 << self.bits()) - 1;
        let count = |count: u64| u128::from(count.min(most));
        (counts.index << self.bits() | count(counts.before)) << self.bits() | count(counts.current)
    }

    /// The counts as they are at `now`, and how much of the window has passed by then. Who is late,
    /// because another thread was faster, counts into the newer window: nothing is forgotten, and no
    /// window gets more than its limit.
    fn counts(&self, state: u128, now: u64) -> (Counts, u64) {
        let bits = self.bits();
        let count = |state: u128| state as u64 & ((1 << bits) - 1);
        let (before, current) = (count(state >> bits), count(state));
        let known = state >> (2 * bits) & self.indices();
        let (index, passed) = (self.index(now), now % self.per.max(1));
        match index.wrapping_sub(known) & self.indices() {
            0 => (Counts { index, before, current }, passed),
            1 => (Counts { index, before: current, current: 0 }, passed),
            ahead if ahead > self.indices() / 2 && state != 0 => {
                (Counts { index: known, before, current }, 0)
            }
            _ => (Counts { index, before: 0, current: 0 }, passed),
        }
    }

    pub(super) fn take(&self, state: u128, now: u64, cost: u32) -> (Option<u128>, Verdict) {
        let per = self.per.max(1);
        let (counts, passed) = self.counts(state, now);
        let left = self.left(counts, passed);
        let cost = u64::from(cost);
        if cost > left {
            let reset = self.until_room(counts, passed, cost);
            return (None, Verdict { allowed: false, wait: 0, remaining: left, reset });
        }
        let counts = Counts { current: counts.current + cost, ..counts };
        let verdict =
            Verdict { allowed: true, wait: 0, remaining: left - cost, reset: 2 * per - passed };
        (Some(self.state(counts)), verdict)
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
        let (counts, _) = self.counts(state, now);
        let counted = after >> (2 * self.bits()) & self.indices();
        let counts = match counts.index.wrapping_sub(counted) & self.indices() {
            0 => Counts { current: counts.current.saturating_sub(cost), ..counts },
            1 => Counts { before: counts.before.saturating_sub(cost), ..counts },
            _ => counts,
        };
        self.state(counts)
    }

    pub(super) fn worth(&self, state: u128, now: u64) -> u64 {
        let (counts, passed) = self.counts(state, now);
        u64::from(self.limit) - self.left(counts, passed)
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

    #[test]
    fn who_is_late_neither_passes_for_free_nor_forgets_what_was_counted() {
        let mut state = 0;
        assert_eq!(take(&mut state, 6 * SECOND - 1, 20), 10);
        assert_eq!(take(&mut state, 7 * SECOND - 1, 20), 9);
        assert_eq!(take(&mut state, 7 * SECOND + SECOND / 2, 20), 5);
        let (after, kept) = (state, state);
        for late in [7 * SECOND - 1, SECOND, 1] {
            assert_eq!(take(&mut state, late, 20), 0);
            assert_eq!(state, kept);
            assert_eq!(WINDOW.worth(state, late), 10);
            let back = WINDOW.give_back(state, after, late, 2);
            assert_eq!(take(&mut { back }, 7 * SECOND + SECOND / 2, 20), 2);
        }
        // Of a key that nobody has asked for before, nobody is late.
        assert_eq!(take(&mut 0, u64::MAX / 2, 20), 10);
    }

    #[test]
    fn what_is_old_is_forgotten_however_old_it_is() {
        for per in [SECOND / 1000, SECOND, 3600 * SECOND, 31 * 86_400 * SECOND] {
            let limit = u32::try_from(per / 1000).unwrap_or(u32::MAX).min(16_000_000);
            let window = Window { limit, per };
            let (state, _) = window.take(0, per, limit);
            for windows in (0..40).map(|bits| 2 << bits).take_while(|n| n * per < 1 << 60) {
                for later in [windows * per, windows * per + per, windows * per - 1 + per] {
                    let (_, verdict) = window.take(state.unwrap(), later + per, limit);
                    assert!(verdict.allowed, "{per} {later}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nobody_who_is_late_adds_to_the_limit(
            steps in prop::collection::vec((0u64..SECOND / 4, 0u64..3 * SECOND, any::<bool>()), 1..300),
        ) {
            let (mut state, mut now, mut newest) = (0u128, 100 * SECOND, 0);
            let mut counted = std::collections::HashMap::<u64, u32>::new();
            for (gap, late, is_late) in steps {
                now += gap;
                let seen = if is_late { now - late } else { now };
                if let (Some(new), _) = WINDOW.take(state, seen, 1) {
                    state = new;
                    // What nobody has counted yet cannot be known.
                    newest = newest.max(seen);
                    let count = counted.entry(newest / SECOND).or_default();
                    *count += 1;
                    prop_assert!(*count <= 10);
                }
            }
        }

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
