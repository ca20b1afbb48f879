//! The workers as seen from the control side: starting them, giving them a new configuration,
//! draining them.

mod thread;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use portcullis_config::model::{Bind, Name};
use portcullis_core::metrics::WorkerMetrics;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout_at;

use self::thread::{Change, Handle, Opened, Order, SocketChange};
use crate::accept::{Ending, Shared};
use crate::handover::{Handed, Inheritance, Settled, deal};
use crate::snapshot::Snapshot;
use crate::sockets::{self, Bound};
use crate::upstream::health::Monitor;

/// Why workers could not take a configuration.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// An address cannot be listened on.
    #[error("listener {listener:?} cannot listen on {address}: {error}")]
    Bind {
        /// Its name.
        listener: Name,
        /// The address as configured.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// A thread or runtime could not be started.
    #[error("a worker cannot start: {0}")]
    Start(io::Error),
    /// A worker is gone, which only a defect can cause.
    #[error("a worker has ended")]
    WorkerGone,
}

/// All workers.
#[derive(Debug)]
pub struct Gateway {
    workers: Vec<Handle>,
    listeners: HashMap<Name, OpenListener>,
    inheritance: Inheritance,
    /// Workers accept once this is true.
    gate: watch::Sender<bool>,
    /// The snapshot in use and the one before. Whoever lets a snapshot go last frees what only it
    /// held, which is much at times; held here for one change longer, it is not a worker.
    snapshots: [Option<Arc<Snapshot>>; 2],
    /// The snapshot that the workers have.
    current: watch::Sender<Arc<Snapshot>>,
    /// The health thread ends when this is dropped.
    health: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct OpenListener {
    bind: Bind,
    /// The address with the port that the system chose.
    address: String,
    /// A service manager has its socket as well.
    lent: bool,
    /// Our own copies, for whoever takes over.
    sockets: Vec<Bound>,
}

/// Asks the workers whether they still do anything.
#[derive(Debug, Clone)]
pub struct Pulse(Vec<mpsc::UnboundedSender<Order>>);

impl Gateway {
    /// Starts so many workers, which serve nothing yet. Listeners take what was handed to this
    /// process before they open sockets of their own.
    ///
    /// # Errors
    /// [`ApplyError::Start`].
    pub fn start(workers: usize, handed: Vec<Handed>) -> Result<Gateway, ApplyError> {
        let (gate, closed) = watch::channel(false);
        let current: watch::Sender<Arc<Snapshot>> = watch::Sender::default();
        let (alarm, health) = Monitor::start(current.subscribe()).map_err(ApplyError::Start)?;
        let workers = (0..workers).map(|id| thread::start(id, closed.clone(), alarm.clone()));
        Ok(Gateway {
            workers: workers.collect::<io::Result<_>>().map_err(ApplyError::Start)?,
            listeners: HashMap::new(),
            inheritance: Inheritance::new(handed),
            gate,
            snapshots: [None, None],
            current,
            health: Some(health),
        })
    }

    /// Puts a configuration to use in every worker and waits until it is. On an error nothing has
    /// changed.
    ///
    /// # Errors
    /// [`ApplyError::Bind`] for the first address that cannot be listened on.
    pub async fn apply(
        &mut self,
        snapshot: &Arc<Snapshot>,
        log: Option<&SyncSender<Vec<u8>>>,
    ) -> Result<(), ApplyError> {
        let mut changes: Vec<SocketChange> =
            self.workers.iter().map(|_| SocketChange::default()).collect();
        let mut opened = Vec::new();
        if let Err(error) = self.open(snapshot, &mut changes, &mut opened) {
            // What was handed over is somebody else's until they let go of it.
            opened.iter().filter(|(_, new)| new.fresh).for_each(|(_, new)| new.listener.unlink());
            return Err(error);
        }
        for (name, new) in opened {
            if let Some(old) = self.listeners.insert(name, new.listener) {
                old.unlink();
            }
        }
        let gone: Vec<Name> = self
            .listeners
            .keys()
            .filter(|name| !snapshot.listeners.contains_key(*name))
            .cloned()
            .collect();
        let mut closed = Vec::with_capacity(gone.len());
        for name in gone {
            if let Some(old) = self.listeners.remove(&name) {
                old.unlink();
                closed.push((name, old.ending()));
            }
        }
        let mut applied = Vec::with_capacity(self.workers.len());
        for (worker, mut sockets) in self.workers.iter().zip(changes) {
            sockets.closed.extend(closed.iter().cloned());
            let (done, finished) = oneshot::channel();
            let snapshot = Arc::clone(snapshot);
            let change = Change { snapshot, log: log.cloned(), sockets, done };
            worker.order(Order::Apply(Box::new(change)))?;
            applied.push(finished);
        }
        for finished in applied {
            finished.await.map_err(|_| ApplyError::WorkerGone)?;
        }
        self.current.send_replace(Arc::clone(snapshot));
        self.snapshots = [Some(Arc::clone(snapshot)), self.snapshots[0].take()];
        Ok(())
    }

