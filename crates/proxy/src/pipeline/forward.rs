//! Sending a request to a service: which service, which endpoint, which connection, and once more
//! where a pooled connection turned out dead and nothing can have happened twice.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::{Balance, HostPolicy, Rewrite, RewritePath};
use portcullis_core::{Failure, Reason};
use portcullis_wire::{BodyLength, Known, RequestHead, Upstream};
use tokio::task::unconstrained;

use super::exchange::{self, Bounds};
use super::head::{self, Destination};
use super::record::Record;
use super::{Scratch, Serving};
use crate::client::Client;
use crate::path::Normal;
use crate::router;
use crate::snapshot::{ActiveRequest, CompiledRoute, CompiledService, EndpointState};
use crate::upstream::{balance, connect};

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
    serving: &Serving<'s>,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record<'s>,
    plan: &Plan<'s>,
) -> Result<(), Failure> {
    let service = choose_service(serving, plan.route)?;
    record.service = Some(service);
    let timeouts = timeouts(plan.route, service);
    let total = timeouts.total.map(|total| record.started + total);
    write_path(plan, scratch);

    // A connection that began with one client's address serves no other.
    let shared = service.service.proxy_protocol.is_none();
    let mut pooled = shared;
    loop {
        let turn = serving.worker.next_turn(service.slot);
        let chosen = balance::choose(service, turn).ok_or(Reason::NoEndpoint)?;
        let endpoint = &service.endpoints[chosen];
        record.endpoint = Some(endpoint);
        let _active = (service.service.balance == Balance::LeastRequests)
            .then(|| ActiveRequest::begin(endpoint));

        let idle = if pooled { take_idle(serving, service, endpoint).await } else { None };
        let reused = idle.is_some();
        let mut up = match idle {
            Some(up) => up,
            None => open(serving, client, service, endpoint, &timeouts, total).await?,
        };
        let destination = destination(plan, service, endpoint, scratch);
        head::write_request(
            &mut up,
            &scratch.request,
            &destination,
            serving.settings,
            &client.peer,
        );

        let bounds = Bounds {
            begun: if reused { record.started } else { Instant::now() },
            total,
            first_byte: timeouts.first_byte,
            stall: timeouts.stall,
            tunnel: timeouts.tunnel,
            body_limit: plan.body_limit,
        };
        match exchange::exchange(serving, client, &mut up, scratch, record, &bounds).await {
            Ok(()) => {
                if shared && up.is_reusable() {
                    // Its time in the pool counts from the request: one look at the clock less.
                    serving.worker.keep(service, endpoint, up, record.started);
                }
                return Ok(());
            }
            Err(failure)
                if reused
                    && failure.reason == Reason::UpstreamReset
                    && !up.has_begun_reply()
                    && may_repeat(&scratch.request) =>
            {
                // The connection died while it was idle, which says nothing about the endpoint; a
                // fresh one tells.
                serving.worker.metrics.upstream_retries.add(1);
                pooled = false;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// By weight, at random.
fn choose_service<'s>(
    serving: &Serving<'s>,
    route: &CompiledRoute,
) -> Result<&'s CompiledService, Failure> {
    let slot = balance::share(&route.services, route.total_weight);
    let service = slot.and_then(|slot| serving.snapshot.services.get(slot)?.as_ref());
    service.map(|service| &**service).ok_or_else(|| Reason::NoEndpoint.into())
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

async fn take_idle(
    serving: &Serving<'_>,
    service: &CompiledService,
    endpoint: &Arc<EndpointState>,
) -> Option<Upstream> {
    // Outside the task's budget: with none left a closed connection would look quiet.
    let look = poll_fn(|cx| Poll::Ready(serving.worker.take_idle(service, endpoint, cx)));
    let idle = unconstrained(look).await;
    if idle.is_some() {
        serving.worker.metrics.upstream_reuses.add(1);
    }
    idle
}

async fn open(
    serving: &Serving<'_>,
    client: &Client,
    service: &CompiledService,
    endpoint: &EndpointState,
    timeouts: &Timeouts,
    total: Option<Instant>,
) -> Result<Upstream, Failure> {
    let due = Instant::now() + timeouts.connect;
    let due = total.map_or(due, |total| total.min(due));
    // Boxed: opening is rare, and its state would make every connection's task larger.
    let up = Box::pin(connect::connect(service, endpoint, &client.peer, due)).await?;
    serving.worker.metrics.upstream_connections.add(1);
    Ok(up)
}

/// Whether a request may be sent twice: its method is idempotent (RFC 9110, 9.2.2) and it has no
/// content, none of which could be given again.
fn may_repeat(request: &RequestHead) -> bool {
    request.length == BodyLength::Empty
        && matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
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
) -> Destination<'a> {
    let request = &scratch.request;
    let kept = matches!(plan.rewrite.path, RewritePath::Keep);
    let authority = match (&plan.rewrite.host, &service.service.host) {
        (Some(host), _) | (None, HostPolicy::Set(host)) => host.as_bytes(),
        (None, HostPolicy::Preserve) if !request.authority().is_empty() => request.authority(),
        (None, HostPolicy::Preserve | HostPolicy::Endpoint) => endpoint.host(),
    };
    let upgrade = (request.upgrade && plan.route.route.upgrade)
        .then(|| request.fields.first(Known::Upgrade))
        .flatten()
        .filter(|protocols| head::may_upgrade(protocols));
    Destination {
        path: if kept { request.path() } else { &scratch.rewritten },
        query: request.query(),
        authority,
        upgrade,
    }
}
