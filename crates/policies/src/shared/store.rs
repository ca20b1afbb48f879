//! A store: how to call it within its time, and the task that watches over it.

mod session;

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::{self, Name, OnFailure};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

pub(crate) use self::session::SessionCall;
use super::breaker::{self, Breaker};
use super::leases::Wanted;
use super::link::{Dialer, Link};
use super::metrics::StoreMetrics;
use super::refill::WAITING;
use super::script::{GIVE, HEARTBEAT, Script, TAKE, add_limit, longest_wait, read_take};
use super::target::{StoreError, Target};
use super::{Asked, StoreFault};
use crate::Verdict;
use crate::registry::lock;

/// How often a node says that it is there.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// The longest that a call takes that no request waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// The most that is taken back at once.
const GIVING: u32 = 1024;

/// A store of counters. All workers use it; each has its own connection. It stays the same when it is
/// configured anew.
pub struct Store {
    name: Name,
    current: Mutex<Current>,
    /// The number of the current configuration, among those of all stores.
    number: AtomicU64,
    /// Nodes count for themselves when it does not answer.
    local: AtomicBool,
    breaker: Breaker,
    metrics: StoreMetrics,
    /// The node, as the store knows it.
    node: String,
    /// Wakes the task that watches over it.
    look: Arc<Notify>,
    wanted: mpsc::Sender<Wanted>,
    /// What is just being taken back.
    giving: AtomicU32,
    here: watch::Sender<()>,
}

/// How a store is configured now.
pub(super) struct Current {
    dialer: Arc<Dialer>,
    /// Links end with this.
    _here: watch::Sender<()>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("store", &self.dialer.spec.name).finish_non_exhaustive()
    }
}

impl Current {
    /// May read the system's certificate authorities.
    pub(super) fn new(spec: &Arc<model::Store>) -> Result<Current, StoreError> {
        let (here, gone) = watch::channel(());
        let target = Target::new(spec)?;
        let dialer = Dialer { spec: Arc::clone(spec), target, epoch: AtomicU64::new(0), gone };
        Ok(Current { dialer: Arc::new(dialer), _here: here })
    }
}

/// Numbers configurations of stores.
fn next_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Relaxed)
}

impl Store {
    /// A store that nothing watches over yet, and what is wanted of it. May read the system's
    /// certificate authorities.
    ///
    /// # Errors
    /// When its certificates are of no use.
    pub(super) fn new(
        spec: &Arc<model::Store>,
    ) -> Result<(Arc<Store>, mpsc::Receiver<Wanted>), StoreError> {
        let (wanted, wishes) = mpsc::channel(WAITING);
        let store = Store {
            name: spec.name.clone(),
            current: Mutex::new(Current::new(spec)?),
            number: AtomicU64::new(next_number()),
            local: AtomicBool::new(spec.on_failure == OnFailure::Local),
            breaker: Breaker::default(),
            metrics: StoreMetrics::default(),
            node: format!("{:016x}", fastrand::u64(..)),
            look: Arc::new(Notify::new()),
            wanted,
            giving: AtomicU32::new(0),
            here: watch::channel(()).0,
        };
        Ok((Arc::new(store), wishes))
    }

