//! What requests meet at endpoints: counted by the workers, judged by the health thread.
//!
//! A worker counts what it met in cells of its own. Errors in a row are counted over all workers,
//! in a cell that nobody writes as long as all is well.

pub(crate) mod eject;
mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use portcullis_config::model::{Name, Outliers};
use portcullis_core::metrics::{Counter, Sharded};
use tokio::sync::mpsc;

use super::outcome::{End, Outcome};
use crate::snapshot::{CompiledService, EndpointState};
use crate::worker::Worker;

/// What requests met at one endpoint.
#[derive(Debug)]
pub(crate) struct Encounters {
    /// Replies of 5xx and gateway errors in a row.
    errors_in_a_row: AtomicU32,
    /// Gateway errors in a row.
    gateway_errors_in_a_row: AtomicU32,
    series: Sharded<Series>,
}

/// What one worker counted at one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Series {
    requests: Counter,
    /// Of these, replies of 5xx and gateway errors.
    errors: Counter,
    /// How long they took up to the first byte of a reply, in microseconds: the sum.
    latency_us: Counter,
}

/// The sum of what the workers counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) latency_us: u64,
}

/// Tells the health thread of an endpoint that has failed too often in a row: the service's name
/// and the endpoint's slot. Bounded; what does not fit is found at the next look.
pub(crate) type Alarm = mpsc::Sender<(Name, usize)>;

impl Encounters {
    /// None yet; for so many workers.
    pub(crate) fn new(workers: usize) -> Encounters {
        Encounters {
            errors_in_a_row: AtomicU32::new(0),
            gateway_errors_in_a_row: AtomicU32::new(0),
            series: Sharded::new(workers),
        }
    }

    /// Replies of 5xx and gateway errors in a row, and the latter alone.
    pub(crate) fn in_a_row(&self) -> (u32, u32) {
        (self.errors_in_a_row.load(Relaxed), self.gateway_errors_in_a_row.load(Relaxed))
    }

    /// Begins to count errors in a row anew.
    pub(crate) fn forget_row(&self) {
        self.errors_in_a_row.store(0, Relaxed);
        self.gateway_errors_in_a_row.store(0, Relaxed);
    }

    /// So many gateway errors more in a row.
    #[cfg(test)]
    pub(crate) fn fail(&self, times: u32) {
        self.errors_in_a_row.fetch_add(times, Relaxed);
        self.gateway_errors_in_a_row.fetch_add(times, Relaxed);
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for series in self.series.shards() {
            totals.requests += series.requests.value();
            totals.errors += series.errors.value();
            totals.latency_us += series.latency_us.value();
        }
        totals
    }
}

impl Totals {
    /// What was counted since.
    pub(crate) fn since(self, earlier: Totals) -> Totals {
        Totals {
            requests: self.requests.wrapping_sub(earlier.requests),
            errors: self.errors.wrapping_sub(earlier.errors),
            latency_us: self.latency_us.wrapping_sub(earlier.latency_us),
        }
    }
}

/// Counts what a request met, and tells the health thread where it was once too often.
pub(crate) fn count(
    worker: &Worker,
    settings: &Outliers,
    service: &CompiledService,
    endpoint: &EndpointState,
    outcome: &Outcome,
) {
    let encounters = &endpoint.health.encounters;
    let error = outcome.is_error();
    if settings.success_rate.is_some() || settings.latency.is_some() {
        let series = encounters.series.shard(worker.id);
        series.requests.add(1);
        series.errors.add(u64::from(error));
        if settings.latency.is_some() {
            let latency = outcome.begun.elapsed().as_micros();
            series.latency_us.add(u64::try_from(latency).unwrap_or(u64::MAX));
        }
    }
    let errors = in_a_row(&encounters.errors_in_a_row, error, settings.consecutive_5xx);
    let gateway_errors = in_a_row(
        &encounters.gateway_errors_in_a_row,
        error && is_gateway_error(outcome.end),
        settings.consecutive_gateway_errors,
    );
    if errors || gateway_errors {
        let _ = worker.alarm.try_send((Arc::clone(&service.service.name), endpoint.slot));
    }
}

/// Whether an error stands for an endpoint that is not there, or for something behind it that is
/// not: no reply or a broken one, or a reply that says so.
fn is_gateway_error(end: End) -> bool {
    match end {
        // Unavailable.
        End::Replied { grpc: Some(code), .. } => code == 14,
        End::Replied { status, grpc: None } => matches!(status, 502..=504),
        End::Connected => false,
        End::Failed(_) => true,
    }
}

/// Goes on with a row or ends it; whether it has become too long. It is told of once, and again
/// when it is as long once more.
fn in_a_row(count: &AtomicU32, error: bool, most: Option<u32>) -> bool {
    if !error {
        // Writing what is there already would take the cell from the other workers.
        if count.load(Relaxed) != 0 {
            count.store(0, Relaxed);
        }
        return false;
    }
    let length = count.fetch_add(1, Relaxed).wrapping_add(1);
    most.is_some_and(|most| length.is_multiple_of(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_503_is_a_gateway_error_and_a_500_is_not() {
        let replied = |status| is_gateway_error(End::Replied { status, grpc: None });
        assert!(replied(502) && replied(503) && replied(504));
        assert!(!replied(500) && !replied(505));
        assert!(is_gateway_error(End::Replied { status: 200, grpc: Some(14) }));
        assert!(!is_gateway_error(End::Replied { status: 200, grpc: Some(13) }));
        assert!(is_gateway_error(End::Failed(portcullis_core::Reason::ConnectFailed)));
    }

    #[test]
    fn a_row_is_told_of_when_it_is_too_long() {
        let count = AtomicU32::new(0);
        let told: Vec<bool> = (0..7).map(|_| in_a_row(&count, true, Some(3))).collect();
        assert_eq!(told, [false, false, true, false, false, true, false]);
        assert!(!in_a_row(&count, false, Some(3)));
        assert_eq!(count.load(Relaxed), 0);
        assert!(!(0..9).any(|_| in_a_row(&count, true, None)));
    }
}
