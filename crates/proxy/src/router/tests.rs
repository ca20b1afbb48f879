use super::kit::{Asked, With, route, router};
use super::predicate::Place::{Cookie, Header, Query};
use super::*;

fn check(router: &Router<Arc<str>>, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(Asked::new(line).of(router), *expected, "{line}");
    }
}

#[test]
fn paths_match_by_segment() {
    let router = router([
        route("root", &["/"]),
        route("a", &["/a"]),
        route("a-slash", &["/a/"]),
        route("param", &["/p/{x}/y"]),
        route("rest", &["/r/{*rest}"]),
        route("prefix", &["prefix:/f/g"]),
        route("regex", &["regex:/v[0-9]+/.*"]),
    ]);
    check(
        &router,
        &[
            ("GET h/", "root"),
            ("GET h/a", "a"),
            ("GET h/a/", "a-slash"),
            ("GET h/A", "404"),
            ("GET h/ab", "404"),
            ("GET h/a/b", "404"),
            ("GET h/p/1/y", "param"),
            ("GET h/p//y", "404"),
            ("GET h/p/1/y/", "404"),
            ("GET h/p/1/2/y", "404"),
            ("GET h/r", "rest"),
            ("GET h/r/", "rest"),
            ("GET h/r/b/c", "rest"),
            ("GET h/rb", "404"),
            ("GET h/f/g", "prefix"),
            ("GET h/f/g/", "prefix"),
            ("GET h/f/g/h/i", "prefix"),
            ("GET h/f", "404"),
            ("GET h/f/gh", "404"),
            ("GET h/v1/", "regex"),
            ("GET h/v12/x/y", "regex"),
            ("GET h/x/v1/", "404"),
        ],
    );
    let mut asterisk = Asked::new("OPTIONS h/");
    asterisk.path = "*".to_owned();
    assert_eq!(asterisk.of(&router), "404");
}

#[test]
fn the_more_specific_path_wins() {
    let router = router([
        route("everything", &["prefix:/"]),
        route("regex", &["regex:/a/.*"]),
        route("longer-regex", &["regex:/a/[0-9]+.*"]),
        route("aa", &["/a/a/{*rest}"]),
        route("a-param", &["/a/{x}"]),
        route("param-b", &["/{x}/b"]),
        route("a-rest", &["/a/z/{*rest}"]),
        route("a-z", &["/a/z"]),
        route("param-rest", &["/{x}/q/{*rest}"]),
    ]);
    check(
        &router,
        &[
            ("GET h/a/a", "aa"),
            ("GET h/a/b", "a-param"),
            ("GET h/x/b", "param-b"),
            ("GET h/a/z", "a-z"),
            ("GET h/a/z/", "a-rest"),
            ("GET h/a/b/c", "regex"),
            ("GET h/a/1/c", "longer-regex"),
            ("GET h/a/q", "a-param"),
            ("GET h/a/q/r", "param-rest"),
            ("GET h/b/b/b", "everything"),
            ("GET h/", "everything"),
        ],
    );
}

#[test]
fn the_more_specific_host_wins() {
    let router = router([
        route("exact", &["/x", "/only"]).hosts(&["a.example.com"]),
        route("long", &["/x", "/long"]).hosts(&["*.example.com"]),
        route("short", &["prefix:/"]).hosts(&["*.com"]),
        route("any", &["/x", "/any"]),
    ]);
    check(
        &router,
        &[
            ("GET a.example.com/x", "exact"),
            ("GET A.EXAMPLE.com./x", "exact"),
            ("GET b.example.com/x", "long"),
            ("GET b.a.example.com/x", "long"),
            ("GET example.com/x", "short"),
            ("GET .example.com/x", "short"),
            ("GET a.example.com/long", "long"),
            ("GET a.example.com/any", "short"),
            ("GET com/x", "any"),
            ("GET /x", "any"),
            ("GET a.example.com../x", "any"),
            ("GET example.org/only", "404"),
        ],
    );
    let long = format!("GET {}.com/x", "a".repeat(300));
    assert_eq!(Asked::new(&long).of(&router), "any");
    let long = format!("GET {}.com/x", "a".repeat(251));
    assert_eq!(Asked::new(&long).of(&router), "short");
}

