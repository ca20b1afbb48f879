//! What a policy counts with when it has a store: from the node's share, or in the store.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

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

    /// Takes back what was counted at `counted` for a request that did not pass after all, of which
    /// the store had said that all would be there again after `reset`; both in nanoseconds. Does not
    /// wait.
    pub fn give_back(&self, ask: &Ask<'_>, counted: u64, reset: u64) {
        // What a share does not take back has run out with it, but for a quota, which counts it yet.
        let reset = match &self.leases {
            Some(leases) if leases.give_back(ask) => return,
            Some(_) => 0,
            None => reset,
        };
        self.store.give_back(ask.asked(), ask.now.saturating_sub(counted), reset);
    }
}

impl Ask<'_> {
    fn asked(&self) -> Asked {
        Asked { key: StoreKey::of(self.key), limit: self.limit, cost: self.cost }
    }
}

/// What a store said of one of several limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its verdict.
    Verdict(Verdict),
    /// Nothing; this is to be done instead.
    Without(OnFailure),
    /// It was not asked any more, for another limit refuses.
    NotAsked,
}

/// What came of asking a store about one of several limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub told: Told,
    /// Whether the request has been counted in the store, and is to be given back if it does not
    /// pass.
    pub counted: bool,
}

/// Asks the stores of several counters. Those that share one are asked together, so that either all
/// of them count the request or none does; different stores are asked at the same time, so that no
/// request waits longer than the longest time of one. The answers are in the order of what is asked.
pub async fn take_all(asks: &[(&Shared, Ask<'_>)]) -> Vec<Answer> {
    let mut answers = vec![Answer { told: Told::NotAsked, counted: false }; asks.len()];
    let is_first = |&at: &usize| {
        let store = &asks[at].0.store;
        !asks[..at].iter().any(|(shared, _)| Arc::ptr_eq(&shared.store, store))
    };
    let firsts = (0..asks.len()).filter(is_first);
    let said = all_at_once(firsts.map(|first| take_from(&asks[first].0.store, asks))).await;
    for (at, answer) in said.into_iter().flatten() {
        answers[at] = answer;
    }
    answers
}

/// Asks one store about all that is its own.
async fn take_from(store: &Arc<Store>, asks: &[(&Shared, Ask<'_>)]) -> Vec<(usize, Answer)> {
    let until = store.patience();
    let own: Vec<usize> =
        (0..asks.len()).filter(|&at| Arc::ptr_eq(&asks[at].0.store, store)).collect();
    // Keys of a cluster are on different servers.
    let at_once = if store.is_one() { own.len() } else { 1 };
    let mut answers = Vec::with_capacity(own.len());
    for together in own.chunks(at_once.max(1)) {
        let asked: Vec<Asked> = together.iter().map(|&at| asks[at].1.asked()).collect();
        let taken = store.take_until(&asked, until).await;
        let counted =
            taken.as_ref().is_ok_and(|verdicts| verdicts.iter().all(|verdict| verdict.allowed));
        let mut goes_on = counted;
        for (place, &at) in together.iter().enumerate() {
            let told = match &taken {
                Ok(verdicts) => Told::Verdict(verdicts[place]),
                Err(_) => {
                    let without = store.fall_back();
                    goes_on = without != OnFailure::Closed;
                    Told::Without(without)
                }
            };
            answers.push((at, Answer { told, counted }));
        }
        if !goes_on {
            break;
        }
    }
    answers
}

/// What all of them give, in their order.
async fn all_at_once<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut all = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
