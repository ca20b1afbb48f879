//! Issuers of tokens and their keys, which outlive any configuration. A thread of their own fetches
//! keys in the background; workers take over what it has published without waiting for it.
//!
//! The last good set stays in use while an issuer cannot be reached, over a restart too, where there
//! is a folder for state. Keys are fetched anew at regular times, and sooner when a token names one
//! that is not known: twice a minute at most, however many such tokens come.

mod disk;
mod fetch;
mod issuer;
mod schedule;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use portcullis_config::model::{self, Name};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

pub use issuer::{Issuer, IssuerError, Keys, Round};

use crate::registry::lock;
use issuer::Tended;

/// The issuers of a node.
#[derive(Debug, Default)]
pub struct Issuers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    issuers: HashMap<Name, Held>,
    keeper: Option<Keeper>,
}

/// An issuer, and what ends the task that tends it.
#[derive(Debug)]
struct Held {
    issuer: Arc<Issuer>,
    _tended: Option<watch::Sender<()>>,
}

/// How issuers will be, once a configuration is in use.
#[derive(Debug, Default)]
pub struct Prepared {
    names: HashSet<Name>,
    /// Those that are new or configured otherwise than before.
    changed: Vec<(Arc<Issuer>, Option<Tended>)>,
}

/// The thread that fetches; it ends when this is dropped. The queue has an order for each issuer
/// that a configuration changes, and no others.
#[derive(Debug)]
struct Keeper(mpsc::UnboundedSender<Order>);

/// An issuer to tend until the sender of the channel is dropped.
type Order = (Arc<Issuer>, Tended, Option<PathBuf>, watch::Receiver<()>);

impl Issuers {
    /// Makes ready what is new in a configuration. Nothing connects and nothing changes until
    /// [`Issuers::commit`]. May read the system's certificate authorities.
    ///
    /// # Errors
    /// Every issuer whose keys or certificates are of no use.
    pub fn prepare(
        &self,
        specs: &BTreeMap<Name, Arc<model::Issuer>>,
    ) -> Result<Prepared, Vec<IssuerError>> {
        let inner = lock(&self.inner);
        let (mut prepared, mut errors) = (Prepared::default(), Vec::new());
        for (name, spec) in specs {
            prepared.names.insert(name.clone());
            let known = inner.issuers.get(name).map(|held| &held.issuer);
            if known.is_some_and(|issuer| *issuer.spec() == **spec) {
                continue;
            }
            match Issuer::prepare(spec, known) {
                Ok(changed) => prepared.changed.push(changed),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(prepared) } else { Err(errors) }
    }

    /// The issuer of this name, as it will be once `prepared` is in use.
    #[must_use]
    pub fn find(&self, name: &Name, prepared: &Prepared) -> Option<Arc<Issuer>> {
        let changed = prepared.changed.iter().map(|(issuer, _)| issuer);
        let changed = changed.filter(|issuer| issuer.name() == name).map(Arc::clone).next();
        let known = || lock(&self.inner).issuers.get(name).map(|held| Arc::clone(&held.issuer));
        changed.or_else(known)
    }

    /// Puts a configuration to use: keys of new issuers are fetched, and issuers that are gone are
    /// forgotten. Keys are kept in `folder`, if there is one.
    pub fn commit(&self, prepared: Prepared, folder: Option<&Path>) {
        let mut inner = lock(&self.inner);
        let Inner { issuers, keeper } = &mut *inner;
        issuers.retain(|name, _| prepared.names.contains(name));
        for (issuer, tended) in prepared.changed {
            let tended = tended.and_then(|tended| {
                let (sender, gone) = watch::channel(());
                if keeper.is_none() {
                    *keeper = Keeper::start().inspect_err(cannot_fetch).ok();
                }
                let order = (Arc::clone(&issuer), tended, folder.map(Path::to_owned), gone);
                keeper.as_ref()?.0.send(order).ok()?;
                Some(sender)
            });
            let name = issuer.name().clone();
            issuers.insert(name, Held { issuer, _tended: tended });
        }
    }

    /// The issuers, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Issuer>> {
        let inner = lock(&self.inner);
        let mut issuers: Vec<_> =
            inner.issuers.values().map(|held| Arc::clone(&held.issuer)).collect();
        issuers.sort_by(|a, b| a.name().cmp(b.name()));
        issuers
    }
}

fn cannot_fetch(error: &io::Error) {
    tracing::error!("no thread can fetch keys of issuers: {error}");
}

impl Keeper {
    fn start() -> io::Result<Keeper> {
        let (orders, mut ordered) = mpsc::unbounded_channel::<Order>();
        let runtime = || {
            Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(4)
                .build_local(LocalOptions::default())
        };
        let (started, start) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new().name("issuers".to_owned()).spawn(move || match runtime() {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                runtime.block_on(async {
                    while let Some((issuer, tended, folder, gone)) = ordered.recv().await {
                        tokio::task::spawn_local(issuer.tend(tended, folder, gone));
                    }
                });
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        })?;
        match start.recv() {
            Ok(result) => result.map(|()| Keeper(orders)),
            Err(_) => Err(io::Error::other("the thread of issuers ended at once")),
        }
    }
}

#[cfg(test)]
mod tests;
