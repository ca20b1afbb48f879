//! A map from text to values that is cheap to copy when a router changes.
//!
//! Routers share everything that did not change, so a change copies the maps on its way. A big map
//! is cut into shards behind `Arc`s: a change among 50,000 keys copies one shard of some 200 and
//! 256 pointers. Keys come from the configuration, never from clients, so the hash needs no secret;
//! a client can only choose what is looked up, which no collision makes slow.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// From so many entries on, the map is sharded.
const MANY: usize = 1024;
const SHARDS: usize = 256;

/// See the module.
#[derive(Clone)]
pub(super) struct Map<V> {
    store: Store<V>,
}

// One entry stands in the map itself: most nodes of a tree have one child or none, and a step down
// should not cost two cache misses.
#[derive(Clone)]
enum Store<V> {
    One(Option<Entry<V>>),
    Table(Table<V>),
    Shards(Shards<V>),
}

type Table<V> = HashTable<Entry<V>>;

#[derive(Clone)]
struct Shards<V> {
    len: usize,
    /// Always [`SHARDS`] of them.
    tables: Vec<Arc<Table<V>>>,
}

#[derive(Clone)]
struct Entry<V> {
    hash: u64,
    key: Arc<str>,
    value: V,
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Map { store: Store::One(None) }
    }
}

impl<V> Map<V> {
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<&V> {
        match &self.store {
            Store::One(entry) => {
                entry.as_ref().filter(|entry| entry.is(key)).map(|entry| &entry.value)
            }
            _ => self.find_entry(key).map(|(_, value)| value),
        }
    }

    /// The value of `key` and the key as the map holds it.
    pub(super) fn find_entry(&self, key: &[u8]) -> Option<(&Arc<str>, &V)> {
        let entry = match &self.store {
            Store::One(entry) => entry.as_ref().filter(|entry| entry.is(key)),
            Store::Table(table) => table.find(hash(key), |entry| entry.is(key)),
            Store::Shards(shards) => {
                let hash = hash(key);
                shards.tables[shard(hash)].find(hash, |entry| entry.is(key))
            }
        };
        entry.map(|entry| (&entry.key, &entry.value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        match &self.store {
            Store::One(entry) => usize::from(entry.is_some()),
            Store::Table(table) => table.len(),
            Store::Shards(shards) => shards.len,
        }
    }

    /// Every value, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        let (one, table, shards) = match &self.store {
            Store::One(entry) => (entry.as_ref(), None, None),
            Store::Table(table) => (None, Some(table), None),
            Store::Shards(shards) => (None, None, Some(shards)),
        };
        let sharded = shards.into_iter().flat_map(|shards| &shards.tables);
        one.into_iter()
            .chain(table.into_iter().flat_map(|table| table.iter()))
            .chain(sharded.flat_map(|table| table.iter()))
            .map(|entry| &entry.value)
    }
}

impl<V: Clone> Map<V> {
    pub(super) fn find_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let entry = match &mut self.store {
            Store::One(entry) => entry.as_mut().filter(|entry| entry.is(key)),
            Store::Table(table) => table.find_mut(hash(key), |entry| entry.is(key)),
            Store::Shards(shards) => {
                let hash = hash(key);
                let table = &mut shards.tables[shard(hash)];
                // Looked for first: what is not there must not cost a copy of the shard.
                table.find(hash, |entry| entry.is(key))?;
                Arc::make_mut(table).find_mut(hash, |entry| entry.is(key))
            }
        };
        entry.map(|entry| &mut entry.value)
    }

    /// The value of `key`, made if it is not there.
    pub(super) fn entry(&mut self, key: &Arc<str>, make: impl FnOnce() -> V) -> &mut V {
        let wanted = key.as_bytes();
        let is_full = match &self.store {
            Store::One(entry) => entry.as_ref().is_some_and(|entry| !entry.is(wanted)),
            Store::Table(table) => table.len() >= MANY,
            Store::Shards(_) => false,
        };
        if is_full {
            self.grow();
        }
        let hash = hash(wanted);
        let new = || Entry { hash, key: Arc::clone(key), value: make() };
        let table = match &mut self.store {
            Store::One(entry) => return &mut entry.get_or_insert_with(new).value,
            Store::Table(table) => table,
            Store::Shards(shards) => {
                let table = Arc::make_mut(&mut shards.tables[shard(hash)]);
                shards.len += usize::from(table.find(hash, |entry| entry.is(wanted)).is_none());
                table
            }
        };
        let entry = table.entry(hash, |entry| entry.is(wanted), |entry| entry.hash);
        &mut entry.or_insert_with(new).into_mut().value
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let take = |table: &mut Table<V>, hash| {
            let entry = table.find_entry(hash, |entry| entry.is(key)).ok()?;
            Some(entry.remove().0.value)
        };
        match &mut self.store {
            Store::One(entry) => entry.take_if(|entry| entry.is(key)).map(|entry| entry.value),
            Store::Table(table) => take(table, hash(key)),
            Store::Shards(shards) => {
                let hash = hash(key);
                let value = take(Arc::make_mut(&mut shards.tables[shard(hash)]), hash)?;
                shards.len -= 1;
                Some(value)
            }
        }
    }

    /// Moves every entry into the next larger form.
    fn grow(&mut self) {
        match &mut self.store {
            Store::One(entry) => {
                let mut table = Table::with_capacity(2);
                if let Some(entry) = entry.take() {
                    table.insert_unique(entry.hash, entry, |entry| entry.hash);
                }
                self.store = Store::Table(table);
            }
            Store::Table(old) => {
                let len = old.len();
                let mut tables = vec![Table::with_capacity(MANY / SHARDS); SHARDS];
                for entry in old.drain() {
                    let table = &mut tables[shard(entry.hash)];
                    table.insert_unique(entry.hash, entry, |entry| entry.hash);
                }
                let tables = tables.into_iter().map(Arc::new).collect();
                self.store = Store::Shards(Shards { len, tables });
            }
            Store::Shards(_) => {}
        }
    }
}

