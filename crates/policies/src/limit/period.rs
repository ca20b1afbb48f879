//! What is allowed in a period of the calendar. Which period it is, and when it ends, is known to
//! the caller: the calendar is not looked at for every request.

use super::Verdict;

/// Bits of the minute at which the period ends (until 2225), and of the count.
const END_BITS: u32 = 27;
const COUNT_BITS: u32 = 44;
const END: u128 = (1 << END_BITS) - 1;
const COUNT: u128 = (1 << COUNT_BITS) - 1;
/// Set when the count changes, and taken away when it has been written down.
const FRESH: u128 = 1 << (END_BITS + COUNT_BITS);

/// How long before the end of a period, in nanoseconds, somebody else may have begun the next one.
const LATE: u64 = 60_000_000_000;

/// What is allowed in the current period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a period.
    pub limit: u64,
    /// The minute at which the period ends, since 1970 in UTC. It names the period.
    pub end: u32,
    /// Nanoseconds until then.
    pub left: u64,
}

/// What was counted of a key in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) end: u32,
    pub(crate) count: u64,
    /// Not written down yet.
    pub(crate) fresh: bool,
}

impl Spent {
    pub(crate) fn of(state: u128) -> Spent {
        Spent {
            end: (state & END) as u32,
            count: ((state >> END_BITS) & COUNT) as u64,
            fresh: state & FRESH != 0,
        }
    }

    pub(crate) fn state(self) -> u128 {
        let fresh = if self.fresh { FRESH } else { 0 };
        (u128::from(self.end) & END) | (u128::from(self.count) & COUNT) << END_BITS | fresh
    }
}

impl Allowance {
    pub(super) fn take(&self, state: u128, cost: u32) -> (Option<u128>, Verdict) {
        let Spent { end, count, .. } = self.counted(state);
        let left = self.limit.saturating_sub(count);
        let verdict =
            |allowed, remaining| Verdict { allowed, wait: 0, remaining, reset: self.left };
        match left.checked_sub(cost.into()) {
            None => (None, verdict(false, left)),
            Some(remaining) => {
                let count = count + u64::from(cost);
                let new = Spent { end, count, fresh: true };
                (Some(new.state()), verdict(true, remaining))
            }
        }
    }

    /// What is counted. Who is late counts into the period that others have begun, so that it is
    /// not forgotten; but a clock that was far ahead and is put back does not count for ever.
    fn counted(&self, state: u128) -> Spent {
        let spent = Spent::of(state);
        let begun = spent.end > self.end && self.left <= LATE;
        if spent.end == self.end || begun {
            return spent;
        }
        Spent { end: self.end, count: 0, ..spent }
    }

    pub(super) fn give_back(&self, state: u128, after: u128, cost: u32) -> u128 {
        let (spent, taken) = (Spent::of(state), Spent::of(after));
        if spent.end != taken.end {
            return state;
        }
        Spent { count: spent.count.saturating_sub(cost.into()), fresh: true, ..spent }.state()
    }

    pub(super) fn worth(&self, state: u128) -> u64 {
        self.counted(state).count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY: Allowance = Allowance { limit: 3, end: 29_000_000, left: 60_000_000_000 };

    #[test]
    fn a_period_has_its_own_count() {
        let (state, verdict) = MAY.take(0, 2);
        assert_eq!((verdict.allowed, verdict.remaining, verdict.reset), (true, 1, MAY.left));
        let (none, verdict) = MAY.take(state.unwrap(), 2);
        assert_eq!((none, verdict.remaining), (None, 1));
        let next = Allowance { end: MAY.end + 60, ..MAY };
        assert_eq!(next.take(state.unwrap(), 1).1.remaining, 2);
    }

    #[test]
    fn who_is_late_counts_into_the_newer_period() {
        let next = Allowance { end: MAY.end + 60, ..MAY };
        let late = Allowance { left: 20_000_000, ..MAY };
        let (state, _) = next.take(0, 2);
        assert_eq!(late.worth(state.unwrap()), 2);
        let (state, verdict) = late.take(state.unwrap(), 1);
        assert_eq!((verdict.allowed, verdict.remaining), (true, 0));
        let state = state.unwrap();
        assert!(!next.take(state, 1).1.allowed && !late.take(state, 1).1.allowed);
        // A clock that was put back by more begins anew, for that period may be far away.
        let back = Allowance { left: 61_000_000_000, ..MAY };
        assert_eq!(back.take(state, 1).1.remaining, 2);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (after, _) = MAY.take(0, 3);
        let after = after.unwrap();
        assert_eq!(MAY.worth(after), 3);
        let back = MAY.give_back(after, after, 3);
        assert_eq!((MAY.worth(back), Spent::of(back).fresh), (0, true));
        assert!(MAY.take(back, 3).1.allowed);
    }

    #[test]
    fn the_largest_numbers_fit() {
        let most = Spent { end: (1 << 27) - 1, count: (1 << 44) - 1, fresh: true };
        assert_eq!(Spent::of(most.state()), most);
        assert!(most.state() >> super::super::STATE_BITS == 0);
    }
}
