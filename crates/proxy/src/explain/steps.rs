//! The steps themselves. Each calls the function that the pipeline calls; what stands here is only
//! their order, which is that of `pipeline::answer`.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_config::model::{self, Balance, Endpoint, Protocol};
use portcullis_core::{Failure, Reason};
use portcullis_policies::{Identity, Scope};
use portcullis_wire::h1::{Scan, parse_request};
use portcullis_wire::{BUFFER_SIZE, Fields, Known, Malformed, RequestHead, Scheme, Version};

use super::identity;
use super::{
    Action, ChosenBy, ClientStep, Explanation, HeadSize, JudgeStep, Outcome, PathStep, PolicyStep,
    Question, Reached, Routed, Share, Source, Timeouts, Why, browser, rules,
};
use crate::client::head_failure;
use crate::forwarding::{self, Peer};
use crate::path::{self, Normal};
use crate::pipeline::forward::{self, Plan};
use crate::pipeline::policies::{Asked, applying};
use crate::pipeline::steer::Steering;
use crate::pipeline::{self, Scratch, split};
use crate::router::{self, Miss};
use crate::snapshot::{CompiledRoute, CompiledService, EndpointState, Snapshot, Standing};
use crate::upstream::balance::{Choice, Choosers};

/// The steps of the pipeline, in its order.
pub(super) fn walk<'s>(
    snapshot: &'s Snapshot,
    question: &Question<'_>,
    explanation: &mut Explanation<'s>,
) -> Result<Outcome<'s>, Failure> {
    let listener = &question.listener.listener;
    let mut scratch = Scratch::default();
    read_head(question, &mut scratch, &mut explanation.head)?;
    let request = &scratch.request;
    explanation.authority = text(request.authority());
    if request.is_asterisk() || pipeline::respond::is_last_hop(request) {
        return match request.method() {
            b"OPTIONS" => Ok(Outcome::Own),
            _ => Err(Reason::MethodNotAllowed.into()),
        };
    }
    if forwarding::is_loop(&listener.forwarded, &request.fields) {
        return Err(Reason::Loop.into());
    }

    let normal = path::normalise(request.path(), listener.path, &mut scratch.path);
    let normal = normal.map_err(|fault| Failure::new(Reason::BadPath, fault))?;
    let path = match normal {
        Normal::AsIs => request.path(),
        Normal::Rewritten => &scratch.path,
    };
    explanation.path = Some(PathStep { raw: text(request.path()), normal: text(path) });

    let client = client(question, &request.fields);
    let asked = pipeline::asked(listener, request, path, client.address);
    explanation.client = Some(client);
    if let Some(preflight) = browser::preflight(snapshot, request, &asked) {
        return Ok(Outcome::Preflight(Box::new(preflight)));
    }
    let login = snapshot.logins.as_ref().and_then(|one| one.find(&listener.name, request, path));
    if let Some((purpose, [party, ..])) = login.as_ref().map(|(what, who)| (*what, &**who)) {
        return Ok(Outcome::Login(purpose.as_str(), Arc::clone(&party.written().issuer)));
    }
    explanation.candidates = snapshot.router.explain(&asked);
    let found = snapshot.router.find(&asked, &mut scratch.params);
    let client = explanation.client.as_ref().and_then(|client| client.address);
    let route = found.as_ref().ok().map(|route| &***route);
    let asked = Asked {
        request,
        path,
        params: &scratch.params,
        client,
        listener: &listener.name,
        route: route.map(|route| &*route.route.name),
        service: None,
        identity: None,
        certificate: None,
    };
    let secure = split::speaks_tls(&listener.forwarded.trust, &peer(question), &request.fields);
    explanation.judges = judges(snapshot, route, request, secure);
    let identity = match route {
        Some(route) => {
            let found = identity::authenticate(snapshot, route, &asked, explanation);
            let login = explanation.authentication.as_ref().and_then(|step| step.login.clone());
            if let Some(issuer) = login {
                return Ok(Outcome::Login("sends the browser to log in", issuer));
            }
            found?
        }
        None => Identity::default(),
    };
    let asked = Asked { identity: Some(&identity), ..asked };
    explanation.judges.extend(rules::judges(snapshot, route, &asked, secure));
    let policies = policies(snapshot, route, asked, &identity);
    let route = match found {
        Ok(route) => route,
        Err(miss) => {
            explanation.policies = policies;
            return match miss {
                Miss::NotFound => Err(Reason::NoRoute.into()),
                Miss::MethodNotAllowed(methods) => {
                    Ok(Outcome::Refused(Reason::MethodNotAllowed.into(), methods))
                }
            };
        }
    };
    let params = scratch.params.iter(path).map(|(name, value)| (text(name), text(value))).collect();

    let body_limit = route.route.body_limit;
    let source = Source::of(body_limit, Source::Listener);
    let body_limit = body_limit.unwrap_or(listener.limits.body);
    pipeline::check_length(request.length, body_limit)?;
    explanation.policies = policies;
    let action = action(snapshot, route, normal, body_limit, client, &mut scratch);
    Ok(Outcome::Routed(Box::new(Routed {
        route,
        params,
        body_limit: (body_limit, source),
        bearable: snapshot.lag.map(|lag| lag.saturating_mul(route.route.importance.patience())),
        action,
    })))
}

