//! What a policy counts with when it has a store: from the node's share, or in the store.

use std::sync::Arc;

use portcullis_config::model::{OnFailure, SharingMode};

use super::Asked;
use super::leases::Leases;
use super::script::StoreKey;
use super::store::Store;
use crate::{Key, Limit, Verdict};

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
    /// When the request came, as [`crate::nanos`] counts.
    pub now: u64,
}

/// A policy's counter in a store.
#[derive(Debug)]
pub struct Shared {
    store: Arc<Store>,
    mode: SharingMode,
    leases: Option<Arc<Leases>>,
}

impl Shared {
    /// A counter. With leases there are shares for at most so many keys at once; more are counted
    /// in the store.
    #[must_use]
    pub fn new(store: &Arc<Store>, mode: SharingMode, keys: usize) -> Shared {
        let leases = match mode {
            SharingMode::Exact => None,
            SharingMode::Leased => Some(Leases::new(store, keys)),
        };
        Shared { store: Arc::clone(store), mode, leases }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How it counts.
    #[must_use]
    pub fn mode(&self) -> SharingMode {
        self.mode
    }

    /// Counts from what this node holds, without waiting; none if the store must be asked.
    #[must_use]
    pub fn try_take(&self, ask: &Ask<'_>) -> Option<Verdict> {
        self.leases.as_ref()?.take(ask)
    }

    /// Takes back what was counted for a request that did not pass after all. Does not wait.
    pub fn give_back(&self, ask: &Ask<'_>) {
        let kept = self.leases.as_ref().is_some_and(|leases| leases.give_back(ask));
        if !kept {
            self.store.give_back(ask.asked());
        }
    }
}

impl Ask<'_> {
    fn asked(&self) -> Asked {
        Asked { key: StoreKey::of(self.key), limit: self.limit, cost: self.cost }
    }
}

/// What a store said of one of several limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The verdict; where the store did not answer, what is to be done instead.
    pub told: Result<Verdict, OnFailure>,
    /// Whether the request has been counted in the store, and is to be given back if it does not
    /// pass.
    pub counted: bool,
}

/// Asks the stores of several counters. Those that share one are asked together, so that either all
/// of them count the request or none does. The answers are in the order of what is asked.
pub async fn take_all(asks: &[(&Shared, Ask<'_>)]) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = vec![None; asks.len()];
    while let Some(next) = answers.iter().position(Option::is_none) {
        let store = &asks[next].0.store;
        let same = |at: &usize| answers[*at].is_none() && Arc::ptr_eq(&asks[*at].0.store, store);
        let mut together: Vec<usize> = (next..asks.len()).filter(same).collect();
        if !store.is_one() {
            // Keys of a cluster are on different servers.
            together.truncate(1);
        }
        let asked: Vec<Asked> = together.iter().map(|&at| asks[at].1.asked()).collect();
        let taken = store.take(&asked).await;
        let counted =
            taken.as_ref().is_ok_and(|verdicts| verdicts.iter().all(|verdict| verdict.allowed));
        for (place, &at) in together.iter().enumerate() {
            let told = match &taken {
                Ok(verdicts) => Ok(verdicts[place]),
                Err(_) => Err(store.fall_back()),
            };
            answers[at] = Some(Answer { told, counted });
        }
    }
    answers.into_iter().flatten().collect()
}
