//! How counting goes: pure functions from what was counted, the time and the cost to a verdict and
//! what is counted then. Whoever keeps the counts, in this process or in a shared store, works with
//! the same [`Limit`] and gives the same [`Verdict`].

mod bucket;
mod period;
mod window;

pub use bucket::Bucket;
pub use period::Allowance;
pub(crate) use period::{Spent, Written};
pub use window::Window;

/// Bits that an algorithm has for what it remembers of a key.
pub(crate) const STATE_BITS: u32 = 72;

/// How much is allowed. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A bucket that fills evenly.
    Bucket(Bucket),
    /// A window that slides.
    Window(Window),
    /// A period of the calendar.
    Allowance(Allowance),
}

/// What counting said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may pass. If not, nothing was counted.
    pub allowed: bool,
    /// How long it must wait before it does, in nanoseconds; nearly always 0.
    pub wait: u64,
    /// How much is left.
    pub remaining: u64,
    /// Of a request that may pass: how long until everything is left again if nothing else comes.
    /// Of another: how long until it might pass. In nanoseconds.
    pub reset: u64,
}

impl Limit {
    /// Counts a request of this cost at `now` (nanoseconds since any moment). Gives the new state
    /// if the request may pass.
    #[must_use]
    pub fn take(&self, state: u128, now: u64, cost: u32) -> (Option<u128>, Verdict) {
        match self {
            Limit::Bucket(bucket) => bucket.take(state, now, cost),
            Limit::Window(window) => window.take(state, now, cost),
            Limit::Allowance(allowance) => allowance.take(state, cost),
        }
    }

    /// The state without a request that was counted and then did not pass; `after` is the state
    /// that its counting left.
    #[must_use]
    pub fn give_back(&self, state: u128, after: u128, now: u64, cost: u32) -> u128 {
        match self {
            Limit::Bucket(bucket) => bucket.give_back(state, after, now, cost),
            Limit::Window(window) => window.give_back(state, after, now, cost),
            Limit::Allowance(allowance) => allowance.give_back(state, after, cost),
        }
    }

    /// What would be lost if the state were forgotten: 0 is nothing. Only for comparison between
    /// states of one limit.
    #[must_use]
    pub fn worth(&self, state: u128, now: u64) -> u64 {
        match self {
            Limit::Bucket(bucket) => bucket.worth(state, now),
            Limit::Window(window) => window.worth(state, now),
            Limit::Allowance(allowance) => allowance.worth(state),
        }
    }
}