    /// Finds or binds the sockets of listeners that are new or have moved, and deals them to the
    /// workers.
    fn open(
        &mut self,
        snapshot: &Snapshot,
        changes: &mut [SocketChange],
        opened: &mut Vec<(Name, New)>,
    ) -> Result<(), ApplyError> {
        for (name, settings) in &snapshot.listeners {
            let wanted = &settings.listener.bind;
            let old = self.listeners.get(name);
            if old.is_some_and(|old| old.bind == *wanted) {
                continue;
            }
            let closed = old.map(|old| (Arc::clone(name), old.ending()));
            let new = self.open_one(name, wanted).map_err(|error| ApplyError::Bind {
                listener: Arc::clone(name),
                address: wanted.to_string(),
                error,
            })?;
            let shared = Arc::<Shared>::default();
            for (change, sockets) in changes.iter_mut().zip(new.hands) {
                change.closed.extend(closed.clone());
                let shared = Arc::clone(&shared);
                change.opened.push(Opened { name: Arc::clone(name), sockets, shared });
            }
            opened.push((Arc::clone(name), New { hands: Vec::new(), ..new }));
        }
        Ok(())
    }

    fn open_one(&mut self, name: &str, wanted: &Bind) -> io::Result<New> {
        let workers = self.workers.len();
        let handed = self.inheritance.claim(name, wanted);
        let (fresh, lent) = (handed.is_none(), handed.as_ref().is_some_and(|handed| handed.lent));
        let sockets = match handed {
            Some(handed) => {
                handed.sockets.into_iter().map(Bound::handed).collect::<io::Result<_>>()?
            }
            None => {
                // One of ours may hold the address under another name, or as one of those that we
                // took over, and gives it up.
                let ours = self.listeners.values().any(|other| other.bind == *wanted)
                    || self.inheritance.overlaps(wanted);
                if !ours {
                    sockets::check_free(wanted)?;
                }
                sockets::bind(wanted, workers)?
            }
        };
        let copies = sockets.iter().map(Bound::try_clone).collect::<io::Result<_>>()?;
        let mut hands = deal(copies, workers);
        let address = sockets.first().map_or_else(|| Ok(String::new()), Bound::address)?;
        let listener = OpenListener { bind: wanted.clone(), address, lent, sockets };
        if listener.is_shared() {
            for (turn, hand) in hands.iter_mut().enumerate().filter(|(_, hand)| hand.is_empty()) {
                hand.extend(sockets::join(&listener.sockets, true, turn)?);
            }
        }
        Ok(New { listener, fresh, hands })
    }

    /// Ends the time in which listeners claim what was handed to this process.
    pub fn settle(&mut self) -> Settled {
        self.inheritance.settle()
    }

