//! The health thread: follows the snapshots that the workers have, keeps every endpoint that is to
//! be checked under watch, once however many routes and workers use it, and ejects and takes back.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::Name;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};

use super::Verdict;
use super::watch::{Ground, Settings, Watch};
use crate::clock;
use crate::snapshot::{CompiledService, EndpointState, Snapshot};
use crate::upstream::outlier::Alarm;
use crate::upstream::outlier::eject::{Ejector, Looked, take_all_back};

/// So much time lies between the first checks of two endpoints that come together.
const APART: Duration = Duration::from_micros(500);
/// Most endpoints that wait to be looked at.
const MOST_ALARMS: usize = 1024;
/// Looks that are due within so long are taken together, in milliseconds.
const LOOK_STEP_MS: u64 = 100;

/// The health thread's side of what the others have.
#[derive(Debug)]
pub(crate) struct Monitor {
    services: HashMap<Name, Watched>,
    /// When which service is to be looked at; entries that a service has forgotten are skipped.
    agenda: BinaryHeap<Reverse<(u64, Name)>>,
    ground: Rc<Ground>,
}

/// A service whose endpoints are looked after.
#[derive(Debug)]
struct Watched {
    service: Arc<CompiledService>,
    settings: Settings,
    /// By the endpoint's slot.
    watches: HashMap<usize, (Arc<EndpointState>, Watch)>,
    ejector: Option<Ejector>,
    /// When it is to be looked at, as the agenda has it.
    due: Option<u64>,
}

impl Monitor {
    /// Starts the thread. It ends when what comes back beside the alarm is dropped.
    ///
    /// # Errors
    /// The thread or its runtime cannot be started.
    pub(crate) fn start(
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> io::Result<(Alarm, oneshot::Sender<()>)> {
        let (stop, stopped) = oneshot::channel();
        let (alarm, alarms) = mpsc::channel(MOST_ALARMS);
        let runtime = || {
            Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(16)
                .build_local(LocalOptions::default())
        };
        let (started, start) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("health".to_owned()).spawn(move || match runtime() {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                let monitor = Monitor {
                    services: HashMap::new(),
                    agenda: BinaryHeap::new(),
                    ground: Rc::new(Ground::new()),
                };
                runtime.block_on(monitor.run(snapshots, alarms, stopped));
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        })?;
        match start.recv() {
            Ok(result) => result.map(|()| (alarm, stop)),
            Err(_) => Err(io::Error::other("the health thread ended at once")),
        }
    }

    async fn run(
        mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut alarms: mpsc::Receiver<(Name, usize)>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let due = self.agenda.peek().map(|Reverse((due, _))| *due);
            tokio::select! {
                _ = &mut stopped => return,
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let snapshot = Arc::clone(&snapshots.borrow_and_update());
                    self.adopt(&snapshot);
                }
                Some((service, slot)) = alarms.recv() => self.suspect(&service, slot),
                () = until(due) => self.look(),
            }
        }
    }

    /// Goes over to another configuration, at a cost in proportion to what changed.
    fn adopt(&mut self, snapshot: &Snapshot) {
        self.services.retain(|name, watched| {
            let there = snapshot.services.get(watched.service.slot).and_then(Option::as_ref);
            there.is_some_and(|service| service.service.name == *name)
        });
        let known = |service: &Arc<CompiledService>, monitor: &Monitor| {
            let watched = monitor.services.get(&service.service.name);
            watched.is_some_and(|watched| Arc::ptr_eq(&watched.service, service))
        };
        for service in snapshot.services.iter().flatten() {
            if !known(service, self) {
                self.change(service);
            }
        }
    }

    fn change(&mut self, service: &Arc<CompiledService>) {
        let name = &service.service.name;
        let ground = Rc::clone(&self.ground);
        let watched = self.services.entry(Arc::clone(name)).or_insert_with(|| Watched {
            service: Arc::clone(service),
            settings: Rc::new(RefCell::new(Arc::clone(service))),
            watches: HashMap::new(),
            ejector: None,
            due: None,
        });
        watched.service = Arc::clone(service);
        *watched.settings.borrow_mut() = Arc::clone(service);
        let changed = watched.change_watches(&ground) | watched.change_ejector();
        if changed {
            service.state.changed();
        }
        self.look_at(&Arc::clone(name));
    }

    /// Looks at an endpoint that failed too often in a row.
    fn suspect(&mut self, name: &Name, slot: usize) {
        let Some(watched) = self.services.get_mut(name) else { return };
        let service = Arc::clone(&watched.service);
        let (Some(ejector), Some(settings)) = (&mut watched.ejector, &service.service.outliers)
        else {
            return;
        };
        let looked = ejector.suspect(&service, settings, slot, clock::millis());
        self.concluded(name, &service, looked);
    }

    /// Looks at every service whose time has come.
    fn look(&mut self) {
        let now = clock::millis();
        while let Some(Reverse((due, _))) = self.agenda.peek()
            && *due <= now
            && let Some(Reverse((due, name))) = self.agenda.pop()
        {
            if let Some(watched) = self.services.get_mut(&name).filter(|w| w.due == Some(due)) {
                watched.due = None;
                self.look_at(&name);
            }
        }
    }

    fn look_at(&mut self, name: &Name) {
        let Some(watched) = self.services.get_mut(name) else { return };
        let service = Arc::clone(&watched.service);
        if let (Some(ejector), Some(settings)) = (&mut watched.ejector, &service.service.outliers) {
            let looked = ejector.look(&service, settings, clock::millis());
            self.concluded(name, &service, looked);
        }
    }

    fn concluded(&mut self, name: &Name, service: &CompiledService, looked: Looked) {
        if looked.changed {
            service.state.changed();
        }
        let Some(watched) = self.services.get_mut(name) else { return };
        let again = looked.again.map(|time| time.next_multiple_of(LOOK_STEP_MS));
        if again != watched.due {
            watched.due = again;
            self.agenda.extend(again.map(|due| Reverse((due, Arc::clone(name)))));
        }
    }
}

