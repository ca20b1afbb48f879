//! What a service has at once, over all workers: its caps, and who counts towards them. The counts
//! are exact where there is a cap, and kept by each worker for itself where there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Relaxed};

use portcullis_core::metrics::{ServiceSeries, Spared};
use portcullis_core::{Failure, Reason};

use super::breaker::{Pass, Refused};
use super::state::ServiceState;
use crate::clock;
use crate::snapshot::CompiledService;
use crate::worker::Worker;

/// For so long after somebody went without a connection none is kept idle, in milliseconds.
const SHORT_FOR: u64 = 1000;

/// What counts towards a service's caps.
#[derive(Debug, Default)]
pub(crate) struct LoadState {
    connections: AtomicU64,
    pending: AtomicU64,
    requests: AtomicU64,
    /// When somebody last went without a connection; [`clock::millis`].
    short_ms: AtomicU64,
}

/// One that counts for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted<'s>(&'s AtomicU64);

impl Counted<'_> {
    fn take(count: &AtomicU64, most: u32) -> Option<Counted<'_>> {
        // The guard takes back what was too much.
        let before = count.fetch_add(1, AcqRel);
        let counted = Counted(count);
        (before < u64::from(most)).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// A request, or a connection of a TCP route, that a service has.
#[derive(Debug)]
pub(crate) struct Active<'s> {
    series: &'s ServiceSeries,
    _counted: Option<Counted<'s>>,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.series.active.sub(1);
    }
}

/// An open connection's place among those that its service may have.
#[derive(Debug)]
pub(crate) struct ConnectionPlace(Arc<ServiceState>);

impl ConnectionPlace {
    /// Whether an idle connection should give its place up.
    pub(crate) fn is_wanted(&self, now_ms: u64) -> bool {
        let short = self.0.load.short_ms.load(Relaxed);
        short > 0 && now_ms < short + SHORT_FOR
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.0.load.connections.fetch_sub(1, AcqRel);
    }
}

impl CompiledService {
    /// Lets a request in, if there may be another.
    ///
    /// # Errors
    /// [`Reason::Overloaded`].
    pub(crate) fn admit(&self, worker: &Worker) -> Result<Active<'_>, Failure> {
        let counted = match self.service.breaker.requests {
            None => None,
            Some(most) => Some(
                Counted::take(&self.state.load.requests, most)
                    .ok_or_else(|| self.spare(worker, Spared::Requests))?,
            ),
        };
        let series = self.state.series.shard(worker.id);
        series.active.add(1);
        Ok(Active { series, _counted: counted })
    }

    /// Lets a request wait for a connection, if another may.
    ///
    /// # Errors
    /// [`Reason::Overloaded`].
    pub(crate) fn pend(&self, worker: &Worker) -> Result<Option<Counted<'_>>, Failure> {
        let Some(most) = self.service.breaker.pending else { return Ok(None) };
        let counted = Counted::take(&self.state.load.pending, most);
        counted.map(Some).ok_or_else(|| self.spare(worker, Spared::Pending))
    }

    /// Takes a place for another connection, if there may be one; an idle one of the same worker
    /// gives way.
    ///
    /// # Errors
    /// [`Reason::Overloaded`].
    pub(crate) fn place(&self, worker: &Worker) -> Result<Option<ConnectionPlace>, Failure> {
        let Some(most) = self.service.breaker.connections else { return Ok(None) };
        loop {
            if let Some(counted) = Counted::take(&self.state.load.connections, most) {
                // The place is given up by another guard, which owns what it needs.
                std::mem::forget(counted);
                return Ok(Some(ConnectionPlace(Arc::clone(&self.state))));
            }
            if !worker.drop_idle(self) {
                self.state.load.short_ms.store(clock::millis(), Relaxed);
                return Err(self.spare(worker, Spared::Connections));
            }
        }
    }

    /// Asks the breaker whether a try may begin.
    ///
    /// # Errors
    /// [`Reason::CircuitOpen`], and how long to wait, in milliseconds.
    pub(crate) fn ask(&self, worker: &Worker) -> Result<Option<Pass<'_>>, (Failure, u64)> {
        let Some(trip) = &self.service.breaker.trip else { return Ok(None) };
        match self.state.breaker.ask(trip, &self.service.name, clock::millis) {
            Ok(pass) => Ok(Some(pass)),
            Err(Refused(wait_ms)) => {
                self.state.series.shard(worker.id).spared[Spared::Open as usize].add(1);
                Err((Failure::new(Reason::CircuitOpen, &self.service.name), wait_ms))
            }
        }
    }

    fn spare(&self, worker: &Worker, why: Spared) -> Failure {
        self.state.series.shard(worker.id).spared[why as usize].add(1);
        let detail = format_args!("{}: too many {}", self.service.name, why.code());
        Failure::new(Reason::Overloaded, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_most_count_and_places_come_back() {
        let count = AtomicU64::new(0);
        let held = (Counted::take(&count, 2), Counted::take(&count, 2));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(Counted::take(&count, 2).is_none());
        assert_eq!(count.load(Relaxed), 2);
        drop(held.0);
        assert!(Counted::take(&count, 2).is_some());
        drop(held.1);
        assert_eq!(count.load(Relaxed), 0);
    }
}
