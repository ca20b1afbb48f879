//! A store: how to call it within its time, and the task that watches over it.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::{self, Name, OnFailure};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::breaker::{self, Breaker};
use super::leases::Wanted;
use super::link::{Dialer, Link};
use super::metrics::StoreMetrics;
use super::refill::WAITING;
use super::script::{GIVE, HEARTBEAT, Script, TAKE, add_limit, longest_wait, read_take};
use super::target::{StoreError, Target};
use super::{Asked, StoreFault};
use crate::Verdict;

/// How often a node says that it is there.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// The longest that a call takes that no request waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A store of counters. All workers use it; each has its own connection.
pub struct Store {
    number: u64,
    spec: Arc<model::Store>,
    dialer: Arc<Dialer>,
    breaker: Breaker,
    metrics: Arc<StoreMetrics>,
    /// The node, as the store knows it.
    node: String,
    /// Wakes the task that watches over it.
    look: Arc<Notify>,
    wanted: mpsc::Sender<Wanted>,
    _here: watch::Sender<()>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

impl Store {
    /// A store that nothing watches over yet, and what is wanted of it. May read the system's certificate authorities.
    ///
    /// # Errors
    /// When its certificates are of no use.
    pub(super) fn new(
        spec: &Arc<model::Store>,
        metrics: Arc<StoreMetrics>,
    ) -> Result<(Arc<Store>, mpsc::Receiver<Wanted>), StoreError> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let (here, gone) = watch::channel(());
        let dialer = Dialer { target: Target::new(spec)?, epoch: AtomicU64::new(0), gone };
        let (wanted, wishes) = mpsc::channel(WAITING);
        let store = Store {
            number: NUMBERS.fetch_add(1, Relaxed),
            spec: Arc::clone(spec),
            dialer: Arc::new(dialer),
            breaker: Breaker::default(),
            metrics,
            node: format!("{:016x}", fastrand::u64(..)),
            look: Arc::new(Notify::new()),
            wanted,
            _here: here,
        };
        Ok((Arc::new(store), wishes))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.spec.name
    }

    /// As it was configured.
    #[must_use]
    pub fn spec(&self) -> &Arc<model::Store> {
        &self.spec
    }

