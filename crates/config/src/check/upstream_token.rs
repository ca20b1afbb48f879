//! The token that the gateway shows to a service.

use std::time::Duration;

use super::authentication::items;
use super::{Scope, client, http, issuer, tls, token};
use crate::model::{ClientProof, Granter, Name, StoreTls, UpstreamToken};
use crate::node::Span;
use crate::raw::{Spanned, Time, UpstreamTokenSpec};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Most scopes, resources and other parameters, of each, and the longest value.
const MOST: usize = 32;
const LONGEST: usize = 1024;
/// What the protocol itself says, or has a key of its own.
const OWN: [&str; 7] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "resource",
];

pub(super) fn upstream_token(
    written: &Spanned<UpstreamTokenSpec>,
    scope: &mut Scope<'_>,
) -> UpstreamToken {
    let spec = &written.value;
    let client = client::client(&spec.client, scope);
    if client.proof == ClientProof::None && !scope.incomplete {
        let fault = scope.fault(spec.client.span, "a public client gets no token for itself");
        fault.help = Some("give it a `secret` or a `private_key`".into());
    }
    UpstreamToken {
        granter: granter(written, scope),
        client,
        parameters: parameters(spec, scope),
        refresh_ahead: between(
            spec.refresh_ahead.as_ref(),
            MINUTE,
            (SECOND, HOUR, "`1s` to `1h`"),
            scope,
        ),
    }
}

fn granter(written: &Spanned<UpstreamTokenSpec>, scope: &mut Scope<'_>) -> Granter {
    let spec = &written.value;
    let endpoint = spec.endpoint.as_ref().map(|url| issuer::url(url, scope));
    if let Some(name) = &spec.issuer {
        let idle = [
            ("timeout", spec.timeout.as_ref().map(|one| one.span)),
            ("tls", spec.tls.as_ref().map(|one| one.span)),
        ];
        for (key, at) in idle {
            if let Some(at) = at {
                scope.fault(at, format!("that of the issuer holds: `{key}` is idle")).also =
                    Some((name.span, "the issuer is named here".into()));
            }
        }
        return Granter::Issuer { name: name.as_str().into(), endpoint };
    }
    if endpoint.is_none() && !scope.incomplete {
        scope.fault(written.span, "nobody is named who grants this token").label =
            "expected `issuer` or `endpoint`".into();
    }
    Granter::Address {
        endpoint: endpoint.unwrap_or_else(crate::model::Url::nowhere),
        tls: match &spec.tls {
            Some(spec) => tls::store(&spec.value, scope),
            None => StoreTls { ca: None, certificate: None },
        },
        timeout: between(
            spec.timeout.as_ref(),
            Duration::from_secs(5),
            (Duration::from_millis(1), MINUTE, "at most `1m`"),
            scope,
        ),
    }
}

/// What is asked for, as it is sent.
fn parameters(spec: &UpstreamTokenSpec, scope: &mut Scope<'_>) -> Vec<(Name, Name)> {
    let mut parameters: Vec<(Name, Name)> = Vec::new();
    let mut words: Vec<Box<str>> = Vec::new();
    for written in items(&spec.scopes) {
        let word = token::word(written, scope);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if !words.is_empty() {
        parameters.push(("scope".into(), words.join(" ").into()));
    }
    for written in items(&spec.resource) {
        let text = written.as_str();
        // Absolute, and without a fragment (RFC 8707, 2).
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let legal = http::is_token(scheme)
            && text.len() <= LONGEST
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !legal && !scope.incomplete {
            let shown = written.shown();
            scope.fault(written.span, format!("{shown} is no resource")).label =
                "expected an absolute URI without `#`".into();
        }
        parameters.push(("resource".into(), text.into()));
    }
    for (name, value) in spec.parameters.iter().flatten() {
        if OWN.contains(&&**name) {
            scope.fault(value.span, format!("`{name}` is the gateway's own to say"));
        } else if !http::is_token(name) || value.as_str().len() > LONGEST {
            scope.fault(value.span, format!("`{name}` cannot be a parameter with this value"));
        }
        parameters.push((name.as_str().into(), value.as_str().into()));
    }
    let counts = [
        items(&spec.scopes).nth(MOST).map(|one| one.span),
        items(&spec.resource).nth(MOST).map(|one| one.span),
        spec.parameters.iter().flatten().nth(MOST).map(|(_, value)| value.span),
    ];
    for at in counts.into_iter().flatten() {
        too_many(at, scope);
    }
    parameters
}

fn too_many(at: Span, scope: &mut Scope<'_>) {
    scope.fault(at, format!("at most {MOST} of these can be asked for"));
}

fn between(
    written: Option<&Spanned<Time>>,
    default: Duration,
    (least, most, shown): (Duration, Duration, &str),
    scope: &mut Scope<'_>,
) -> Duration {
    let Some(written) = written else { return default };
    if !(least..=most).contains(&written.value.0) {
        scope.fault(written.span, "this time makes no sense here").label =
            format!("expected {shown}");
    }
    written.value.0
}
