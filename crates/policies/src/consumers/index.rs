//! The consumers of a store and their keys, as workers read them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::key::Prefix;
use super::shards::{Numbered, Shards};
use crate::identity::Consumer;

/// A key as it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) prefix: Prefix,
    pub(crate) hash: [u8; 32],
    pub(crate) owner: Arc<Consumer>,
    /// Until when it is good, in seconds since 1970; `u32::MAX` is for ever.
    pub(crate) expires: u32,
    /// When it was used last, coarsely, in seconds since 1970; 0 is never.
    pub(crate) used: AtomicU32,
}

/// The time of an expiry as it is kept.
pub(crate) fn expires(at: Option<u64>) -> u32 {
    at.map_or(u32::MAX, |at| u32::try_from(at).unwrap_or(u32::MAX))
}

impl Clone for Kept {
    fn clone(&self) -> Kept {
        Kept {
            prefix: self.prefix,
            hash: self.hash,
            owner: Arc::clone(&self.owner),
            expires: self.expires,
            used: AtomicU32::new(self.used.load(Relaxed)),
        }
    }
}

impl Numbered for Kept {
    fn number(&self) -> u64 {
        self.prefix.0
    }
}

/// A consumer by the hash of its name.
#[derive(Debug, Clone)]
struct Named(u64, Arc<Consumer>);

impl Numbered for Named {
    fn number(&self) -> u64 {
        self.0
    }
}

/// Consumers by name and by key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: Shards<Named>,
    keys: Shards<Kept>,
    hasher: RandomState,
}

impl Index {
    /// The consumer of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Consumer>> {
        let number = self.hasher.hash_one(name);
        self.names.find(number, |one| (*one.1.name == *name).then(|| Arc::clone(&one.1)))
    }

    /// What `look` makes of the key of this prefix.
    pub(crate) fn key<R>(&self, prefix: Prefix, look: impl FnMut(&Kept) -> Option<R>) -> Option<R> {
        self.keys.find(prefix.0, look)
    }

    /// Has all of these consumers.
    pub(crate) fn fill_names(&self, consumers: impl ExactSizeIterator<Item = Arc<Consumer>>) {
        let count = consumers.len();
        let named = consumers.map(|one| Ok(Named(self.hasher.hash_one(&*one.name), one)));
        let Ok(()) = self.names.fill::<std::convert::Infallible>(named, count);
    }

    /// Has all of these keys, about `count`.
    pub(crate) fn fill_keys<E>(
        &self,
        keys: impl Iterator<Item = Result<Kept, E>>,
        count: usize,
    ) -> Result<(), E> {
        self.keys.fill(keys, count)
    }

    /// Puts a consumer in, in the place of one with its name.
    pub(crate) fn put(&self, consumer: &Arc<Consumer>) {
        let number = self.hasher.hash_one(&*consumer.name);
        self.names.put(Named(number, Arc::clone(consumer)), |one| one.1.name == consumer.name);
    }

    /// Puts a key in, in the place of one with its prefix.
    pub(crate) fn put_key(&self, key: Kept) {
        self.keys.put(key, |_| true);
    }

    /// Takes the key of this prefix out.
    pub(crate) fn remove_key(&self, prefix: Prefix) {
        self.keys.remove(prefix.0, |_| true);
    }

    /// Calls `each` with every key that was used since then, and when.
    pub(crate) fn used_since(&self, since: u32, mut each: impl FnMut(Prefix, u32)) {
        self.keys.each(|kept| {
            let used = kept.used.load(Relaxed);
            if used > since {
                each(kept.prefix, used);
            }
        });
    }
}
