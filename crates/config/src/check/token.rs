//! Tokens as credentials.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_jose::{ClaimPath, Expectations, Expected, Requirement, Scopes, Test, Typ};

use super::authentication::{Places, items, longest, places, realm};
use super::{Scope, policies};
use crate::model::{Jwt, Method, Name};
use crate::node::Span;
use crate::raw::{JwtSpec, OneOrMany, RequireSpec, ScalarSpec, Spanned, Time};

/// The most that clocks may differ.
const MOST_LEEWAY: Duration = Duration::from_secs(600);
/// Most fields that claims are written to.
const MOST_HEADERS: usize = 64;
/// Fields that say how a message is to be read, or whom a request is for: no claim is written to
/// them.
const NOT_WRITTEN: [&str; 14] = [
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
    "content-type",
    "content-encoding",
    "forwarded",
    "via",
];

pub(super) fn jwt(written: &Spanned<JwtSpec>, scope: &mut Scope<'_>) -> Method {
    let spec = &written.value;
    let places = Places {
        header: &spec.header,
        scheme: spec.scheme.as_ref(),
        query: &spec.query,
        cookie: &spec.cookie,
    };
    Method::Jwt(Box::new(Jwt {
        from: self::places(&places, ("authorization", Some("Bearer")), scope),
        longest: longest(spec.max_size.as_ref(), scope),
        forward: spec.forward.unwrap_or(true),
        realm: realm(spec.realm.as_ref(), scope),
        issuers: issuers(spec, scope),
        expected: expected(spec, written.span, scope),
        roles: match &spec.roles {
            None => vec![ClaimPath::name("roles")],
            roles => items(roles).filter_map(|claim| path(claim, scope)).collect(),
        },
        consumer: consumer(spec.consumer.as_ref(), spec.require_consumer.as_ref(), scope),
        headers: headers(spec.claims_to_headers.as_ref(), scope),
    }))
}

fn issuers(spec: &JwtSpec, scope: &mut Scope<'_>) -> Vec<Name> {
    let mut issuers: Vec<Name> = Vec::new();
    for issuer in &spec.issuers.value.0 {
        if issuers.iter().any(|other| **other == *issuer.as_str()) {
            scope.fault(issuer.span, "this issuer is here twice");
        }
        issuers.push(issuer.as_str().into());
    }
    if issuers.is_empty() && !scope.incomplete {
        scope.fault(spec.issuers.span, "without an issuer no token is good");
    }
    issuers
}

fn expected(spec: &JwtSpec, at: Span, scope: &mut Scope<'_>) -> Expectations {
    Expectations {
        issuers: None,
        audiences: meant(spec, at, scope),
        expiry_required: spec.require_expiry.unwrap_or(true),
        leeway: leeway(spec.leeway.as_ref(), scope),
        max_age: scope.own_time(spec.max_age.as_ref()),
        typ: typ(spec, scope),
        required: requirements(spec.require.as_ref(), scope),
        scopes: scopes(&spec.scopes, &spec.any_scope, scope),
    }
}

/// How far clocks may differ.
pub(super) fn leeway(written: Option<&Spanned<Time>>, scope: &mut Scope<'_>) -> Duration {
    let leeway = written.map_or(Duration::from_secs(30), |leeway| leeway.value.0);
    if let Some(written) = written.filter(|_| leeway > MOST_LEEWAY) {
        scope.fault(written.span, "no clock is that far off").label = "at most `10m`".into();
    }
    leeway
}

/// Whom tokens must be for. Whoever takes tokens for others must say so.
fn meant(spec: &JwtSpec, at: Span, scope: &mut Scope<'_>) -> Option<Vec<Box<str>>> {
    let looks = spec.check_audience.as_ref().is_none_or(|looks| looks.value);
    match (&spec.audiences, looks) {
        (None, false) => None,
        (Some(written), false) => {
            scope.fault(written.span, "`check_audience: false` does not look at these");
            None
        }
        (None, true) => {
            if !scope.incomplete {
                let fault = scope.fault(at, "whom must tokens be for?");
                fault.label = "`audiences` is missing".into();
                fault.help = Some(
                    "name who is meant (`aud`), or write `check_audience: false` if a token for \
                     anybody will do"
                        .into(),
                );
            }
            Some(Vec::new())
        }
        (Some(written), true) => Some(audiences(written, scope)),
    }
}

/// Whom tokens must be for.
pub(super) fn audiences(
    written: &Spanned<OneOrMany<Spanned<String>>>,
    scope: &mut Scope<'_>,
) -> Vec<Box<str>> {
    if written.value.0.is_empty() && !scope.incomplete {
        scope.fault(written.span, "without an audience no token is good");
    }
    written.value.0.iter().map(|audience| named(audience, scope)).collect()
}

fn typ(spec: &JwtSpec, scope: &mut Scope<'_>) -> Typ {
    let Some(_) = &spec.typ else { return Typ::Usual };
    let names: Vec<Box<str>> = items(&spec.typ).map(|typ| named(typ, scope)).collect();
    if names.iter().any(|name| **name == *"any") { Typ::Any } else { Typ::OneOf(names) }
}

