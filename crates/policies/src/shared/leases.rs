//! The shares of a limit: a table that all workers take from, and the way to the background that
//! keeps it filled.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::sync::mpsc;

use super::counter::Ask;
use super::script::StoreKey;
use super::share::{Share, Taken};
use super::store::Store;
use crate::clock::{millis, nanos};
use crate::limit::STATE_BITS;
use crate::{Key, Limit, Table, Verdict};

/// Nodes that what is lent of a new key is reckoned for at least.
const NODES: u64 = 3;
/// Bits of a note: what is left in the store, and after how many tenths of a second all of it is
/// there again.
const LEFT_BITS: u32 = 44;
const RESET_BITS: u32 = STATE_BITS - LEFT_BITS;

/// What the background is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) leases: Arc<Leases>,
    pub(super) key: Key,
    pub(super) store_key: StoreKey,
    pub(super) limit: Limit,
    pub(super) cost: u64,
    /// What was lent, if the key is new.
    pub(super) lent: u64,
}

/// The shares of a limit.
#[derive(Debug)]
pub(super) struct Leases {
    store: Arc<Store>,
    shares: Table,
    /// What the store last said of a key, for the fields of the reply.
    notes: Table,
    wanted: mpsc::Sender<Wanted>,
}

impl Leases {
    pub(super) fn new(store: &Arc<Store>, keys: usize) -> Arc<Leases> {
        Arc::new(Leases {
            store: Arc::clone(store),
            shares: Table::new(keys),
            notes: Table::new(keys),
            wanted: store.wanted(),
        })
    }

    /// Takes from the share of a key; none if the store must be asked.
    pub(super) fn take(self: &Arc<Self>, ask: &Ask<'_>) -> Option<Verdict> {
        let Ask { key: bytes, local: key, ref limit, cost, now } = *ask;
        let now = millis(now);
        let credit = self.credit(limit);
        let worth = |state| Share::worth(state, now);
        let taken = self.shares.change(key, worth, |state| {
            let share = Share::of(state);
            let (new, taken) = share.take(now, cost.into(), credit);
            let lent = if share == Share::default() { credit } else { 0 };
            (new.map(Share::state), (taken, new.unwrap_or(share).tokens, lent))
        });
        // Without a place for its share a key is counted in the store.
        let (taken, tokens, lent) = taken.ok()?;
        if let Taken::Passed { ask: true } | Taken::Unknown { ask: true } = taken {
            let lent = if matches!(taken, Taken::Passed { .. }) { lent } else { 0 };
            self.ask(key, bytes, limit, cost, lent);
        }
        match taken {
            Taken::Passed { .. } => Some(self.passed(key, limit, tokens)),
            Taken::Refused { for_ms } => Some(Verdict {
                allowed: false,
                wait: 0,
                remaining: 0,
                reset: for_ms.saturating_mul(1_000_000),
            }),
            Taken::Unknown { .. } => {
                self.store.metrics().lease_misses.fetch_add(1, Relaxed);
                None
            }
        }
    }

    /// Puts back what a request took that did not pass after all.
    pub(super) fn give_back(&self, ask: &Ask<'_>) -> bool {
        let now = millis(ask.now);
        let worth = |state| Share::worth(state, now);
        self.shares
            .change(ask.local, worth, |state| {
                let back = Share::of(state).put_back(now, ask.cost.into());
                (back.map(Share::state), back.is_some())
            })
            .unwrap_or(false)
    }

    fn ask(self: &Arc<Self>, key: Key, bytes: &[u8], limit: &Limit, cost: u32, lent: u64) {
        let wanted = Wanted {
            leases: Arc::clone(self),
            key,
            store_key: StoreKey::of(bytes),
            limit: *limit,
            cost: cost.into(),
            lent,
        };
        if self.wanted.try_send(wanted).is_err() {
            self.change(key, |share| (Share::unasked(share), ()));
        }
    }

    /// What a node may use of a key before it has asked: so little that all nodes together stay
    /// within one in a hundred.
    fn credit(&self, limit: &Limit) -> u64 {
        let nodes = self.store.metrics().nodes.load(Relaxed).max(NODES);
        let most = match limit {
            Limit::Bucket(bucket) => bucket.burst.into(),
            Limit::Window(window) => window.limit.into(),
            Limit::Allowance(allowance) => allowance.limit,
        };
        most / 100 / nodes
    }

    fn passed(&self, key: Key, limit: &Limit, tokens: u64) -> Verdict {
        let note = self.notes.state(key);
        let left = (note >> RESET_BITS) as u64;
        let tenths = (note & ((1 << RESET_BITS) - 1)) as u64;
        let reset = match limit {
            Limit::Allowance(allowance) => allowance.left,
            Limit::Bucket(_) | Limit::Window(_) => tenths.saturating_mul(100_000_000),
        };
        Verdict { allowed: true, wait: 0, remaining: left.saturating_add(tokens), reset }
    }

    /// Notes what the store said is left, and when all of it is there again.
    pub(super) fn note(&self, key: Key, left: u64, reset_us: u64) {
        let left = u128::from(left.min((1 << LEFT_BITS) - 1));
        let tenths = u128::from((reset_us / 100_000).min((1 << RESET_BITS) - 1));
        let note = left << RESET_BITS | tenths;
        let _ = self.notes.change(key, |_| 0, |_| (Some(note), ()));
    }

    /// Changes a share in one step, if it still has its place.
    pub(super) fn change<R: Default>(
        &self,
        key: Key,
        mut change: impl FnMut(Share) -> (Share, R),
    ) -> R {
        let now = now_ms();
        let changed = self.shares.change(
            key,
            |state| Share::worth(state, now),
            |state| {
                let (share, result) = change(Share::of(state));
                (Some(share.state()), result)
            },
        );
        changed.unwrap_or_default()
    }
}

/// Milliseconds of a clock that never goes back; it begins above 0.
pub(super) fn now_ms() -> u64 {
    millis(nanos(Instant::now()))
}
