//! Where counts are kept: a table of fixed size that every worker reads and writes without a lock.
//!
//! A slot is one word of 128 bits, the key's tag beside its state, so that no state can ever be
//! written for another key than it was read for. A key belongs to a set of eight slots. A new key
//! takes the first empty one; in a full set it takes the place of the state that is worth least,
//! which is nothing as soon as that has become old. Two threads that bring the same key may choose
//! different places: each claims its place before it is used, and whoever then sees that it is not
//! alone begins again. Memory comes in small segments when a key first falls into them.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

use portable_atomic::AtomicU128;

use crate::limit::STATE_BITS;

/// Slots of a set: two cache lines.
const WAYS: usize = 8;
/// Sets of a segment: 4 KiB.
const SEGMENT: usize = 32;
/// Slots for each key that is to be kept: sets do not fill evenly.
const ROOM: usize = 3;

const STATE: u128 = (1 << STATE_BITS) - 1;
/// The state of a place that is claimed for its key and has not got it yet. No limit has this state.
const CLAIM: u128 = STATE;
/// A place that nobody has: a tag that no key has, but not an empty place, for those end a set.
const NOBODY: u128 = 1;
/// Bits of a tag.
const TAG_BITS: u32 = 128 - STATE_BITS;

/// A key as the table knows it: 56 bits of its hash, never 0. Two of a million keys are the same
/// with a chance of one in a hundred thousand, and then they are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// The key for a hash of 64 good bits.
    #[must_use]
    pub fn new(hash: u64) -> Key {
        Key((hash >> (u64::BITS - TAG_BITS)).max(1))
    }

    /// The key as a number of 56 bits.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn from_number(number: u64) -> Option<Key> {
        (number != 0 && number >> TAG_BITS == 0).then_some(Key(number))
    }

    fn with(self, state: u128) -> u128 {
        debug_assert!(state < CLAIM);
        u128::from(self.0) << STATE_BITS | (state & STATE)
    }

    fn claim(self) -> u128 {
        u128::from(self.0) << STATE_BITS | CLAIM
    }

    /// Whether it is this key's word, be it only a claim.
    fn is_near(self, word: u128) -> bool {
        (word >> STATE_BITS) as u64 == self.0
    }

    fn is_of(self, word: u128) -> bool {
        self.is_near(word) && word & STATE != CLAIM
    }
}

/// Every slot that a key could have is taken by one that must not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Counts by key.
#[derive(Debug)]
pub struct Table {
    segments: Box<[OnceLock<Box<[AtomicU128]>>]>,
    sets: usize,
    used: AtomicU64,
    evicted: AtomicU64,
}