#[test]
fn a_higher_priority_wins_before_all() {
    let router = router([
        route("exact", &["/a/b"]).hosts(&["h"]),
        route("high", &["prefix:/a"]).priority(1),
        route("higher", &["prefix:/a"]).priority(2).methods(&["PUT"]),
        route("low", &["/c"]).priority(-1),
        route("all", &["/{*rest}"]),
        route("lowest", &["/d"]).priority(i32::MIN).hosts(&["d"]),
    ]);
    check(
        &router,
        &[("GET h/a/b", "high"), ("PUT h/a/b", "higher"), ("GET h/c", "all"), ("GET d/d", "all")],
    );
}

#[test]
fn what_fails_goes_on_to_the_next() {
    let router = router([
        route("canary", &["/a/b"]).hosts(&["h.x"]).asks(Header, "x-env", "canary"),
        route("post", &["/a/b"]).hosts(&["h.x"]).methods(&["POST"]),
        route("param", &["/a/{x}"]).hosts(&["h.x"]).asks(Query, "debug", "1"),
        route("wild", &["/a/b"]).hosts(&["*.x"]).asks(Cookie, "tier", "gold"),
        route("local", &["/a/b"]).clients(&["10.0.0.0/8"]),
        route("rest", &["prefix:/a"]),
    ]);
    let plain = || Asked::new("GET h.x/a/b");
    assert_eq!(plain().of(&router), "rest");
    assert_eq!(plain().client("10.0.0.1").of(&router), "local");
    assert_eq!(plain().field("Cookie", "tier=gold").of(&router), "wild");
    assert_eq!(plain().field("X-Env", "canary").of(&router), "canary");
    assert_eq!(Asked::new("GET h.x/a/b?debug=1").of(&router), "param");
    assert_eq!(Asked::new("POST h.x/a/b?debug=1").of(&router), "post");
    let both = Asked::new("POST h.x/a/b").field("x-env", "canary");
    assert_eq!(both.of(&router), "post", "methods come before conditions");
}

#[test]
fn more_conditions_win_then_the_name() {
    let router = router([
        route("b", &["/"]),
        route("a", &["/"]),
        route("one", &["/"]).asks(Header, "x", "1"),
        route("two", &["/"]).asks(Header, "x", "1").asks(Query, "y", "?"),
        route("three", &["/"])
            .asks(Header, "x", "1")
            .asks(Query, "y", "?")
            .clients(&["::/0", "0.0.0.0/0"]),
    ]);
    assert_eq!(Asked::new("GET h/").of(&router), "a");
    assert_eq!(Asked::new("GET h/").field("x", "1").of(&router), "one");
    assert_eq!(Asked::new("GET h/?y").field("x", "1").of(&router), "three");
}

#[test]
fn a_listener_is_one_condition() {
    let router = router([
        route("any", &["prefix:/"]),
        route("plain", &["prefix:/"]).listeners(&["http"]),
        route("longer", &["/a"]),
        route("inside", &["/admin"]).listeners(&["admin", "local"]).methods(&["POST"]),
        route("all", &["/all"]).priority(1).listeners(&["http"]),
        route("two", &["/two"]).listeners(&["web", "http"]),
        route("two-more", &["/two"]).listeners(&["web"]).asks(Header, "x", "1"),
    ]);
    let on = |listener: &str, line: &str| Asked::new(line).listener(listener).of(&router);
    assert_eq!(on("http", "GET h/"), "plain");
    assert_eq!(on("https", "GET h/"), "any");
    assert_eq!(on("http", "GET h/a"), "longer", "the path comes before conditions");
    assert_eq!(on("http", "GET h/all"), "all");
    assert_eq!(on("https", "GET h/all"), "any");
    assert_eq!(on("local", "POST h/admin"), "inside");
    assert_eq!(on("web", "POST h/admin"), "any", "kept off another listener");
    assert_eq!(on("web", "GET h/two"), "two");
    assert_eq!(Asked::new("GET h/two").field("x", "1").of(&router), "two-more");

    let alone = kit::router([route("r", &["/r"]).listeners(&["in"]).methods(&["GET"])]);
    let asked = Asked::new("PUT h/r");
    assert_eq!(asked.clone().listener("in").of(&alone), "405 GET");
    assert_eq!(asked.of(&alone), "404", "405 does not tell of what is elsewhere");
}

