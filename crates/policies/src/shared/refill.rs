//! The background that keeps shares filled: one task a store, on the thread that watches over
//! stores. It tells the store of a key when requests ask for more, when a share would run out, when
//! nobody uses it, and when something may have come in of a limit that was used up.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::StoreFault;
use super::leases::{Leases, Wanted, now_ms};
use super::link::Link;
use super::script::{Granted, LEASE, StoreKey, add_limit, read_lease};
use super::share::{Book, Grant, LASTS_MS, Order, Share, Step, look_again};
use super::store::{PATIENCE, Store, within};
use crate::{Key, Limit};

/// Wishes that wait for the background; who finds no room asks again.
pub(super) const WAITING: usize = 65_536;
/// Calls under way at once.
const CALLS: usize = 256;
/// How often the shares of all keys are added up.
const TELL_MS: u64 = 1000;
/// How long a key rests after a call that failed.
const REST_MS: u64 = 200;

/// Keys of all limits of a store that are known at once, which is what it may hold at most: some
/// 30 MiB. Of more keys the store is asked for each request.
const KEYS: usize = 65_536;

/// The number of a limit's shares, and a key.
type Id = (u64, Key);

/// What the background knows of a key.
struct Entry {
    leases: Weak<Leases>,
    store_key: StoreKey,
    limit: Limit,
    /// When the period of the limit ends, if it has one.
    ends: Option<u64>,
    least: u64,
    book: Book,
    /// When it is looked at next; none while a call is under way.
    due: Option<u64>,
    /// Requests have asked for more.
    asked: bool,
    /// What requests were lent that the book does not know of.
    lent: u64,
    /// When the store was last heard of it, or else when it came.
    heard: u64,
}

/// How a call ended.
struct Done {
    id: Id,
    order: Order,
    sent: u64,
    answer: Result<Granted, StoreFault>,
}

struct Refill {
    store: Weak<Store>,
    entries: HashMap<Id, Entry>,
    due: BTreeSet<(u64, Id)>,
    calls: JoinSet<Done>,
    /// When what is held was last told.
    told: u64,
}

/// Keeps the shares of a store filled until the store is gone.
pub(super) async fn refill(
    store: Weak<Store>,
    mut wanted: mpsc::Receiver<Wanted>,
    mut gone: watch::Receiver<()>,
) {
    let (entries, due, calls) = (HashMap::new(), BTreeSet::new(), JoinSet::new());
    let mut refill = Refill { store, entries, due, calls, told: 0 };
    loop {
        let pause = refill.work();
        tokio::select! {
            Some(wish) = wanted.recv() => refill.wish(wish),
            Some(done) = refill.calls.join_next() => {
                if let Ok(done) = done {
                    refill.done(&done);
                }
            }
            () = sleep(pause) => {}
            _ = gone.changed() => return,
        }
        // What came in meanwhile goes out together.
        while let Ok(wish) = wanted.try_recv() {
            refill.wish(wish);
        }
    }
}

