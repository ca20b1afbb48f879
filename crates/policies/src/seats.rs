//! Limits of what goes on at once. A request takes a seat and leaves it when it ends, whichever way;
//! who finds none may stand in line for a while.
//!
//! Seats are counted in the table, without a lock. Only who waits, and who leaves a seat while
//! somebody waits for one of a key nearby, takes the lock of these lines, for as long as it takes to
//! look at the head or the end of one.

mod line;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use portcullis_config::model::Concurrency;
use tokio::sync::oneshot;

use self::line::Line;
use crate::registry::{Counted, lock};
use crate::table::Key;

/// How many may sit at once, and how many wait.
#[derive(Debug)]
pub(crate) struct Seats {
    limit: u32,
    queue: u32,
    wait: Duration,
}

/// Parts of the lines, each with a lock of its own.
const PARTS: usize = 16;

/// Requests that wait for a policy.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) count: AtomicU32,
    parts: [Part; PARTS],
}

/// Those of some keys.
#[derive(Debug, Default)]
struct Part {
    /// Who waits, or is about to.
    count: AtomicU32,
    lines: Mutex<HashMap<Key, Line>>,
}

/// A place among those who wait for their turn.
#[derive(Debug)]
pub(crate) struct WaitingTurn<'s>(&'s Waiting);

/// A seat, left when this goes.
#[derive(Debug)]
pub struct Seat<'s> {
    counted: &'s Counted,
    key: Key,
    /// Seats of the policy under which it was taken.
    limit: u32,
}

/// Nobody got up in time, or too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSeat;

impl Waiting {
    /// A place, unless as many wait already.
    pub(crate) fn enter(&self, most: u32) -> Option<WaitingTurn<'_>> {
        let more = |count: u32| (count < most).then_some(count + 1);
        self.count.fetch_update(SeqCst, SeqCst, more).ok().map(|_| WaitingTurn(self))
    }

    fn part(&self, key: Key) -> &Part {
        &self.parts[key.number() as usize % PARTS]
    }
}

impl Drop for WaitingTurn<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, SeqCst);
    }
}

impl Seats {
    pub(crate) fn new(policy: &Concurrency) -> Seats {
        Seats { limit: policy.limit, queue: policy.queue, wait: policy.wait }
    }

    /// Whether somebody who finds no seat may wait for one.
    pub(crate) fn has_queue(&self) -> bool {
        self.queue > 0
    }

    /// A seat, if one is free, and how many are free then.
    pub(crate) fn take<'s>(&self, counted: &'s Counted, key: Key) -> Option<(Seat<'s>, u32)> {
        let sit = |state: u128| {
            let taken = state as u32;
            match self.limit.checked_sub(taken) {
                None | Some(0) => (None, None),
                Some(free) => (Some(u128::from(taken) + 1), Some(free - 1)),
            }
        };
        let free = counted.table.change(key, worth, sit).ok()??;
        Some((Seat { counted, key, limit: self.limit }, free))
    }

    /// How many seats are free.
    pub(crate) fn free(&self, counted: &Counted, key: Key) -> u32 {
        self.limit.saturating_sub(counted.table.state(key) as u32)
    }

    /// Waits for a seat.
    ///
    /// # Errors
    /// After the longest wait, or at once if the line is full.
    pub(crate) async fn queue<'s>(
        &self,
        counted: &'s Counted,
        key: Key,
    ) -> Result<(Seat<'s>, u32), NoSeat> {
        let _turn = counted.waiting.enter(u32::MAX);
        let part = counted.waiting.part(key);
        // Whoever leaves from now on sees that somebody waits; who left before has left a seat.
        part.count.fetch_add(1, SeqCst);
        let mut place = Place { counted, key, limit: self.limit, receiver: None };
        let receiver = {
            let mut lines = lock(&part.lines);
            if let Some(seated) = self.take(counted, key) {
                return Ok(seated);
            }
            let line = lines.entry(key).or_default();
            if line.waiting() >= self.queue as usize {
                return Err(NoSeat);
            }
            place.receiver.insert(line.join())
        };
        if tokio::time::timeout(self.wait, receiver).await != Ok(Ok(())) {
            return Err(NoSeat);
        }
        place.receiver = None;
        let seat = Seat { counted, key, limit: self.limit };
        Ok((seat, self.free(counted, key)))
    }
}

/// A seat that is taken must not be forgotten.
fn worth(state: u128) -> u64 {
    if state == 0 { 0 } else { u64::MAX }
}