    /// Goes over to another configuration.
    pub(super) fn change(&self, new: Current) {
        let local = new.dialer.spec.on_failure == OnFailure::Local;
        self.local.store(local, Relaxed);
        *lock(&self.current) = new;
        // Threads that see the number find the new configuration behind the lock.
        self.number.store(next_number(), Release);
        self.breaker.close();
        self.look.notify_one();
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// As it is configured now.
    #[must_use]
    pub fn spec(&self) -> Arc<model::Store> {
        Arc::clone(&lock(&self.current).dialer.spec)
    }

    /// Whether nodes count for themselves when it does not answer.
    pub(crate) fn counts_locally(&self) -> bool {
        self.local.load(Relaxed)
    }

    /// What it did.
    #[must_use]
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Whether it is asked: it answered, when it was last heard of.
    pub(super) fn answers(&self) -> bool {
        self.breaker.is_closed()
    }

    pub(super) fn wanted(&self) -> mpsc::Sender<Wanted> {
        self.wanted.clone()
    }

    /// Whether keys that have nothing to do with each other can be asked for in one call.
    pub(super) fn is_one(&self) -> bool {
        !matches!(self.link().spec().servers, model::Servers::Cluster(_))
    }

    /// Notes that a request is decided without it, and says how.
    pub(super) fn fall_back(&self) -> OnFailure {
        let on_failure = self.link().spec().on_failure;
        self.metrics.fell_back(on_failure);
        on_failure
    }

    /// This thread's connection. Only when the configuration is new does this take a lock.
    pub(crate) fn link(&self) -> Arc<Link> {
        let number = self.number.load(Acquire);
        Link::of_thread(number, || Arc::clone(&lock(&self.current).dialer))
    }

    /// Counts a request against several limits, against all or none of them: one call of one script
    /// if the store is no cluster or there is but one limit. It takes no longer than the store's
    /// time. The verdicts are in the order of what was asked.
    ///
    /// # Errors
    /// When the store does not answer. What was asked may have been counted all the same.
    pub async fn take(&self, asked: &[Asked]) -> Result<Vec<Verdict>, StoreFault> {
        self.take_until(asked, self.patience()).await
    }

    /// Until when a request that comes now waits.
    pub(super) fn patience(&self) -> Instant {
        Instant::now() + self.link().spec().timeout
    }

    /// As [`Store::take`], for a request that has waited already.
    pub(super) async fn take_until(
        &self,
        asked: &[Asked],
        until: Instant,
    ) -> Result<Vec<Verdict>, StoreFault> {
        let link = self.link();
        let fill = |command: &mut Cmd| {
            command.arg(asked.len());
            for one in asked {
                command.arg(one.key.name(&link.spec().prefix));
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
        let started = Instant::now();
        let time = until.saturating_duration_since(started);
        if time.is_zero() {
            // Not its fault: another call of this request took all the time there was.
            self.metrics.failed(StoreFault::Timeout);
            return Err(StoreFault::Timeout);
        }
        let called = within(time, self.call(&link, &TAKE, fill)).await;
        let verdicts = called
            .unwrap_or(Err(StoreFault::Timeout))
            .and_then(|answer| read_take(&answer, asked.len()).ok_or(StoreFault::Other));
        self.note(&link, started, verdicts)
    }

    /// Takes back what was counted so many nanoseconds ago, without waiting for it. `reset` says how
    /// long after that all would have been there again: a bucket that was full in between has
    /// forgotten it. If the store does not answer, or too much is to be taken back at once, it stays
    /// counted.
    pub fn give_back(self: &Arc<Self>, asked: Asked, age: u64, reset: u64) {
        let room = |giving: u32| (giving < GIVING).then_some(giving + 1);
        if !self.breaker.is_closed() || self.giving.fetch_update(Relaxed, Relaxed, room).is_err() {
            return;
        }
        let store = Arc::clone(self);
        let link = self.link();
        tokio::spawn(async move {
            let fill = |command: &mut Cmd| {
                command.arg(1).arg(asked.key.name(&link.spec().prefix));
                add_limit(command, &asked.limit);
                command.arg(asked.cost).arg(age.div_ceil(1000)).arg(reset / 1000);
            };
            let started = Instant::now();
            let called = within(PATIENCE, store.call(&link, &GIVE, fill)).await;
            store.giving.fetch_sub(1, Relaxed);
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
            tracing::debug!(store = &*self.name, fault = fault.code(), "a call failed: {e}");
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
                    self.went(link, *fault);
                }
            }
        }
        called
    }

    fn went(&self, link: &Link, fault: StoreFault) {
        self.metrics.up.store(false, Relaxed);
        // What is still open may lead nowhere.
        link.dialer().epoch.fetch_add(1, Relaxed);
        let on_failure = link.spec().on_failure.as_str();
        let (store, fault) = (&*self.name, fault.code());
        tracing::warn!(store, fault, on_failure, "store does not answer");
        self.look.notify_one();
    }

    /// Watches over the store until it is gone: says that this node is there, finds out that the
    /// store does not answer before a request does, and that it answers again.
    pub(crate) async fn watch(store: Weak<Store>, mut gone: watch::Receiver<()>) {
        let mut failed = 0;
        loop {
            let look = {
                let Some(store) = store.upgrade() else { return };
                failed = if store.probe().await { 0 } else { failed + 1 };
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
        self.here.subscribe()
    }

    /// Asks the store once. True if it answered in time.
    async fn probe(&self) -> bool {
        let link = &self.link();
        let spec = link.spec();
        let was_up = self.breaker.is_closed();
        // Who comes back must be as fast as requests need it.
        let time = if was_up { PATIENCE.max(spec.timeout) } else { spec.timeout };
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(format!("{}:nodes", spec.prefix)).arg(&self.node);
        };
        if !was_up {
            // Connecting is not what is measured.
            let _ = timeout(link.dialer().target.patience(), link.wire()).await;
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
                    tracing::info!(store = &*self.name, "store answers");
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
                    self.went(link, fault);
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