#[test]
fn only_the_method_makes_405() {
    let router = router([
        route("get", &["/a"]).methods(&["GET", "HEAD"]),
        route("put", &["/{x}"]).methods(&["PUT", "GET"]),
        route("odd", &["/a"]).methods(&["PURGE"]),
        route("hidden", &["/a"]).methods(&["DELETE"]).asks(Header, "x-admin", "1"),
        route("other", &["/a"]).hosts(&["other"]).methods(&["POST"]),
        route("secret", &["/s"]).methods(&["POST"]).asks(Header, "x-admin", "1"),
    ]);
    check(
        &router,
        &[
            ("DELETE h/a", "405 GET,HEAD,PURGE,PUT"),
            ("PURGE h/a", "odd"),
            ("purge h/a", "405 GET,HEAD,PURGE,PUT"),
            ("PUT h/a", "put"),
            ("GET h/s", "put"),
            ("DELETE h/s", "405 GET,PUT"),
            ("GET h/s/t", "404"),
            ("DELETE other/a", "405 GET,HEAD,POST,PURGE,PUT"),
        ],
    );
    let admin = Asked::new("PATCH h/a").field("x-admin", "1");
    assert_eq!(admin.of(&router), "405 DELETE,GET,HEAD,PURGE,PUT");
}

#[test]
fn parameters_are_those_of_the_winner() {
    let router = router([
        route("two", &["/{a}/{b}/x"]),
        route("other-names", &["/{c}/{d}/{*rest}"]),
        route("regex", &["regex:/re/(?P<year>[0-9]{4})(-(?P<month>[0-9]+))?"]),
        route("high", &["/h/{x}/{y}"]).priority(1).methods(&["PUT"]),
        route("low", &["/h/{z}/b"]),
        route("prefix", &["prefix:/pre/{id}"]),
        route("deep", &["/back/{a}/{b}/{c}/x"]),
        route("back", &["/back/{d}/{*rest}"]),
    ]);
    let mut params = Params::default();
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("GET h/1/2/x", &[("a", "1"), ("b", "2")]),
        ("GET h/1/2/y/z", &[("c", "1"), ("d", "2"), ("rest", "y/z")]),
        ("GET h/1/2", &[("c", "1"), ("d", "2"), ("rest", "")]),
        ("GET h/1/2/", &[("c", "1"), ("d", "2"), ("rest", "")]),
        ("GET h/re/2024-07", &[("c", "re"), ("d", "2024-07"), ("rest", "")]),
        ("PUT h/h/1/b", &[("x", "1"), ("y", "b")]),
        ("GET h/h/1/b", &[("z", "1")]),
        ("GET h/pre/7/more/x", &[("id", "7")]),
        ("GET h/back/1/2/3/y", &[("d", "1"), ("rest", "2/3/y")]),
    ];
    for (line, expected) in cases {
        let asked = Asked::new(line);
        router.find(&asked.request(), &mut params).unwrap();
        let path = asked.path.as_bytes();
        let text = |bytes| str::from_utf8(bytes).unwrap();
        let found: Vec<_> = params.iter(path).map(|(n, v)| (text(n), text(v))).collect();
        assert_eq!(found, *expected, "{line}");
        assert_eq!(params.value(expected[0].0, path), Some(expected[0].1.as_bytes()));
        assert_eq!(params.value("none", path), None);
    }
    assert!(router.find(&Asked::new("GET h/none").request(), &mut params).is_err());
    assert_eq!(params.iter(b"/none").count(), 0, "nothing is left from before");
}