/// Somebody who comes to a line, and has a place in it as soon as there is a receiver.
struct Place<'s> {
    counted: &'s Counted,
    key: Key,
    limit: u32,
    receiver: Option<oneshot::Receiver<()>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let part = self.counted.waiting.part(self.key);
        if let Some(mut receiver) = self.receiver.take() {
            let mut lines = lock(&part.lines);
            // Calls are made with the lock alone.
            let called = receiver.try_recv().is_ok();
            receiver.close();
            if !called && let Some(line) = lines.get_mut(&self.key) {
                line.leave();
                if line.waiting() == 0 {
                    lines.remove(&self.key);
                }
            }
            drop(lines);
            // Whoever gives up at the very moment at which a seat comes must pass it on.
            if called {
                drop(Seat { counted: self.counted, key: self.key, limit: self.limit });
            }
        }
        part.count.fetch_sub(1, SeqCst);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let part = self.counted.waiting.part(self.key);
        let table = &self.counted.table;
        // The first in line gets this very seat, so that nobody who comes later is faster.
        if part.count.load(SeqCst) > 0 && pass_on(&mut lock(&part.lines), self.key) {
            return;
        }
        table.change_known(self.key, |state| state.saturating_sub(1));
        if part.count.load(SeqCst) == 0 {
            return;
        }
        // Somebody came in between, and may have seen this seat taken.
        let mut lines = lock(&part.lines);
        if !lines.contains_key(&self.key) {
            return;
        }
        let sit = |state: u128| {
            let free = state < u128::from(self.limit);
            (free.then_some(state + 1), free)
        };
        let seated = table.change(self.key, worth, sit) == Ok(true);
        if seated && !pass_on(&mut lines, self.key) {
            table.change_known(self.key, |state| state.saturating_sub(1));
        }
    }
}

/// Gives a seat to the first in line. False if nobody is there.
fn pass_on(lines: &mut HashMap<Key, Line>, key: Key) -> bool {
    let Some(line) = lines.get_mut(&key) else { return false };
    let called = line.call();
    if line.waiting() == 0 {
        lines.remove(&key);
    }
    called
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::{Layout, PolicyId, Registry, Scope};

    fn counted() -> Arc<Counted> {
        let id = PolicyId { scope: Scope::Global, kind: "concurrency", name: "c".into() };
        Registry::new(1).counts(id, Layout::Seats, 100)
    }

    fn seats(limit: u32, queue: u32) -> Seats {
        Seats { limit, queue, wait: Duration::from_secs(60) }
    }

    #[test]
    fn seats_come_back() {
        let (counted, seats, key) = (counted(), seats(2, 0), Key::new(u64::MAX));
        let first = seats.take(&counted, key).unwrap();
        assert_eq!(first.1, 1);
        let second = seats.take(&counted, key).unwrap();
        assert!(seats.take(&counted, key).is_none());
        assert!(seats.take(&counted, Key::new(1)).is_some());
        drop(first);
        assert_eq!(seats.free(&counted, key), 1);
        drop(second);
        assert_eq!(seats.free(&counted, key), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_in_line_gets_the_seat() {
        let (counted, seats, key) = (counted(), seats(1, 2), Key::new(u64::MAX));
        let taken = seats.take(&counted, key).unwrap();
        let mut first = Box::pin(seats.queue(&counted, key));
        let mut second = Box::pin(seats.queue(&counted, key));
        assert!(futures_pending(&mut first).await && futures_pending(&mut second).await);
        assert_eq!(seats.queue(&counted, key).await.err(), Some(NoSeat));
        drop(taken);
        // It was handed on: a newcomer finds none.
        assert!(seats.take(&counted, key).is_none());
        assert!(futures_pending(&mut second).await);
        let seat = first.await.unwrap();
        drop(seat);
        drop(second.await.unwrap());
        assert_eq!((seats.free(&counted, key), counted.waiting()), (1, 0));
        assert!(nobody_waits(&counted));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_passes_the_seat_on() {
        let (counted, seats, key) = (counted(), seats(1, 2), Key::new(u64::MAX));
        let taken = seats.take(&counted, key).unwrap();
        let mut first = Box::pin(seats.queue(&counted, key));
        let mut second = Box::pin(seats.queue(&counted, key));
        assert!(futures_pending(&mut first).await && futures_pending(&mut second).await);
        drop(taken);
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(seats.free(&counted, key), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let (counted, seats, key) = (counted(), seats(1, 2), Key::new(u64::MAX));
        let _taken = seats.take(&counted, key).unwrap();
        assert_eq!(seats.queue(&counted, key).await.err(), Some(NoSeat));
        assert!(nobody_waits(&counted));
    }

    #[test]
    fn no_seat_is_lost_between_threads() {
        let counted = counted();
        let key = Key::new(u64::MAX);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build();
                    runtime.unwrap().block_on(async {
                        let seats = seats(2, 100);
                        for _ in 0..3_000 {
                            let (seat, _) = seats.queue(&counted, key).await.unwrap();
                            tokio::task::yield_now().await;
                            drop(seat);
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((seats(2, 0).free(&counted, key), counted.waiting()), (2, 0));
    }

    fn nobody_waits(counted: &Counted) -> bool {
        let empty = |part: &Part| lock(&part.lines).is_empty() && part.count.load(SeqCst) == 0;
        counted.waiting.parts.iter().all(empty)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_key_holds_up_nobody_of_another() {
        let (counted, seats) = (counted(), seats(1, 9));
        let (one, other) = (Key::new(1 << 8), Key::new(2 << 8));
        let (taken, also) = (seats.take(&counted, one).unwrap(), seats.take(&counted, other));
        let mut waits = Box::pin(seats.queue(&counted, one));
        assert!(futures_pending(&mut waits).await);
        let held = lock(&counted.waiting.part(one).lines);
        drop(also);
        assert!(seats.take(&counted, other).is_some());
        drop(held);
        drop(taken);
        assert!(waits.await.is_ok() && nobody_waits(&counted));
    }

    async fn futures_pending<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending()))
            .await
    }
}
