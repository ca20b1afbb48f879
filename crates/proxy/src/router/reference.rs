//! The router held against the plainest one that could be: every route tried, the best by the
//! documented order taken. Also: changes against a router built anew, and a count of steps.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_config::model::{HostPattern, PathPattern, Predicate, Route, Segment, ValueTest};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::hosts::{Host, HostMatch};
use super::kit::{Asked, With, pattern, route, router};
use super::params::Span;
use super::predicate::Place;
use super::slot::Slot;
use super::walk::{Visit, walk};
use super::{Router, Verdict};

/// What precedence goes by, the least first; see the documentation of [`super::super::router`].
type Rank<'a> = (Reverse<i32>, usize, (u8, Vec<usize>, String), bool, Reverse<usize>, &'a str);

fn naive(routes: &[Arc<Route>], asked: &Asked) -> String {
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
fn rank<'a>(route: &'a Route, asked: &Asked) -> Option<Rank<'a>> {
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
    let clients = &matches.clients;
    all_hold(&matches.headers, &headers)
        && all_hold(&matches.cookies, &cookies)
        && all_hold(&matches.query, &query)
        && (clients.is_empty() || clients.iter().any(|network| network.contains(&asked.client)))
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

fn some_paths() -> impl Strategy<Value = Vec<String>> {
    let segment = || select(vec!["a", "a", "b", "{x}", "{y}"]);
    let ordinary = (prop::collection::vec(segment(), 0..4), select(vec!["", "", "/", "/{*r}"]))
        .prop_map(|(list, end)| match (list.join("/"), end) {
            (list, "") => format!("/{list}"),
            (list, end) if list.is_empty() => format!("/{}", &end[1..]),
            (list, end) => format!("/{list}{end}"),
        });
    let prefix =
        prop::collection::vec(segment(), 0..3).prop_map(|l| format!("prefix:/{}", l.join("/")));
    let regexes = vec!["/a/[ab]", "/a/.*", "/.*", "/(a|b)/a", "/a/b/.*", "/a(/b)?", "/b/a/(a|b)"];
    let regex = select(regexes).prop_map(|source| format!("regex:{source}"));
    let path = prop_oneof![6 => ordinary, 2 => prefix, 2 => regex];
    prop::collection::vec(path, 1..3)
}

prop_compose! {
    fn some_route()(
        paths in some_paths(),
        hosts in subsequence(vec!["h.x.y", "x.y", "*.x.y", "*.y"], 0..3),
        any_host in any::<bool>(),
        methods in subsequence(vec!["GET", "POST", "PURGE"], 0..3),
        priority in select(vec![0, 0, 0, 0, 1, -1]),
        asks in prop::collection::vec(
            (
                select(vec![Place::Header, Place::Query, Place::Cookie]),
                select(vec!["p", "q"]),
                select(vec!["1", "1", "2", "3", "?", "!", "~[12]"]),
            ),
            0..3,
        ),
        local in select(vec![false, false, false, true]),
    ) -> Route {
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let mut route = route("", &paths).methods(&methods).priority(priority);
        route = route.hosts(if any_host { &[] } else { &hosts });
        for (place, name, test) in asks {
            route = route.asks(place, name, test);
        }
        if local { route.clients(&["10.0.0.0/8"]) } else { route }
    }
}

prop_compose! {
    fn some_request()(
        host in select(vec!["h.x.y", "x.y", "g.x.y", "z.y", "H.X.Y.", "other"]),
        path in prop::collection::vec(select(vec!["a", "a", "b", "c"]), 0..5),
        slash in select(vec!["", "", "", "/"]),
        method in select(vec!["GET", "GET", "POST", "PUT", "PURGE"]),
        fields in prop::collection::vec((select(vec!["p", "Q", "cookie"]), select(vec!["1", "2", "3"])), 0..3),
        query in prop::collection::vec((select(vec!["p", "q"]), select(vec!["1", "%31", "2", "3"])), 0..3),
        client in select(vec!["10.0.0.1", "192.0.2.1"]),
    ) -> Asked {
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let slash = if path.is_empty() { "" } else { slash };
        let line = format!("{method} {host}/{}{slash}{mark}{}", path.join("/"), query.join("&"));
        fields.iter().fold(Asked::new(&line).client(client), |asked, (name, value)| match *name {
            "cookie" => asked.field(name, &format!("p={value}; q={value}")),
            name => asked.field(name, value),
        })
    }
}

fn named(routes: Vec<Route>) -> Vec<Arc<Route>> {
    let name = |(at, route)| Arc::new(Route { name: Arc::from(format!("r{at}")), ..route });
    routes.into_iter().enumerate().map(name).collect()
}

