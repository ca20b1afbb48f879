//! Turning requests away before a service has too much to do.

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
    let begun = worker.adaptive(service, |limit| limit.begin(&settings, importance, now));
    if begun.is_none() {
        worker.metrics.shed[importance as usize].add(1);
        exchange.scratch.added.push(b"Retry-After", b"1");
        return Err(Failure::new(Reason::Overloaded, importance.as_str()));
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