/// The policies that judge the request, for every service that may get it.
fn judges(
    snapshot: &Snapshot,
    route: Option<&CompiledRoute>,
    request: &RequestHead,
    secure: bool,
) -> Vec<JudgeStep> {
    let mut steps: Vec<JudgeStep> = Vec::new();
    for service in services(snapshot, route) {
        for step in browser::judges(snapshot, route, service, request, secure) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

/// The policies that are asked, for every service that may get the request.
fn policies<'s>(
    snapshot: &'s Snapshot,
    route: Option<&'s CompiledRoute>,
    asked: Asked<'_>,
    identity: &Identity,
) -> Vec<PolicyStep<'s>> {
    let mut steps: Vec<PolicyStep<'s>> = Vec::new();
    let services = services(snapshot, route);
    let several = services.len() > 1;
    for service in services {
        let name = service.map(|service| &*service.service.name);
        let asked = Asked { service: name, ..asked };
        for running in applying(snapshot, identity, route, service).iter() {
            let id = &running.counted().id;
            if steps.iter().any(|step| step.running.counted().id == *id) {
                continue;
            }
            let of_service = matches!(id.scope, Scope::Service(_)) && several;
            let only_for = name.filter(|_| of_service);
            steps.push(PolicyStep { running, only_for, key: running.key_parts(&asked) });
        }
    }
    steps
}

/// The services that may get the request, or none where the gateway answers for itself.
pub(super) fn services<'s>(
    snapshot: &'s Snapshot,
    route: Option<&CompiledRoute>,
) -> Vec<Option<&'s CompiledService>> {
    let services = route.map_or(&[][..], |route| &route.services).iter();
    let services = services.filter_map(|(slot, _)| snapshot.services.get(*slot)?.as_deref());
    let services: Vec<_> = services.map(Some).collect();
    if services.is_empty() { vec![None] } else { services }
}

/// Has the request parsed as it would be from a connection, so that the same is refused.
fn read_head(
    question: &Question<'_>,
    scratch: &mut Scratch,
    size: &mut HeadSize,
) -> Result<(), Failure> {
    let failed = |malformed: Malformed| head_failure(malformed.into());
    let Question { method, target, host, fields, .. } = *question;
    let names_host = fields.iter().any(|(name, _)| Known::of(name.as_bytes()) == Known::Host);
    let host = (!names_host).then_some(("Host", host));
    let named = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let section: String =
        host.into_iter().chain(named).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let line = format!("{method} {target} HTTP/1.1\r\n");
    *size = HeadSize {
        target: target.len(),
        fields: fields.len() + usize::from(!names_host),
        section: section.len() + 2,
    };
    // A line break would make more of the request than one line or field.
    if line.lines().count() > 1 || section.lines().count() > size.fields {
        return Err(failed(Malformed::LineEnd));
    }
    let head = format!("{line}{section}\r\n");
    let received = &head.as_bytes()[..head.len().min(BUFFER_SIZE)];
    let limits = &question.listener.head;
    let length = parse_request(received, limits, &mut Scan::default(), &mut scratch.request);
    match length.map_err(failed)? {
        Some(_) => Ok(()),
        None => Err(failed(Malformed::HeadTooLarge)),
    }
}

fn peer(question: &Question<'_>) -> Peer {
    let tls = question.listener.tls.is_some();
    Peer {
        ip: question.peer,
        text: Box::default(),
        addresses: None,
        scheme: if tls { Scheme::Https } else { Scheme::Http },
        certificate: None,
    }
}

fn client(question: &Question<'_>, fields: &Fields) -> ClientStep {
    let trust = &question.listener.listener.forwarded.trust;
    let peer = peer(question);
    let says = |known| fields.first(known).is_some();
    ClientStep {
        peer: question.peer,
        address: forwarding::client_address(trust, &peer, fields),
        trust: trust.clone(),
        trusted: forwarding::is_trusted(trust, &peer),
        says: says(Known::XForwardedFor) || says(Known::Forwarded),
    }
}

