//! Sending a request to a service: which service, which endpoint, which connection, and once more
//! where a connection turned out dead and nothing can have happened twice.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::{HostPolicy, Rewrite, RewritePath};
use portcullis_core::{Failure, Reason};
use portcullis_wire::{BodyLength, RequestHead, Upstream, Version, websocket};

use super::content::Upload;
use super::exchange::{self, Bounds};
use super::head::{self, Destination};
use super::shed::LetThrough;
use super::{Exchange, Scratch, grpc, mirror, shed, split, steer, upgrade};
use crate::client::Client;
use crate::path::Normal;
use crate::router;
use crate::snapshot::{ActiveRequest, CompiledRoute, CompiledService, EndpointState};
use crate::upstream::MOST_TRIES;
use crate::upstream::acquire::{Acquired, Wanted, acquire};
use crate::upstream::balance::{self, Tried};
use crate::upstream::outcome::{End, Outcome};
use crate::worker::Worker;

/// What was decided about a request before a service is called.
pub(crate) struct Plan<'s> {
    pub(crate) route: &'s CompiledRoute,
    pub(crate) rewrite: &'s Rewrite,
    pub(crate) normal: Normal,
    pub(crate) body_limit: Option<u64>,
}

/// Timeouts as they hold for one request: the route's, else the service's.
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) stall: Duration,
    pub(crate) tunnel: Duration,
    pub(crate) total: Option<Duration>,
}

/// Sends the request and relays the reply.
pub(crate) async fn forward<'s>(
    exchange: &mut Exchange<'s, '_>,
    plan: &Plan<'s>,
) -> Result<(), Failure> {
    let service = exchange.record.service.ok_or(Reason::NoEndpoint)?;
    write_path(plan, exchange.scratch);
    let mut through = shed::let_through(exchange, service, plan.route.route.importance)?;
    let mut upload = Upload::new(plan.body_limit, &exchange.scratch.request);
    let copy = mirror::draw(exchange, plan, &mut upload);
    let sent = send(exchange, plan, service, &mut upload, &mut through).await;
    if let Some(copy) = copy {
        copy.send(exchange.serving.worker, upload.take_copy());
    }
    sent
}

