//! Sending a request to a service: which service, what the endpoint sees, and the backup where a
//! service cannot take it.

mod again;
mod decide;
mod tries;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use portcullis_config::model::{HostPolicy, Rewrite, RewritePath};
use portcullis_core::{Failure, Reason};
use portcullis_wire::{RequestHead, Upstream, Version, websocket};

use self::tries::Tries;
use super::content::Upload;
use super::head::{self, Destination};
use super::shed::LetThrough;
use super::{Exchange, Scratch, mirror, shed, split, upgrade};
use crate::client::Client;
use crate::path::Normal;
use crate::router;
use crate::snapshot::{CompiledRoute, CompiledService, EndpointState};
use crate::upstream::balance;
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

/// Sends the request and relays the reply. Where a service cannot take it, its backup does.
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
    let mut service = service;
    loop {
        exchange.record.service = Some(service);
        let backup = service.backup.and_then(|slot| serving.snapshot.services.get(slot)?.as_ref());
        // Some endpoint would get the request in any case; the backup's is the better one.
        let sent = if backup.is_some() && balance::is_down(service, serving.worker) {
            Err(Reason::NoEndpoint.into())
        } else {
            Tries::new(exchange, plan, service).run(exchange, upload, through).await
        };
        let Err(failure) = sent else { return Ok(()) };
        // No way over backups leads back, so this ends.
        let Some(backup) = backup.filter(|_| takes_over(&failure)) else { return Err(failure) };
        service.state.series.shard(serving.worker.id).passed_on.add(1);
        service = backup;
    }
}

/// Whether a service could not take a request at all, so that its backup may.
pub(crate) fn takes_over(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::NoEndpoint | Reason::CircuitOpen | Reason::UpstreamToken)
        || tries::is_unreached(failure.reason)
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

/// Writes the request's head for the endpoint, with the token of the service if it has one. What is
/// returned numbers it.
fn send_head(
    exchange: &mut Exchange<'_, '_>,
    plan: &Plan<'_>,
    service: &CompiledService,
    endpoint: &EndpointState,
    up: &mut Upstream,
) -> Result<Option<u64>, Failure> {
    let token = service.token()?;
    let Exchange { serving, client, scratch, .. } = exchange;
    let version = up.version();
    if upgrade::needs_key(&scratch.request, version) {
        scratch.websocket_key = websocket::key();
    }
    let destination = Destination {
        authorization: token.as_deref(),
        ..destination(plan, service, endpoint, scratch, version)
    };
    head::write_request(up, &scratch.request, &destination, serving.settings, &client.peer);
    Ok(token.map(|token| token.number()))
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
        authorization: None,
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
