//! Services that are asked whether requests may pass.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Scope, tls};
use super::keys;
use crate::model::{AuthzCache, AuthzPart, ExtAuthz, Name, Rule, StoreTls, Url};
use crate::raw::{
    AuthzCacheSpec, AuthzFailureSpec, AuthzPartSpec, ExtAuthzSpec, OneOrMany, Size, Spanned, Time,
};

const SLOWEST: (Duration, &str) = (Duration::from_secs(60), "1m");
const LONGEST_TTL: (Duration, &str) = (Duration::from_secs(3600), "1h");
const LARGEST: u64 = 1 << 20;
const MOST_CALLS: u32 = 100_000;
const MOST_REMEMBERED: u32 = 1_000_000;
/// Most fields of a list.
const MOST_HEADERS: usize = 64;
/// Fields that say how one message is to be read, or that the gateway writes itself: they go
/// neither to whom is asked nor from there to others.
const OWN: [&str; 14] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "forwarded",
    "via",
    "x-real-ip",
];

pub(super) fn ext_authz(written: &Spanned<ExtAuthzSpec>, scope: &mut Scope<'_>) -> Rule {
    let spec = &written.value;
    Rule::ExtAuthz(Arc::new(ExtAuthz {
        name: keys::name(spec.name.as_ref(), "ext_authz", scope),
        url: url(&spec.url, scope),
        send: fields(spec.send_headers.as_ref(), &["authorization", "cookie"], scope),
        to_upstream: to_upstream(spec, scope),
        to_client: fields(
            spec.to_client.as_ref(),
            &["www-authenticate", "location", "set-cookie"],
            scope,
        ),
        timeout: time(spec.timeout.as_ref(), Duration::from_millis(500), SLOWEST, scope),
        max_size: size(spec.max_size.as_ref(), scope),
        max_calls: number(spec.max_calls.as_ref(), 1000, MOST_CALLS, scope),
        open: spec.on_failure == Some(AuthzFailureSpec::Open),
        cache: spec.cache.as_ref().map(|cache| self::cache(cache, scope)),
        tls: match &spec.tls {
            Some(spec) => tls::store(spec, scope),
            None => StoreTls { ca: None, certificate: None },
        },
    }))
}

fn url(written: &Spanned<String>, scope: &mut Scope<'_>) -> Url {
    written.as_str().parse().unwrap_or_else(|error: crate::model::UrlError| {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no URL that can be called")).label =
            error.to_string();
        Url::nowhere()
    })
}

/// What the service is told must not be what says how its request is to be read.
fn to_upstream(spec: &ExtAuthzSpec, scope: &mut Scope<'_>) -> Vec<Name> {
    for item in spec.to_upstream.as_ref().map_or(&[][..], |list| &list.0) {
        if item.as_str().to_ascii_lowercase().starts_with("content-") {
            let shown = item.shown();
            scope.fault(item.span, format!("{shown} of the answer is about the answer")).help =
                Some("have it give what the service is to know under another name".into());
        }
    }
    fields(spec.to_upstream.as_ref(), &[], scope)
}

/// Names of fields, in lower case, each once.
fn fields(
    written: Option<&OneOrMany<Spanned<String>>>,
    default: &[&str],
    scope: &mut Scope<'_>,
) -> Vec<Name> {
    let Some(written) = written else { return default.iter().map(|name| (*name).into()).collect() };
    let mut names: Vec<Name> = Vec::new();
    for item in &written.0 {
        let name = keys::field_name(item, scope);
        if OWN.contains(&&*name) || name.starts_with("x-forwarded-") {
            scope.fault(item.span, format!("the field `{name}` cannot be chosen")).label =
                "the gateway writes it itself, or it belongs to one connection".into();
        } else if names.contains(&name) {
            scope.fault(item.span, format!("the field `{name}` is here twice"));
        }
        names.push(name);
    }
    if let Some(item) = written.0.get(MOST_HEADERS) {
        scope.fault(item.span, format!("there are {MOST_HEADERS} fields at most"));
    }
    names
}

fn cache(spec: &AuthzCacheSpec, scope: &mut Scope<'_>) -> AuthzCache {
    let mut regardless_of = Vec::new();
    for item in spec.regardless_of.as_ref().map_or(&[][..], |list| &list.0) {
        let part = match item.value {
            AuthzPartSpec::Method => AuthzPart::Method,
            AuthzPartSpec::Uri => AuthzPart::Uri,
            AuthzPartSpec::Host => AuthzPart::Host,
            AuthzPartSpec::Scheme => AuthzPart::Scheme,
            AuthzPartSpec::Ip => AuthzPart::Ip,
        };
        if regardless_of.contains(&part) {
            scope.fault(item.span, "this is here twice");
        }
        regardless_of.push(part);
    }
    AuthzCache {
        ttl: time(spec.ttl.as_ref(), Duration::from_secs(10), LONGEST_TTL, scope),
        size: number(spec.size.as_ref(), 10_000, MOST_REMEMBERED, scope),
        regardless_of,
    }
}

/// A time from more than zero to a most.
fn time(
    written: Option<&Spanned<Time>>,
    default: Duration,
    (most, shown): (Duration, &str),
    scope: &mut Scope<'_>,
) -> Duration {
    let time = scope.time(written, default);
    if let Some(written) = written.filter(|_| time > most) {
        scope.fault(written.span, "this is too long").label = format!("at most `{shown}`");
    }
    time
}

fn size(written: Option<&Spanned<Size>>, scope: &mut Scope<'_>) -> usize {
    let size = written.map_or(64 * 1024, |written| written.value.0);
    if let Some(written) = written.filter(|_| size > LARGEST) {
        scope.fault(written.span, "this is too much to read for an answer").label =
            "at most `1MiB`".into();
    }
    size.min(LARGEST) as usize
}

fn number(written: Option<&Spanned<u32>>, default: u32, most: u32, scope: &mut Scope<'_>) -> usize {
    let Some(written) = written else { return default as usize };
    super::within(written, most.into(), "lets nobody pass", scope) as usize
}