/// Sends the request to endpoints of `service` until one takes it.
async fn send<'s>(
    exchange: &mut Exchange<'s, '_>,
    plan: &Plan<'s>,
    service: &'s Arc<CompiledService>,
    upload: &mut Upload,
    through: &mut Option<LetThrough>,
) -> Result<(), Failure> {
    let serving = exchange.serving;
    let timeouts = timeouts(plan.route, service);
    let total = timeouts.total.map(|total| exchange.record.started + total);
    let peer = Rc::clone(&exchange.client.peer);
    let mut fresh = false;
    let mut tried = Tried::default();
    let steering =
        steer::Steering::of(service, exchange.scratch, plan.normal, exchange.record.client);
    for tries_left in (0..MOST_TRIES).rev() {
        let choice = steering.choice(tried.as_slice());
        let chosen = balance::choose(service, serving.worker, &choice).ok_or(Reason::NoEndpoint)?;
        let endpoint = &service.endpoints[chosen];
        exchange.record.endpoint = Some(endpoint);
        let _active =
            ActiveRequest::begin(service, &**endpoint, &*service.state, serving.worker.id);

        let wanted = Wanted {
            client: &peer,
            fresh,
            upgrade: exchange.scratch.request.upgrade && plan.route.route.upgrade,
            connect: timeouts.connect,
            patience: timeouts.first_byte,
            total,
        };
        let begun = Instant::now();
        let report = |end| {
            service.report(serving.worker, endpoint, &Outcome { end, begun });
        };
        let acquiring = acquire(serving.worker, service, endpoint, wanted);
        let acquired = unless_over(serving.worker, exchange.client, acquiring).await;
        if let Err(failure) = &acquired {
            report(End::Failed(failure.reason));
        }
        let mut way = match acquired {
            Ok(way) => way,
            // Nothing was sent, so another endpoint may be asked at once.
            Err(failure)
                if failure.reason == Reason::ConnectFailed
                    && tries_left > 0
                    && service.endpoints.len() > 1 =>
            {
                serving.worker.metrics.upstream_retries.add(1);
                tried.push(chosen);
                continue;
            }
            Err(_) if total.is_some_and(|total| total <= Instant::now()) => {
                return Err(Reason::TotalTimeout.into());
            }
            Err(failure) => return Err(failure),
        };
        if plan.route.route.upgrade {
            upgrade::check_handshake(&exchange.scratch.request, way.up.version())?;
        }
        send_head(exchange, plan, service, endpoint, &mut way.up);
        if way.hold.is_some() {
            upload.keep();
        }
        let bounds = Bounds {
            begun: if way.at_once && !fresh { exchange.record.started } else { Instant::now() },
            total,
            first_byte: timeouts.first_byte,
            stall: timeouts.stall,
            tunnel: timeouts.tunnel,
            cookie: steering.cookie(exchange, service, chosen),
        };
        let sent = exchange::run(exchange, &mut way, upload, through, &bounds).await;
        let stale = way.reused && way.up.is_lost() && !way.up.has_begun_reply();
        match &sent {
            Ok(()) => {
                let reply = &exchange.scratch.response;
                report(End::Replied { status: reply.status, grpc: grpc::status_of_head(reply) });
            }
            // That an idle connection had ended says nothing about the endpoint, and a request that
            // came too slowly is not its fault.
            Err(failure) if failure.reason == Reason::UpstreamReset && stale => {}
            Err(failure) if failure.reason == Reason::TotalTimeout && !upload.is_over() => {}
            Err(failure) => report(End::Failed(failure.reason)),
        }
        let Err(failure) = sent else {
            if way.up.is_reusable() {
                // Its time in the pool counts from the request: one look at the clock less.
                serving.worker.keep(service, endpoint, way.up, exchange.record.started);
            }
            return Ok(());
        };
        let dead = is_silence(failure.reason) || way.up.is_lost();
        if let Some(hold) = way.hold.as_ref().filter(|_| dead) {
            hold.retire();
        }
        if tries_left == 0 || !may_repeat(&failure, &way, fresh, &exchange.scratch.request, upload)
        {
            return Err(failure);
        }
        // That the connection was ending says nothing about the endpoint; another one tells.
        serving.worker.metrics.upstream_retries.add(1);
        fresh = true;
    }
    Err(Reason::UpstreamReset.into())
}

/// Waits for `acquiring`, unless nobody waits for the reply any more.
async fn unless_over<T>(
    worker: &Worker,
    client: &mut Client,
    acquiring: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut acquiring = pin!(acquiring);
    poll_fn(|cx| {
        if let Poll::Ready(acquired) = acquiring.as_mut().poll(cx) {
            return Poll::Ready(acquired);
        }
        if worker.is_cut() {
            return Poll::Ready(Err(Reason::Shutdown.into()));
        }
        if client.down.tells_when_gone()
            && let Poll::Ready(error) = client.down.poll_gone(cx)
        {
            return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
        }
        Poll::Pending
    })
    .await
}

/// Writes the request's head for the endpoint.
fn send_head(
    exchange: &mut Exchange<'_, '_>,
    plan: &Plan<'_>,
    service: &CompiledService,
    endpoint: &EndpointState,
    up: &mut Upstream,
) {
    let Exchange { serving, client, scratch, .. } = exchange;
    let version = up.version();
    if upgrade::needs_key(&scratch.request, version) {
        scratch.websocket_key = websocket::key();
    }
    let destination = destination(plan, service, endpoint, scratch, version);
    head::write_request(up, &scratch.request, &destination, serving.settings, &client.peer);
}

/// Whether a shared connection may be dead without anybody having noticed.
fn is_silence(reason: Reason) -> bool {
    matches!(reason, Reason::FirstByteTimeout | Reason::UpstreamStalled | Reason::TotalTimeout)
}

