//! What a policy counts with when it has a store: from the node's share, in the store, or, when that
//! does not answer, as it was configured.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

use portcullis_config::model::{OnFailure, SharingMode};

use super::Asked;
use super::leases::Leases;
use super::script::StoreKey;
use super::store::Store;
use crate::{Key, Limit, Table, Verdict};

/// What is asked about a request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The policy's scope and name and the parts of the request's key, the same on every node.
    pub key: &'a [u8],
    /// The same key, as this node's tables know it.
    pub local: Key,
    /// How much is allowed.
    pub limit: Limit,
    /// What the request costs.
    pub cost: u32,
}

/// What a counter says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Whether it may pass, and what is left.
    pub verdict: Verdict,
    /// The store did not answer, and this was done instead.
    pub without: Option<OnFailure>,
}

/// A policy's counter in a store.
#[derive(Debug)]
pub struct Shared {
    store: Arc<Store>,
    leases: Option<Arc<Leases>>,
    /// Counts for when the store does not answer. They are kept up meanwhile, so that a short
    /// absence gives nobody everything anew.
    local: Option<Table>,
}

/// How long a client is told to wait when the store does not answer and the policy is closed, in
/// nanoseconds.
const CLOSED: u64 = 1_000_000_000;

impl Shared {
    /// A counter for at most so many keys at once. More are counted in the store alone.
    #[must_use]
    pub fn new(store: &Arc<Store>, mode: SharingMode, keys: usize) -> Shared {
        let local = store.on_failure() == OnFailure::Local;
        Shared {
            store: Arc::clone(store),
            leases: match mode {
                SharingMode::Exact => None,
                SharingMode::Leased => Some(Leases::new(store, keys)),
            },
            local: local.then(|| Table::new(keys)),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Counts from what this node holds, without waiting; none if the store must be asked.
    #[must_use]
    pub fn try_take(&self, ask: &Ask<'_>) -> Option<Verdict> {
        let verdict = self.leases.as_ref()?.take(ask.key, &ask.limit, ask.cost)?;
        if verdict.allowed {
            self.count(ask);
        }
        Some(verdict)
    }

    /// Asks the store, for no longer than its time; without an answer it does what is configured.
    pub async fn take(&self, ask: &Ask<'_>) -> Told {
        let asked = Asked { key: StoreKey::of(ask.key), limit: ask.limit, cost: ask.cost };
        let taken = self.store.take(&[asked]).await;
        if let Some(&verdict) = taken.as_deref().ok().and_then(<[Verdict]>::first) {
            if verdict.allowed {
                self.count(ask);
            }
            return Told { verdict, without: None };
        }
        let on_failure = self.store.on_failure();
        self.store.metrics().fell_back(on_failure);
        let said = |allowed, reset| Verdict { allowed, wait: 0, remaining: 0, reset };
        let verdict = match on_failure {
            OnFailure::Open => said(true, 0),
            OnFailure::Closed => said(false, CLOSED),
            OnFailure::Local => self.count(ask).unwrap_or(said(true, 0)),
        };
        Told { verdict, without: Some(on_failure) }
    }

    /// Takes back what was counted for a request that did not pass after all. Does not wait.
    pub fn give_back(&self, ask: &Ask<'_>) {
        let held = self.leases.as_ref().is_some_and(|leases| leases.give_back(ask.key, ask.cost));
        if !held {
            let asked = Asked { key: StoreKey::of(ask.key), limit: ask.limit, cost: ask.cost };
            self.store.give_back(asked);
        }
    }

    /// Counts on this node; none if the policy does not, or the table is full.
    fn count(&self, ask: &Ask<'_>) -> Option<Verdict> {
        let now = now_ns();
        let worth = |state| ask.limit.worth(state, now);
        let table = self.local.as_ref()?;
        table.change(ask.local, worth, |state| ask.limit.take(state, now, ask.cost)).ok()
    }
}

/// Nanoseconds of a clock that never goes back.
fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    // Long after 0, which stands for no state.
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1 << 50)
}