    /// What becomes of a request that it gives no answer for.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        self.spec.on_failure
    }

    /// What it did.
    #[must_use]
    pub fn metrics(&self) -> &Arc<StoreMetrics> {
        &self.metrics
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(super) fn wanted(&self) -> mpsc::Sender<Wanted> {
        self.wanted.clone()
    }

    /// A connection for tasks of the current thread that are not a worker's.
    pub(crate) fn link(&self) -> Arc<Link> {
        Link::new(&self.dialer)
    }

    /// Whether limits of several keys can be asked for at once.
    #[must_use]
    pub fn is_one(&self) -> bool {
        !matches!(self.spec.servers, model::Servers::Cluster(_))
    }

    /// Counts a request against several limits, against all or none of them: one call of one script
    /// if the store is no cluster or there is but one limit. It takes no longer than the store's
    /// time. The verdicts are in the order of what was asked.
    ///
    /// # Errors
    /// When the store does not answer. What was asked may have been counted all the same.
    pub async fn take(&self, asked: &[Asked]) -> Result<Vec<Verdict>, StoreFault> {
        let fill = |command: &mut Cmd| {
            command.arg(asked.len());
            for one in asked {
                command.arg(one.key.name(&self.spec.prefix));
            }
            for one in asked {
                add_limit(command, &one.limit);
                command.arg(one.cost).arg(longest_wait(&one.limit));
            }
        };
        if !self.breaker.is_closed() {
            self.metrics.failed(StoreFault::Skipped);
            return Err(StoreFault::Skipped);
        }
        let link = Link::of_thread(self.number, &self.dialer);
        let started = Instant::now();
        let called = within(self.spec.timeout, self.call(&link, &TAKE, fill)).await;
        let verdicts = called
            .unwrap_or(Err(StoreFault::Timeout))
            .and_then(|answer| read_take(&answer, asked.len()).ok_or(StoreFault::Other));
        self.note(&link, started, verdicts)
    }

    /// Takes back what was counted, without waiting for it. If the store does not answer, it stays
    /// counted.
    pub fn give_back(self: &Arc<Self>, asked: Asked) {
        if !self.breaker.is_closed() {
            return;
        }
        let store = Arc::clone(self);
        let link = Link::of_thread(self.number, &self.dialer);
        tokio::spawn(async move {
            let fill = |command: &mut Cmd| {
                command.arg(1).arg(asked.key.name(&store.spec.prefix));
                add_limit(command, &asked.limit);
                command.arg(asked.cost);
            };
            let started = Instant::now();
            let called = within(PATIENCE, store.call(&link, &GIVE, fill)).await;
            let _ = store.note(&link, started, called.unwrap_or(Err(StoreFault::Timeout)));
        });
    }

    /// Calls a script: by its name, and whole if the server does not know it yet.
    pub(crate) async fn call(
        &self,
        link: &Arc<Link>,
        script: &Script,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value, StoreFault> {
        let mut wire = link.wire().await?;
        let mut command = script.by_name();
        fill(&mut command);
        let mut called = wire.call(&command).await;
        if called.as_ref().is_err_and(is_unknown) {
            command = script.whole_call();
            fill(&mut command);
            called = wire.call(&command).await;
        }
        called.map_err(|e| {
            let fault = StoreFault::of(&e);
            tracing::debug!(store = &*self.spec.name, fault = fault.code(), "a call failed: {e}");
            fault
        })
    }

    /// Notes how a call of a request ended.
    fn note<T>(
        &self,
        link: &Link,
        started: Instant,
        called: Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        match &called {
            Ok(_) => {
                self.metrics.answered(started.elapsed());
                link.heard();
                self.breaker.succeeded();
            }
            Err(fault) => {
                self.metrics.failed(*fault);
                link.failed(*fault);
                if self.breaker.failed() {
                    self.went(*fault);
                }
            }
        }
        called
    }

    fn went(&self, fault: StoreFault) {
        self.metrics.up.store(false, Relaxed);
        // What is still open may lead nowhere.
        self.dialer.epoch.fetch_add(1, Relaxed);
        let on_failure = self.spec.on_failure.as_str();
        let (store, fault) = (&*self.spec.name, fault.code());
        tracing::warn!(store, fault, on_failure, "store does not answer");
        self.look.notify_one();
    }

    /// Watches over the store until it is gone: says that this node is there, finds out that the
    /// store does not answer before a request does, and that it answers again.
    pub(crate) async fn watch(store: Weak<Store>, mut gone: watch::Receiver<()>) {
        let (mut failed, mut link) = (0, None);
        loop {
            let look = {
                let Some(store) = store.upgrade() else { return };
                let link = link.get_or_insert_with(|| store.link());
                failed = if store.probe(link).await { 0 } else { failed + 1 };
                Arc::clone(&store.look)
            };
            let pause = match failed {
                0 => HEARTBEAT_EVERY,
                failed => breaker::wait(failed - 1, fastrand::f64()),
            };
            tokio::select! {
                () = sleep(pause) => {}
                // A store that does not answer is looked at at its own pace.
                () = look.notified(), if failed == 0 => {}
                _ = gone.changed() => return,
            }
        }
    }

    /// Ends with the store.
    pub(crate) fn gone(&self) -> watch::Receiver<()> {
        self.dialer.gone.clone()
    }

    /// Asks the store once. True if it answered in time.
    async fn probe(&self, link: &Arc<Link>) -> bool {
        let was_up = self.breaker.is_closed();
        // Who comes back must be as fast as requests need it.
        let time = if was_up { PATIENCE.max(self.spec.timeout) } else { self.spec.timeout };
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(format!("{}:nodes", self.spec.prefix)).arg(&self.node);
        };
        if !was_up {
            // Connecting is not what is measured.
            let _ = timeout(self.dialer.target.patience(), link.wire()).await;
        }
        let started = Instant::now();
        let called = within(time, self.call(link, &HEARTBEAT, fill)).await;
        match called.unwrap_or(Err(StoreFault::Timeout)) {
            Ok(answer) => {
                self.metrics.answered(started.elapsed());
                link.heard();
                if let Value::Int(nodes) = answer {
                    self.metrics.nodes.store(nodes.unsigned_abs(), Relaxed);
                }
                if self.breaker.close() | !self.metrics.up.swap(true, Relaxed) {
                    tracing::info!(store = &*self.spec.name, "store answers");
                }
                true
            }
            Err(fault) => {
                self.metrics.failed(fault);
                link.failed(fault);
                let went = match fault {
                    StoreFault::Timeout => self.breaker.failed(),
                    _ => self.breaker.open(),
                };
                if went {
                    self.went(fault);
                }
                false
            }
        }
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// What a future gives within a time. When that is over it is polled once more after a turn of the
/// runtime: a thread that was busy for so long may find the answer in its socket.
pub(crate) async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    if let Ok(value) = timeout(time, future.as_mut()).await {
        return Some(value);
    }
    for _ in 0..2 {
        yield_now().await;
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
    }
    None
}
