//! Issuers of tokens and their keys, which outlive any configuration. A thread of their own fetches
//! keys in the background; workers take over what it has published without waiting for it.
//!
//! The last good set stays in use while an issuer cannot be reached, over a restart too, where there
//! is a folder for state. Keys are fetched anew at regular times, and sooner when a token names one
//! that is not known: twice a minute at most, however many such tokens come.

mod disk;
mod fetch;
mod issuer;
mod metadata;
mod schedule;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{io, thread};

use portcullis_config::model::{self, Name};
use portcullis_jose::Algorithms;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

pub use issuer::{IntrospectionResult, Issuer, IssuerError, Round, View};

use crate::calls::Caller;
use crate::grants::Grant;
use crate::registry::lock;
use issuer::{Change, Source};

/// The issuers of a node.
#[derive(Debug, Default)]
pub struct Issuers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    issuers: HashMap<Name, Held>,
    /// Where keys are kept over a restart.
    folder: Option<PathBuf>,
    keeper: Option<Keeper>,
}

/// An issuer, and what ends the task that tends it.
#[derive(Debug)]
struct Held {
    issuer: Arc<Issuer>,
    tended: Option<watch::Sender<()>>,
}

/// How issuers will be, once a configuration is in use.
#[derive(Debug, Default)]
pub struct Prepared {
    names: HashSet<Name>,
    /// Those that are new or configured otherwise than before.
    changes: Vec<Change>,
}

/// The thread that fetches; it ends when this is dropped. The queue has an order for each issuer
/// that a configuration changes, and no others.
#[derive(Debug)]
struct Keeper(mpsc::UnboundedSender<Order>);

/// What to tend until the sender of the channel is dropped.
enum Order {
    Issuer {
        issuer: Arc<Issuer>,
        spec: Arc<model::Issuer>,
        caller: Caller,
        folder: Option<PathBuf>,
        gone: watch::Receiver<()>,
    },
    Grant(Arc<Grant>, watch::Receiver<()>),
}

impl Issuers {
    /// Makes ready what is new in a configuration. Issuers that are new can be named by policies
    /// from now on; nothing connects and nothing changes until [`Issuers::commit`]. May read the
    /// system's certificate authorities.
    ///
    /// # Errors
    /// Every issuer whose keys or certificates are of no use.
    pub fn prepare(
        &self,
        specs: &BTreeMap<Name, Arc<model::Issuer>>,
    ) -> Result<Prepared, Vec<IssuerError>> {
        let mut inner = lock(&self.inner);
        let (mut prepared, mut errors) = (Prepared::default(), Vec::new());
        for (name, spec) in specs {
            prepared.names.insert(name.clone());
            let known = inner.issuers.get(name);
            if known.is_some_and(|held| held.is_tended() && *held.issuer.view().spec == **spec) {
                continue;
            }
            let fresh = || Held { issuer: Arc::new(Issuer::new(spec)), tended: None };
            let held = inner.issuers.entry(name.clone()).or_insert_with(fresh);
            match Change::new(spec) {
                Ok(change) => {
                    // Nobody goes by a new one yet, and who will is not to find it without keys.
                    if let (false, Source::Written(set)) = (held.is_tended(), &change.source) {
                        held.issuer.change(spec, Some(set));
                    }
                    prepared.changes.push(change);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(prepared) } else { Err(errors) }
    }

    /// The issuer of this name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<Arc<Issuer>> {
        lock(&self.inner).issuers.get(name).map(|held| Arc::clone(&held.issuer))
    }

    /// The issuer of this name, or one of whom nobody knows anything: a configuration that is in use
    /// names none that are not there.
    pub(crate) fn find_or_stranger(&self, name: &Name) -> Arc<Issuer> {
        let stranger = || {
            let spec = model::Issuer {
                name: name.clone(),
                issuer: "".into(),
                keys: model::KeyOrigin::Set([].into()),
                algorithms: Algorithms::NONE,
                refresh: Duration::MAX,
                timeout: Duration::ZERO,
                max_size: 0,
                max_keys: 0,
                tls: model::StoreTls { ca: None, certificate: None },
            };
            Arc::new(Issuer::new(&Arc::new(spec)))
        };
        self.find(name).unwrap_or_else(stranger)
    }

    /// Keeps keys of issuers that are put to use from now on in this folder, over a restart.
    pub fn keep_in(&self, folder: Option<PathBuf>) {
        lock(&self.inner).folder = folder;
    }

    /// Puts a configuration to use: keys of new issuers are fetched, and issuers that are gone are
    /// forgotten.
    pub fn commit(&self, prepared: Prepared) {
        let mut inner = lock(&self.inner);
        let Inner { issuers, folder, keeper } = &mut *inner;
        issuers.retain(|name, _| prepared.names.contains(name));
        for Change { spec, source } in prepared.changes {
            let Some(held) = issuers.get_mut(&spec.name) else { continue };
            let (sender, gone) = watch::channel(());
            // The task that has tended it so far ends.
            held.tended = Some(sender);
            let caller = match source {
                Source::Written(set) => {
                    held.issuer.change(&spec, Some(&set));
                    continue;
                }
                Source::Fetched(caller) => caller,
            };
            held.issuer.change(&spec, None);
            let (issuer, folder) = (Arc::clone(&held.issuer), folder.clone());
            Keeper::give(keeper, Order::Issuer { issuer, spec, caller, folder, gone });
        }
    }

    /// Has the thread of issuers keep a token fresh until the sender of the channel is dropped.
    pub(crate) fn tend(&self, grant: Arc<Grant>, gone: watch::Receiver<()>) {
        Keeper::give(&mut lock(&self.inner).keeper, Order::Grant(grant, gone));
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

impl Held {
    /// Whether it has ever been put to use.
    fn is_tended(&self) -> bool {
        self.tended.is_some()
    }
}

fn cannot_fetch(error: &io::Error) {
    tracing::error!("no thread can fetch keys of issuers: {error}");
}

impl Keeper {
    /// Gives an order; the first one starts the thread.
    fn give(keeper: &mut Option<Keeper>, order: Order) {
        if keeper.is_none() {
            *keeper = Keeper::start().inspect_err(cannot_fetch).ok();
        }
        if let Some(Keeper(orders)) = keeper {
            // The thread is there as long as its sender is.
            let _ = orders.send(order);
        }
    }

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
                    while let Some(order) = ordered.recv().await {
                        match order {
                            Order::Issuer { issuer, spec, caller, folder, gone } => {
                                let tended = issuer.tend(spec, caller, folder, gone);
                                tokio::task::spawn_local(tended);
                            }
                            Order::Grant(grant, gone) => {
                                tokio::task::spawn_local(grant.tend(gone));
                            }
                        }
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
