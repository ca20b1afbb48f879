//! All stores of the node, by name, and the thread that watches over them. They outlive the
//! configuration: a store that it leaves as it was keeps its connections, shares and counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use portcullis_config::model::{self, Name};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::refill::refill;
use super::store::Store;
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
    keeper: Option<Keeper>,
}

/// The thread that watches over stores; it ends when this is dropped.
#[derive(Debug)]
struct Keeper {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Stores {
    /// The store that is configured like this: the one of its name, if there is one, which goes over
    /// to what is new. May read the system's certificate authorities.
    ///
    /// # Errors
    /// When its certificates are of no use, or there can be no thread.
    pub fn open(&self, spec: &Arc<model::Store>) -> Result<Arc<Store>, StoreError> {
        let mut inner = lock(&self.inner);
        if let Some(store) = inner.stores.get(&spec.name) {
            if *store.spec() != **spec {
                store.change(spec)?;
            }
            return Ok(Arc::clone(store));
        }
        if inner.keeper.is_none() {
            inner.keeper = Some(Keeper::start().map_err(|e| StoreError::new(spec, e))?);
        }
        let (store, wishes) = Store::new(spec)?;
        if let Some(keeper) = &inner.keeper {
            keeper.handle.spawn(refill(Arc::downgrade(&store), wishes, store.gone()));
            keeper.handle.spawn(Store::watch(Arc::downgrade(&store), store.gone()));
        }
        inner.stores.insert(spec.name.clone(), Arc::clone(&store));
        Ok(store)
    }

    /// The store of this name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<Arc<Store>> {
        lock(&self.inner).stores.get(name).cloned()
    }

    /// Forgets the stores that the configuration does not have any more.
    pub fn keep(&self, is_there: impl Fn(&Name) -> bool) {
        lock(&self.inner).stores.retain(|name, _| is_there(name));
    }

    /// The stores and what they did, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Store>> {
        let inner = lock(&self.inner);
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
