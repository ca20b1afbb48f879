//! Turning requests away before a service, or the gateway, has too much to do.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use portcullis_config::model::{Importance, Overload};
use portcullis_core::{Failure, Reason};

use super::Exchange;
use crate::snapshot::CompiledService;
use crate::upstream::adaptive::Begun;
use crate::upstream::state::ServiceState;
use crate::worker::Worker;

/// A request that was let through to a service which is kept from having too much to do. It counts
/// until the head of the reply is here: what streams for hours is no sign of overload.
#[derive(Debug)]
pub(crate) struct LetThrough {
    worker: Rc<Worker>,
    slot: usize,
    state: Arc<ServiceState>,
    settings: Overload,
    begun: Option<Begun>,
}

/// Turns the request away if the gateway itself has too much to do.
///
/// # Errors
/// [`Reason::Overloaded`].
pub(super) fn turn_away(
    exchange: &mut Exchange<'_, '_>,
    importance: Importance,
) -> Result<(), Failure> {
    let serving = exchange.serving;
    match serving.snapshot.lag {
        Some(bearable) if serving.worker.lag.is_too_much(bearable, importance) => {
            serving.worker.metrics.shed[importance as usize].add(1);
            Err(refuse(exchange, "the gateway is late"))
        }
        _ => Ok(()),
    }
}

fn refuse(exchange: &mut Exchange<'_, '_>, why: &str) -> Failure {
    exchange.scratch.added.push(b"Retry-After", b"1");
    Failure::new(Reason::Overloaded, why)
}

/// Lets the request through to `service`, or not. `None` where the service has no such limit.
///
/// # Errors
/// [`Reason::Overloaded`].
pub(super) fn let_through(
    exchange: &mut Exchange<'_, '_>,
    service: &CompiledService,
    importance: Importance,
) -> Result<Option<LetThrough>, Failure> {
    let Some(settings) = service.service.overload else { return Ok(None) };
    let worker = exchange.serving.worker;
    let now = Instant::now();
    let (begun, limit) = worker.adaptive(service, |adaptive| {
        (adaptive.begin(&settings, importance, now), adaptive.limit(&settings))
    });
    let series = service.state.series.shard(worker.id);
    series.adaptive_limit.set(limit as u64);
    if begun.is_none() {
        series.shed[importance as usize].add(1);
        return Err(refuse(exchange, "the service is slower than usual"));
    }
    Ok(Some(LetThrough {
        worker: Rc::clone(worker),
        slot: service.slot,
        state: Arc::clone(&service.state),
        settings,
        begun,
    }))
}

impl LetThrough {
    /// The head of the reply is here; how long that took `tells` how busy the service is, unless it
    /// was a refusal.
    pub(crate) fn answered(&mut self, status: u16) {
        self.end(status < 500 && status != 429);
    }

    /// The reply has not come in time, which tells as well.
    pub(crate) fn timed_out(&mut self) {
        self.end(true);
    }

    fn end(&mut self, tells: bool) {
        if let Some(begun) = self.begun.take() {
            self.worker.end_adaptive(self.slot, &self.state, |limit| {
                limit.end(&self.settings, begun, Instant::now(), tells);
            });
        }
    }
}

impl Drop for LetThrough {
    fn drop(&mut self) {
        self.end(false);
    }
}