    /// Begins to accept. Workers that have no socket yet, as there were fewer before, get one: not
    /// earlier, since the kernel deals connections to a socket as soon as it is there.
    ///
    /// # Errors
    /// [`ApplyError::WorkerGone`].
    pub fn begin(&mut self) -> Result<(), ApplyError> {
        self.gate.send_replace(true);
        for (name, listener) in &mut self.listeners {
            if listener.is_shared() {
                continue;
            }
            for turn in listener.sockets.len()..self.workers.len() {
                let joined = sockets::join(&listener.sockets, false, turn)
                    .and_then(|joined| joined.map(|own| Ok((own.try_clone()?, own))).transpose());
                match joined {
                    Ok(Some((copy, socket))) => {
                        listener.sockets.push(copy);
                        let listener = Arc::clone(name);
                        self.workers[turn].order(Order::Join { listener, socket })?;
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(
                        listener = &**name, %error, worker = turn, "a worker has no socket"
                    ),
                }
            }
        }
        Ok(())
    }

    /// Copies of all sockets, for a process that is to take over.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn hand_out(&self) -> io::Result<Vec<Handed>> {
        let hand_out = |(name, listener): (&Name, &OpenListener)| {
            let copies = listener.sockets.iter().map(|socket| Ok(socket.try_clone()?.into()));
            Ok(Handed {
                name: name.to_string(),
                bind: Some(listener.bind.to_string()),
                lent: listener.lent,
                sockets: copies.collect::<io::Result<_>>()?,
            })
        };
        self.listeners.iter().map(hand_out).collect()
    }

    /// Where the gateway listens: names and addresses, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.listeners.iter().map(|(name, listener)| (&**name, &*listener.address))
    }

    /// The snapshot that the workers have, and those that they will have.
    #[must_use]
    pub fn current(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.current.subscribe()
    }

    /// Every worker's counters.
    #[must_use]
    pub fn metrics(&self) -> Vec<Arc<WorkerMetrics>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.metrics)).collect()
    }

    /// A way to ask whether the workers live.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.workers.iter().map(|worker| worker.orders.clone()).collect())
    }

    /// Stops accepting, lets every connection finish its exchange, and cuts off at the deadline
    /// what has not ended by then. What is returned ends when all workers have.
    ///
    /// Sockets of the listeners in `heirs` are left to the process that has taken them over, with
    /// whoever waits in them; those that a service manager keeps are left to it.
    pub fn drain(
        &mut self,
        deadline: &watch::Receiver<Instant>,
        heirs: &HashSet<String>,
    ) -> impl Future<Output = ()> + use<> {
        // Who takes no more requests asks no endpoint how it is.
        self.health = None;
        let mut left = HashSet::new();
        for (name, listener) in self.listeners.drain() {
            if heirs.contains(&*name) || listener.lent {
                left.insert(name);
            } else {
                listener.unlink();
            }
        }
        let left = Arc::new(left);
        let mut drained = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, finished) = oneshot::channel();
            let (deadline, left) = (deadline.clone(), Arc::clone(&left));
            // A worker that is gone has nothing to drain.
            if worker.order(Order::Drain { deadline, left, done }).is_ok() {
                drained.push(finished);
            }
        }
        async move {
            for finished in drained {
                let _ = finished.await;
            }
        }
    }
}

/// A listener on its way to be used.
struct New {
    listener: OpenListener,
    /// We opened its sockets ourselves.
    fresh: bool,
    /// What each worker gets.
    hands: Vec<Vec<Bound>>,
}

impl OpenListener {
    /// Whether workers accept from the same socket, rather than each from its own.
    fn is_shared(&self) -> bool {
        self.lent || matches!(self.bind, Bind::Unix(_))
    }

    fn ending(&self) -> Ending {
        if self.lent { Ending::Left } else { Ending::Closed }
    }

    /// Removes what it leaves in the file system, unless that is somebody else's.
    fn unlink(&self) {
        if !self.lent {
            sockets::unlink(&self.bind);
        }
    }
}

impl Pulse {
    /// Whether every worker answers within a time. One that waits does; one that hangs does not.
    pub async fn beats(&self, within: Duration) -> bool {
        let by = tokio::time::Instant::now() + within;
        let asked = self.0.iter().map(|worker| {
            let (asked, answer) = oneshot::channel();
            worker.send(Order::Answer(asked)).is_ok().then_some(answer)
        });
        for answer in asked.collect::<Vec<_>>() {
            let Some(answer) = answer else { return false };
            if !matches!(timeout_at(by, answer).await, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_hangs_has_no_pulse() {
        let gateway = Gateway::start(2, Vec::new()).unwrap();
        let pulse = gateway.pulse();
        assert!(pulse.beats(Duration::from_secs(20)).await);
        gateway.workers[1].order(Order::Hang(Duration::from_millis(500))).unwrap();
        assert!(!pulse.beats(Duration::from_millis(100)).await);
        assert!(pulse.beats(Duration::from_secs(20)).await, "it is back");
    }
}
