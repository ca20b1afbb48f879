//! All stores of the node, by name, and the thread that watches over them. They outlive the
//! configuration: a store that it leaves as it was keeps its connections, shares and counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread;

use portcullis_config::model::{self, Name};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use super::leases::Wanted;
use super::refill::refill;
use super::store::{Current, Store};
use super::target::StoreError;
use crate::registry::lock;

/// The stores of a node.
#[derive(Debug, Default)]
pub struct Stores {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stores: HashMap<Name, Arc<Store>>,
    /// What is wanted of stores that nothing watches over yet.
    idle: HashMap<Name, mpsc::Receiver<Wanted>>,
    keeper: Option<Keeper>,
}

/// How stores will be, once a configuration is in use.
#[derive(Debug, Default)]
pub struct Prepared {
    names: HashSet<Name>,
    changed: Vec<(Arc<Store>, Current)>,
}

/// The thread that watches over stores; it ends when this is dropped.
#[derive(Debug)]
struct Keeper {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Stores {
    /// Makes ready what is new in a configuration. Stores that are new can be named by policies from
    /// now on; nothing connects and nothing changes until [`Stores::commit`]. May read the system's
    /// certificate authorities.
    ///
    /// # Errors
    /// Every store whose certificates are of no use.
    pub fn prepare(
        &self,
        specs: &BTreeMap<Name, Arc<model::Store>>,
    ) -> Result<Prepared, Vec<StoreError>> {
        let mut inner = lock(&self.inner);
        let (mut prepared, mut errors) = (Prepared::default(), Vec::new());
        for (name, spec) in specs {
            prepared.names.insert(name.clone());
            let done = match inner.stores.get(name).cloned() {
                Some(store) if *store.spec() == **spec => Ok(()),
                Some(store) => Current::new(spec).map(|new| prepared.changed.push((store, new))),
                None => Store::new(spec).map(|(store, wishes)| {
                    inner.stores.insert(name.clone(), store);
                    inner.idle.insert(name.clone(), wishes);
                }),
            };
            errors.extend(done.err());
        }
        if errors.is_empty() { Ok(prepared) } else { Err(errors) }
    }

    /// Puts a configuration to use: stores are watched over, those that changed go over to what is
    /// new, and those that are gone are forgotten.
    pub fn commit(&self, prepared: Prepared) {
        let mut inner = lock(&self.inner);
        let Inner { stores, idle, keeper } = &mut *inner;
        stores.retain(|name, _| prepared.names.contains(name));
        for (store, new) in prepared.changed {
            store.change(new);
        }
        for (name, wishes) in idle.drain() {
            let Some(store) = stores.get(&name) else { continue };
            if keeper.is_none() {
                *keeper = Keeper::start().inspect_err(cannot_watch).ok();
            }
            if let Some(Keeper { handle, .. }) = keeper {
                handle.spawn(refill(Arc::downgrade(store), wishes, store.gone()));
                handle.spawn(Store::watch(Arc::downgrade(store), store.gone()));
            }
        }
    }

    /// The store of this name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<Arc<Store>> {
        lock(&self.inner).stores.get(name).cloned()
    }

    /// The stores, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Store>> {
        let inner = lock(&self.inner);
        let mut stores: Vec<_> = inner.stores.values().cloned().collect();
        stores.sort_by(|a, b| a.name().cmp(b.name()));
        stores
    }
}

/// Requests ask their stores all the same.
fn cannot_watch(error: &std::io::Error) {
    tracing::error!("no thread can watch over stores: {error}");
}

impl Keeper {
    fn start() -> std::io::Result<Keeper> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("stores".into()).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        Ok(Keeper { handle, _end: end })
    }
}
