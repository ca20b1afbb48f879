//! One request at one service: tries, until one gives a reply that the client may see.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_config::model::Retries;
use portcullis_core::metrics::{RetryCause, RetryDenial};
use portcullis_core::{Failure, Fault, Reason};
use portcullis_wire::{BodyLength, RequestHead};

use super::again::{drain, fits, is_repeatable, retire_if_dead};
use super::{Plan, Timeouts, send_head, timeouts, unless_over};
use crate::clock;
use crate::pipeline::content::Upload;
use crate::pipeline::exchange::{self, Bounds, Watch};
use crate::pipeline::shed::LetThrough;
use crate::pipeline::steer::Steering;
use crate::pipeline::{Exchange, grpc, upgrade};
use crate::snapshot::{ActiveRequest, CompiledService, EndpointState};
use crate::upstream::acquire::{Acquired, Wanted, acquire};
use crate::upstream::balance::{self, Tried};
use crate::upstream::outcome::{End, Outcome};
use crate::upstream::retry::{self, RetryPlace};
use crate::worker::Worker;

/// Most content that is kept for requests which an HTTP/2 endpoint may refuse, in bytes.
const KEPT_FOR_REFUSALS: usize = 16 * 1024;
/// How often a retry looks for a place in the budget, while other requests are answered well.
const MOST_PAUSES: usize = 10;
/// How often in a row without any good reply in between.
const MOST_IN_VAIN: usize = 3;

/// The tries of a request at one service.
pub(super) struct Tries<'t, 's> {
    pub(super) plan: &'t Plan<'s>,
    pub(super) service: &'s Arc<CompiledService>,
    pub(super) retries: Option<&'s Retries>,
    /// It may be sent again though it may have been worked on.
    pub(super) repeatable: bool,
    pub(super) timeouts: Timeouts,
    pub(super) total: Option<Instant>,
    pub(super) steering: Steering,
    /// Endpoints that another one is preferred to.
    pub(super) tried: Tried,
    /// Who is asked next, if that is decided.
    pub(super) next: Option<usize>,
    /// Endpoints in a row that could not be connected to.
    pub(super) unreached: usize,
    /// How often it was sent again because nothing can have happened.
    pub(super) unprocessed: usize,
    /// How often for any other cause.
    pub(super) retried: u32,
    /// An idle connection will not do: the last one was dead.
    pub(super) fresh: bool,
    /// Its place in the budget.
    pub(super) place: Option<RetryPlace<'s>>,
    /// Good replies of the service when there was no place.
    pub(super) good: u64,
    /// What the last try came to, where the next one still has to find its place in the budget.
    pub(super) owing: Option<Failure>,
}

impl<'t, 's> Tries<'t, 's> {
    pub(super) fn new(
        exchange: &Exchange<'s, '_>,
        plan: &'t Plan<'s>,
        service: &'s Arc<CompiledService>,
    ) -> Tries<'t, 's> {
        let mut timeouts = timeouts(plan.route, service);
        let own = plan.route.route.retries.as_ref();
        let retries = own.unwrap_or(&service.service.retries).as_deref();
        let request = &exchange.scratch.request;
        let repeatable = retries.is_some_and(|retries| is_repeatable(retries, request));
        if let Some(limit) = retries.and_then(|retries| retries.per_try_timeout)
            && retries.is_some_and(|retries| repeatable && fits(request, retries.buffer))
        {
            timeouts.connect = timeouts.connect.min(limit);
            timeouts.first_byte = timeouts.first_byte.min(limit);
        }
        Tries {
            plan,
            service,
            retries,
            repeatable,
            total: timeouts.total.map(|total| exchange.record.started + total),
            timeouts,
            steering: Steering::of(service, exchange.scratch, plan.normal, exchange.record.client),
            tried: Tried::default(),
            next: None,
            unreached: 0,
            unprocessed: 0,
            retried: 0,
            fresh: false,
            place: None,
            good: 0,
            owing: None,
        }
    }

