//! Who there is: consumers and their credentials, from the configuration and from a store. All of it
//! is read by workers without a lock.

mod book;
mod database;
mod identities;
mod index;
pub mod key;
mod shards;
mod store;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use portcullis_config::model::{KeyHash, Name, PasswordHash};
use portcullis_wire::tls::ClientCertificate;

pub use book::{Book, BookFault};
pub use database::{Database, DatabaseError, KeyRow, NewConsumer};
pub use identities::Identities;
use key::{KeyHasher, Prefix};
pub use store::ConsumerStore;

use crate::auth::{Guard, Verifier};
use crate::identity::{Consumer, Identity};
use crate::registry::RunningPolicies;

/// How coarsely the last use of a key is known, in seconds.
const USE: u64 = 300;

/// Why a key is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not spelt as a key is.
    Malformed,
    /// Nobody has it.
    Unknown,
    /// It was good once.
    Expired,
}

/// Who there is, for a configuration.
#[derive(Debug, Default)]
pub struct Directory {
    pub(crate) book: Arc<Book>,
    pub(crate) store: Option<Arc<ConsumerStore>>,
    pub(crate) hasher: Option<KeyHasher>,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) verifier: Option<Arc<Verifier>>,
    pub(crate) attached: Attached,
}

/// Limits that consumers bring along, by name.
#[derive(Debug, Default)]
pub struct Attached {
    /// Of consumers.
    pub consumers: Limits,
    /// Of plans.
    pub plans: Limits,
    /// Of groups.
    pub groups: Limits,
}

/// Limits by name; names without any are not there.
pub type Limits = std::collections::HashMap<Name, Arc<RunningPolicies>>;

impl Directory {
    /// The consumer of this name. What the configuration says comes first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Consumer>> {
        let written = self.book.names.get(name).cloned();
        written.or_else(|| self.store.as_ref()?.index.find(name))
    }

    /// Whose key this is. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// It is nobody's.
    pub fn key(
        &self,
        key: &[u8],
        now: u64,
    ) -> Result<(Arc<Consumer>, [u8; KeyHash::PREFIX]), KeyFault> {
        let (text, _) = key::parts(key).ok_or(KeyFault::Malformed)?;
        let hasher = self.hasher.as_ref().ok_or(KeyFault::Unknown)?;
        let prefix = Prefix::new(*text);
        let look = |kept: &index::Kept| {
            if !hasher.is(key, &kept.hash) {
                return None;
            }
            if u64::from(kept.expires) <= now {
                return Some(Err(KeyFault::Expired));
            }
            // Nearly always the same as before: then nothing is written, and no line of memory goes
            // from core to core.
            let coarse = u32::try_from(now / USE * USE).unwrap_or(u32::MAX);
            if kept.used.load(Relaxed) < coarse {
                kept.used.store(coarse, Relaxed);
            }
            Some(Ok(Arc::clone(&kept.owner)))
        };
        let found = match self.book.keys.get(&prefix) {
            Some(kept) => look(kept),
            None => self.store.as_ref().and_then(|store| store.index.key(prefix, look)),
        };
        let wrong = || match key::prefix(key) {
            Some(_) => KeyFault::Unknown,
            None => KeyFault::Malformed,
        };
        let owner = found.ok_or_else(wrong)??;
        // What the configuration says of a consumer counts wherever its key is kept.
        let written = if self.book.names.is_empty() {
            None
        } else {
            self.book.names.get(&*owner.name).cloned()
        };
        Ok((written.unwrap_or(owner), *text))
    }

    /// The consumer of this username, and the hash of its password.
    #[must_use]
    pub fn password(&self, username: &str) -> Option<(Arc<Consumer>, PasswordHash)> {
        self.book.logins.get(username).cloned()
    }

    /// Whose certificate this is.
    #[must_use]
    pub fn certificate(&self, certificate: &ClientCertificate) -> Option<Arc<Consumer>> {
        self.book.certificates.find(certificate)
    }

    /// What slows down whoever guesses.
    #[must_use]
    pub fn guard(&self) -> Option<&Guard> {
        self.guard.as_deref()
    }

    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_deref()
    }

    /// The limits that a caller brings along, the narrowest first: its own, its plan's, its groups'.
    pub fn limits<'s>(
        &'s self,
        identity: &Identity,
        mut each: impl FnMut(&'s [Arc<crate::policy::Running>]),
    ) {
        let Some(consumer) = &identity.consumer else { return };
        let Attached { consumers, plans, groups } = &self.attached;
        let own = if consumers.is_empty() { None } else { consumers.get(&*consumer.name) };
        let plan = match &consumer.plan {
            Some(plan) if !plans.is_empty() => plans.get(plan),
            _ => None,
        };
        let of_groups = consumer.groups().iter().filter_map(|group| groups.get(group));
        own.into_iter().chain(plan).chain(of_groups).for_each(|found| each(&found.limits));
    }
}
