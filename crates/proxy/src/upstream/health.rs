//! The health of an endpoint: what active checks say and what requests meet there.
//!
//! Workers only count. One thread judges, and what it decides is read as two flags. All of it
//! belongs to the endpoint and outlives configurations.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::clock;

/// What is known of an endpoint's health.
#[derive(Debug)]
pub struct EndpointHealth {
    verdict: AtomicU8,
    ejected: AtomicBool,
    since_available: AtomicU64,
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
}

impl EndpointHealth {
    /// The health of an endpoint that is new.
    pub(crate) fn new(verdict: Verdict) -> EndpointHealth {
        EndpointHealth {
            verdict: AtomicU8::new(verdict as u8),
            ejected: AtomicBool::new(false),
            since_available: AtomicU64::new(clock::millis()),
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

    /// Whether it may get requests as far as its health goes.
    pub fn is_available(&self) -> bool {
        !self.is_ejected() && matches!(self.verdict(), Verdict::Unchecked | Verdict::Healthy)
    }

    /// When it last became available, or was made, by [`clock::millis`].
    pub(crate) fn since_available(&self) -> u64 {
        self.since_available.load(Relaxed)
    }
}
