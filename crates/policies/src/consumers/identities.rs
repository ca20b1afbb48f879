//! What is known of callers over and beyond a configuration: open stores, guesses that failed,
//! passwords that were good. And how the directory of a configuration comes to be.

use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use portcullis_config::model::{Config, Name, Policies};

use super::{Attached, Book, BookFault, ConsumerStore, DatabaseError, Directory, Limits};
use crate::auth::{Guard, Verifier};
use crate::consumers::key::KeyHasher;
use crate::registry::{Registry, Scope, lock};

/// What is known of callers over and beyond a configuration.
#[derive(Debug, Default)]
pub struct Identities {
    stores: Mutex<Vec<Weak<ConsumerStore>>>,
}

impl Identities {
    /// Opens the store at `path`, or gives the one that is open. It closes when nobody holds it.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(&self, path: &Path) -> Result<Arc<ConsumerStore>, DatabaseError> {
        if let Some(open) = self.at(path) {
            return Ok(open);
        }
        let fresh = Arc::new(ConsumerStore::open(path)?);
        lock(&self.stores).push(Arc::downgrade(&fresh));
        Ok(fresh)
    }

    /// Has open stores write down which keys were used; waits for it, but not for ever.
    pub fn flush(&self) {
        let open: Vec<Arc<ConsumerStore>> =
            lock(&self.stores).iter().filter_map(Weak::upgrade).collect();
        open.iter().for_each(|store| store.flush());
    }

    /// The store at `path`, if it is open.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Arc<ConsumerStore>> {
        let mut stores = lock(&self.stores);
        stores.retain(|store| store.strong_count() > 0);
        stores.iter().filter_map(Weak::upgrade).find(|store| store.is_at(path))
    }
}

impl Directory {
    /// The directory of a configuration. What `old`, the one before, knows goes over where it is
    /// written in the same way; `same` says that its consumers are.
    ///
    /// # Errors
    /// All credentials that cannot be used.
    pub fn new(
        registry: &Registry,
        config: &Config,
        old: &Directory,
        same: bool,
    ) -> Result<Directory, Vec<BookFault>> {
        let written = &config.process.credentials;
        let book = if same && old.hasher.is_some() == written.secret.is_some() {
            Arc::clone(&old.book)
        } else {
            Arc::new(Book::new(config)?)
        };
        let guard = written.guessing.as_ref().map(|written| {
            let known = old.guard.as_ref().filter(|guard| guard.is(written));
            known.map_or_else(|| Arc::new(Guard::new(written)), Arc::clone)
        });
        let known = old.verifier.as_ref().filter(|verifier| verifier.is(&written.passwords));
        let verifier =
            known.map_or_else(|| Arc::new(Verifier::new(&written.passwords)), Arc::clone);
        let secret = written.secret.as_ref();
        Ok(Directory {
            book,
            store: written.store.as_ref().and_then(|path| registry.identities().at(path)),
            hasher: secret.map(|secret| KeyHasher::new(secret.reveal().as_bytes())),
            guard,
            verifier: Some(verifier),
            attached: attached(registry, config),
        })
    }
}

/// The limits that consumers bring along.
fn attached(registry: &Registry, config: &Config) -> Attached {
    let run = |scope: fn(Name) -> Scope, all: &mut dyn Iterator<Item = (&Name, &Policies)>| {
        let counting = all.filter(|(_, policies)| !policies.limits.is_empty());
        let run = counting.map(|(name, policies)| {
            (Arc::clone(name), registry.run(&scope(Arc::clone(name)), policies))
        });
        run.collect::<Limits>()
    };
    let mut consumers = config.consumers.iter().map(|(name, one)| (name, &*one.policies));
    let mut plans = config.plans.iter().map(|(name, one)| (name, &*one.policies));
    let mut groups = config.groups.iter().map(|(name, one)| (name, &*one.policies));
    Attached {
        consumers: run(Scope::Consumer, &mut consumers),
        plans: run(Scope::Plan, &mut plans),
        groups: run(Scope::Group, &mut groups),
    }
}