impl Table {
    /// A table for so many keys.
    #[must_use]
    pub fn new(keys: usize) -> Table {
        // One key for everybody needs one set, and no more.
        let sets = if keys <= 1 { 1 } else { keys.saturating_mul(ROOM).div_ceil(WAYS) };
        Table {
            segments: (0..sets.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect(),
            sets,
            used: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// Slots of the table.
    #[must_use]
    pub fn slots(&self) -> u64 {
        (self.sets * WAYS) as u64
    }

    /// Slots that have ever been taken; what is in them may be old.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// States that went although they were still worth something.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    fn set(&self, key: Key) -> &[AtomicU128] {
        let set = ((u128::from(key.0) * self.sets as u128) >> TAG_BITS) as usize;
        let segment = &self.segments[set / SEGMENT];
        let slots = segment.get().unwrap_or_else(|| {
            // Made before it is put in place, so that nobody waits for more than a moved pointer.
            let sets = SEGMENT.min(self.sets - set / SEGMENT * SEGMENT);
            let fresh: Box<[AtomicU128]> = (0..sets * WAYS).map(|_| AtomicU128::new(0)).collect();
            segment.get_or_init(|| fresh)
        });
        let at = set % SEGMENT * WAYS;
        &slots[at..at + WAYS]
    }

    /// The state of a key; 0 if there is none.
    #[must_use]
    pub fn state(&self, key: Key) -> u128 {
        match find(self.set(key), key) {
            Found::At(_, word) => word & STATE,
            Found::Empty(_) | Found::Nowhere => 0,
        }
    }

    /// Changes the state of a key in one step: `change` gets the state (0 of a new key) and gives
    /// the new one, or none to leave it, and what the caller learns from it. It is called again if
    /// another thread was faster. `worth` says what would be lost with a state; one that is worth
    /// `u64::MAX` never goes.
    ///
    /// # Errors
    /// When the key is new and every slot that it could have holds a state that must not go.
    pub fn change<R>(
        &self,
        key: Key,
        worth: impl Fn(u128) -> u64,
        mut change: impl FnMut(u128) -> (Option<u128>, R),
    ) -> Result<R, Full> {
        let set = self.set(key);
        loop {
            let (slot, word) = match find(set, key) {
                Found::At(slot, word) => (slot, word),
                Found::Empty(slot) => (slot, 0),
                Found::Nowhere => {
                    let (slot, word) = least(set, &worth)?;
                    let (new, learned) = change(0);
                    let Some(new) = new else { return Ok(learned) };
                    if replace(set, slot, word, key, new) {
                        if word != NOBODY && worth(word & STATE) > 0 {
                            self.evicted.fetch_add(1, Relaxed);
                        }
                        return Ok(learned);
                    }
                    continue;
                }
            };
            let (new, learned) = change(word & STATE);
            let Some(new) = new else { return Ok(learned) };
            if slot.compare_exchange(word, key.with(new), SeqCst, Acquire).is_ok() {
                if word == 0 {
                    self.used.fetch_add(1, Relaxed);
                }
                return Ok(learned);
            }
        }
    }

    /// Changes the state of a key that is there; does nothing if it has gone.
    pub fn change_known(&self, key: Key, mut change: impl FnMut(u128) -> u128) {
        let set = self.set(key);
        while let Found::At(slot, word) = find(set, key) {
            let new = key.with(change(word & STATE));
            if slot.compare_exchange(word, new, SeqCst, Acquire).is_ok() {
                return;
            }
        }
    }

    /// Every key that is there, with its state.
    pub fn iter(&self) -> impl Iterator<Item = (Key, u128)> {
        self.segments
            .iter()
            .filter_map(|segment| segment.get())
            .flat_map(|slots| slots.iter().map(|slot| slot.load(Acquire)))
            .filter(|&word| word >> STATE_BITS != 0 && word & STATE != CLAIM)
            .map(|word| (Key((word >> STATE_BITS) as u64), word & STATE))
    }
}

enum Found<'a> {
    At(&'a AtomicU128, u128),
    Empty(&'a AtomicU128),
    Nowhere,
}

/// The slot of a key, or the first empty one. Slots fill from the front and never become empty
/// again, so two threads that bring the same key want the same slot, and one of them gets it.
fn find(set: &[AtomicU128], key: Key) -> Found<'_> {
    for slot in set {
        let word = slot.load(Acquire);
        if key.is_of(word) {
            return Found::At(slot, word);
        }
        if word == 0 {
            return Found::Empty(slot);
        }
    }
    Found::Nowhere
}

/// Puts a new key in the place of another's word. False if the place or the key was taken meanwhile.
fn replace(set: &[AtomicU128], slot: &AtomicU128, word: u128, key: Key, new: u128) -> bool {
    if slot.compare_exchange(word, key.claim(), SeqCst, Relaxed).is_err() {
        return false;
    }
    // Of two that claim places for one key at least the later one sees the other here, and no claim
    // is changed by anybody else.
    let near = |other: &&AtomicU128| key.is_near(other.load(SeqCst));
    let alone = set.iter().filter(near).count() == 1;
    slot.store(if alone { key.with(new) } else { NOBODY }, SeqCst);
    alone
}

/// The slot whose state is worth least.
fn least(set: &[AtomicU128], worth: impl Fn(u128) -> u64) -> Result<(&AtomicU128, u128), Full> {
    let words = set.iter().map(|slot| (slot, slot.load(Acquire)));
    let value = |word: u128| match word & STATE {
        // Whoever claims it takes it now.
        CLAIM => u64::MAX,
        _ if word == NOBODY => 0,
        state => worth(state),
    };
    let (value, slot, word) = words
        .map(|(slot, word)| (value(word), slot, word))
        .min_by_key(|(value, ..)| *value)
        .ok_or(Full)?;
    if value == u64::MAX { Err(Full) } else { Ok((slot, word)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn key(number: u64) -> Key {
        Key::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn count(table: &Table, key: Key, most: u128) -> bool {
        let step = |state| if state < most { (Some(state + 1), true) } else { (None, false) };
        table.change(key, |state| state as u64, step).unwrap()
    }

    #[test]
    fn no_increment_is_lost_between_threads() {
        let table = Arc::new(Table::new(100));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let table = Arc::clone(&table);
                std::thread::spawn(move || {
                    (0..20_000u64).filter(|n| count(&table, key(n % 10), 1_234)).count()
                })
            })
            .collect();
        let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(passed, 12_340);
        assert_eq!(table.used(), 10);
        assert!((0..10).all(|n| table.state(key(n)) == 1_234));
    }

    #[test]
    fn many_keys_push_out_what_is_worth_least() {
        let table = Table::new(1_000);
        let dear = key(u64::MAX / 3);
        for _ in 0..50 {
            count(&table, dear, 100);
        }
        for n in 0..100_000 {
            count(&table, key(n), 100);
        }
        assert_eq!(table.state(dear), 50);
        assert_eq!(table.used(), table.slots());
        assert!(table.evicted() > 90_000);
    }

    #[test]
    fn what_must_not_go_stays() {
        let table = Table::new(1);
        let held = |_| u64::MAX;
        let take = |state| (Some(state + 1), ());
        let taken = (0..20).filter(|&n| table.change(key(n), held, take).is_ok()).count();
        assert_eq!(taken, WAYS);
        assert_eq!(table.change(key(0), held, take), Ok(()));
        assert_eq!(table.state(key(0)), 2);
    }

    /// Seats are counted so: what is taken must be given back where it was taken.
    #[test]
    fn no_key_is_there_twice_between_threads() {
        let table = Arc::new(Table::new(1));
        let seated = |state: u128| if state == 0 { 0 } else { u64::MAX };
        for n in 100..100 + WAYS as u64 {
            table.change(key(n), seated, |_| (Some(0), ())).unwrap();
        }
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let table = Arc::clone(&table);
                std::thread::spawn(move || {
                    for round in 0..200_000u64 {
                        // All threads are near the same few keys, of which the set holds not all.
                        let key = key((round / 7 + thread % 2) % 12);
                        let take = |state: u128| (Some(state + 1), state);
                        if table.change(key, seated, take).is_ok() {
                            table.change_known(key, |state| state.checked_sub(1).unwrap());
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let mut keys: Vec<Key> = table.iter().map(|(key, _)| key).collect();
        assert!(table.iter().all(|(_, taken)| taken == 0));
        keys.sort();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn memory_comes_with_the_keys() {
        let table = Table::new(1_000_000);
        let made = |table: &Table| table.segments.iter().filter(|s| s.get().is_some()).count();
        assert_eq!(made(&table), 0);
        count(&table, key(1), 5);
        assert_eq!(made(&table), 1);
        table.change_known(key(2), |_| 7);
        assert_eq!(table.iter().count(), 1);
    }
}
