//! A route: its match, and exactly one thing that happens.

use std::sync::Arc;

use super::{Scope, host, http, matching, path, policies, retries, template, traffic};
use crate::model::{
    Action, PathPattern, Reply, Rewrite, RewritePath, Route, RouteTimeouts, Segment,
    WeightedService,
};
use crate::node::Span;
use crate::raw::{
    Limit, OffOr, RedirectSpec, ReplySpec, RewriteSpec, RouteSpec, RouteTimeoutsSpec, Spanned,
    SplitSpec,
};

const REDIRECTS: &[u16] = &[301, 302, 303, 307, 308];

/// The largest weight of a split.
const HEAVIEST: u32 = 1_000_000;

pub(crate) fn route(spec: &RouteSpec, scope: &mut Scope<'_>) -> Route {
    let matches = matching::matching(&spec.matches, scope);
    let action = action(spec, &matches.paths, scope);
    let policies = policies(&spec.policies, Some(&matches.paths), scope);
    Route {
        name: scope.name.clone(),
        priority: spec.priority,
        action,
        body_limit: spec.limits.body.map(|limit| match limit {
            Limit::Unlimited => None,
            Limit::Size(bytes) => Some(bytes),
        }),
        timeouts: timeouts(&spec.timeouts, scope),
        upgrade: spec.upgrade.unwrap_or(true),
        retries: retries::of_route(spec.retries.as_ref(), scope),
        fallback: fallback(spec, scope),
        policies,
        faults: traffic::faults(spec.faults.as_ref(), scope),
        importance: traffic::importance(spec.importance),
        matches,
    }
}

/// What only means something where a request goes on to a service.
fn fallback(spec: &RouteSpec, scope: &mut Scope<'_>) -> Option<Arc<Reply>> {
    let answers = if spec.redirect.is_some() {
        Some("redirect")
    } else {
        spec.reply.is_some().then_some("reply")
    };
    let keys = [
        ("retries", spec.retries.as_ref().map(|written| written.span)),
        ("fallback", spec.fallback.as_ref().map(|written| written.span)),
    ];
    for (name, span) in keys {
        if let (Some(span), Some(action)) = (span, answers) {
            scope.fault(span, format!("a route with `{action}` has no use for `{name}`")).label =
                "only with `service` or `split`".into();
        }
    }
    let written = spec.fallback.as_ref()?;
    Some(Arc::new(reply_action(&written.value, 503, scope)))
}

fn action(spec: &RouteSpec, paths: &[PathPattern], scope: &mut Scope<'_>) -> Action {
    one_action(spec, scope);
    traffic::only_forwarded(spec, scope);
    if let Some(redirect) = &spec.redirect {
        no_rewrite(spec, "redirect", scope);
        return redirect_action(&redirect.value, paths, scope);
    }
    if let Some(reply) = &spec.reply {
        no_rewrite(spec, "reply", scope);
        return Action::Reply(Arc::new(reply_action(&reply.value, 200, scope)));
    }
    let services = match (&spec.service, &spec.split) {
        (Some(service), _) => vec![WeightedService { service: service.as_str().into(), weight: 1 }],
        (None, Some(parts)) => split(parts, scope),
        (None, None) => Vec::new(),
    };
    let rewrite = spec.rewrite.as_ref().map(|rewrite| self::rewrite(&rewrite.value, paths, scope));
    Action::Forward {
        services,
        split_by: traffic::split_by(spec, scope),
        mirror: traffic::mirror(spec.mirror.as_ref(), scope).map(Arc::new),
        rewrite: rewrite.unwrap_or_default(),
    }
}

fn one_action(spec: &RouteSpec, scope: &mut Scope<'_>) {
    let given: Vec<(&str, Span)> = [
        ("service", spec.service.as_ref().map(|s| s.span)),
        ("split", spec.split.as_ref().map(|s| s.span)),
        ("redirect", spec.redirect.as_ref().map(|s| s.span)),
        ("reply", spec.reply.as_ref().map(|s| s.span)),
    ]
    .into_iter()
    .filter_map(|(name, span)| Some((name, span?)))
    .collect();
    match given.as_slice() {
        [] if scope.incomplete => {}
        [] => {
            let message = format!("the route `{}` does nothing", scope.name);
            let at = scope.name_span;
            scope.fault(at, message).label =
                "needs one of `service`, `split`, `redirect`, `reply`".into();
        }
        [(first, first_at), more @ ..] => {
            for (name, at) in more {
                let fault =
                    scope.fault(*at, format!("a route has either `{first}` or `{name}`, not both"));
                fault.also = Some((*first_at, format!("`{first}` is here")));
            }
        }
    }
}

fn no_rewrite(spec: &RouteSpec, action: &str, scope: &mut Scope<'_>) {
    if let Some(rewrite) = &spec.rewrite {
        scope
            .fault(rewrite.span, format!("a route with `{action}` has nothing to rewrite"))
            .label = "only with `service` or `split`".into();
    }
}

pub(super) fn split(
    written: &Spanned<Vec<SplitSpec>>,
    scope: &mut Scope<'_>,
) -> Vec<WeightedService> {
    let mut parts: Vec<WeightedService> = Vec::new();
    for (index, part) in written.value.iter().enumerate() {
        let service = part.service.as_str();
        if let Some(first) = written.value[..index].iter().find(|p| p.service.as_str() == service) {
            let shown = part.service.shown();
            let first = first.service.span;
            scope
                .fault(part.service.span, format!("the service {shown} is in this split twice"))
                .also = Some((first, "first here".into()));
        }
        if part.weight.value > HEAVIEST {
            scope.fault(part.weight.span, format!("a weight is at most {HEAVIEST}"));
        }
        parts.push(WeightedService { service: service.into(), weight: part.weight.value });
    }
    if parts.iter().all(|part| part.weight == 0) && !scope.incomplete {
        scope.fault(written.span, "no service of this split has a weight above 0");
    }
    parts
}

