//! The health of an endpoint: what active checks say and what requests meet there.
//!
//! Workers only count. One thread judges (`monitor`), and what it decides is read as two flags. All
//! of it belongs to the endpoint and outlives configurations.

mod book;
mod check;
mod grpc;
mod http;
mod known;
mod monitor;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::book::Book;
pub use self::book::LastCheck;
pub use self::known::{KnownEjection, KnownHealth};
pub(crate) use self::monitor::Monitor;
use super::outlier::Encounters;
use crate::clock;

/// What is known of an endpoint's health.
#[derive(Debug)]
pub struct EndpointHealth {
    verdict: AtomicU8,
    ejected: AtomicBool,
    /// The last change was the end of an ejection.
    back: AtomicBool,
    since_available: AtomicU64,
    /// What requests met.
    pub(crate) encounters: Encounters,
    /// What only the health thread and the admin listener need.
    book: Mutex<Book>,
}

/// An ejection under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Why it began: the key that configures it.
    pub cause: &'static str,
    /// How long it still lasts.
    pub left: Duration,
    /// How many times the base it lasts, unless that is too long.
    pub times: u32,
}

/// What active checks say of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not checked, or was not yet, and is taken to be well.
    Unchecked,
    /// It was not checked yet, and takes nothing before it was.
    Awaited,
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy,
}

impl Verdict {
    const ALL: [Verdict; 4] =
        [Verdict::Unchecked, Verdict::Awaited, Verdict::Healthy, Verdict::Unhealthy];

    /// Its name on the admin listener.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unchecked => "unchecked",
            Verdict::Awaited => "awaited",
            Verdict::Healthy => "healthy",
            Verdict::Unhealthy => "unhealthy",
        }
    }

    /// Whether an endpoint of which nothing worse is known takes requests.
    #[must_use]
    pub fn takes_requests(self) -> bool {
        matches!(self, Verdict::Unchecked | Verdict::Healthy)
    }

    /// Whether no check has ended yet.
    fn is_first(self) -> bool {
        matches!(self, Verdict::Unchecked | Verdict::Awaited)
    }
}

impl EndpointHealth {
    /// The health of an endpoint that is new, in a gateway of so many workers.
    pub(crate) fn new(verdict: Verdict, workers: usize) -> EndpointHealth {
        EndpointHealth {
            verdict: AtomicU8::new(verdict as u8),
            ejected: AtomicBool::new(false),
            back: AtomicBool::new(false),
            since_available: AtomicU64::new(clock::millis()),
            encounters: Encounters::new(workers),
            book: Mutex::default(),
        }
    }

    /// What active checks say.
    pub fn verdict(&self) -> Verdict {
        Verdict::ALL[usize::from(self.verdict.load(Relaxed))]
    }

    /// Whether it takes no requests for what earlier ones met there.
    pub fn is_ejected(&self) -> bool {
        self.ejected.load(Relaxed)
    }

    /// Whether it became available by the end of an ejection.
    pub(crate) fn is_back_from_ejection(&self) -> bool {
        self.back.load(Relaxed)
    }

    /// Whether it may get requests as far as its health goes.
    pub fn is_available(&self) -> bool {
        !self.is_ejected() && self.verdict().takes_requests()
    }

    /// When it last became available, or was made, by [`clock::millis`].
    pub(crate) fn since_available(&self) -> u64 {
        self.since_available.load(Relaxed)
    }

    /// The last check that has ended.
    pub fn last_check(&self) -> Option<LastCheck> {
        self.book().last.clone()
    }

    /// The ejection under way.
    pub fn ejection(&self) -> Option<Ejection> {
        let ejections = self.book().ejections;
        let cause = ejections.cause.filter(|_| self.is_ejected())?;
        let left = Duration::from_millis(ejections.until.saturating_sub(clock::millis()));
        Some(Ejection { cause: cause.code(), left, times: ejections.times })
    }

    pub(crate) fn set_verdict(&self, verdict: Verdict) {
        self.back.store(false, Relaxed);
        self.change(|health| health.verdict.store(verdict as u8, Relaxed));
    }

    pub(crate) fn set_ejected(&self, ejected: bool) {
        self.back.store(!ejected, Relaxed);
        self.change(|health| health.ejected.store(ejected, Relaxed));
    }

    /// Only the health thread calls this, so that nothing changes in between.
    fn change(&self, change: impl FnOnce(&EndpointHealth)) {
        let before = self.is_available();
        change(self);
        if !before && self.is_available() {
            self.since_available.store(clock::millis(), Relaxed);
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