#[test]
fn regex_groups_are_parameters() {
    let router = router([
        route("month", &["regex:/re/(?P<year>[0-9]{4})(-(?P<month>[0-9]+))?"]),
        route("plain", &["regex:/re/(x|y)"]),
    ]);
    let mut params = Params::default();
    let asked = Asked::new("GET h/re/2024");
    assert_eq!(router.find(&asked.request(), &mut params).map(|name| &**name), Ok("month"));
    assert_eq!(params.value("year", b"/re/2024"), Some(&b"2024"[..]));
    assert_eq!(params.value("month", b"/re/2024"), None);
    assert_eq!(Asked::new("GET h/re/y").of(&router), "plain");
}

#[test]
fn many_routes_at_one_path_are_told_apart() {
    let many = (0..2000).map(|number| {
        let name = format!("tenant-{number:04}");
        let tenant = format!("t {number}");
        let place = [Header, Query, Cookie][number % 3];
        route(&name, &["/x"]).asks(Header, "x-env", "canary").asks(place, "tenant", &tenant)
    });
    let others = [
        route("high", &["/x"]).asks(Header, "vip", "1").priority(1),
        route("fallback", &["/x"]),
        route("env", &["/x"]).asks(Header, "x-env", "~can.*"),
    ];
    let mut router = router(many.chain(others));
    let canary = |line| Asked::new(line).field("x-env", "canary");
    assert_eq!(canary("GET h/x").field("Tenant", "t 1500").of(&router), "tenant-1500");
    assert_eq!(canary("GET h/x?tenant=t+1501").of(&router), "tenant-1501");
    assert_eq!(canary("GET h/x").field("cookie", "tenant=t 1502").of(&router), "tenant-1502");
    assert_eq!(canary("GET h/x?tenant=t+1503").of(&router), "env");
    assert_eq!(Asked::new("GET h/x?tenant=t+1501").of(&router), "fallback");
    let two = canary("GET h/x?tenant=t+1501&tenant=t%204").field("tenant", "t 3");
    assert_eq!(two.of(&router), "tenant-0003");
    assert_eq!(two.clone().field("vip", "1").of(&router), "high");

    let gone =
        route("tenant-0003", &["/x"]).asks(Header, "x-env", "canary").asks(Header, "tenant", "t 3");
    assert!(router.remove(&Arc::new(gone)));
    assert_eq!(two.of(&router), "tenant-0004");
}

#[test]
fn copies_are_independent() {
    let mut routes: Vec<_> =
        (0..3000).map(|n| route(&format!("r{n}"), &[&format!("/api/{n}/{{x}}")])).collect();
    let before = router(routes.iter().cloned());
    let mut after = before.clone();
    let old = Arc::new(routes.swap_remove(7));
    assert!(after.remove(&old));
    assert!(!after.remove(&old));
    after.insert(Arc::new(route("new", &["/api/7/{y}", "/n"])), Arc::from("new"));
    assert_eq!((before.len(), after.len()), (3000, 3000));
    check(&before, &[("GET h/api/7/x", "r7"), ("GET h/n", "404"), ("GET h/api/8/x", "r8")]);
    check(&after, &[("GET h/api/7/x", "new"), ("GET h/n", "new"), ("GET h/api/8/x", "r8")]);
    for route in routes {
        assert!(after.remove(&Arc::new(route)));
    }
    assert!(after.remove(&Arc::new(route("new", &["/api/7/{y}", "/n"]))));
    assert!(after.is_empty());
    check(&after, &[("GET h/api/7/x", "404")]);
    check(&before, &[("GET h/api/2999/x", "r2999")]);
}

