//! A service: its endpoints and how they are called.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    Scope, address, balance, breaker, health, host, outliers, policies, retries, route, tls,
    traffic, upstream_token,
};
use crate::model::{
    Address, Endpoint, HostPolicy, Name, Pool, Protocol, ProxyVersion, Service, ServiceTimeouts,
};
use crate::node::Span;
use crate::raw::{
    EndpointSpec, HostPolicySpec, PoolSpec, ProtocolSpec, ProxyVersionSpec, ServiceSpec,
    ServiceTimeoutsSpec, Spanned,
};

/// The largest weight of an endpoint.
const HEAVIEST: u16 = 1000;

pub(crate) fn service(spec: &ServiceSpec, scope: &mut Scope<'_>) -> Service {
    let (retries, retry_budget) = retries::of_service(spec.retries.as_ref(), scope);
    let endpoints = endpoints(spec, scope);
    Service {
        name: scope.name.clone(),
        health: health::active(spec.health.as_ref(), &endpoints, scope),
        outliers: outliers::outliers(spec.outliers.as_ref(), endpoints.len(), scope),
        endpoints,
        balance: balance::balance(spec.balance.as_ref(), scope),
        sticky: spec.sticky.as_ref().map(|sticky| balance::sticky(sticky, scope).into()),
        slow_start: spec.slow_start.as_ref().map(|spec| balance::slow_start(spec, scope)),
        availability: balance::availability(&spec.availability),
        host: match &spec.host {
            None | Some(HostPolicySpec::Preserve) => HostPolicy::Preserve,
            Some(HostPolicySpec::Endpoint) => HostPolicy::Endpoint,
            Some(HostPolicySpec::Set(name)) => HostPolicy::Set(host::authority(name, scope)),
        },
        tls: spec.tls.as_ref().map(|tls| tls::service(tls, scope).into()),
        protocol: protocol(spec, scope),
        proxy_protocol: proxy_protocol(spec, scope),
        overload: traffic::overload(spec.overload.as_ref(), scope),
        pool: pool(&spec.pool, scope),
        timeouts: timeouts(&spec.timeouts, scope),
        retries,
        retry_budget,
        backup: backup(spec, scope),
        breaker: breaker::breaker(spec.breaker.as_ref(), scope),
        upstream_token: (spec.upstream_token.as_ref())
            .map(|written| upstream_token::upstream_token(written, scope).into()),
        policies: policies(&spec.policies, None, scope),
    }
}

fn endpoints(spec: &ServiceSpec, scope: &mut Scope<'_>) -> Vec<Endpoint> {
    let written = &spec.endpoints.value.0;
    if written.is_empty() && !scope.incomplete {
        scope.fault(spec.endpoints.span, format!("the service `{}` has no endpoints", scope.name));
    }
    let mut seen: HashMap<Address, Span> = HashMap::new();
    let mut endpoints = Vec::new();
    for item in written {
        let faults = scope.findings.len();
        let written = endpoint_address(item);
        let address = address::endpoint(&written, scope);
        let weight = item.value.weight.as_ref().map_or(1, |weight| weight.value);
        if let Some(written) = item.value.weight.as_ref().filter(|_| weight > HEAVIEST) {
            scope.fault(written.span, format!("a weight is at most {HEAVIEST}"));
        }
        let priority = balance::priority(item.value.priority.as_ref(), scope);
        let zone = item.value.zone.as_ref().map(|zone| balance::zone(zone, scope));
        if scope.findings.len() > faults {
            continue;
        }
        if let Some(first) = seen.get(&address) {
            let shown = written.shown();
            scope.fault(written.span, format!("the endpoint {shown} is here twice")).also =
                Some((*first, "first here".into()));
        }
        seen.insert(address.clone(), written.span);
        endpoints.push(Endpoint { address, weight, priority, zone });
    }
    if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        scope
            .warn(spec.endpoints.span, format!("the service `{}` takes no requests", scope.name))
            .label = "every endpoint has weight 0".into();
    }
    balance::levels(&endpoints, spec.endpoints.span, scope);
    endpoints
}

/// Where the address of an endpoint is written: in the short form, the endpoint is the address.
fn endpoint_address(item: &Spanned<EndpointSpec>) -> Spanned<String> {
    item.value.address.clone().unwrap_or_else(|| Spanned {
        value: item.value.short.clone(),
        span: item.span,
        hidden: item.hidden,
    })
}

fn protocol(spec: &ServiceSpec, scope: &mut Scope<'_>) -> Protocol {
    let Some(written) = &spec.protocol else { return Protocol::Http1 };
    match written.value {
        ProtocolSpec::Http1 => Protocol::Http1,
        ProtocolSpec::Http2 => Protocol::Http2,
        ProtocolSpec::Auto => {
            if spec.tls.is_none() {
                scope.fault(written.span, "only TLS lets the endpoint choose a protocol").label =
                    "expected `http1` or `http2`, or `tls` beside it".into();
            }
            Protocol::Auto
        }
    }
}

/// The service that takes over; whether it exists, and does not lead back, is known once all are read.
fn backup(spec: &ServiceSpec, scope: &mut Scope<'_>) -> Option<Name> {
    let written = spec.backup.as_ref()?;
    if *written.as_str() == *scope.name {
        scope.fault(written.span, "a service cannot be its own backup");
        return None;
    }
    Some(written.as_str().into())
}

/// The PROXY header, which a connection that serves many clients cannot begin with.
fn proxy_protocol(spec: &ServiceSpec, scope: &mut Scope<'_>) -> Option<ProxyVersion> {
    let written = spec.proxy_protocol.as_ref()?;
    if let Some(protocol) =
        spec.protocol.as_ref().filter(|protocol| protocol.value != ProtocolSpec::Http1)
    {
        let fault = scope.fault(
            written.span,
            "over HTTP/2 a connection serves many clients, and a PROXY header tells of one",
        );
        fault.also = Some((protocol.span, "HTTP/2 is allowed here".into()));
        fault.help = Some("only with `protocol: http1`".into());
    }
    Some(match written.value {
        ProxyVersionSpec::V1 => ProxyVersion::V1,
        ProxyVersionSpec::V2 => ProxyVersion::V2,
    })
}

fn pool(spec: &PoolSpec, scope: &mut Scope<'_>) -> Pool {
    Pool {
        idle: spec.idle.map_or(256, |idle| idle as usize),
        idle_timeout: scope.time(spec.idle_timeout.as_ref(), Duration::from_secs(60)),
        connections: some(spec.connections.as_ref().map(|s| (s.value, s.span)), 2048, scope),
        http2_connections: some(
            spec.http2_connections.as_ref().map(|s| (s.value.into(), s.span)),
            8,
            scope,
        ),
    }
}

/// A number of connections, at least one.
fn some(written: Option<(u32, Span)>, default: usize, scope: &mut Scope<'_>) -> usize {
    let Some((value, at)) = written else { return default };
    if value == 0 {
        scope.fault(at, "without connections no request can be sent").label =
            "expected at least 1".into();
    }
    value as usize
}

fn timeouts(spec: &ServiceTimeoutsSpec, scope: &mut Scope<'_>) -> ServiceTimeouts {
    ServiceTimeouts {
        connect: scope.time(spec.connect.as_ref(), Duration::from_secs(5)),
        first_byte: scope.time(spec.first_byte.as_ref(), Duration::from_secs(60)),
        stall: scope.time(spec.stall.as_ref(), Duration::from_secs(60)),
        tunnel: scope.time(spec.tunnel.as_ref(), Duration::from_secs(3600)),
        total: spec.total.as_ref().and_then(|written| route::total(written, scope)),
    }
}
