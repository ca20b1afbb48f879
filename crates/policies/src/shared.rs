//! Counters that several nodes share, in Redis, Valkey or what speaks like them. A policy with a
//! store counts there instead of in its own table; everything else about it stays the same.
//!
//! `exact` asks the store for every request: one script, which counts with the server's clock. In
//! `leased` a node takes shares ahead: what it has taken is counted in the store as held, requests
//! take from it without waiting, and what is not used goes back.

mod breaker;
mod counter;
mod fault;
mod leases;
mod link;
mod metrics;
mod refill;
mod script;
mod share;
mod store;
mod stores;
mod target;

pub use counter::{Answer, Ask, Shared, Told, take_all};
pub use fault::StoreFault;
pub use metrics::{STORE_BOUNDS_US, StoreMetrics};
pub use script::StoreKey;
pub(crate) use store::SessionCall;
pub use store::Store;
pub use stores::{Prepared, Stores};
pub use target::StoreError;

use crate::Limit;

/// What a store is asked about a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The counter's key.
    pub key: StoreKey,
    /// How much is allowed.
    pub limit: Limit,
    /// What the request costs.
    pub cost: u32,
}