/// The service that the route, its weights and what holds the client choose; none for a route that
/// forwards nowhere.
pub(super) fn choose_service<'s>(
    exchange: &mut Exchange<'s, '_>,
    route: &CompiledRoute,
) -> Result<Option<&'s Arc<CompiledService>>, Failure> {
    if route.services.is_empty() {
        return Ok(None);
    }
    let slot = split::choose(exchange, route);
    let services = &exchange.serving.snapshot.services;
    let service = slot.and_then(|slot| services.get(slot)?.as_ref());
    service.map(Some).ok_or_else(|| Reason::NoEndpoint.into())
}

pub(crate) fn timeouts(route: &CompiledRoute, service: &CompiledService) -> Timeouts {
    let (of_route, of_service) = (&route.route.timeouts, &service.service.timeouts);
    Timeouts {
        connect: of_route.connect.unwrap_or(of_service.connect),
        first_byte: of_route.first_byte.unwrap_or(of_service.first_byte),
        stall: of_route.stall.unwrap_or(of_service.stall),
        tunnel: of_route.tunnel.unwrap_or(of_service.tunnel),
        total: of_route.total.unwrap_or(of_service.total),
    }
}

/// Whether a request may be sent again: it certainly was not worked on, or it went over a
/// connection that may have been dead already, is idempotent (RFC 9110, 9.2.2) and has no content;
/// that once.
fn may_repeat(
    failure: &Failure,
    way: &Acquired,
    fresh: bool,
    request: &RequestHead,
    upload: &mut Upload,
) -> bool {
    if failure.reason != Reason::UpstreamReset {
        return false;
    }
    if way.up.is_refused() {
        return upload.rewind();
    }
    let idempotent =
        matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE");
    way.reused
        && !fresh
        && way.up.is_lost()
        && !way.up.has_begun_reply()
        && idempotent
        && request.length == BodyLength::Empty
        && upload.rewind()
}

/// Writes the path for the endpoint where it is not the one that came.
pub(crate) fn write_path(plan: &Plan<'_>, scratch: &mut Scratch) {
    scratch.rewritten.clear();
    let request = &scratch.request;
    let path = match plan.normal {
        Normal::AsIs => request.path(),
        Normal::Rewritten => &scratch.path,
    };
    match &plan.rewrite.path {
        RewritePath::Keep => {}
        RewritePath::StripPrefix(prefix) => {
            let rest = match path.strip_prefix(prefix.as_bytes()) {
                Some(rest) if matches!(rest.first(), None | Some(b'/')) => rest,
                // The prefix ends inside a segment, so it is not there.
                Some(_) | None => path,
            };
            if rest.first() != Some(&b'/') {
                scratch.rewritten.push(b'/');
            }
            scratch.rewritten.extend_from_slice(rest);
        }
        RewritePath::Template(template) => {
            router::expand(
                template,
                &scratch.params,
                path,
                super::around(request),
                &mut scratch.rewritten,
            );
        }
    }
}

/// What the endpoint is asked for, and under which name.
pub(crate) fn destination<'a>(
    plan: &'a Plan<'_>,
    service: &'a CompiledService,
    endpoint: &'a EndpointState,
    scratch: &'a Scratch,
    version: Version,
) -> Destination<'a> {
    let request = &scratch.request;
    let kept = matches!(plan.rewrite.path, RewritePath::Keep);
    let upgrade = upgrade::wanted(request, version).filter(|_| plan.route.route.upgrade);
    let key = upgrade.is_some() && upgrade::needs_key(request, version);
    Destination {
        path: if kept { request.path() } else { &scratch.rewritten },
        query: request.query(),
        authority: authority(plan.rewrite.host.as_deref(), service, endpoint, request),
        upgrade,
        websocket_key: key.then_some(&*scratch.websocket_key),
    }
}

/// The host that the endpoint is asked for.
pub(super) fn authority<'a>(
    rewritten: Option<&'a str>,
    service: &'a CompiledService,
    endpoint: &'a EndpointState,
    request: &'a RequestHead,
) -> &'a [u8] {
    match (rewritten, &service.service.host) {
        (Some(host), _) => host.as_bytes(),
        (None, HostPolicy::Set(host)) => host.as_bytes(),
        (None, HostPolicy::Preserve) if !request.authority().is_empty() => request.authority(),
        (None, HostPolicy::Preserve | HostPolicy::Endpoint) => endpoint.host(),
    }
}