fn insert(router: &mut Router<Arc<str>>, route: &Arc<Route>) {
    router.insert(Arc::clone(route), Arc::clone(&route.name));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_best_route_is_found(
        routes in prop::collection::vec(some_route(), 0..60),
        requests in prop::collection::vec(some_request(), 20),
    ) {
        let routes = named(routes);
        let router = router(routes.iter().map(|route| Route::clone(route)));
        for asked in requests {
            prop_assert_eq!(asked.of(&router), naive(&routes, &asked), "{:?}", asked);
        }
    }

    /// All at one path, so that its routes are indexed.
    #[test]
    fn routes_of_one_path_are_told_apart(
        routes in prop::collection::vec(some_route(), 20..80),
        requests in prop::collection::vec(some_request(), 10),
    ) {
        let mut routes = routes;
        for route in &mut routes {
            route.matches.paths = vec![pattern("/a")];
            route.matches.hosts.clear();
        }
        let routes = named(routes);
        let router = router(routes.iter().map(|route| Route::clone(route)));
        for mut asked in requests {
            asked.path = "/a".to_owned();
            prop_assert_eq!(asked.of(&router), naive(&routes, &asked), "{:?}", asked);
        }
    }

    #[test]
    fn changes_amount_to_building_anew(
        routes in prop::collection::vec(some_route(), 1..50),
        changes in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        requests in prop::collection::vec(some_request(), 10),
    ) {
        let routes = named(routes);
        let mut there = vec![false; routes.len()];
        let mut changed = Router::default();
        let mut copies = Vec::new();
        for change in changes {
            let at = change.index(routes.len());
            let route = &routes[at];
            if there[at] {
                prop_assert!(changed.remove(route));
                prop_assert!(!changed.remove(route));
            } else {
                insert(&mut changed, route);
            }
            there[at] ^= true;
            copies.push((changed.clone(), there.clone()));
        }
        for (router, there) in copies.iter().rev().step_by(20) {
            let left: Vec<_> = routes.iter().zip(there).filter(|(_, there)| **there).map(|(r, _)| Arc::clone(r)).collect();
            prop_assert_eq!(router.len(), left.len());
            for asked in &requests {
                prop_assert_eq!(asked.of(router), naive(&left, asked), "{:?}", asked);
            }
        }
        for route in routes.iter().zip(&there).filter(|(_, there)| **there).map(|(route, _)| route) {
            prop_assert!(changed.remove(route));
        }
        prop_assert!(changed.hosts.is_empty(), "no node is left behind");
    }

    #[test]
    fn explanations_agree_with_lookups(
        routes in prop::collection::vec(some_route(), 0..120),
        asked in some_request(),
    ) {
        let routes = named(routes);
        let router = router(routes.iter().map(|route| Route::clone(route)));
        let shown = router.explain(&asked.request());
        let won: Vec<_> = shown.iter().filter(|c| matches!(c.verdict, Verdict::Won)).collect();
        let found = asked.of(&router);
        match won[..] {
            [] => prop_assert!(found.starts_with('4')),
            [winner] => prop_assert_eq!(&**winner.value, &*found),
            _ => prop_assert!(false, "two winners"),
        }
        let ranks: Vec<_> = shown.iter().map(|c| rank(c.route, &asked)).collect();
        prop_assert!(ranks.iter().all(Option::is_some), "all match by host and path");
        prop_assert!(shown.len() >= 50 || ranks.is_sorted());
        let in_question = routes.iter().filter(|route| rank(route, &asked).is_some()).count();
        prop_assert_eq!(shown.len(), in_question.min(50));
    }
}

/// Counts the steps of a walk in which nothing is ever found.
struct Steps(usize);

impl<'r, T> Visit<'r, T> for Steps {
    fn wants(&mut self, _: i32) -> bool {
        self.0 += 1;
        true
    }

    fn look(&mut self, _: &'r Slot<T>, _: &[Span]) {}
}

fn steps(router: &Router<Arc<str>>, path: &str) -> usize {
    let mut host = Vec::new();
    let trees: Vec<_> = router.hosts.trees(Host::of(b"h", &mut host)).collect();
    let mut steps = Steps(0);
    for (how, tree) in trees {
        assert_eq!(how, HostMatch::Any);
        walk(tree, path.as_bytes(), &mut Vec::new(), &mut steps);
    }
    steps.0
}

/// Every mix of `a` and a parameter at every depth, and paths that fit all of them but the last
/// segment: the worst there is. Beyond the depth of the table nothing grows.
#[test]
fn hostile_paths_cost_no_more_than_the_table_has_nodes() {
    const DEPTH: usize = 8;
    let mixes = (0..1 << DEPTH).map(|mix: usize| {
        let segment = |at| if mix >> at & 1 == 0 { "/a" } else { "/{x}" };
        let path: String = (0..DEPTH).map(segment).collect();
        route(&format!("mix-{mix}"), &[&format!("{path}/end")])
    });
    let router = router(mixes);
    let nodes = (1 << (DEPTH + 1)) - 1;
    // Two more: the regexes and what takes everything are asked about once.
    for length in [1, 4, 7] {
        assert_eq!(steps(&router, &"/a".repeat(length)), (1 << (length + 1)) - 1 + 2);
    }
    for length in [8, 9, 30, 4000] {
        assert_eq!(steps(&router, &"/a".repeat(length)), nodes + 2, "{length} segments");
    }
    assert_eq!(Asked::new(&format!("GET h{}", "/a".repeat(4000))).of(&router), "404");
    assert_eq!(Asked::new("GET h/a/a/a/a/a/a/a/a/end").of(&router), "mix-0");
}

#[test]
fn steps_do_not_grow_with_the_number_of_routes() {
    let by_literal =
        |many| router((0..many).map(|n| route(&format!("r{n}"), &[&format!("/api/r{n}/{{x}}")])));
    let by_regex = |many| {
        router((0..many).map(|n| route(&format!("r{n}"), &[&format!("regex:/api/r{n}/[0-9]+")])))
    };
    for path in ["/api/r5/x/y", "/api/none", "/"] {
        assert_eq!(steps(&by_literal(10), path), steps(&by_literal(5000), path));
        assert_eq!(steps(&by_regex(10), path), steps(&by_regex(500), path));
    }
}