impl Watched {
    /// Watches the endpoints that are to be checked and no others; whether any became available or
    /// ceased to be.
    fn change_watches(&mut self, ground: &Rc<Ground>) -> bool {
        let service = &self.service;
        let Some(active) = &service.service.health else {
            self.watches.clear();
            return forget_checks(service);
        };
        let endpoints: HashMap<usize, &Arc<EndpointState>> =
            service.endpoints.iter().map(|endpoint| (endpoint.slot, endpoint)).collect();
        // A slot may have passed to another endpoint.
        self.watches.retain(|slot, (watched, _)| {
            endpoints.get(slot).is_some_and(|endpoint| Arc::ptr_eq(endpoint, watched))
        });
        self.watches.values().for_each(|(_, watch)| watch.nudge());
        let fresh: Vec<_> =
            service.endpoints.iter().filter(|e| !self.watches.contains_key(&e.slot)).collect();
        // Many endpoints do not all begin at once, and few do not wait.
        let spread = active.interval.min(APART.saturating_mul(fresh.len() as u32));
        for endpoint in fresh {
            let first = spread.mul_f64(fastrand::f64());
            let watch = Watch::begin(&self.settings, endpoint, ground, first);
            self.watches.insert(endpoint.slot, (Arc::clone(endpoint), watch));
        }
        false
    }

    /// Goes over to other settings of ejections; whether any endpoint was taken back.
    fn change_ejector(&mut self) -> bool {
        match &self.service.service.outliers {
            Some(settings) => {
                let now = clock::millis();
                self.ejector.get_or_insert_with(|| Ejector::new(settings, now));
                false
            }
            None => self.ejector.take().is_some() && take_all_back(&self.service),
        }
    }
}

/// Forgets what checks said, as there are none any more; whether that made any endpoint available.
fn forget_checks(service: &CompiledService) -> bool {
    let mut changed = false;
    for endpoint in &service.endpoints {
        let health = &endpoint.health;
        if health.verdict() == Verdict::Unchecked {
            continue;
        }
        changed |= !health.verdict().takes_requests();
        health.set_verdict(Verdict::Unchecked);
        let mut book = health.book();
        (book.against, book.last) = (0, None);
    }
    changed
}

/// Waits until then by [`clock::millis`], or for ever.
async fn until(due: Option<u64>) {
    match due {
        Some(due) => {
            tokio::time::sleep(Duration::from_millis(due.saturating_sub(clock::millis()))).await;
        }
        None => std::future::pending().await,
    }
}