/// What tokens must grant.
pub(super) fn scopes(
    all: &Option<OneOrMany<Spanned<String>>>,
    any: &Option<OneOrMany<Spanned<String>>>,
    scope: &mut Scope<'_>,
) -> Scopes {
    let also = items(any).next().filter(|_| all.is_some());
    let all: Vec<Box<str>> = items(all).map(|one| word(one, scope)).collect();
    let any: Vec<Box<str>> = items(any).map(|one| word(one, scope)).collect();
    if let Some(also) = also {
        scope.fault(also.span, "`scopes` and `any_scope` are two demands").label =
            "only one of them".into();
    }
    match (all.is_empty(), any.is_empty()) {
        (false, _) => Scopes::All(all),
        (true, false) => Scopes::Any(any),
        (true, true) => Scopes::None,
    }
}

/// A scope (RFC 6749, 3.3).
pub(super) fn word(written: &Spanned<String>, scope: &mut Scope<'_>) -> Box<str> {
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if written.as_str().is_empty() || !written.as_str().bytes().all(legal) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no scope"));
    }
    written.as_str().into()
}

/// What claims must be.
pub(super) fn requirements(
    written: Option<&Vec<Spanned<RequireSpec>>>,
    scope: &mut Scope<'_>,
) -> Vec<Requirement> {
    written.into_iter().flatten().filter_map(|one| require(one, scope)).collect()
}

fn require(written: &Spanned<RequireSpec>, scope: &mut Scope<'_>) -> Option<Requirement> {
    let RequireSpec { claim, equals, one_of, contains, contains_any } = &written.value;
    let path = path(claim, scope);
    let given = [
        equals.as_ref().map(|one| (one.span, Test::Equals(value(&one.value)))),
        one_of.as_ref().map(|all| (all.span, Test::OneOf(values(&all.value)))),
        contains.as_ref().map(|all| (all.span, Test::Contains(values(&all.value.0)))),
        contains_any.as_ref().map(|all| (all.span, Test::ContainsAny(values(&all.value.0)))),
    ];
    let mut given = given.into_iter().flatten();
    let first = given.next();
    if let (Some((at, _)), Some((also, _))) = (&first, given.next()) {
        let fault = scope.fault(also, "a demand asks for one thing");
        fault.also = Some((*at, "first here".into()));
        fault.help = Some("begin each with its own `-`".into());
    }
    if let Some((at, Test::OneOf(all) | Test::Contains(all) | Test::ContainsAny(all))) = &first
        && all.is_empty()
        && !scope.incomplete
    {
        scope.fault(*at, "an empty list asks for nothing");
    }
    Some(Requirement { path: path?, test: first.map_or(Test::Present, |(_, test)| test) })
}

fn values(written: &[Spanned<ScalarSpec>]) -> Vec<Expected> {
    written.iter().map(|one| value(&one.value)).collect()
}

fn value(written: &ScalarSpec) -> Expected {
    match written {
        ScalarSpec::Text(text) => Expected::Text(text.as_str().into()),
        ScalarSpec::Whole(number) => Expected::Whole(*number),
        ScalarSpec::Bool(value) => Expected::Bool(*value),
    }
}

/// The claim that names the consumer, and whether it must be a known one.
pub(super) fn consumer(
    claim: Option<&Spanned<String>>,
    require: Option<&Spanned<bool>>,
    scope: &mut Scope<'_>,
) -> Option<(ClaimPath, bool)> {
    let Some(claim) = claim else {
        if let Some(written) = require.filter(|_| !scope.incomplete) {
            scope.fault(written.span, "no claim names a consumer").label =
                "only with `consumer`".into();
        }
        return None;
    };
    let required = require.is_none_or(|written| written.value);
    path(claim, scope).map(|path| (path, required))
}

/// Fields that claims are written to.
pub(super) fn headers(
    written: Option<&BTreeMap<String, Spanned<String>>>,
    scope: &mut Scope<'_>,
) -> Vec<(Name, ClaimPath)> {
    let mut headers: Vec<(Name, ClaimPath)> = Vec::new();
    for (name, claim) in written.into_iter().flatten() {
        let field = field(&Spanned { value: name.clone(), span: claim.span, hidden: false }, scope);
        if headers.iter().any(|(other, _)| *other == field) {
            scope.fault(claim.span, format!("the field `{field}` is here twice"));
        }
        headers.extend(path(claim, scope).map(|path| (field, path)));
    }
    if let Some((_, claim)) = written.into_iter().flatten().nth(MOST_HEADERS) {
        scope.fault(claim.span, format!("claims are written to {MOST_HEADERS} fields at most"));
    }
    headers
}

/// A field that the gateway fills, in lower case.
pub(super) fn field(name: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    let field = policies::field_name(name, scope);
    if NOT_WRITTEN.contains(&&*field) {
        scope.fault(name.span, format!("no claim is written to `{field}`"));
    }
    field
}

/// Where a claim is.
pub(super) fn path(written: &Spanned<String>, scope: &mut Scope<'_>) -> Option<ClaimPath> {
    ClaimPath::parse(written.as_str())
        .map_err(|error| {
            let shown = written.shown();
            scope.fault(written.span, format!("{shown} names no claim")).label = error.to_string();
        })
        .ok()
}

fn named(written: &Spanned<String>, scope: &mut Scope<'_>) -> Box<str> {
    if written.as_str().is_empty() {
        scope.fault(written.span, "a name is missing here");
    }
    written.as_str().into()
}
