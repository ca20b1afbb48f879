//! Authentication: every method for itself, and what stands in whose way.

use super::{Scope, http, policies, token};
use crate::model::{ApiKey, Basic, KeyPlace, Method, Mtls, Name};
use crate::node::Span;
use crate::raw::{ApiKeySpec, BasicSpec, MethodSpec, MtlsSpec, OneOrMany, Size, Spanned};

/// The longest credential that is looked at when nothing is said, in bytes.
const LONGEST: u64 = 8 * 1024;
/// The longest that may be said.
const LONGEST_EVER: u64 = 64 * 1024;
/// Most methods in a list.
const MOST_METHODS: usize = 16;
/// How deep lists may stand in lists.
const DEEPEST: usize = 4;

/// The methods of a list.
pub(super) fn any_of(list: &Spanned<Vec<Spanned<MethodSpec>>>, scope: &mut Scope<'_>) -> Method {
    Method::AnyOf(self::list(list, "any_of", 1, scope))
}

pub(super) fn all_of(list: &Spanned<Vec<Spanned<MethodSpec>>>, scope: &mut Scope<'_>) -> Method {
    Method::AllOf(self::list(list, "all_of", 1, scope))
}

fn list(
    written: &Spanned<Vec<Spanned<MethodSpec>>>,
    what: &str,
    depth: usize,
    scope: &mut Scope<'_>,
) -> Vec<Method> {
    let many = written.value.len();
    if !(2..=MOST_METHODS).contains(&many) && !scope.incomplete {
        scope.fault(written.span, format!("`{what}` needs several methods")).label =
            format!("expected 2 to {MOST_METHODS}");
    }
    if depth > DEEPEST {
        scope.fault(written.span, "these lists stand too deep in each other").label =
            format!("at most {DEEPEST} deep");
        return Vec::new();
    }
    let mut methods = Vec::new();
    for item in &written.value {
        let Some(method) = one(item, depth, scope) else { continue };
        if methods.contains(&method) {
            scope.fault(item.span, "this method is here twice");
        }
        methods.push(method);
    }
    methods
}

fn one(item: &Spanned<MethodSpec>, depth: usize, scope: &mut Scope<'_>) -> Option<Method> {
    let MethodSpec { api_key, basic, mtls, jwt, introspection, oidc, any_of, all_of } = &item.value;
    let given = [
        ("api_key", api_key.as_ref().map(|spec| spec.span)),
        ("basic", basic.as_ref().map(|spec| spec.span)),
        ("mtls", mtls.as_ref().map(|spec| spec.span)),
        ("jwt", jwt.as_ref().map(|spec| spec.span)),
        ("introspection", introspection.as_ref().map(|spec| spec.span)),
        ("oidc", oidc.as_ref().map(|spec| spec.span)),
        ("any_of", any_of.as_ref().map(|spec| spec.span)),
        ("all_of", all_of.as_ref().map(|spec| spec.span)),
    ];
    let words: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
    let mut there = given.iter().filter_map(|(name, span)| Some((*name, (*span)?)));
    match (there.next(), there.next()) {
        (None, _) => {
            if !scope.incomplete {
                scope.fault(item.span, "this is no way to tell who calls").label =
                    format!("expected one of `{}`", words.join("`, `"));
            }
            return None;
        }
        (Some((one, at)), Some((other, also))) => two(one, at, other, also, scope),
        (Some(_), None) => {}
    }
    if let Some(spec) = introspection {
        return Some(super::introspection::introspection(spec, scope));
    }
    if let Some(spec) = oidc {
        return Some(super::oidc::oidc(spec, scope));
    }
    Some(match (api_key, basic, mtls, jwt, any_of, all_of) {
        (Some(spec), ..) => self::api_key(spec, scope),
        (_, Some(spec), ..) => self::basic(&spec.value, scope),
        (_, _, Some(spec), ..) => self::mtls(&spec.value, scope),
        (_, _, _, Some(spec), ..) => token::jwt(spec, scope),
        (_, _, _, _, Some(spec), _) => Method::AnyOf(list(spec, "any_of", depth + 1, scope)),
        (.., spec) => Method::AllOf(list(spec.as_ref()?, "all_of", depth + 1, scope)),
    })
}

fn two(one: &str, at: Span, other: &str, also: Span, scope: &mut Scope<'_>) {
    let fault = scope.fault(also, format!("`{one}` and `{other}` are two methods"));
    fault.also = Some((at, format!("`{one}` is here")));
    fault.help = Some("begin each with its own `-`".into());
}

pub(super) fn api_key(written: &Spanned<ApiKeySpec>, scope: &mut Scope<'_>) -> Method {
    let spec = &written.value;
    let places = Places {
        header: &spec.header,
        scheme: spec.scheme.as_ref(),
        query: &spec.query,
        cookie: &spec.cookie,
    };
    Method::ApiKey(ApiKey {
        from: self::places(&places, ("x-api-key", None), scope),
        longest: longest(spec.max_size.as_ref(), scope),
        forward: spec.forward.unwrap_or(false),
        realm: realm(spec.realm.as_ref(), scope),
    })
}

