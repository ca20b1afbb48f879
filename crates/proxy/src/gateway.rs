//! The workers as seen from the control side: starting them, giving them a new configuration,
//! draining them.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use portcullis_config::model::{Bind, Name};
use portcullis_core::metrics::WorkerMetrics;
use thiserror::Error;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};

use crate::accept::{self, Listening, OpenConnections};
use crate::snapshot::{ListenerSettings, Snapshot};
use crate::sockets::{self, Bound};
use crate::upstream::pool::SWEEP_EVERY;
use crate::worker::{LocalListener, Worker};

/// How often a worker hands over log lines that have not filled a batch.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// How often a draining worker looks whether all connections have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How long what is cut off at the drain deadline has to say so.
const CUT_GRACE: Duration = Duration::from_millis(100);

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
    /// The snapshot in use and the one before. Whoever lets a snapshot go last frees what only it
    /// held, which is much at times; held here for one change longer, it is not a worker.
    snapshots: [Option<Arc<Snapshot>>; 2],
}

#[derive(Debug)]
struct OpenListener {
    bind: Bind,
    /// The address with the port that the system chose.
    address: String,
}

#[derive(Debug)]
struct Handle {
    orders: mpsc::UnboundedSender<Order>,
    metrics: Arc<WorkerMetrics>,
}

/// What the control side asks of a worker.
enum Order {
    Apply(Box<Change>),
    Drain { deadline: Instant, done: oneshot::Sender<()> },
}

/// A change of configuration for one worker.
struct Change {
    snapshot: Arc<Snapshot>,
    log: Option<SyncSender<Vec<u8>>>,
    sockets: SocketChange,
    done: oneshot::Sender<()>,
}

/// Listeners that a worker closes, then those that it opens.
#[derive(Default)]
struct SocketChange {
    closed: Vec<Name>,
    opened: Vec<(Name, Bound, OpenConnections)>,
}

impl Gateway {
    /// Starts so many workers, which serve nothing yet.
    ///
    /// # Errors
    /// [`ApplyError::Start`].
    pub fn start(workers: usize) -> Result<Gateway, ApplyError> {
        let workers =
            (0..workers).map(start_worker).collect::<io::Result<_>>().map_err(ApplyError::Start)?;
        Ok(Gateway { workers, listeners: HashMap::new(), snapshots: [None, None] })
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
            for (_, listener) in &opened {
                sockets::unlink(&listener.bind);
            }
            return Err(error);
        }
        for (name, listener) in opened {
            if let Some(old) = self.listeners.insert(name, listener) {
                sockets::unlink(&old.bind);
            }
        }
        let gone: Vec<Name> = self
            .listeners
            .keys()
            .filter(|name| !snapshot.listeners.contains_key(*name))
            .cloned()
            .collect();
        for name in &gone {
            if let Some(old) = self.listeners.remove(name) {
                sockets::unlink(&old.bind);
            }
        }
        let mut applied = Vec::with_capacity(self.workers.len());
        for (worker, mut sockets) in self.workers.iter().zip(changes) {
            sockets.closed.extend(gone.iter().cloned());
            let (done, finished) = oneshot::channel();
            let snapshot = Arc::clone(snapshot);
            let change = Change { snapshot, log: log.cloned(), sockets, done };
            worker.order(Order::Apply(Box::new(change)))?;
            applied.push(finished);
        }
        for finished in applied {
            finished.await.map_err(|_| ApplyError::WorkerGone)?;
        }
        self.snapshots = [Some(Arc::clone(snapshot)), self.snapshots[0].take()];
        Ok(())
    }

    /// Binds the listeners that are new or have moved, and deals their sockets to the workers.
    fn open(
        &self,
        snapshot: &Snapshot,
        changes: &mut [SocketChange],
        opened: &mut Vec<(Name, OpenListener)>,
    ) -> Result<(), ApplyError> {
        for (name, settings) in &snapshot.listeners {
            let wanted = &settings.listener.bind;
            let old = self.listeners.get(name);
            if old.is_some_and(|old| old.bind == *wanted) {
                continue;
            }
            let refused = |error| ApplyError::Bind {
                listener: Arc::clone(name),
                address: wanted.to_string(),
                error,
            };
            // One of ours may hold the address under another name, which it gives up.
            if !self.listeners.values().any(|other| other.bind == *wanted) {
                sockets::check_free(wanted).map_err(refused)?;
            }
            let (sockets, address) = sockets::bind(wanted, self.workers.len()).map_err(refused)?;
            let open: OpenConnections = Arc::new(AtomicUsize::new(0));
            for (change, socket) in changes.iter_mut().zip(sockets) {
                change.opened.push((Arc::clone(name), socket, Arc::clone(&open)));
                if old.is_some() {
                    change.closed.push(Arc::clone(name));
                }
            }
            opened.push((Arc::clone(name), OpenListener { bind: wanted.clone(), address }));
        }
        Ok(())
    }

    /// Where the gateway listens: names and addresses, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.listeners.iter().map(|(name, listener)| (&**name, &*listener.address))
    }

    /// Every worker's counters.
    #[must_use]
    pub fn metrics(&self) -> Vec<Arc<WorkerMetrics>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.metrics)).collect()
    }

    /// Stops accepting, lets every connection finish its exchange, and cuts off at the deadline
    /// what has not ended by then. What is returned ends when all workers have.
    pub fn drain(&self, deadline: Duration) -> impl Future<Output = ()> + use<> {
        let deadline = Instant::now() + deadline;
        let mut drained = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, finished) = oneshot::channel();
            // A worker that is gone has nothing to drain.
            if worker.order(Order::Drain { deadline, done }).is_ok() {
                drained.push(finished);
            }
        }
        for listener in self.listeners.values() {
            sockets::unlink(&listener.bind);
        }
        async move {
            for finished in drained {
                let _ = finished.await;
            }
        }
    }
}

