//! What a store did. It is counted beside calls over the network, where a shared counter is nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use portcullis_config::model::OnFailure;

use super::StoreFault;

/// Upper bounds of the latency buckets, in microseconds; one more is open.
pub const STORE_BOUNDS_US: [u64; 11] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 250_000, 1_000_000];

/// What a store did.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    /// Whether it answers.
    pub up: AtomicBool,
    /// Calls that it answered.
    pub answered: AtomicU64,
    /// Calls without an answer, by [`StoreFault`]'s position.
    pub faults: [AtomicU64; StoreFault::ALL.len()],
    /// Requests that were decided without it, by [`OnFailure`]'s position.
    pub fallbacks: [AtomicU64; OnFailure::ALL.len()],
    /// How long answers took: one count a bucket, not cumulative; the last is open.
    pub buckets: [AtomicU64; STORE_BOUNDS_US.len() + 1],
    /// Sum of these in microseconds.
    pub sum_us: AtomicU64,
    /// Nodes that use it, this one included; 0 as long as it has not said.
    pub nodes: AtomicU64,
    /// Keys of which this node holds a share.
    pub lease_keys: AtomicU64,
    /// What this node holds of shares.
    pub leased: AtomicU64,
    /// Requests of leased limits that had to ask the store, for no share was at hand.
    pub lease_misses: AtomicU64,
    /// Shares that were asked for, in the background.
    pub lease_calls: AtomicU64,
}

impl StoreMetrics {
    pub(crate) fn answered(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.answered.fetch_add(1, Relaxed);
        self.buckets[STORE_BOUNDS_US.partition_point(|&bound| bound < us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn failed(&self, fault: StoreFault) {
        self.faults[fault as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn fell_back(&self, to: OnFailure) {
        self.fallbacks[to as usize].fetch_add(1, Relaxed);
    }
}
