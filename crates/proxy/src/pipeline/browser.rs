//! What browsers ask and are told: preflights, who may read replies, and what pages may do.

use portcullis_core::{Failure, Reason};
use portcullis_policies::RunningPolicies;
use portcullis_policies::browser::{
    Kept, Preflight, RunningCors, RunningSecurityHeaders, narrowest,
};
use portcullis_wire::HeadWriter;

use super::{Exchange, asked, respond, split};
use crate::path::Normal;
use crate::router::Request;
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};

/// What policies make of the head of a reply, whoever gives it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ReplyRules<'s> {
    /// The gateway says who may read it, and nobody else does.
    speaks_for_origins: bool,
    security: Option<&'s RunningSecurityHeaders>,
    /// The client speaks TLS.
    secure: bool,
}

impl ReplyRules<'_> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        !self.speaks_for_origins && self.security.is_none()
    }

    /// Whether a field of an endpoint's goes on to the client.
    pub(super) fn keeps(&self, name: &[u8], kept: &mut Kept) -> bool {
        !(self.speaks_for_origins && RunningCors::replaces(name))
            && self.security.is_none_or(|security| security.keeps(name, kept))
    }

    /// Writes what is set beside those that were kept.
    pub(super) fn write(&self, kept: Kept, out: &mut HeadWriter<'_>) {
        for field in self.security.iter().flat_map(|rule| rule.fields(kept, self.secure)) {
            out.field(field.name.as_bytes(), field.value.as_bytes());
        }
    }
}

/// The scopes of a request, the narrowest first.
pub(crate) fn layers<'s>(
    snapshot: &'s Snapshot,
    route: Option<&'s CompiledRoute>,
    service: Option<&'s CompiledService>,
) -> [&'s RunningPolicies; 3] {
    let global = &*snapshot.policies;
    // A scope that is not there says what the widest says.
    let service = service.map_or(global, |service| &service.policies);
    [route.map_or(service, |route| &route.policies), service, global]
}

/// Sees to what the reply tells browsers, and refuses what a page of another site has sent.
///
/// # Errors
/// The request may not come from where it comes.
pub(super) fn enter<'s>(
    exchange: &mut Exchange<'s, '_>,
    layers: [&'s RunningPolicies; 3],
) -> Result<(), Failure> {
    if layers.iter().all(|layer| layer.is_silent_to_browsers()) {
        return Ok(());
    }
    let secure = split::is_secure(exchange);
    let worker = exchange.serving.worker.id;
    let scratch = &mut *exchange.scratch;
    let cors = narrowest(layers.map(|layer| &layer.cors));
    if let Some(cors) = cors {
        cors.tell(&scratch.request, worker, &mut scratch.added);
    }
    let security = narrowest(layers.map(|layer| &layer.security_headers));
    exchange.rules = ReplyRules {
        speaks_for_origins: cors.is_some(),
        security: security.map(|security| &**security),
        secure,
    };
    match narrowest(layers.map(|layer| &layer.csrf)) {
        Some(csrf) if !csrf.passes(&scratch.request, secure, worker) => {
            exchange.record.policy = Some(&csrf.judged.id.name);
            Err(Reason::CrossSite.into())
        }
        _ => Ok(()),
    }
}

/// The policy that answers the request, if it is a preflight: that of the route which would take
/// the request that it announces, or the one for all. Else a service may answer for itself.
pub(super) fn asked_for_leave<'s>(
    exchange: &mut Exchange<'s, '_>,
    normal: Normal,
) -> Option<&'s RunningCors> {
    let Exchange { serving, scratch, record, .. } = exchange;
    let request = &scratch.request;
    let preflight = Preflight::of(request)?;
    let path = match normal {
        Normal::AsIs => request.path(),
        Normal::Rewritten => &scratch.path,
    };
    let asked = asked(&serving.settings.listener, request, path, record.client);
    let announced = Request { method: preflight.method, ..asked };
    let snapshot = serving.snapshot;
    let route = snapshot.router.find(&announced, &mut scratch.params).ok();
    let route = route.map(|route| &**route);
    let layers = layers(snapshot, route, route.and_then(|route| first_service(snapshot, route)));
    let cors = narrowest(layers.map(|layer| &layer.cors))?;
    record.route = route;
    let security = narrowest(layers.map(|layer| &layer.security_headers));
    exchange.rules = ReplyRules {
        speaks_for_origins: true,
        security: security.map(|security| &**security),
        secure: split::is_secure(exchange),
    };
    Some(cors)
}

/// The service whose policies hold for preflights: nobody can say which of several the request will
/// go to.
pub(crate) fn first_service<'s>(
    snapshot: &'s Snapshot,
    route: &CompiledRoute,
) -> Option<&'s CompiledService> {
    let (slot, _) = route.services.iter().find(|(_, weight)| *weight > 0)?;
    snapshot.services.get(*slot)?.as_deref()
}

/// Answers a preflight.
///
/// # Errors
/// Its origin is not let in.
pub(super) async fn answer(
    exchange: &mut Exchange<'_, '_>,
    cors: &'_ RunningCors,
) -> Result<(), Failure> {
    let scratch = &mut *exchange.scratch;
    let worker = exchange.serving.worker.id;
    let mut added = std::mem::take(&mut scratch.added);
    let allowed = Preflight::of(&scratch.request)
        .is_some_and(|preflight| cors.answer(&preflight, worker, &mut added));
    scratch.added = added;
    if allowed { respond::no_content(exchange).await } else { Err(Reason::CorsRefused.into()) }
}
