//! A worker's thread: orders as they come, and small duties in between.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use portcullis_config::model::Name;
use portcullis_core::metrics::WorkerMetrics;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::MissedTickBehavior;

use super::ApplyError;
use crate::accept::{self, Ending, Listening, Shared};
use crate::snapshot::{ListenerSettings, Snapshot};
use crate::sockets::Bound;
use crate::upstream::outlier::Alarm;
use crate::upstream::pool::SWEEP_EVERY;
use crate::worker::{LocalListener, Worker};

/// How often a worker hands over log lines that have not filled a batch.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// How often a draining worker looks whether all connections have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How long what is cut off at the drain deadline has to say so.
const CUT_GRACE: Duration = Duration::from_millis(100);

/// A worker as the control side holds it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) metrics: Arc<WorkerMetrics>,
}

/// What the control side asks of a worker.
#[derive(Debug)]
pub(super) enum Order {
    Apply(Box<Change>),
    /// Another socket for a listener that it has.
    Join {
        listener: Name,
        socket: Bound,
    },
    /// Nothing but to answer.
    Answer(oneshot::Sender<()>),
    /// Keep the thread busy, as a defect would.
    #[cfg(test)]
    Hang(Duration),
    Drain {
        deadline: watch::Receiver<Instant>,
        /// Listeners whose sockets others go on with.
        left: Arc<HashSet<Name>>,
        done: oneshot::Sender<()>,
    },
}

/// A change of configuration for one worker.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) log: Option<SyncSender<Vec<u8>>>,
    pub(super) sockets: SocketChange,
    pub(super) done: oneshot::Sender<()>,
}

/// Listeners that a worker closes, then those that it opens.
#[derive(Debug, Default)]
pub(super) struct SocketChange {
    pub(super) closed: Vec<(Name, Ending)>,
    pub(super) opened: Vec<Opened>,
}

/// A listener that a worker opens.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) name: Name,
    pub(super) sockets: Vec<Bound>,
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn order(&self, order: Order) -> Result<(), ApplyError> {
        self.orders.send(order).map_err(|_| ApplyError::WorkerGone)
    }
}

/// Starts a worker, which accepts nothing before `gate` becomes true.
pub(super) fn start(id: usize, gate: watch::Receiver<bool>, alarm: Alarm) -> io::Result<Handle> {
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
                let worker = Rc::new(Worker::new(id, shared, alarm));
                runtime.block_on(run(worker, gate, inbox));
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
    acceptors: Vec<Acceptor>,
}

struct Acceptor {
    stop: oneshot::Sender<Ending>,
    task: JoinHandle<()>,
}

impl LiveListener {
    fn accept_from(&mut self, worker: &Rc<Worker>, gate: &watch::Receiver<bool>, socket: Bound) {
        let listening = match listening(socket) {
            Ok(listening) => listening,
            Err(error) => {
                tracing::error!(listener = &*self.listener.name, %error, "cannot listen");
                return;
            }
        };
        let (stop, stopped) = oneshot::channel();
        let accepting = accept::accept(
            Rc::clone(worker),
            Rc::clone(&self.listener),
            listening,
            accept::Told { gate: gate.clone(), stop: stopped },
        );
        self.acceptors.push(Acceptor { stop, task: spawn_local(accepting) });
    }

    /// Tells the acceptors to stop; those that close end once they have let in who was at the
    /// door. Gives those that have not ended already.
    fn stop(self, ending: Ending) -> impl Iterator<Item = JoinHandle<()>> {
        self.acceptors
            .into_iter()
            .filter_map(move |acceptor| acceptor.stop.send(ending).ok().map(|()| acceptor.task))
    }
}

/// A worker's life.
async fn run(
    worker: Rc<Worker>,
    gate: watch::Receiver<bool>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
) {
    let mut listeners: HashMap<Name, LiveListener> = HashMap::new();
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    // What is late once must not look late for ever.
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Apply(change)) => apply(&worker, &gate, &mut listeners, *change),
                Some(Order::Join { listener, socket }) => {
                    if let Some(live) = listeners.get_mut(&listener) {
                        live.accept_from(&worker, &gate, socket);
                    }
                }
                Some(Order::Answer(asked)) => {
                    let _ = asked.send(());
                }
                #[cfg(test)]
                Some(Order::Hang(time)) => std::thread::sleep(time),
                Some(Order::Drain { deadline, left, done }) => {
                    drain(&worker, listeners, &deadline, &left).await;
                    let _ = done.send(());
                    return;
                }
                None => return,
            },
            due = flush.tick() => {
                worker.lag.note(due.elapsed());
                listeners.values().for_each(|live| live.listener.tell_turned_away(&worker));
                worker.flush_log();
            }
            _ = sweep.tick() => worker.sweep().await,
        }
    }
}

fn apply(
    worker: &Rc<Worker>,
    gate: &watch::Receiver<bool>,
    listeners: &mut HashMap<Name, LiveListener>,
    change: Change,
) {
    for (name, ending) in &change.sockets.closed {
        if let Some(live) = listeners.remove(name) {
            live.listener.close();
            live.stop(*ending).for_each(drop);
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
    for Opened { name, sockets, shared } in change.sockets.opened {
        let Some(settings) = change.snapshot.listeners.get(&name) else { continue };
        let metrics = Arc::clone(&worker.metrics);
        let settings = ListenerSettings::clone(settings);
        let listener = Rc::new(LocalListener::new(Arc::clone(&name), settings, shared, metrics));
        let mut live = LiveListener { listener, acceptors: Vec::new() };
        for socket in sockets {
            live.accept_from(worker, gate, socket);
        }
        listeners.insert(name, live);
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
async fn drain(
    worker: &Rc<Worker>,
    listeners: HashMap<Name, LiveListener>,
    deadline: &watch::Receiver<Instant>,
    left: &HashSet<Name>,
) {
    let acceptors: Vec<JoinHandle<()>> = listeners
        .into_iter()
        .flat_map(|(name, live)| {
            live.stop(if left.contains(&name) { Ending::Left } else { Ending::Closed })
        })
        .collect();
    // Nobody is let in any more before anybody is told to go, or they would all come back in.
    tokio::task::yield_now().await;
    worker.drain();
    for acceptor in acceptors {
        let _ = acceptor.await;
    }
    let open = &worker.metrics.connections_open;
    // The deadline may still be moved.
    while open.value() > 0 && Instant::now() < *deadline.borrow() {
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
