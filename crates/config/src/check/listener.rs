//! A listener: its address, TLS, trust, limits and timeouts.

use std::time::Duration;

use super::connection_rate::connection_rate;
use super::{Scope, address, http, http2, protocol, proxy_protocol, tls};
use crate::model::{
    EncodedSlash, Forwarded, Limits, Listener, ListenerTimeouts, PathPolicy, Trust,
};
use crate::node::Span;
use crate::raw::{
    EncodedSlashSpec, ForwardedSpec, Limit, LimitsSpec, ListenerSpec, ListenerTimeoutsSpec, OffOr,
    PathPolicySpec,
};

pub(crate) fn listener(spec: &ListenerSpec, scope: &mut Scope<'_>) -> Listener {
    let bind = address::bind(&spec.address, scope);
    let protocol = protocol::protocol(spec, scope);
    Listener {
        name: scope.name.clone(),
        protocol,
        proxy_protocol: proxy_protocol::senders(spec.proxy_protocol.as_ref(), &bind, scope),
        bind,
        tls: spec.tls.as_ref().map(|tls| tls::listener(tls, scope).into()),
        http2: http2::http2(spec.http2.as_ref().map(|written| &written.value), scope),
        forwarded: forwarded(spec.forwarded.as_ref().map(|written| &written.value), scope),
        path: path_policy(spec.path.as_ref().map(|written| &written.value)),
        limits: limits(&spec.limits, scope),
        timeouts: timeouts(&spec.timeouts, scope),
    }
}

fn forwarded(spec: Option<&ForwardedSpec>, scope: &mut Scope<'_>) -> Forwarded {
    let default = ForwardedSpec::default();
    let spec = spec.unwrap_or(&default);
    let via = match &spec.via {
        None => Some("portcullis".into()),
        Some(via) => match &via.value {
            OffOr::Off => None,
            OffOr::On(name) => {
                if !http::is_token(name) {
                    scope.fault(via.span, "this cannot stand in `Via`").label =
                        "expected a name of letters, digits and `-`, or `off`".into();
                }
                Some(name.as_str().into())
            }
        },
    };
    Forwarded {
        trust: trust(spec, scope),
        via,
        x_forwarded: spec.x_forwarded.unwrap_or(true),
        rfc7239: spec.rfc7239.unwrap_or(false),
    }
}

fn trust(spec: &ForwardedSpec, scope: &mut Scope<'_>) -> Trust {
    let trusted = spec.trusted.as_ref();
    let networks: Vec<_> = trusted
        .iter()
        .flat_map(|list| &list.value)
        .filter_map(|item| address::network(item, scope))
        .collect();
    let hops = spec.hops.as_ref().filter(|hops| hops.value > 0);
    match (trusted.filter(|list| !list.value.is_empty()), hops) {
        (Some(list), Some(hops)) => {
            scope.fault(hops.span, "trust is either `trusted` or `hops`, not both").also =
                Some((list.span, "`trusted` is here".into()));
            Trust::Nobody
        }
        (Some(_), None) => Trust::Networks(networks.into()),
        (None, Some(hops)) => Trust::Hops(hops.value),
        (None, None) => Trust::Nobody,
    }
}

fn path_policy(spec: Option<&PathPolicySpec>) -> PathPolicy {
    PathPolicy {
        merge_slashes: spec.and_then(|spec| spec.merge_slashes).unwrap_or(true),
        encoded_slash: match spec.and_then(|spec| spec.encoded_slash) {
            None | Some(EncodedSlashSpec::Keep) => EncodedSlash::Keep,
            Some(EncodedSlashSpec::Reject) => EncodedSlash::Reject,
            Some(EncodedSlashSpec::Decode) => EncodedSlash::Decode,
        },
    }
}

fn limits(spec: &LimitsSpec, scope: &mut Scope<'_>) -> Limits {
    let mut count = |written: Option<(u64, Span)>, default: usize| {
        let Some((value, at)) = written else {
            return default;
        };
        if value == 0 {
            scope.fault(at, "a limit of 0 lets nothing in").label = "expected at least 1".into();
        }
        usize::try_from(value).unwrap_or(usize::MAX)
    };
    let limits = Limits {
        uri: count(spec.uri.as_ref().map(|s| (s.value.0, s.span)), 8 << 10),
        fields: count(spec.fields.as_ref().map(|s| (s.value.into(), s.span)), 100),
        head: count(spec.head.as_ref().map(|s| (s.value.0, s.span)), 32 << 10),
        body: match spec.body.as_ref().map(|written| written.value) {
            None | Some(Limit::Unlimited) => None,
            Some(Limit::Size(bytes)) => Some(bytes),
        },
        streams: count(spec.streams.as_ref().map(|s| (s.value.into(), s.span)), 8192),
        connections: count(spec.connections.as_ref().map(|s| (s.value.into(), s.span)), 100_000),
        connection_rate: connection_rate(&spec.connection_rate, scope),
    };
    check_head(spec, &limits, scope);
    limits
}

/// A head is read into one buffer of 64 KiB and its fields into one table, so more cannot be let in.
fn check_head(spec: &LimitsSpec, limits: &Limits, scope: &mut Scope<'_>) {
    const LARGEST_HEAD: usize = 63 << 10;
    const MOST_FIELDS: usize = 256;
    if limits.uri.saturating_add(limits.head) > LARGEST_HEAD {
        let at = spec.head.as_ref().map(|s| s.span).or(spec.uri.as_ref().map(|s| s.span));
        if let Some(at) = at {
            scope.fault(at, "`uri` and `head` together are more than a request may have").label =
                "expected at most 63KiB for both".into();
        }
    }
    if let Some(fields) = spec.fields.as_ref().filter(|_| limits.fields > MOST_FIELDS) {
        scope.fault(fields.span, "that many fields are never let in").label =
            format!("expected at most {MOST_FIELDS}");
    }
}

fn timeouts(spec: &ListenerTimeoutsSpec, scope: &mut Scope<'_>) -> ListenerTimeouts {
    ListenerTimeouts {
        head: scope.time(spec.head.as_ref(), Duration::from_secs(10)),
        idle: scope.time(spec.idle.as_ref(), Duration::from_secs(75)),
        stall: scope.time(spec.stall.as_ref(), Duration::from_secs(60)),
        min_rate: spec.min_rate.as_ref().map_or(240, |rate| rate.value.0),
        min_rate_grace: scope.time(spec.min_rate_grace.as_ref(), Duration::from_secs(10)),
    }
}