/// Where a credential may stand, as written.
pub(super) struct Places<'a> {
    pub(super) header: &'a Option<OneOrMany<Spanned<String>>>,
    pub(super) scheme: Option<&'a Spanned<String>>,
    pub(super) query: &'a Option<OneOrMany<Spanned<String>>>,
    pub(super) cookie: &'a Option<OneOrMany<Spanned<String>>>,
}

/// The places where a credential may stand; where none is written, in the field `usual`, behind its
/// scheme.
pub(super) fn places(
    written: &Places<'_>,
    (usual, usual_scheme): (&str, Option<&str>),
    scope: &mut Scope<'_>,
) -> Vec<KeyPlace> {
    let mut from = Vec::new();
    let none = items(written.header).chain(items(written.query)).chain(items(written.cookie));
    let none = none.count() == 0;
    let scheme = scheme(written, none && usual == "authorization", scope);
    let scheme = scheme.or(usual_scheme.map(Name::from));
    for header in items(written.header) {
        let name = policies::field_name(header, scope);
        let scheme = scheme.clone().filter(|_| &*name == "authorization");
        from.push((KeyPlace::Header(name, scheme), header.span));
    }
    for query in items(written.query) {
        from.push((KeyPlace::Query(named(query, scope)), query.span));
    }
    for cookie in items(written.cookie) {
        let name = named(cookie, scope);
        if !http::is_token(&name) && !name.is_empty() {
            scope.fault(cookie.span, format!("{} is no name of a cookie", cookie.shown()));
        }
        from.push((KeyPlace::Cookie(name), cookie.span));
    }
    let mut places: Vec<KeyPlace> = Vec::new();
    for (place, at) in from {
        if places.contains(&place) {
            scope.fault(at, "this place is here twice");
        }
        places.push(place);
    }
    if places.is_empty() {
        let scheme = scheme.filter(|_| usual == "authorization");
        places.push(KeyPlace::Header(usual.into(), scheme));
    }
    places
}

/// What stands before the credential in `Authorization`; `usual` if that is where it is looked for
/// though nobody says so.
fn scheme(written: &Places<'_>, usual: bool, scope: &mut Scope<'_>) -> Option<Name> {
    let scheme = written.scheme?;
    let is = |name: &Spanned<String>| name.as_str().eq_ignore_ascii_case("authorization");
    if !http::is_token(scheme.as_str()) {
        scope.fault(scheme.span, format!("{} is no scheme", scheme.shown())).label =
            "expected a word such as `Bearer`".into();
    } else if !usual && !items(written.header).any(is) && !scope.incomplete {
        scope.fault(scheme.span, "a scheme stands in `Authorization`").help =
            Some("add `header: Authorization`".into());
    }
    Some(scheme.as_str().into())
}

pub(super) fn basic(spec: &BasicSpec, scope: &mut Scope<'_>) -> Method {
    Method::Basic(Basic {
        longest: longest(spec.max_size.as_ref(), scope),
        forward: spec.forward.unwrap_or(false),
        realm: realm(spec.realm.as_ref(), scope),
    })
}

pub(super) fn mtls(spec: &MtlsSpec, scope: &mut Scope<'_>) -> Method {
    Method::Mtls(Mtls { realm: realm(spec.realm.as_ref(), scope) })
}

pub(super) fn items(
    written: &Option<OneOrMany<Spanned<String>>>,
) -> impl Iterator<Item = &Spanned<String>> + '_ {
    written.iter().flat_map(|list| &list.0)
}

fn named(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    if written.as_str().is_empty() {
        scope.fault(written.span, "a name is missing here");
    }
    written.as_str().into()
}

/// The longest credential, in bytes.
pub(super) fn longest(written: Option<&Spanned<Size>>, scope: &mut Scope<'_>) -> usize {
    let size = written.map_or(LONGEST, |written| written.value.0);
    if let Some(written) = written.filter(|_| !(64..=LONGEST_EVER).contains(&size)) {
        scope.fault(written.span, "no credential is looked at for this size").label =
            "expected `64B` to `64KiB`".into();
    }
    size.min(LONGEST_EVER) as usize
}

/// What stands between quotes in a challenge.
pub(super) fn realm(written: Option<&Spanned<String>>, scope: &mut Scope<'_>) -> Name {
    let Some(written) = written else { return "portcullis".into() };
    let legal = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if !written.as_str().bytes().all(legal) || written.as_str().len() > 128 {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} cannot stand in a challenge")).label =
            "expected at most 128 characters of ASCII without `\"` and `\\`".into();
        return "portcullis".into();
    }
    written.as_str().into()
}
