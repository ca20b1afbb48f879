//! Tokens that their issuer is asked about.

use std::time::Duration;

use portcullis_jose::{ClaimPath, Expectations, Typ};

use super::authentication::{Places, items, longest, places, realm};
use super::{Scope, client, issuer, token};
use crate::model::{Introspection, Jwt, Method};
use crate::raw::{IntrospectionSpec, Spanned, Time};

pub(super) fn introspection(written: &Spanned<IntrospectionSpec>, scope: &mut Scope<'_>) -> Method {
    let spec = &written.value;
    let places = Places {
        header: &spec.header,
        scheme: spec.scheme.as_ref(),
        query: &spec.query,
        cookie: &spec.cookie,
    };
    let token = Jwt {
        from: self::places(&places, ("authorization", Some("Bearer")), scope),
        longest: longest(spec.max_size.as_ref(), scope),
        forward: spec.forward.unwrap_or(true),
        realm: realm(spec.realm.as_ref(), scope),
        issuers: vec![spec.issuer.as_str().into()],
        expected: expected(spec, scope),
        roles: match &spec.roles {
            None => vec![ClaimPath::name("roles")],
            roles => items(roles).filter_map(|claim| token::path(claim, scope)).collect(),
        },
        consumer: token::consumer(spec.consumer.as_ref(), spec.require_consumer.as_ref(), scope),
        headers: token::headers(spec.claims_to_headers.as_ref(), scope),
    };
    Method::Introspection(Box::new(Introspection {
        token,
        issuer: spec.issuer.as_str().into(),
        endpoint: spec.endpoint.as_ref().map(|url| issuer::url(url, scope)),
        client: client::client(&spec.client, scope),
        cache: time(spec.cache.as_ref(), 60, (86_400, "1d"), scope),
        refused_cache: time(spec.refused_cache.as_ref(), 10, (3600, "1h"), scope),
    }))
}

/// Whoever gives the answer has looked at the token; what it says is held to nevertheless.
fn expected(spec: &IntrospectionSpec, scope: &mut Scope<'_>) -> Expectations {
    Expectations {
        issuers: None,
        audiences: spec.audiences.as_ref().map(|written| token::audiences(written, scope)),
        expiry_required: false,
        leeway: token::leeway(spec.leeway.as_ref(), scope),
        max_age: None,
        typ: Typ::Any,
        required: token::requirements(spec.require.as_ref(), scope),
        scopes: token::scopes(&spec.scopes, &spec.any_scope, scope),
    }
}

/// A time with a default and a most, in seconds.
fn time(
    written: Option<&Spanned<Time>>,
    default: u64,
    (most, shown): (u64, &str),
    scope: &mut Scope<'_>,
) -> Duration {
    let Some(written) = written else { return Duration::from_secs(default) };
    if written.value.0 > Duration::from_secs(most) {
        scope.fault(written.span, "this is too long to remember an answer").label =
            format!("at most `{shown}`");
    }
    written.value.0
}