    /// Sends the request, again where that is right, and relays the reply.
    ///
    /// # Errors
    /// What the last try came to.
    pub(super) async fn run(
        &mut self,
        exchange: &mut Exchange<'s, '_>,
        upload: &mut Upload,
        through: &mut Option<LetThrough>,
    ) -> Result<(), Failure> {
        let _active = self.service.admit(exchange.serving.worker)?;
        while let Some(wait) = self.once(exchange, upload, through).await? {
            if !wait.is_zero() || self.owing.is_some() {
                // Boxed: waiting is rare, and every exchange would carry its state.
                Box::pin(self.pause(exchange, wait)).await?;
            }
        }
        Ok(())
    }

    /// Waits, and then for a place in the budget where there was none.
    async fn pause(
        &mut self,
        exchange: &mut Exchange<'s, '_>,
        mut wait: Duration,
    ) -> Result<(), Failure> {
        let worker = exchange.serving.worker;
        let mut in_vain = 0;
        for _ in 0..MOST_PAUSES {
            let slept = async {
                tokio::time::sleep(wait).await;
                Ok(())
            };
            unless_over(worker, exchange.client, slept).await?;
            if self.owing.is_none() {
                return Ok(());
            }
            if self.total.is_some_and(|total| total <= Instant::now()) {
                return Err(Reason::TotalTimeout.into());
            }
            self.place = self.take_place(worker);
            if self.place.is_some() {
                self.owing = None;
                // Much may have changed since.
                self.next = None;
                return Ok(());
            }
            let good = self.good(worker);
            in_vain = if std::mem::replace(&mut self.good, good) == good { in_vain + 1 } else { 0 };
            if in_vain == MOST_IN_VAIN {
                break;
            }
            wait =
                retry::jitter(self.retries.map_or(Duration::ZERO, |retries| retries.backoff_max));
        }
        self.deny(worker, RetryDenial::Budget);
        self.owing.take().map_or(Ok(()), Err)
    }

    /// One try: `None` when the client has got its reply, else how long to wait before the next.
    async fn once(
        &mut self,
        exchange: &mut Exchange<'s, '_>,
        upload: &mut Upload,
        through: &mut Option<LetThrough>,
    ) -> Result<Option<Duration>, Failure> {
        let (service, worker) = (self.service, exchange.serving.worker);
        // Nobody is connected to, and no probe of the breaker is spent, for what cannot be sent.
        service.token()?;
        let _pass = service.ask(worker).map_err(|(failure, wait_ms)| {
            exchange.record.retry_after = Some(wait_ms.div_ceil(1000));
            failure
        })?;
        let chosen = self.next.take().or_else(|| self.choose(worker)).ok_or(Reason::NoEndpoint)?;
        let endpoint = &service.endpoints[chosen];
        let record = &mut exchange.record;
        record.endpoint = Some(endpoint);
        record.tries += 1;
        let begun = if record.tries == 1 { record.started } else { Instant::now() };
        let _active = ActiveRequest::begin(service, &**endpoint, &*service.state, worker.id);

        let peer = Rc::clone(&exchange.client.peer);
        let wanted = Wanted {
            client: &peer,
            fresh: self.fresh,
            upgrade: exchange.scratch.request.upgrade && self.plan.route.route.upgrade,
            connect: self.timeouts.connect,
            patience: self.timeouts.first_byte,
            total: self.total,
        };
        let acquiring = acquire(worker, service, endpoint, wanted);
        let mut way = match unless_over(worker, exchange.client, acquiring).await {
            Ok(way) => way,
            Err(_) if self.total.is_some_and(|total| total <= Instant::now()) => {
                return Err(Reason::TotalTimeout.into());
            }
            Err(failure) => {
                self.report(worker, endpoint, begun, failure.reason);
                return self.unreached(exchange, upload, chosen, failure);
            }
        };
        if self.plan.route.route.upgrade {
            upgrade::check_handshake(&exchange.scratch.request, way.up.version())?;
        }
        let token = send_head(exchange, self.plan, service, endpoint, &mut way.up)?;
        self.keep(&exchange.scratch.request, upload, &way);
        let mut bounds = self.bounds(if way.at_once { begun } else { Instant::now() });
        bounds.cookie = self.steering.cookie(exchange, service, chosen);
        let mut watch = Watch::begin(exchange, bounds);
        let reached = exchange::reach_head(exchange, &mut way, upload, through, &mut watch).await;
        if let Err(failure) = reached {
            return self.failed(exchange, upload, (chosen, begun), way, failure);
        }
        let reply = &exchange.scratch.response;
        if let (401, Some(number)) = (reply.status, token) {
            service.doubt(number);
        }
        let end = End::Replied { status: reply.status, grpc: grpc::status_of_head(reply) };
        let outcome = Outcome { end, begun };
        service.report(worker, endpoint, &outcome);
        if outcome.is_error() {
            self.spend();
        }
        if let Some(wait) = self.after_reply(exchange, upload, chosen, end) {
            // Boxed like all that is rare, for every exchange would carry its state.
            Box::pin(drain(worker, service, endpoint, way)).await;
            return Ok(Some(wait));
        }
        self.place = None;
        let relayed = exchange::relay(exchange, &mut way, upload, &mut watch).await;
        if let Err(failure) = relayed {
            self.report(worker, endpoint, begun, failure.reason);
            retire_if_dead(&way, failure.reason);
            return Err(failure);
        }
        if way.up.is_reusable() {
            // Its time in the pool counts from the request: one look at the clock less.
            let since = exchange.record.started;
            worker.keep(service, endpoint, (way.up, way.place), since);
        }
        Ok(None)
    }

