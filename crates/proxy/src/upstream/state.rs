//! What is known of a service over and beyond a configuration, and the view of its endpoints that
//! workers choose from. Views are made off the workers; a worker sees by a number that there is a
//! new one, and never waits for it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use portcullis_core::health::HealthMetrics;
use portcullis_core::metrics::{ServiceMetrics, StickyMetrics};
use tokio::sync::Notify;

use super::balance::View;
use super::breaker::BreakerState;
use super::load::LoadState;
use crate::clock;
use crate::snapshot::CompiledService;

/// Bytes of a key that signs cookies.
const KEY: usize = 32;

/// What is known of a service, by its name, whatever becomes of its configuration.
#[derive(Debug)]
pub struct ServiceState {
    /// Where turns begin, as a fraction of a round: several gateways do not all begin with the
    /// first endpoint.
    pub(crate) origin: u64,
    /// When it came to be known.
    pub(crate) begun_ms: u64,
    /// Requests under way at all its endpoints; counted only where choosing asks.
    pub(crate) active: AtomicU64,
    /// What became of clients' cookies.
    pub sticky: StickyMetrics,
    /// What was counted about its endpoints' health, by the health thread.
    pub(crate) health: HealthMetrics,
    /// Counts what a view depends on and has changed.
    changes: AtomicU64,
    bell: Arc<Bell>,
    /// One view is made at a time, so that an older one never replaces a newer.
    making: Mutex<()>,
    /// What workers count of it.
    pub(crate) series: ServiceMetrics,
    /// Whether it is spared for failing.
    pub(crate) breaker: BreakerState,
    /// What counts towards its caps.
    pub(crate) load: LoadState,
    /// How often a view was made anew.
    views_made: AtomicU64,
    /// What signs cookies where no key is configured.
    key: OnceLock<[u8; KEY]>,
}

impl ServiceState {
    /// The state of a service that is new, in a gateway of so many workers.
    pub(crate) fn new(bell: &Arc<Bell>, workers: usize) -> ServiceState {
        ServiceState {
            origin: fastrand::u64(..),
            begun_ms: clock::millis(),
            active: AtomicU64::new(0),
            sticky: StickyMetrics::new(workers),
            health: HealthMetrics::default(),
            changes: AtomicU64::new(0),
            bell: Arc::clone(bell),
            making: Mutex::new(()),
            series: ServiceMetrics::new(workers),
            breaker: BreakerState::new(workers),
            load: LoadState::default(),
            views_made: AtomicU64::new(0),
            key: OnceLock::new(),
        }
    }

    /// What was counted about its endpoints' health.
    pub fn health(&self) -> &HealthMetrics {
        &self.health
    }

    /// Says that the view should be made anew, since an endpoint has become available or ceased
    /// to be. Cheap, and for any thread.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.bell.ring();
    }

    /// How much has changed so far; to be asked before a view is made.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Makes the view of `service` anew and lets the workers have it. Off the workers: it costs in
    /// proportion to the endpoints.
    pub(crate) fn refresh(&self, service: &CompiledService) {
        let _one = lock(&self.making);
        // What changes from here on is for the next one.
        let changes = self.changes();
        service.views.publish(View::of(&service.around()), changes);
        self.views_made.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a view was made anew.
    pub fn views_made(&self) -> u64 {
        self.views_made.load(Ordering::Relaxed)
    }

    /// A key of this process alone. `None` where the system has no randomness to give.
    pub(crate) fn own_key(&self) -> Option<&[u8]> {
        if self.key.get().is_none() {
            let mut key = [0; KEY];
            aws_lc_rs::rand::fill(&mut key).ok()?;
            // Whoever comes second takes the first one's.
            let _ = self.key.set(key);
        }
        self.key.get().map(|key| &key[..])
    }
}

/// Wakes whoever makes views.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody rings; who rang before is heard.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// The view of a service as one configuration has it.
#[derive(Debug)]
pub struct Views {
    /// The number of the newest view. No two views have the same, of whatever service.
    newest: AtomicU64,
    view: Mutex<Arc<Numbered>>,
    first: Arc<Numbered>,
}

/// A view, its number and that of the first of its service.
#[derive(Debug)]
pub(crate) struct Numbered {
    number: u64,
    first: u64,
    /// How much had changed when it was made.
    changes: u64,
    view: View,
}

impl Deref for Numbered {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl Views {
    /// Begins with a view, before which so much had changed.
    pub(crate) fn new(view: View, changes: u64) -> Views {
        let number = next_number();
        let first = Arc::new(Numbered { number, first: number, changes, view });
        Views { newest: AtomicU64::new(number), view: Mutex::new(Arc::clone(&first)), first }
    }

    fn publish(&self, view: View, changes: u64) {
        let number = next_number();
        let view = Arc::new(Numbered { number, first: self.first.number, changes, view });
        let old = std::mem::replace(&mut *lock(&self.view), view);
        self.newest.store(number, Ordering::Release);
        // Not while others look.
        drop(old);
    }

    /// The newest view, for whoever may wait.
    pub(crate) fn newest(&self) -> Arc<Numbered> {
        Arc::clone(&lock(&self.view))
    }

    /// Whether the newest view does not show all that has changed.
    pub(crate) fn is_stale(&self, state: &ServiceState) -> bool {
        self.newest().changes != state.changes()
    }

    /// Brings a worker's copy up to date. The lock is held for no longer than a count takes, and
    /// who meets another there goes on with the view that he has.
    pub(crate) fn update<'a>(&self, copy: &'a mut Option<Arc<Numbered>>) -> &'a View {
        if copy.as_ref().is_none_or(|copy| copy.number != self.newest.load(Ordering::Acquire)) {
            // One of another service, or of before this configuration, would not do.
            let ours = copy.take().filter(|copy| copy.first == self.first.number);
            let newest = self.view.try_lock().ok().map(|view| Arc::clone(&view));
            *copy = newest.or(ours);
        }
        copy.get_or_insert_with(|| Arc::clone(&self.first))
    }
}

fn next_number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