fn redirect_action(spec: &RedirectSpec, paths: &[PathPattern], scope: &mut Scope<'_>) -> Action {
    let status = spec.status.as_ref().map_or(308, |status| status.value);
    if let Some(written) = spec.status.as_ref().filter(|_| !REDIRECTS.contains(&status)) {
        scope.fault(written.span, format!("{status} is no status for a redirect")).label =
            "expected 301, 302, 303, 307 or 308".into();
    }
    Action::Redirect { to: template::location(&spec.to, paths, scope), status }
}

fn reply_action(spec: &ReplySpec, usual: u16, scope: &mut Scope<'_>) -> Reply {
    let status = spec.status.as_ref().map_or(usual, |status| status.value);
    if let Some(written) = spec.status.as_ref().filter(|_| !(200..=599).contains(&status)) {
        scope.fault(written.span, format!("{status} is no status for a reply")).label =
            "expected 200 to 599".into();
    }
    let body: Arc<[u8]> = match (&spec.body, &spec.file) {
        (Some(body), Some(file)) => {
            scope.fault(file.span, "a reply has either `body` or `file`, not both").also =
                Some((body.span, "`body` is here".into()));
            Arc::from([])
        }
        (Some(body), None) => body.as_str().as_bytes().into(),
        (None, Some(file)) => scope.file(file).1,
        (None, None) => Arc::from([]),
    };
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        let at = spec.body.as_ref().or(spec.file.as_ref()).map_or(scope.name_span, |s| s.span);
        scope.fault(at, format!("a reply of status {status} has no content"));
    }
    Reply { status, headers: http::reply_headers(&spec.headers, scope), body }
}

fn rewrite(spec: &RewriteSpec, paths: &[PathPattern], scope: &mut Scope<'_>) -> Rewrite {
    let path = match (&spec.path, &spec.strip_prefix) {
        (Some(path), Some(strip)) => {
            scope
                .fault(strip.span, "a rewrite has either `path` or `strip_prefix`, not both")
                .also = Some((path.span, "`path` is here".into()));
            RewritePath::Keep
        }
        (Some(path), None) => RewritePath::Template(template::rewrite(path, paths, scope)),
        (None, Some(strip)) => strip_prefix(strip, paths, scope),
        (None, None) => RewritePath::Keep,
    };
    Rewrite { path, host: spec.host.as_ref().map(|host| host::authority(host, scope)) }
}

fn strip_prefix(
    written: &Spanned<String>,
    paths: &[PathPattern],
    scope: &mut Scope<'_>,
) -> RewritePath {
    let shown = written.shown();
    let text = written.as_str();
    let inner = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let segments: Option<Result<Vec<Arc<str>>, _>> =
        inner.map(|inner| inner.split('/').map(path::literal).collect());
    let segments = match segments {
        Some(Ok(segments)) if segments.iter().all(|segment| !segment.is_empty()) => segments,
        _ => {
            scope.fault(written.span, format!("{shown} is no prefix to strip")).label =
                "expected whole segments, such as `/api`".into();
            return RewritePath::Keep;
        }
    };
    if !paths.is_empty() && paths.iter().all(|pattern| never_below(pattern, &segments)) {
        scope.fault(written.span, format!("no path of this route begins with {shown}")).label =
            "nothing to strip".into();
    }
    RewritePath::StripPrefix(format!("/{}", segments.join("/")).into())
}

/// Whether no path that the pattern takes can begin with these segments.
fn never_below(pattern: &PathPattern, prefix: &[Arc<str>]) -> bool {
    let (PathPattern::Segments(segments) | PathPattern::Prefix(segments)) = pattern else {
        return false;
    };
    let open = matches!(pattern, PathPattern::Prefix(_))
        || matches!(segments.last(), Some(Segment::Rest(_)));
    let clash = segments.iter().zip(prefix).any(|(segment, wanted)| match segment {
        Segment::Literal(text) => text != wanted,
        Segment::Param(_) | Segment::Rest(_) => false,
    });
    clash || (!open && segments.len() < prefix.len())
}

fn timeouts(spec: &RouteTimeoutsSpec, scope: &mut Scope<'_>) -> RouteTimeouts {
    let mut time = |written: &Option<Spanned<crate::raw::Time>>| {
        written.as_ref().map(|written| scope.time(Some(written), written.value.0))
    };
    RouteTimeouts {
        connect: time(&spec.connect),
        first_byte: time(&spec.first_byte),
        stall: time(&spec.stall),
        tunnel: time(&spec.tunnel),
        total: spec.total.as_ref().map(|written| total(written, scope)),
    }
}

/// A limit for the whole exchange, or none.
pub(super) fn total(
    written: &Spanned<OffOr<crate::raw::Time>>,
    scope: &mut Scope<'_>,
) -> Option<std::time::Duration> {
    match written.value {
        OffOr::Off => None,
        OffOr::On(time) => {
            if time.0.is_zero() {
                scope.fault(written.span, "a duration of zero makes no sense here").help =
                    Some("write `off` for no limit".into());
            }
            Some(time.0)
        }
    }
}