    pub(super) fn choose(&self, worker: &Worker) -> Option<usize> {
        balance::choose(self.service, worker, &self.steering.choice(self.tried.as_slice()))
    }

    fn bounds(&self, begun: Instant) -> Bounds<'s> {
        let Timeouts { first_byte, stall, tunnel, .. } = self.timeouts;
        let upload_stall = stall.min(first_byte);
        let (total, cookie) = (self.total, None);
        Bounds { begun, total, first_byte, upload_stall, stall, tunnel, cookie }
    }

    /// Keeps content that may have to be sent again.
    fn keep(&self, request: &RequestHead, upload: &mut Upload, way: &Acquired) {
        if request.length == BodyLength::Empty {
            return;
        }
        let again = self.retries.filter(|retries| self.repeatable || retries.on.grpc != 0);
        let of_retries = again.map_or(0, |retries| retries.buffer);
        let of_refusals = if way.hold.is_some() { KEPT_FOR_REFUSALS } else { 0 };
        let most = of_retries.max(of_refusals);
        if most > 0 && (of_refusals > 0 || fits(request, most)) {
            upload.keep(most);
        }
    }

    pub(super) fn take_place(&self, worker: &Worker) -> Option<RetryPlace<'s>> {
        let budget = self.service.service.retry_budget;
        RetryPlace::take(budget, &self.service.state.series, worker.id, clock::millis())
    }

    /// Good replies of the service that this worker has seen.
    pub(super) fn good(&self, worker: &Worker) -> u64 {
        self.service.state.series.shard(worker.id).good.value()
    }

    /// The last try failed: if it was a retry, its place stays taken for a while.
    pub(super) fn spend(&mut self) {
        if let Some(place) = self.place.take() {
            place.spend(clock::millis());
        }
    }

    pub(super) fn count(&self, worker: &Worker, cause: RetryCause) {
        worker.metrics.upstream_retries.add(1);
        self.service.state.series.shard(worker.id).retries[cause as usize].add(1);
    }

    pub(super) fn deny(&self, worker: &Worker, denial: RetryDenial) {
        self.service.state.series.shard(worker.id).denied[denial as usize].add(1);
    }

    /// Tells what the endpoint failed in; what is no fault of it is nobody's business.
    pub(super) fn report(
        &self,
        worker: &Worker,
        endpoint: &EndpointState,
        begun: Instant,
        reason: Reason,
    ) {
        if reason.fault() == Fault::Upstream {
            self.service.report(worker, endpoint, &Outcome { end: End::Failed(reason), begun });
        }
    }
}

/// Whether no connection could be opened, so that nothing was sent.
pub(super) fn is_unreached(reason: Reason) -> bool {
    matches!(reason, Reason::ConnectFailed | Reason::ConnectTimeout | Reason::UpstreamTls)
}
