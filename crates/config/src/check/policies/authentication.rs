//! What a list of policies asks of requests so that the gateway knows who calls: at most one method,
//! and who is meant where nothing is shown.

use std::sync::Arc;

use super::super::{Scope, authentication as methods, introspection, oidc, token};
use crate::model::{Authentication, Layered, Method, Name};
use crate::node::Span;
use crate::raw::{PolicySpec, Spanned};

/// Policies about who calls.
pub(super) const KINDS: [&str; 9] =
    ["api_key", "basic", "mtls", "jwt", "introspection", "oidc", "any_of", "all_of", "anonymous"];

/// Whether a policy is about who calls, and nothing else.
pub(super) fn is(item: &Spanned<PolicySpec>) -> bool {
    places(&item.value).into_iter().any(|(_, span)| span.is_some())
}

fn places(spec: &PolicySpec) -> [(&'static str, Option<Span>); 9] {
    let spans = [
        spec.api_key.as_ref().map(|spec| spec.span),
        spec.basic.as_ref().map(|spec| spec.span),
        spec.mtls.as_ref().map(|spec| spec.span),
        spec.jwt.as_ref().map(|spec| spec.span),
        spec.introspection.as_ref().map(|spec| spec.span),
        spec.oidc.as_ref().map(|spec| spec.span),
        spec.any_of.as_ref().map(|spec| spec.span),
        spec.all_of.as_ref().map(|spec| spec.span),
        spec.anonymous.as_ref().map(|spec| spec.span),
    ];
    std::array::from_fn(|at| (KINDS[at], spans[at]))
}

pub(super) fn authentication(
    written: &[Spanned<PolicySpec>],
    scope: &mut Scope<'_>,
) -> Layered<Authentication> {
    let mut method: Option<(Method, Span)> = None;
    let mut anonymous: Option<(Name, Span)> = None;
    for item in written.iter().filter(|item| is(item)) {
        alone(item, scope);
        if let Some(name) = &item.value.anonymous {
            if let Some((_, first)) = &anonymous {
                scope.fault(name.span, "nobody can be two consumers").also =
                    Some((*first, "first here".into()));
            }
            anonymous = Some((name.as_str().into(), name.span));
        }
        let Some(found) = self::method(&item.value, scope) else { continue };
        if let Some((_, first)) = &method {
            let fault = scope.fault(item.span, "this list has two ways to tell who calls");
            fault.also = Some((*first, "first here".into()));
            fault.help = Some(
                "if either will do, put them into one `any_of`, else into one `all_of`".into(),
            );
        }
        method = Some((found, item.span));
    }
    if method.is_none() && anonymous.is_none() {
        return Layered::Unsaid;
    }
    Layered::On(Arc::new(Authentication {
        method: method.map(|(method, _)| method),
        anonymous: anonymous.map(|(name, _)| name),
    }))
}

/// An item is one policy.
fn alone(item: &Spanned<PolicySpec>, scope: &mut Scope<'_>) {
    let spec = &item.value;
    let others = [
        ("cors", spec.cors.as_ref().map(|spec| spec.span)),
        ("csrf", spec.csrf.as_ref().map(|spec| spec.span)),
        ("security_headers", spec.security_headers.as_ref().map(|spec| spec.span)),
        ("rate_limit", spec.rate_limit.as_ref().map(|spec| spec.span)),
        ("quota", spec.quota.as_ref().map(|spec| spec.span)),
        ("concurrency", spec.concurrency.as_ref().map(|spec| spec.span)),
    ];
    let mut given = places(spec).into_iter().chain(others);
    let mut given = given.by_ref().filter_map(|(name, span)| Some((name, span?)));
    if let (Some((one, at)), Some((other, also))) = (given.next(), given.next()) {
        let fault = scope.fault(also, format!("`{one}` and `{other}` are two policies"));
        fault.also = Some((at, format!("`{one}` is here")));
        fault.help = Some("begin each with its own `-`".into());
    }
}

fn method(spec: &PolicySpec, scope: &mut Scope<'_>) -> Option<Method> {
    if let Some(spec) = &spec.api_key {
        return Some(methods::api_key(spec, scope));
    }
    if let Some(spec) = &spec.basic {
        return Some(methods::basic(&spec.value, scope));
    }
    if let Some(spec) = &spec.mtls {
        return Some(methods::mtls(&spec.value, scope));
    }
    if let Some(spec) = &spec.jwt {
        return Some(token::jwt(spec, scope));
    }
    if let Some(spec) = &spec.introspection {
        return Some(introspection::introspection(spec, scope));
    }
    if let Some(spec) = &spec.oidc {
        return Some(oidc::oidc(spec, scope));
    }
    if let Some(spec) = &spec.any_of {
        return Some(methods::any_of(spec, scope));
    }
    Some(methods::all_of(spec.all_of.as_ref()?, scope))
}
