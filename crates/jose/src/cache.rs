//! Tokens that have been verified, so that a token that comes again costs a look-up.
//!
//! A cache belongs to one worker and one set of expectations. Entries hold the whole token and are
//! compared with it byte by byte: nothing but the very token that was verified is ever found, no
//! matter what a stranger knows about hashes. The hash only finds the place; its seed is random.
//! A look-up of 1 KiB takes 70 ns so, where SHA-256 of it alone takes 900 ns; memory that held a
//! token is overwritten.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use zeroize::Zeroizing;

/// Entries that are looked at to find one that may go. When all of them were used lately, one goes
/// all the same.
const MOST_STEPS: usize = 32;
/// Bytes that an entry takes beside its token and its value's own memory.
const OVERHEAD: usize = 96;

/// Values by the token that they came from, bounded in number and memory.
pub struct VerifiedCache<V> {
    hasher: RandomState,
    /// Hashes of tokens, as places in `entries`.
    places: HashTable<u32>,
    entries: Vec<Entry<V>>,
    /// Where the next entry to go is looked for.
    hand: usize,
    /// The generation of the keys that every entry was verified with.
    generation: u64,
    most_entries: usize,
    most_bytes: usize,
    bytes: usize,
}

struct Entry<V> {
    token: Zeroizing<Box<[u8]>>,
    hash: u64,
    /// The last second in which it may be used.
    until: i64,
    bytes: usize,
    /// Whether it was found since the hand last passed.
    used: bool,
    value: V,
}

impl<V> VerifiedCache<V> {
    /// A cache of at most so many tokens, which take at most so many bytes with their values.
    /// Nothing is reserved in advance. A cache of no entries keeps nothing.
    #[must_use]
    pub fn new(most_entries: usize, most_bytes: usize) -> VerifiedCache<V> {
        VerifiedCache {
            hasher: RandomState::default(),
            places: HashTable::new(),
            entries: Vec::new(),
            hand: 0,
            generation: 0,
            most_entries: most_entries.min(u32::MAX as usize),
            most_bytes,
            bytes: 0,
        }
    }

    /// What was kept for exactly this token, if it still holds at `now` (seconds since 1970) and
    /// was verified with keys of this generation. Another generation than before empties the cache.
    pub fn get(&mut self, token: &[u8], generation: u64, now: i64) -> Option<&V> {
        self.renew(generation);
        let place = self.find(self.hasher.hash_one(token), token)?;
        if self.entries[place].until < now {
            self.remove(place);
            return None;
        }
        let entry = &mut self.entries[place];
        entry.used = true;
        Some(&entry.value)
    }

    /// Keeps a value for a token until the second `until`, in the place of others if need be.
    /// `memory` is what the value takes beside its own size. What is larger than the whole cache is
    /// not kept.
    pub fn insert(&mut self, token: &[u8], generation: u64, until: i64, memory: usize, value: V) {
        self.renew(generation);
        let bytes = (token.len() + size_of::<Entry<V>>() + OVERHEAD).saturating_add(memory);
        if self.most_entries == 0 || bytes > self.most_bytes {
            return;
        }
        let hash = self.hasher.hash_one(token);
        if let Some(place) = self.find(hash, token) {
            self.remove(place);
        }
        while self.entries.len() >= self.most_entries || self.most_bytes - self.bytes < bytes {
            self.evict();
        }
        let place = self.entries.len() as u32;
        let token = Zeroizing::new(Box::from(token));
        self.entries.push(Entry { token, hash, until, bytes, used: false, value });
        let entries = &self.entries;
        self.places.insert_unique(hash, place, |place| entries[*place as usize].hash);
        self.bytes += bytes;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.hand = 0;
        self.bytes = 0;
    }

    /// How many tokens are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that tokens and values take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes
    }

    fn renew(&mut self, generation: u64) {
        if self.generation != generation {
            self.clear();
            self.generation = generation;
        }
    }

    fn find(&self, hash: u64, token: &[u8]) -> Option<usize> {
        let is = |place: &u32| {
            let entry = &self.entries[*place as usize];
            entry.hash == hash && **entry.token == *token
        };
        self.places.find(hash, is).map(|place| *place as usize)
    }

    /// Makes one of the others go: the first from the hand on that was not found since the hand
    /// last passed.
    fn evict(&mut self) {
        for _ in 0..MOST_STEPS {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            if !std::mem::take(&mut self.entries[self.hand].used) {
                break;
            }
            self.hand += 1;
        }
        self.remove(self.hand % self.entries.len());
    }

    /// Takes an entry out; the last one moves to its place.
    fn remove(&mut self, place: usize) {
        let last = self.entries.len() - 1;
        let moved = self.entries[last].hash;
        if let Ok(found) =
            self.places.find_entry(self.entries[place].hash, |p| *p as usize == place)
        {
            found.remove();
        }
        if let Some(found) = self.places.find_mut(moved, |p| *p as usize == last) {
            *found = place as u32;
        }
        let entry = self.entries.swap_remove(place);
        self.bytes -= entry.bytes;
    }
}

impl<V> fmt::Debug for VerifiedCache<V> {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCache")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