impl Refill {
    fn wish(&mut self, wish: Wanted) {
        let id = (wish.leases.number, wish.key);
        let now = now_ms();
        if self.entries.len() >= KEYS && !self.entries.contains_key(&id) {
            wish.leases.unask(wish.key, wish.lent);
            return;
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            leases: Arc::downgrade(&wish.leases),
            store_key: wish.store_key,
            limit: wish.limit,
            ends: None,
            least: wish.cost,
            book: Book::new(now),
            due: Some(now),
            asked: true,
            lent: 0,
            heard: now,
        });
        entry.limit = wish.limit;
        entry.ends = match wish.limit {
            Limit::Allowance(allowance) => Some(now + allowance.left / 1_000_000),
            Limit::Bucket(_) | Limit::Window(_) => None,
        };
        entry.least = wish.cost;
        entry.asked = true;
        entry.lent += wish.lent;
        if let Some(due) = entry.due.replace(now) {
            self.due.remove(&(due, id));
            self.due.insert((now, id));
        } else {
            // A call is under way; what it brings is looked at once more.
            entry.due = None;
        }
    }

    /// Looks at what is due. Gives how long until something else is.
    fn work(&mut self) -> Duration {
        let now = now_ms();
        if now >= self.told + TELL_MS {
            self.tell(now);
        }
        while self.calls.len() < CALLS
            && let Some(&(due, id)) = self.due.first()
        {
            if due > now {
                return Duration::from_millis(due - now);
            }
            self.due.pop_first();
            self.look(id, now);
        }
        if self.entries.is_empty() {
            self.tell(now);
        }
        // Calls that end wake it.
        Duration::from_secs(1)
    }

    fn look(&mut self, id: Id, now: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.due = None;
        let (Some(leases), Some(store)) = (entry.leases.upgrade(), self.store.upgrade()) else {
            self.entries.remove(&id);
            return;
        };
        if entry.ends.is_some_and(|end| end <= now) {
            // Shares end with the period, and the next request is the first of a new one.
            leases.change(id.1, |_| (Share::default(), ()));
            self.entries.remove(&id);
            return;
        }
        if !store.answers() {
            self.rest(id, now);
            return;
        }
        let asked = std::mem::take(&mut entry.asked);
        let mut before = entry.book;
        before.lend(std::mem::take(&mut entry.lent));
        let step = leases.change(id.1, |share| {
            let mut book = before;
            let (share, step) = book.look(share, now, entry.least, asked);
            (share, Some((book, step)))
        });
        let Some((book, step)) = step else {
            // The table has no place for it.
            self.entries.remove(&id);
            return;
        };
        entry.book = book;
        match step {
            Step::Forget => {
                self.entries.remove(&id);
            }
            Step::Wait => self.put_off(id, look_again(now, LASTS_MS)),
            Step::Tell(order) => {
                let limit = current(&entry.limit, entry.ends, now);
                let key = entry.store_key;
                let link = store.link();
                self.calls.spawn(async move {
                    let answer = call(&store, &link, key, &limit, &order).await;
                    Done { id, order, sent: now, answer }
                });
            }
        }
    }

    fn put_off(&mut self, id: Id, due: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.due = Some(due);
            self.due.insert((due, id));
        }
    }

    /// Has a key wait that the store does not answer for. One that has waited for too long is
    /// forgotten: its share has run out, and what was lent of it, one in a hundred at most, is lost.
    fn rest(&mut self, id: Id, now: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        if now < entry.heard + LASTS_MS {
            self.put_off(id, now + REST_MS / 2 + fastrand::u64(..REST_MS));
            return;
        }
        if let Some(leases) = entry.leases.upgrade() {
            leases.unask(id.1, 0);
        }
        self.entries.remove(&id);
    }

    fn done(&mut self, done: &Done) {
        let Some(entry) = self.entries.get_mut(&done.id) else { return };
        let Some(leases) = entry.leases.upgrade() else {
            self.entries.remove(&done.id);
            return;
        };
        let due = match done.answer {
            Ok(granted) => {
                entry.heard = now_ms();
                leases.note(done.id.1, granted.left, granted.reset_us);
                let grant = Grant {
                    granted: granted.granted,
                    wait: granted.wait_us.div_ceil(1000),
                    valid: granted.valid_us / 1000,
                    left: granted.left,
                    holders: granted.holders,
                };
                let before = entry.book;
                let settled = leases.change(done.id.1, |share| {
                    let mut book = before;
                    let (share, due) = book.settle(share, &done.order, grant, done.sent);
                    (share, Some((book, due)))
                });
                match settled {
                    Some((book, due)) => {
                        entry.book = book;
                        due
                    }
                    None => now_ms(),
                }
            }
            Err(_) => {
                leases.unask(done.id.1, 0);
                self.rest(done.id, now_ms());
                return;
            }
        };
        let due = if entry.asked { now_ms() } else { due };
        self.put_off(done.id, due);
    }

    /// Counts what the node holds.
    fn tell(&mut self, now: u64) {
        self.told = now;
        let Some(store) = self.store.upgrade() else { return };
        store.metrics().lease_keys.store(self.entries.len() as u64, Relaxed);
        let held = self.entries.values().map(|entry| entry.book.held()).sum();
        store.metrics().leased.store(held, Relaxed);
    }
}

/// The limit with what is left of its period now.
fn current(limit: &Limit, ends: Option<u64>, now: u64) -> Limit {
    match (*limit, ends) {
        (Limit::Allowance(mut allowance), Some(ends)) => {
            allowance.left = ends.saturating_sub(now).saturating_mul(1_000_000);
            Limit::Allowance(allowance)
        }
        (limit, _) => limit,
    }
}

async fn call(
    store: &Store,
    link: &Arc<Link>,
    key: StoreKey,
    limit: &Limit,
    order: &Order,
) -> Result<Granted, StoreFault> {
    let fill = |command: &mut redis::Cmd| {
        command.arg(1).arg(key.name(&link.spec().prefix));
        add_limit(command, limit);
        command.arg(store.node()).arg(order.have).arg(order.back).arg(order.debt);
        command.arg(order.want).arg(order.least).arg(LASTS_MS * 1000);
    };
    store.metrics().lease_calls.fetch_add(1, Relaxed);
    let called = within(PATIENCE, store.call(link, &LEASE, fill)).await;
    let answer = called
        .unwrap_or(Err(StoreFault::Timeout))
        .and_then(|answer| read_lease(&answer).ok_or(StoreFault::Other));
    match &answer {
        Ok(_) => link.heard(),
        Err(fault) => {
            store.metrics().failed(*fault);
            link.failed(*fault);
        }
    }
    answer
}
