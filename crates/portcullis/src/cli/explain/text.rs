//! An explanation for people: one block a step, in the order of the way of a request.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use portcullis_config::model::{Bind, Listener, Service, Trust};
use portcullis_core::{Failure, Reason};
use portcullis_policies::PolicyId;
use portcullis_proxy::explain::{
    Action, ClientStep, JudgeStep, Outcome, PathStep, PreflightStep, Routed, Share, Source,
    Timeouts,
};
use portcullis_proxy::router::Verdict;

use super::{Told, again, connection, endpoints, health, patterns, traffic};

/// Columns of the first column.
const LABEL: usize = 11;

/// The whole explanation.
pub(super) fn render(told: &Told<'_>) -> String {
    let mut page = Page(String::new());
    listener(&mut page, told);
    let explanation = &told.explanation;
    if let Some(step) = &explanation.path {
        page.line("path", normalisation(step));
    }
    if let Some(step) = &explanation.client {
        page.line("client", client(step));
    }
    if explanation.client.is_some() {
        routes(&mut page, told);
    }
    match &explanation.outcome {
        Outcome::Refused(failure, methods) => {
            judges(&mut page, told, &explanation.judges);
            authentication(&mut page, told);
            if !explanation.policies.is_empty() {
                policies(&mut page, told);
            }
            refused(&mut page, failure);
            if !methods.is_empty() {
                page.more(format_args!("Allow: {}", methods.join(", ")));
            }
        }
        Outcome::Own => page.line("answer", "204 by the gateway itself, which is who is asked"),
        Outcome::Login(what, issuer) => {
            authentication(&mut page, told);
            page.line(
                "answer",
                format_args!("by the gateway itself: it {what} (oidc of {issuer})"),
            );
        }
        Outcome::Preflight(step) => preflight(&mut page, told, step),
        Outcome::Routed(routed) => {
            authentication(&mut page, told);
            judges(&mut page, told, &explanation.judges);
            policies(&mut page, told);
            action(&mut page, told, routed);
        }
    }
    page.0
}

/// Two columns.
pub(super) struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{label:LABEL$}{text}");
    }

    /// A line below the one before.
    pub(super) fn more(&mut self, text: impl Display) {
        self.line("", text);
    }
}

/// A place in brackets, if it is known.
struct At(Option<String>);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |place| write!(f, " ({place})"))
    }
}

fn listener(page: &mut Page, told: &Told<'_>) {
    let Told { question, explanation, chosen, .. } = told;
    let Listener { name, tls, limits, .. } = chosen.listener;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let host = match &*explanation.authority {
        "" => question.host,
        authority => authority,
    };
    let (method, target) = (question.method, question.target);
    page.line("request", format_args!("{method} {target} for host {host}"));
    let at = At(told.place(&["listeners", name]));
    let bind = bind(chosen.listener);
    page.line("listener", format_args!("{name}{at}: {scheme} on {bind}; {}", chosen.why));
    for line in connection::of_listener(chosen.listener) {
        page.more(line);
    }
    let head = explanation.head;
    page.more(format_args!(
        "limits: target {} of {} bytes; {} of {} fields, {} of {} bytes",
        head.target, limits.uri, head.fields, limits.fields, head.section, limits.head,
    ));
}

