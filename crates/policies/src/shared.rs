//! Counters that several nodes share. A policy with a store counts there instead of in its own
//! table; everything else about it stays the same.

use crate::{Limit, Verdict};

/// What is asked of a store.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The policy's scope and name and the parts of the request's key, the same on every node.
    pub key: &'a [u8],
    /// How much is allowed.
    pub limit: Limit,
    /// What the request costs.
    pub cost: u32,
}

/// A store of counters that nodes share. There is none yet, so nothing has this type.
#[derive(Debug)]
pub enum Shared {}

impl Shared {
    /// Counts from what this node holds of the store's counters, without waiting; none if the store
    /// must be asked.
    #[must_use]
    pub fn try_take(&self, _: &Ask<'_>) -> Option<Verdict> {
        match *self {}
    }

    /// Asks the store. It takes no longer than the policy's time limit, whatever the store does.
    pub async fn take(&self, _: &Ask<'_>) -> Verdict {
        match *self {}
    }

    /// Takes back what was counted for a request that did not pass after all. Does not wait.
    pub fn give_back(&self, _: &Ask<'_>) {
        match *self {}
    }
}
