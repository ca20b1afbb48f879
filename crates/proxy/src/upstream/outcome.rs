//! What came of a try to have an endpoint serve a request or a connection: one typed fact, told in
//! one place to all who judge by it.

use std::time::Instant;

use portcullis_config::model::Balance;
use portcullis_core::{Fault, Reason};

use super::outlier;
use crate::clock;
use crate::snapshot::{CompiledService, EndpointState};
use crate::worker::Worker;

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) end: End,
    /// When the try began, connecting included. It has ended just now: whoever needs to know how
    /// long it took looks at the clock, and nobody else pays for it.
    pub(crate) begun: Instant,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With the head of a reply; of a call of gRPC that ended with its head, that code as well.
    Replied {
        /// The status, 101 or 200 and more.
        status: u16,
        /// `grpc-status` of a reply that is nothing but its head.
        grpc: Option<u8>,
    },
    /// With a connection; what goes over it is not understood here.
    Connected,
    /// Without a reply, or in the middle of one.
    Failed(Reason),
}

impl Outcome {
    /// Whether the endpoint, and nobody else, did badly.
    pub(crate) fn is_error(&self) -> bool {
        match self.end {
            // Unknown, deadline exceeded, internal, unavailable, data loss.
            End::Replied { grpc: Some(code), .. } => matches!(code, 2 | 4 | 13 | 14 | 15),
            // That it lacks a method or a version is no sign of illness.
            End::Replied { status, .. } => status >= 500 && !matches!(status, 501 | 505),
            End::Connected => false,
            End::Failed(reason) => reason.fault() == Fault::Upstream,
        }
    }
}

impl CompiledService {
    /// Tells how a try ended. A reply counts when its head is here; where it breaks off later,
    /// that is told as well.
    pub(crate) fn report(&self, worker: &Worker, endpoint: &EndpointState, outcome: &Outcome) {
        if let Balance::PeakEwma { decay } = &self.service.balance {
            let took = outcome.begun.elapsed();
            endpoint.latency.note(took, outcome.is_error(), clock::millis(), *decay);
        }
        if let Some(settings) = &self.service.outliers {
            outlier::count(worker, settings, self, endpoint, outcome);
        }
        if let Some(trip) = &self.service.breaker.trip {
            let now_ms = clock::millis();
            let took = u64::try_from(outcome.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let times = (now_ms.saturating_sub(took), now_ms);
            let breaker = &self.state.breaker;
            breaker.note(trip, &self.service.name, worker.id, times, outcome.is_error());
        }
        if !outcome.is_error() {
            self.state.series.shard(worker.id).good.add(1);
        }
    }
}