pub(super) fn bind(listener: &Listener) -> String {
    match &listener.bind {
        Bind::Tcp(address) => address.to_string(),
        Bind::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn normalisation(PathStep { raw, normal }: &PathStep) -> String {
    if raw == normal { format!("{raw}, normal as it is") } else { format!("{raw} -> {normal}") }
}

fn client(step: &ClientStep) -> String {
    let name = |ip: Option<std::net::IpAddr>| ip.map_or("unknown".to_owned(), |ip| ip.to_string());
    let address = name(step.address);
    let peer = name(step.peer);
    let why = match (&step.trust, step.trusted, step.says) {
        (Trust::Nobody, _, false) => "the connection's peer".to_owned(),
        (Trust::Nobody, _, true) => {
            "the connection's peer; its forwarding fields are not believed, for nobody is trusted"
                .to_owned()
        }
        (_, false, _) => "the connection's peer, which is not in `trusted`".to_owned(),
        (_, true, false) => "the connection's peer; it is trusted, but says nothing".to_owned(),
        (Trust::Hops(hops), true, true) => {
            format!("said by the forwarding fields; the last {hops} hops are trusted, peer {peer}")
        }
        (Trust::Networks(_), true, true) => {
            format!("said by the forwarding fields; the peer {peer} is trusted")
        }
    };
    format!("{address}: {why}")
}

fn routes(page: &mut Page, told: &Told<'_>) {
    let candidates = &told.explanation.candidates;
    let at = |name: &str| At(told.place(&["routes", name]));
    match candidates.iter().find(|candidate| matches!(candidate.verdict, Verdict::Won)) {
        Some(won) => {
            let name = &won.route.name;
            page.line("route", format_args!("{name}{} takes it", at(name)));
            let (host, path) = (patterns::host(won.host), patterns::path(won.path));
            page.more(format_args!("host: {host}, path: {path}"));
        }
        None => page.line("route", "none takes it"),
    }
    if let Outcome::Routed(routed) = &told.explanation.outcome {
        for (name, value) in &routed.params {
            page.more(format_args!("{{{name}}} = {value}"));
        }
    }
    let others = candidates.iter().filter(|candidate| !matches!(candidate.verdict, Verdict::Won));
    for other in others {
        let (name, path) = (&other.route.name, patterns::path(other.path));
        page.more(format_args!("not {name}{}, path {path}: {}", at(name), other.verdict));
    }
    if candidates.is_empty() {
        page.more("no route has this host and path");
    } else if candidates.len() == 1 {
        page.more("no other route has this host and path");
    }
}

fn authentication(page: &mut Page, told: &Told<'_>) {
    if let Some(step) = &told.explanation.authentication {
        page.line("caller", format_args!("{}, {}", step.found, step.scope));
        page.more(format_args!("asked for: {}", step.asks));
    }
}

fn preflight(page: &mut Page, told: &Told<'_>, step: &PreflightStep<'_>) {
    judges(page, told, std::slice::from_ref(&step.cors));
    let (answer, route) = if step.cors.passes {
        ("204 by the gateway itself", step.route)
    } else {
        ("403 cors_refused", None)
    };
    page.line("answer", format_args!("{answer}: a preflight for {}", step.method));
    if let Some(route) = route {
        page.more(format_args!("which the route {} would take", route.route.name));
    }
    for (name, value) in &step.fields {
        page.more(format_args!("{name}: {value}"));
    }
}

fn judges(page: &mut Page, told: &Told<'_>, steps: &[JudgeStep]) {
    for (index, step) in steps.iter().enumerate() {
        let PolicyId { kind, scope, .. } = &step.id;
        let at = At(told.place(&patterns::policies_of(scope)));
        let label = if index == 0 { "policies" } else { "" };
        page.line(label, format_args!("{kind}, {scope}{at}: {}", step.rule));
        page.more(format_args!("  {}", step.verdict));
    }
}

fn policies(page: &mut Page, told: &Told<'_>) {
    let (policies, judges) = (&told.explanation.policies, &told.explanation.judges);
    if policies.is_empty() && judges.is_empty() {
        return page.line("policies", "none");
    }
    for (index, step) in policies.iter().enumerate() {
        let id = &step.running.counted().id;
        let at = At(told.place(&patterns::policies_of(&id.scope)));
        let first = index == 0 && judges.is_empty();
        let label = if first { "policies" } else { "" };
        let (kind, name, scope) = (id.kind, &id.name, &id.scope);
        page.line(label, format_args!("{kind} {name}, {scope}{at}: {}", step.running.rule()));
        if let Some(service) = step.only_for {
            page.more(format_args!("  for requests to {service}"));
        }
        match &step.key[..] {
            [] => page.more("  counts everybody together"),
            parts => parts.iter().for_each(|part| page.more(format_args!("  by {part}"))),
        }
    }
}

fn refused(page: &mut Page, Failure { reason, detail }: &Failure) {
    page.line(
        "answer",
        format_args!("{} {}: {}", reason.status(), reason.code(), reason.outside()),
    );
    if !detail.is_empty() {
        page.more(detail);
    }
    let limit = match reason {
        Reason::UriTooLong => "uri",
        Reason::BodyTooLarge => "body",
        _ => return,
    };
    page.more(format_args!("the limit is `limits.{limit}`"));
}

fn action(page: &mut Page, told: &Told<'_>, routed: &Routed<'_>) {
    let held = match &routed.action {
        Action::Forward { held, .. } => *held,
        Action::Redirect { .. } | Action::Reply(_) => None,
    };
    for line in traffic::lines(routed, held) {
        page.line("traffic", line);
    }
    match &routed.action {
        Action::Forward { target, upgrade, services, .. } => {
            page.line("forward", format_args!("{} {target}", told.question.method));
            let (limit, source) = routed.body_limit;
            let limit = limit.map_or("of any length".to_owned(), |n| format!("up to {n} bytes"));
            page.more(format_args!("content {limit} ({})", source.as_str()));
            if let Some(protocols) = upgrade {
                page.more(format_args!("may switch to {protocols}"));
            }
            let total: u32 = services.iter().map(|share| share.weight).sum();
            for share in services {
                service(page, told, share, total, upgrade.is_some());
                let lines = again::lines(&routed.route.route, share, told.question.method);
                lines.iter().for_each(|line| page.more(line));
            }
        }
        Action::Redirect { status, location } => {
            page.line("redirect", format_args!("{status} to {location}"));
        }
        Action::Reply(reply) => {
            page.line("reply", format_args!("{}, {} bytes", reply.status, reply.body.len()));
            for (name, value) in &reply.headers {
                page.more(format_args!("{name}: {value}"));
            }
        }
    }
}

fn service(page: &mut Page, told: &Told<'_>, share: &Share<'_>, total: u32, upgrades: bool) {
    let Service { name, .. } = &*share.service.service;
    let at = At(told.place(&["services", name]));
    let percent = f64::from(share.weight) * 100.0 / f64::from(total.max(1));
    // One digit behind the point, and none where it says nothing.
    let percent = (percent * 10.0).round() / 10.0;
    page.line("service", format_args!("{name}{at}: {percent} % of requests, {}", tls(share)));
    for line in connection::of_service(&share.service.service, upgrades) {
        page.more(line);
    }
    page.more(timeouts(&share.timeouts, upgrades));
    page.more(format_args!("endpoints, {}:", endpoints::balance(&share.service.service)));
    endpoints::lines(page, share);
    traffic::overload(&share.service.service).iter().for_each(|line| page.more(line));
    health::lines(&share.service.service).for_each(|line| page.more(line));
}

fn tls(share: &Share<'_>) -> String {
    match &share.service.service.tls {
        None => "plain HTTP".to_owned(),
        Some(tls) if !tls.verify => "TLS without verification".to_owned(),
        Some(tls) => match &tls.server_name {
            Some(name) => format!("TLS, verified as {name}"),
            None => "TLS, verified".to_owned(),
        },
    }
}

/// In one line; that of tunnels only where the request may become one.
fn timeouts(timeouts: &Timeouts, upgrades: bool) -> String {
    let Timeouts { connect, first_byte, stall, tunnel, total } = timeouts;
    let shown = |name: &str, after: Option<Duration>, source: Source| {
        let after = after.map_or("off".to_owned(), |after| format!("{after:?}"));
        format!("{name} {after} ({})", source.as_str())
    };
    let tunnel = upgrades.then(|| shown("tunnel", Some(tunnel.0), tunnel.1));
    let others = [
        shown("connect", Some(connect.0), connect.1),
        shown("first_byte", Some(first_byte.0), first_byte.1),
        shown("stall", Some(stall.0), stall.1),
        shown("total", total.0, total.1),
    ];
    others.into_iter().chain(tunnel).collect::<Vec<_>>().join(", ")
}