#[test]
fn a_route_with_two_paths_that_say_the_same_uses_the_first() {
    let twice = route("twice", &["/a/{x}", "/a/{y}", "prefix:/b", "/b/{*rest}"]);
    let mut router = router([twice.clone()]);
    let mut params = Params::default();
    router.find(&Asked::new("GET h/a/1").request(), &mut params).unwrap();
    assert_eq!(params.value("x", b"/a/1"), Some(&b"1"[..]));
    assert!(router.remove(&Arc::new(twice)));
    check(&router, &[("GET h/a/1", "404"), ("GET h/b", "404")]);
}

#[test]
fn explanations_name_the_rule() {
    let router = router([
        route("any-host", &["/a"]),
        route("b-last", &["/a"]).hosts(&["h"]).methods(&["GET", "HEAD"]).asks(Header, "x", "?"),
        route("a-wins", &["/{x}", "/a"]).hosts(&["h"]).methods(&["GET"]).asks(Header, "x", "1"),
        route("less", &["/a"]).hosts(&["h"]).methods(&["GET"]),
        route("any-method", &["/a"]).hosts(&["h"]),
        route("low", &["/a"]).hosts(&["h"]).priority(-1),
        route("param", &["/{x}"]).hosts(&["h"]),
        route("post", &["/a"]).methods(&["POST", "PUT"]),
        route("canary", &["/a"]).hosts(&["h"]).priority(9).asks(Header, "x-env", "canary"),
        route("cookie", &["/a"]).asks(Cookie, "tier", "~gold|iron"),
        route("query", &["/a"]).asks(Query, "debug", "?").asks(Query, "q", "!"),
        route("client", &["/a"]).clients(&["10.0.0.0/8"]),
        route("listener", &["/a"]).listeners(&["http", "admin"]).asks(Header, "none", "1"),
        route("elsewhere", &["/b"]),
        route("other-host", &["/a"]).hosts(&["g"]),
    ]);
    let asked = Asked::new("GET h/a").field("X", "1");
    let shown = router.explain(&asked.request());
    let shown: Vec<_> = shown.iter().map(|c| format!("{} {}", c.value, c.verdict)).collect();
    let expected = [
        "canary rejected: header x-env is not \"canary\"",
        "a-wins won",
        "b-last lost: name `b-last` comes after `a-wins`",
        "less lost: fewer conditions (0 < 1)",
        "any-method lost: takes any method",
        "param lost: less specific path",
        "post rejected: method is not POST, PUT",
        "listener rejected: listener is not http, admin",
        "query rejected: query parameter debug is missing",
        "client rejected: client is in none of the networks",
        "cookie rejected: cookie tier does not match gold|iron",
        "any-host lost: less specific host",
        "low lost: priority -1 < 0",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn explanations_say_which_host_and_path_matched() {
    let hosts = ["g.x", "h.x", "*.x"];
    let router = router([route("r", &["/a", "/{x}", "prefix:/"]).hosts(&hosts)]);
    for (line, host, path) in [("GET h.x/b", 1, 1), ("GET g.x/a", 0, 0), ("GET i.x/b/c", 2, 2)] {
        let asked = Asked::new(line);
        let shown = router.explain(&asked.request());
        let matches = &shown[0].route.matches;
        assert_eq!(shown.len(), 1, "a route is named once");
        assert_eq!(shown[0].host, Some(&matches.hosts[host]), "{line}");
        assert!(std::ptr::eq(shown[0].path, &matches.paths[path]), "{line}");
    }
}

#[test]
fn long_explanations_keep_the_winner() {
    let many =
        (100..300).map(|n| route(&format!("r{n}"), &["/"]).asks(Header, "t", &n.to_string()));
    let router = router(many);
    let asked = Asked::new("GET h/").field("t", "250");
    let shown = router.explain(&asked.request());
    assert_eq!(shown.len(), 50);
    assert_eq!((&**shown[0].value, &**shown[49].value), ("r100", "r250"));
    assert!(matches!(shown[49].verdict, Verdict::Won));
    assert!(matches!(shown[48].verdict, Verdict::Rejected(Refusal::Header(_))));
}