impl Handle {
    fn order(&self, order: Order) -> Result<(), ApplyError> {
        self.orders.send(order).map_err(|_| ApplyError::WorkerGone)
    }
}

fn start_worker(id: usize) -> io::Result<Handle> {
    let (orders, inbox) = mpsc::unbounded_channel();
    let metrics = Arc::new(WorkerMetrics::default());
    let shared = Arc::clone(&metrics);
    let (started, start) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
        let built = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(16)
            .build_local(LocalOptions::default());
        match built {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                runtime.block_on(run(id, shared, inbox));
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    })?;
    match start.recv() {
        Ok(result) => result?,
        Err(_) => return Err(io::Error::other("the worker ended at once")),
    }
    Ok(Handle { orders, metrics })
}

/// A listener that accepts on this worker.
struct LiveListener {
    listener: Rc<LocalListener>,
    stop: oneshot::Sender<()>,
    acceptor: JoinHandle<()>,
}

impl LiveListener {
    /// Tells the acceptor to stop; it ends once it has let in who was at the door. `None` when it
    /// has ended already.
    fn stop(self) -> Option<JoinHandle<()>> {
        self.stop.send(()).ok().map(|()| self.acceptor)
    }
}

/// A worker's life: orders as they come, and small duties in between.
async fn run(id: usize, metrics: Arc<WorkerMetrics>, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let worker = Rc::new(Worker::new(id, metrics));
    let mut listeners: HashMap<Name, LiveListener> = HashMap::new();
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Apply(change)) => apply(&worker, &mut listeners, *change),
                Some(Order::Drain { deadline, done }) => {
                    drain(&worker, listeners, deadline).await;
                    let _ = done.send(());
                    return;
                }
                None => return,
            },
            _ = flush.tick() => worker.flush_log(),
            _ = sweep.tick() => worker.sweep().await,
        }
    }
}

fn apply(worker: &Rc<Worker>, listeners: &mut HashMap<Name, LiveListener>, change: Change) {
    for name in &change.sockets.closed {
        if let Some(live) = listeners.remove(name) {
            live.listener.close();
            live.stop();
        }
    }
    if !change.sockets.closed.is_empty() {
        worker.wake_all();
    }
    // Listeners first: a connection must never meet settings older than its snapshot.
    for (name, live) in listeners.iter() {
        if let Some(settings) = change.snapshot.listeners.get(name) {
            live.listener.change(ListenerSettings::clone(settings));
        }
    }
    worker.adopt(Snapshot::clone(&change.snapshot), change.log);
    for (name, socket, open) in change.sockets.opened {
        let Some(settings) = change.snapshot.listeners.get(&name) else { continue };
        let listening = match listening(socket) {
            Ok(listening) => listening,
            Err(error) => {
                tracing::error!(listener = &*name, %error, "cannot listen");
                continue;
            }
        };
        let listener =
            Rc::new(LocalListener::new(Arc::clone(&name), ListenerSettings::clone(settings)));
        let (stop, stopped) = oneshot::channel();
        let accepting =
            accept::accept(Rc::clone(worker), Rc::clone(&listener), listening, open, stopped);
        let acceptor = spawn_local(accepting);
        listeners.insert(name, LiveListener { listener, stop, acceptor });
    }
    let _ = change.done.send(());
}

fn listening(socket: Bound) -> io::Result<Listening> {
    Ok(match socket {
        Bound::Tcp(tcp) => Listening::Tcp(tokio::net::TcpListener::from_std(tcp)?),
        Bound::Unix(unix) => Listening::Unix(tokio::net::UnixListener::from_std(unix)?),
    })
}

/// Stops accepting and waits for the connections to end.
async fn drain(worker: &Rc<Worker>, listeners: HashMap<Name, LiveListener>, deadline: Instant) {
    let acceptors: Vec<JoinHandle<()>> =
        listeners.into_values().filter_map(LiveListener::stop).collect();
    // Nobody is let in any more before anybody is told to go, or they would all come back in.
    tokio::task::yield_now().await;
    worker.drain();
    for acceptor in acceptors {
        let _ = acceptor.await;
    }
    let open = &worker.metrics.connections_open;
    while open.value() > 0 && Instant::now() < deadline {
        tokio::time::sleep(DRAIN_LOOK).await;
        worker.flush_log();
    }
    if open.value() > 0 {
        tracing::warn!(worker = worker.id, connections = open.value(), "cut off at the deadline");
        // A moment for the log and for those who can still be told.
        worker.cut_off();
        tokio::time::sleep(CUT_GRACE).await;
    }
    worker.flush_log();
}
