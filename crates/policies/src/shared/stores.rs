//! All stores of the node, by name, and the thread that watches over them. They outlive the
//! configuration: a store that it leaves as it was keeps its connections, shares and counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use portcullis_config::model::{self, Name};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::metrics::StoreMetrics;
use super::refill::refill;
use super::store::Store;
use super::target::StoreError;

/// The stores of a node.
#[derive(Debug, Default)]
pub struct Stores {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stores: HashMap<Name, Arc<Store>>,
    /// Counts outlive a store that is configured anew.
    metrics: HashMap<Name, Arc<StoreMetrics>>,
    keeper: Option<Keeper>,
}

/// The thread that watches over stores; it ends when this is dropped.
#[derive(Debug)]
struct Keeper {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Stores {
    /// The store that is configured like this: the one that there is if it is the same.
    ///
    /// # Errors
    /// When its certificates are of no use, or there can be no thread.
    pub fn open(&self, spec: &Arc<model::Store>) -> Result<Arc<Store>, StoreError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = inner.stores.get(&spec.name).filter(|store| store.spec() == spec) {
            return Ok(Arc::clone(store));
        }
        if inner.keeper.is_none() {
            inner.keeper = Some(Keeper::start().map_err(|e| StoreError::new(spec, e))?);
        }
        let metrics = Arc::clone(inner.metrics.entry(spec.name.clone()).or_default());
        let (store, wishes) = Store::new(spec, metrics)?;
        if let Some(keeper) = &inner.keeper {
            keeper.handle.spawn(refill(Arc::downgrade(&store), wishes, store.gone()));
            keeper.handle.spawn(Store::watch(Arc::downgrade(&store), store.gone()));
        }
        inner.stores.insert(spec.name.clone(), Arc::clone(&store));
        Ok(store)
    }

    /// Forgets the stores that the configuration does not have any more.
    pub fn keep(&self, is_there: impl Fn(&Name) -> bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.stores.retain(|name, _| is_there(name));
        inner.metrics.retain(|name, _| is_there(name));
    }

    /// The stores and what they did, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Store>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stores: Vec<_> = inner.stores.values().cloned().collect();
        stores.sort_by(|a, b| a.name().cmp(b.name()));
        stores
    }
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
