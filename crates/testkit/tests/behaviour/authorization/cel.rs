//! Expressions over request, consumer and what else is known.

use portcullis_testkit::{Config, Gateway, Origin, eventually, run_command};

use super::Known;

#[test]
fn an_expression_decides() {
    let origin = Origin::echo();
    let known = Known::with(
        &origin,
        "cel: \"consumer.name == 'ann' || (request.method == 'GET' && request.path.startsWith('/open/'))\"",
    );
    assert_eq!(known.statuses("POST /x"), [200, 403, 403]);
    assert_eq!(known.statuses("GET /open/a"), [200, 200, 200]);
    assert_eq!(known.statuses("POST /open/a"), [200, 403, 403]);
    assert_eq!(known.statuses("GET /open/../x"), [200, 403, 403]);
    let known = Known::with(
        &origin,
        "cel: { name: team, expression: \"consumer.known && auth.kind == 'api_key' && consumer.metadata['team'] == 'blue'\" }",
    );
    // Nobody of no team passes: what cannot be told is refused.
    assert_eq!(known.statuses("GET /x"), [200, 403, 403]);
    let bob = || known.gateway.logged_requests().into_iter().find(|line| line["consumer"] == "bob");
    assert!(eventually(|| bob().is_some()));
    let line = bob().unwrap();
    assert_eq!((&line["policy"], &line["error"]), (&"team".into(), &"forbidden".into()));
    assert_eq!(line["detail"], "route/all/cel/team: there is no key \"team\"");
}

#[test]
fn every_part_of_a_request_can_be_asked() {
    let origin = Origin::echo();
    for expression in [
        "request.method == 'POST' && request.path == '/users/7' && request.query_string == 'a=%41&b=2'",
        "request.query['a'] == 'A' && request.query.b == '2' && !has(request.query.c)",
        "request.headers['x-one'] == '1' && request.headers.all(name, name != 'x-none')",
        "request.cookies.c == 'v' && size(request.cookies) > 0",
        "request.params.id == '7' && request.params.size() == 1",
        "request.host == 'a.example' && request.scheme == 'http' && request.size == 2",
        "request.ip.inNetwork('127.0.0.0/8') && request.time > timestamp('2024-01-01T00:00:00Z')",
        "request.listener == 'web' && request.route == 'all' && request.service == 'origin'",
        "!consumer.known && consumer.name == '' && consumer.id == '' && consumer.plan == ''",
        "consumer.groups == [] && consumer.tags == [] && consumer.metadata.size() == 0",
        "auth.kind == '' && auth.credential == '' && auth.scopes == [] && auth.roles == []",
        "!has(claims.sub) && claims.size() == 0",
    ] {
        let route =
            format!("match: {{ path: \"/users/{{id}}\" }}, policies: [cel: {expression:?}]");
        let gateway = Gateway::start(&Config::before(&origin).route(&route));
        let fields = "Host: A.example:80\r\nX-One: 1\r\nCookie: c=v\r\nContent-Length: 2\r\n";
        let request = format!("POST /users/7?a=%41&b=2 HTTP/1.1\r\n{fields}\r\nhi");
        assert_eq!(gateway.ask(request).status, 200, "{expression}");
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let origin = Origin::echo();
    for (expression, request) in [
        ("request.query.a != 'x'", "GET /?a=1&a=2 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("request.headers.x != 'x'", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n"),
        ("request.headers.x != 'x'", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("request.headers.x != 'x'", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n"),
        ("request.query.a != 'x'", "GET /?a=%ff HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("int(request.query.a) < 5", "GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("claims.sub != 'x'", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let config = Config::before(&origin).route(&format!("policies: [cel: {expression:?}]"));
        let gateway = Gateway::start(&config);
        // ISO 8859-1, as fields may have it.
        let bytes: Vec<u8> = request.chars().map(|c| c as u8).collect();
        assert_eq!(gateway.ask(bytes).status, 403, "{expression}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_costly_expression_ends() {
    let origin = Origin::echo();
    let costly = "request.headers.all(a, request.headers.all(b, request.headers.all(c, request.headers.all(d, a + b + c + d != ''))))";
    let gateway =
        Gateway::start(&Config::before(&origin).route(&format!("policies: [cel: {costly:?}]")));
    let fields: String = (0..90).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let request = format!("GET /costly HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(gateway.ask(request).status, 403);
    assert_eq!(
        gateway.logged_request("/costly")["detail"],
        "route/all/cel/cel: it takes too many steps"
    );
}

#[test]
fn a_wrong_expression_is_found_when_the_configuration_is_read() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    gateway
        .write_config(&Config::before(&origin).route("policies: [cel: \"request.verb == 'GET'\"]"));
    let reply = gateway.reload();
    assert_ne!(reply.status, 200);
    let text = reply.text();
    assert!(text.contains("there is no variable `request.verb`"), "{text}");
    assert_eq!(gateway.get("/x").status, 200);
    let checked = run_command(&["check", "gateway.yaml"], gateway.dir().path());
    assert!(!checked.status.success());
}
