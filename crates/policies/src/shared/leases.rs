//! The shares of a limit: a table that all workers take from, and the way to the background that
//! keeps it filled.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::sync::mpsc;

use super::counter::Ask;
use super::script::StoreKey;
use super::share::{MOST, Share, Taken};
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
    /// No others ever have this number.
    pub(super) number: u64,
    store: Arc<Store>,
    shares: Table,
    /// What the store last said of a key, for the fields of the reply.
    notes: Table,
    wanted: mpsc::Sender<Wanted>,
}

impl Leases {
    pub(super) fn new(store: &Arc<Store>, keys: usize) -> Arc<Leases> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Leases {
            number: NUMBERS.fetch_add(1, Relaxed),
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
            let asked = self.ask(key, bytes, limit, cost, lent);
            if lent > 0 && !asked {
                // What the store never hears of is not lent.
                self.store.metrics().lease_misses.fetch_add(1, Relaxed);
                return None;
            }
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

    /// Asks the background for more. False if it has no time.
    fn ask(self: &Arc<Self>, key: Key, bytes: &[u8], limit: &Limit, cost: u32, lent: u64) -> bool {
        let wanted = Wanted {
            leases: Arc::clone(self),
            key,
            store_key: StoreKey::of(bytes),
            limit: *limit,
            cost: cost.into(),
            lent,
        };
        let asked = self.wanted.try_send(wanted).is_ok();
        if !asked {
            self.unask(key, lent);
        }
        asked
    }

    /// Lets requests ask anew for a key that the background does not know. What was lent of it is
    /// taken back as far as it is still there.
    pub(super) fn unask(&self, key: Key, lent: u64) {
        self.shares.change_known(key, |state| {
            let share = Share::of(state).unasked();
            if lent > 0 { share.emptied() } else { share }.state()
        });
    }

    /// What a node may use of a key before it has asked: so little that all nodes together stay
    /// within one in a hundred. Nothing while the store does not answer: it would not hear of it.
    fn credit(&self, limit: &Limit) -> u64 {
        if !self.store.answers() {
            return 0;
        }
        let nodes = self.store.metrics().nodes.load(Relaxed).max(NODES);
        let most = match limit {
            Limit::Bucket(bucket) => bucket.burst.into(),
            Limit::Window(window) => window.limit.into(),
            Limit::Allowance(allowance) => allowance.limit,
        };
        (most / 100 / nodes).min(MOST)
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

    /// Changes a share in one step, if there is a place for it.
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