fn action<'s>(
    snapshot: &'s Snapshot,
    route: &'s CompiledRoute,
    normal: Normal,
    body_limit: Option<u64>,
    client: Option<IpAddr>,
    scratch: &mut Scratch,
) -> Action<'s> {
    match &route.route.action {
        model::Action::Forward { rewrite, .. } => {
            let plan = Plan { route, rewrite, normal, body_limit };
            forward::write_path(&plan, scratch);
            forwarded(snapshot, &plan, client, scratch)
        }
        model::Action::Redirect { to, status } => {
            let Scratch { request, path, params, rewritten, .. } = scratch;
            let path = if normal == Normal::AsIs { request.path() } else { path };
            router::expand(to, params, path, pipeline::around(request), rewritten);
            Action::Redirect { status: *status, location: text(rewritten) }
        }
        model::Action::Reply(reply) => Action::Reply(reply),
    }
}

/// Every service and endpoint that may get the request, and what it would see.
fn forwarded<'s>(
    snapshot: &'s Snapshot,
    plan: &Plan<'s>,
    client: Option<IpAddr>,
    scratch: &Scratch,
) -> Action<'s> {
    let (mut target, mut upgrade) = (String::new(), None);
    let mut services = Vec::new();
    for &(slot, weight) in &plan.route.services {
        let Some(Some(service)) = snapshot.services.get(slot) else { continue };
        let version = match service.service.protocol {
            Protocol::Http2 => Version::Http2,
            // Where the endpoint chooses, upgrades go the old way.
            Protocol::Http1 | Protocol::Auto => Version::Http11,
        };
        let Standing { panicking, shares, .. } = service.standing();
        let written = service.service.endpoints.iter().zip(shares);
        let endpoints =
            service.endpoints.iter().zip(written).map(|(endpoint, (written, share))| {
                let to = forward::destination(plan, service, endpoint, scratch, version);
                // The same for every endpoint.
                target = text(to.path);
                if let Some(query) = to.query {
                    target = format!("{target}?{}", text(query));
                }
                upgrade = to.upgrade.map(text);
                Reached {
                    address: &endpoint.label,
                    weight: written.weight,
                    host: text(to.authority),
                    share,
                    why: why(service, endpoint, written, share),
                }
            });
        let endpoints = endpoints.collect();
        services.push(Share {
            service,
            weight,
            timeouts: timeouts(plan.route, service),
            chosen_by: chosen_by(service, scratch, plan.normal, client),
            panicking,
            endpoints,
        });
    }
    let held = split::held(plan.route, &scratch.request.fields);
    let held = held.and_then(|slot| snapshot.services.get(slot)?.as_ref());
    let held = held.map(|service| &*service.service.name);
    Action::Forward { target, upgrade, services, held }
}

/// What chooses the endpoint.
fn chosen_by(
    service: &CompiledService,
    scratch: &Scratch,
    normal: Normal,
    client: Option<IpAddr>,
) -> ChosenBy {
    let steering = Steering::of(service, scratch, normal, client);
    let choice = steering.choice(&[]);
    match (choice.stuck, &service.service.balance, choice.key) {
        (Some(stuck), ..) if service.views.newest().serves(&service.endpoints, stuck) => {
            ChosenBy::Cookie(stuck)
        }
        (_, Balance::Hash(_), None) => ChosenBy::MissingKey,
        (_, Balance::Hash(_), Some(_)) => {
            let choice = Choice { stuck: None, ..choice };
            ChosenBy::Hash(Choosers::default().choose(service, 0, &choice))
        }
        _ => ChosenBy::Balance,
    }
}

/// Why an endpoint gets nothing, or gets something in spite of all.
fn why(
    service: &CompiledService,
    endpoint: &EndpointState,
    written: &Endpoint,
    share: f64,
) -> Option<Why> {
    let is_available = endpoint.health.is_available();
    let near = |other: &Endpoint| service.zone.is_some() && other.zone == service.zone;
    if share > 0.0 {
        (!is_available).then_some(Why::Panic)
    } else if written.weight == 0 {
        Some(Why::NoWeight)
    } else if !is_available {
        Some(Why::Unavailable)
    } else if !near(written)
        && service.service.endpoints.iter().any(|e| near(e) && e.priority == written.priority)
    {
        Some(Why::OtherZone)
    } else {
        Some(Why::LaterLevel)
    }
}

fn timeouts(route: &CompiledRoute, service: &CompiledService) -> Timeouts {
    let hold = forward::timeouts(route, service);
    let own = &route.route.timeouts;
    Timeouts {
        connect: (hold.connect, Source::of(own.connect, Source::Service)),
        first_byte: (hold.first_byte, Source::of(own.first_byte, Source::Service)),
        stall: (hold.stall, Source::of(own.stall, Source::Service)),
        tunnel: (hold.tunnel, Source::of(own.tunnel, Source::Service)),
        total: (hold.total, Source::of(own.total, Source::Service)),
    }
}

/// Bytes of a head as text; a field value may hold any.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