impl<V> Entry<V> {
    fn is(&self, key: &[u8]) -> bool {
        self.key.as_bytes() == key
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// Bits that `HashTable` uses neither for its tags (the top) nor, at this size, for its slots.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Arc<str> {
        Arc::from(format!("key-{number}"))
    }

    #[test]
    fn every_size_keeps_what_it_was_given() {
        let mut map = Map::default();
        for number in 0..3 * MANY {
            assert_eq!(*map.entry(&key(number), || number), number);
            assert_eq!(*map.entry(&key(number), || 0), number, "made once");
            assert_eq!(map.len(), number + 1);
        }
        for number in 0..3 * MANY {
            assert_eq!(map.find(key(number).as_bytes()), Some(&number));
        }
        assert_eq!(map.find(b"other"), None);
        assert_eq!(map.values().sum::<usize>(), (0..3 * MANY).sum::<usize>());
        for number in (0..3 * MANY).rev() {
            assert_eq!(map.remove(key(number).as_bytes()), Some(number));
            assert_eq!(map.remove(key(number).as_bytes()), None);
            assert_eq!(map.len(), number);
        }
        assert!(map.is_empty());
    }

    #[test]
    fn a_single_entry_comes_and_goes() {
        let mut map = Map::default();
        assert_eq!(map.find(b"key-0"), None);
        *map.entry(&key(0), || 1) += 1;
        assert_eq!((map.find(b"key-0"), map.find(b"key-1")), (Some(&2), None));
        assert_eq!(map.find_entry(b"key-0").map(|(key, _)| &**key), Some("key-0"));
        assert_eq!(map.find_mut(b"key-1"), None);
        let copy = map.clone();
        *map.find_mut(b"key-0").unwrap() = 3;
        assert_eq!((map.values().sum::<i32>(), copy.find(b"key-0")), (3, Some(&2)));
        assert_eq!((map.remove(b"key-1"), map.remove(b"key-0")), (None, Some(3)));
        assert!(map.is_empty() && !copy.is_empty());
    }

    #[test]
    fn a_copy_does_not_see_later_changes() {
        for size in [2, 3, MANY, MANY + 1] {
            let mut map = Map::default();
            for number in 0..size {
                map.entry(&key(number), || number);
            }
            let copy = map.clone();
            *map.find_mut(b"key-0").unwrap() = 77;
            map.remove(b"key-1");
            map.entry(&key(size), || size);
            assert_eq!(copy.find(b"key-0"), Some(&0), "size {size}");
            assert_eq!(copy.find(b"key-1"), Some(&1));
            assert_eq!(copy.find(key(size).as_bytes()), None);
            assert_eq!(map.find(b"key-0"), Some(&77));
            assert_eq!(map.find(b"key-1"), None);
            assert_eq!(map.find_mut(b"other"), None);
        }
    }

    #[test]
    fn a_change_of_a_big_map_copies_one_shard() {
        let mut map = Map::default();
        for number in 0..20 * MANY {
            map.entry(&key(number), || number);
        }
        let copy = map.clone();
        map.remove(b"key-5");
        let (Store::Shards(old), Store::Shards(new)) = (&copy.store, &map.store) else {
            panic!("not sharded");
        };
        let differ = old.tables.iter().zip(&new.tables).filter(|(a, b)| !Arc::ptr_eq(a, b));
        assert_eq!(differ.count(), 1);
        let largest = new.tables.iter().map(|table| table.len()).max().unwrap();
        assert!(largest < 3 * 20 * MANY / SHARDS, "unevenly spread: {largest}");
    }
}
