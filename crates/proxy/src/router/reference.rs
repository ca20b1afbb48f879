//! The plainest router that could be, for tests: every route tried, the best by the documented
//! order taken.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_config::model::{HostPattern, PathPattern, Predicate, Route, Segment, ValueTest};

use super::kit::Asked;

/// What precedence goes by, the least first; see [`super`].
pub(super) type Rank<'a> =
    (Reverse<i32>, usize, (u8, Vec<usize>, String), bool, Reverse<usize>, &'a str);

/// What [`Asked::of`] should say.
pub(super) fn naive(routes: &[Arc<Route>], asked: &Asked) -> String {
    let matching =
        |route: &&Arc<Route>| rank(route, asked).is_some() && conditions_hold(route, asked);
    let matching: Vec<_> = routes.iter().filter(matching).collect();
    let takes = |route: &&&Arc<Route>| {
        let methods = &route.matches.methods;
        methods.is_empty() || methods.iter().any(|method| **method == *asked.method)
    };
    let best = matching.iter().filter(takes).min_by_key(|route| rank(route, asked));
    let allowed: BTreeSet<_> = matching.iter().flat_map(|route| &route.matches.methods).collect();
    let allowed: Vec<_> = allowed.into_iter().map(|method| &**method).collect();
    match best {
        Some(route) => route.name.to_string(),
        None if allowed.is_empty() => "404".to_owned(),
        None => format!("405 {}", allowed.join(",")),
    }
}

/// The best rank of the route over its hosts and paths; `None` when host or path do not match.
pub(super) fn rank<'a>(route: &'a Route, asked: &Asked) -> Option<Rank<'a>> {
    let host = asked.host.to_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let matches = &route.matches;
    let hosts = matches.hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => (**name == *host).then_some(0),
        HostPattern::Suffix(suffix) => {
            (host.len() > suffix.len() && host.ends_with(&**suffix)).then(|| 1000 - suffix.len())
        }
    });
    let host = if matches.hosts.is_empty() { 1000 } else { hosts.min()? };
    let path = matches.paths.iter().filter_map(|path| path_rank(path, &asked.path)).min()?;
    let conditions = matches.headers.len() + matches.query.len() + matches.cookies.len();
    let conditions = conditions + usize::from(!matches.clients.is_empty());
    let conditions = conditions + usize::from(!matches.listeners.is_empty());
    let any = matches.methods.is_empty();
    Some((Reverse(route.priority), host, path, any, Reverse(conditions), &route.name))
}

/// Class (segments, regex, everything), then one number a segment, then the regex.
fn path_rank(pattern: &PathPattern, path: &str) -> Option<(u8, Vec<usize>, String)> {
    let (segments, mut open) = match pattern {
        PathPattern::Regex(regex) => {
            let source = regex.as_str();
            let order = vec![usize::MAX - source.len()];
            return regex.is_match(path.as_bytes()).then(|| (1, order, source.to_owned()));
        }
        PathPattern::Segments(segments) => (&segments[..], false),
        PathPattern::Prefix(segments) => (&segments[..], true),
    };
    let mut left: Vec<&str> = path[1..].split('/').rev().collect();
    let mut codes = Vec::new();
    for segment in segments {
        match segment {
            Segment::Rest(_) => open = true,
            Segment::Literal(text) => {
                codes.push(0);
                (left.pop()? == &**text).then_some(())?;
            }
            Segment::Param(_) => {
                codes.push(1);
                (!left.pop()?.is_empty()).then_some(())?;
            }
        }
    }
    if open {
        codes.push(2);
    }
    let class = if codes == [2] { 2 } else { 0 };
    (open || left.is_empty()).then(|| (class, codes, String::new()))
}

fn conditions_hold(route: &Route, asked: &Asked) -> bool {
    let fields =
        || asked.fields.iter().map(|field| (text(field.name).to_lowercase(), text(field.value)));
    let headers: Vec<_> = fields().map(|(name, value)| (name, value.to_owned())).collect();
    let cookies: Vec<_> = fields()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| value.split("; "))
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let query: Vec<_> = (asked.query.iter())
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.replace("%31", "1")))
        .collect();
    let matches = &route.matches;
    let (clients, listeners) = (&matches.clients, &matches.listeners);
    all_hold(&matches.headers, &headers)
        && all_hold(&matches.cookies, &cookies)
        && all_hold(&matches.query, &query)
        && (clients.is_empty() || clients.iter().any(|network| network.contains(&asked.client)))
        && (listeners.is_empty() || listeners.iter().any(|name| **name == *asked.listener))
}

fn all_hold(predicates: &[Predicate], found: &[(String, String)]) -> bool {
    predicates.iter().all(|predicate| {
        let mut values = found.iter().filter(|(name, _)| *name == *predicate.name).map(|(_, v)| v);
        match &predicate.test {
            ValueTest::Present(wanted) => values.next().is_some() == *wanted,
            ValueTest::Exact(value) => values.any(|found| **found == **value),
            ValueTest::Regex(regex) => values.any(|found| regex.is_match(found.as_bytes())),
        }
    })
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}
