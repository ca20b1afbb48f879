//! Random routes and requests over small alphabets: lookups, changes and explanations are held
//! against the plainest router.

use std::sync::Arc;

use portcullis_config::model::Route;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::kit::{Asked, With, pattern, route, router};
use super::predicate::Place;
use super::reference::{naive, rank};
use super::{Router, Verdict};

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
        listeners in select(vec![&[][..], &[], &[], &["web"], &["plain"], &["plain", "web"]]),
    ) -> Route {
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let mut route = route("", &paths).methods(&methods).priority(priority);
        route = route.listeners(listeners);
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
        listener in select(vec!["web", "plain", "other"]),
    ) -> Asked {
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let slash = if path.is_empty() { "" } else { slash };
        let line = format!("{method} {host}/{}{slash}{mark}{}", path.join("/"), query.join("&"));
        let asked = Asked::new(&line).client(client).listener(listener);
        fields.iter().fold(asked, |asked, (name, value)| match *name {
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
    #![proptest_config(ProptestConfig::with_cases(192))]

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
        changes in prop::collection::vec(any::<Index>(), 0..80),
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
