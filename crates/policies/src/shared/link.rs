//! A thread's connection to a store. Every worker has its own, so that a request that asks the store
//! waits for the network and for no other thread. It is opened by a task that no request waits for
//! longer than it may, and anew when it breaks.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_config::model::Store;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::StoreFault;
use super::target::{Target, Wire};

/// Calls in a row without an answer after which a connection is given up: the server, or the way to
/// it, may be gone without a word.
const SILENCES: u32 = 3;
/// How long a failed attempt to connect keeps others from trying, give or take a half.
const PAUSE: Duration = Duration::from_millis(100);

/// What makes connections, shared by all threads.
pub(crate) struct Dialer {
    pub(crate) spec: Arc<Store>,
    pub(crate) target: Target,
    /// Raised when every connection is to be made anew.
    pub(crate) epoch: AtomicU64,
    /// Ends when the store is gone, or is configured anew.
    pub(crate) gone: watch::Receiver<()>,
}

/// A thread's connection.
pub(crate) struct Link {
    dialer: Arc<Dialer>,
    state: Mutex<State>,
    changed: Notify,
    silences: AtomicU32,
}

enum State {
    Idle,
    Opening,
    Open { wire: Wire, epoch: u64 },
    Failed { until: Instant, fault: StoreFault },
}

thread_local! {
    /// This thread's connections, by the number of the store.
    static LINKS: RefCell<Vec<(u64, Arc<Link>)>> = const { RefCell::new(Vec::new()) };
}

impl Link {
    pub(crate) fn new(dialer: &Arc<Dialer>) -> Arc<Link> {
        Arc::new(Link {
            dialer: Arc::clone(dialer),
            state: Mutex::new(State::Idle),
            changed: Notify::new(),
            silences: AtomicU32::new(0),
        })
    }

    /// This thread's connection to a store, by the number of its configuration. `dialer` is only
    /// called when there is none.
    pub(crate) fn of_thread(number: u64, dialer: impl FnOnce() -> Arc<Dialer>) -> Arc<Link> {
        LINKS.with_borrow_mut(|links| {
            if let Some((_, link)) = links.iter().find(|(known, _)| *known == number) {
                return Arc::clone(link);
            }
            // Stores seldom come, and then others may have gone.
            links.retain(|(_, link)| link.dialer.gone.has_changed().is_ok());
            let link = Link::new(&dialer());
            links.push((number, Arc::clone(&link)));
            link
        })
    }

    /// What it was made from.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The store as it was configured.
    pub(crate) fn spec(&self) -> &Store {
        &self.dialer.spec
    }

    /// The connection, as soon as there is one. It must be called on the link's own thread, and may
    /// be given up at any time.
    pub(crate) async fn wire(self: &Arc<Self>) -> Result<Wire, StoreFault> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the state is looked at, so that no change is missed.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                match &*state {
                    State::Open { wire, epoch } if *epoch == self.dialer.epoch.load(Relaxed) => {
                        return Ok(wire.clone());
                    }
                    State::Failed { until, fault } if Instant::now() < *until => {
                        return Err(*fault);
                    }
                    State::Opening => {}
                    State::Idle | State::Open { .. } | State::Failed { .. } => {
                        *state = State::Opening;
                        tokio::spawn(Arc::clone(self).open());
                    }
                }
            }
            changed.await;
        }
    }

    async fn open(self: Arc<Self>) {
        let epoch = self.dialer.epoch.load(Relaxed);
        let target = &self.dialer.target;
        let opened = match timeout(target.patience(), target.connect()).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(e)) => Err((StoreFault::of(&e), e.to_string())),
            Err(_) => Err((StoreFault::Timeout, "no connection in time".to_owned())),
        };
        self.silences.store(0, Relaxed);
        *self.lock() = match opened {
            Ok(wire) => State::Open { wire, epoch },
            Err((fault, why)) => {
                tracing::debug!(fault = fault.code(), why, "no connection to a store");
                let pause = PAUSE.mul_f64(0.5 + fastrand::f64());
                State::Failed { until: Instant::now() + pause, fault }
            }
        };
        self.changed.notify_waiters();
        // It goes with the store, whether anybody asks again or not.
        let mut gone = self.dialer.gone.clone();
        loop {
            tokio::select! {
                () = self.changed.notified() => {
                    if !matches!(*self.lock(), State::Open { epoch: now, .. } if now == epoch) {
                        return;
                    }
                }
                changed = gone.changed() => if changed.is_err() {
                    *self.lock() = State::Idle;
                    return;
                }
            }
        }
    }

    /// Notes an answer.
    pub(crate) fn heard(&self) {
        if self.silences.load(Relaxed) != 0 {
            self.silences.store(0, Relaxed);
        }
    }

    /// Notes that a call failed or was given up; the next one may have to connect anew.
    pub(crate) fn failed(&self, fault: StoreFault) {
        let silent = fault == StoreFault::Timeout
            && self.silences.fetch_add(1, Relaxed).saturating_add(1) >= SILENCES;
        if silent || fault.ends_connection() {
            let mut state = self.lock();
            if matches!(*state, State::Open { .. }) {
                *state = State::Idle;
                drop(state);
                self.changed.notify_waiters();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only this thread ever takes it, so that nobody waits here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
