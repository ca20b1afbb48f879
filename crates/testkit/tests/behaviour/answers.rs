//! What the gateway answers itself: fixed replies, redirects and problems; and what it changes in a
//! request on its way.

use portcullis_testkit::{Config, Gateway, Origin, TempDir};
use serde_json::Value;

/// A gateway with these routes, whole lines of YAML.
fn answering(routes: &str) -> Gateway {
    Gateway::start(&format!("listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\nroutes:\n{routes}"))
}

#[test]
fn a_fixed_reply_has_status_fields_and_content() {
    let gateway = answering(
        "  r: { reply: { status: 418, headers: { content-type: text/plain, x-a: b }, body: \"short\\n\" } }\n",
    );
    let mut client = gateway.client();
    let reply = client.get("/");
    assert_eq!((reply.status, reply.text().as_str()), (418, "short\n"));
    assert_eq!((reply.field("content-type"), reply.field("x-a")), (Some("text/plain"), Some("b")));
    assert_eq!(reply.field("content-length"), Some("6"));
    client.send("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let head = client.try_reply("HEAD").unwrap();
    assert_eq!((head.status, head.field("content-length")), (418, Some("6")));
    assert_eq!(client.get("/").status, 418);
}

#[test]
fn a_fixed_reply_may_come_from_a_file() {
    let dir = TempDir::new();
    let page: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
    let path = dir.write("page.bin", &page);
    let gateway = answering(&format!("  r: {{ reply: {{ status: 200, file: {:?} }} }}\n", path));
    assert!(gateway.get("/").body == page);
}

#[test]
fn a_fixed_reply_skips_the_content_of_a_request() {
    let gateway = answering("  r: { reply: { status: 200, body: ok } }\n");
    let mut client = gateway.client();
    for _ in 0..3 {
        let reply = client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n");
        assert_eq!(reply.text(), "ok");
        if reply.closes() {
            client = gateway.client();
        }
    }
}

#[test]
fn redirects_carry_parameters_and_the_query() {
    let gateway = answering(
        "  a: { match: { path: \"/old/{id}/{*rest}\" }, redirect: { to: \"https://new.example/u/{id}/{rest}?{query}\" } }\n  \
           b: { match: { path: \"/moved\" }, redirect: { to: \"/here\", status: 301 } }\n",
    );
    let location = |path: &str| {
        let reply = gateway.get(path);
        (reply.status, reply.field("location").map(str::to_owned).unwrap_or_default())
    };
    assert_eq!(
        location("/old/7/a/b?x=1&y=%20"),
        (308, "https://new.example/u/7/a/b?x=1&y=%20".into())
    );
    assert_eq!(
        location("/old/7/a%0d%0aSet-Cookie:%20x"),
        (308, "https://new.example/u/7/a%0D%0ASet-Cookie:%20x".into())
    );
    assert_eq!(location("/moved"), (301, "/here".into()));
}

#[test]
fn a_problem_names_the_request() {
    let origin = Origin::echo();
    let config = Config::before(&origin).route("match: { path: \"/only\", methods: [GET] }");
    let gateway = Gateway::start(&config);
    for (request, status, code) in [
        ("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n", 404, "no_route"),
        (
            "POST /only HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",
            405,
            "method_not_allowed",
        ),
        ("GET /%zz HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "bad_path"),
    ] {
        let reply = gateway.ask(request);
        assert_eq!(reply.status, status);
        assert_eq!(reply.field("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()));
        assert!(problem["title"].is_string() && problem["type"].is_string());
        let id = problem["request_id"].as_str().unwrap();
        let logged = portcullis_testkit::until(|| {
            gateway.logged_requests().into_iter().find(|line| line["id"] == id)
        });
        assert_eq!(logged.expect("a log line with that id")["error"], code);
    }
}

#[test]
fn a_problem_reflects_nothing_of_the_request() {
    let gateway =
        answering("  r: { match: { host: x.example }, reply: { status: 200, body: ok } }\n");
    let reply = gateway.get("/%3Cscript%3E?<script>\"'");
    assert_eq!(reply.status, 404);
    assert!(!reply.text().to_lowercase().contains("script"), "{}", reply.text());
}

#[test]
fn a_problem_to_head_has_no_content() {
    let gateway = answering("  r: { match: { path: \"/x\" }, reply: { status: 200, body: ok } }\n");
    let mut client = gateway.client();
    client.send("HEAD /nothing HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.try_reply("HEAD").unwrap().status, 404);
    assert_eq!(client.get("/x").text(), "ok");
}

/// What the origin is asked for when the route has this `rewrite`.
fn rewritten(path: &str, rewrite: &str, target: &str) -> (String, String) {
    let origin = Origin::echo();
    let config =
        Config::before(&origin).route(&format!("match: {{ path: {path} }}, rewrite: {rewrite}"));
    let gateway = Gateway::start(&config);
    let reply = gateway.get(target);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = origin.last_request();
    (request.target.clone(), request.field("host").unwrap_or_default().to_owned())
}

#[test]
fn a_path_may_be_rewritten() {
    for (path, rewrite, target, expected) in [
        ("\"/api/{*rest}\"", "{ path: \"/v2/{rest}\" }", "/api/a/b?x=1", "/v2/a/b?x=1"),
        ("\"/u/{id}/x\"", "{ path: \"/users/{id}\" }", "/u/7/x", "/users/7"),
        ("\"/u/{id}/x\"", "{ path: \"/users/{id}\" }", "/u/a%20b%2Fc/x", "/users/a%20b%2Fc"),
        ("{ prefix: \"/api\" }", "{ strip_prefix: \"/api\" }", "/api/a?x=1", "/a?x=1"),
        ("{ prefix: \"/api\" }", "{ strip_prefix: \"/api\" }", "/api", "/"),
        ("{ prefix: \"/api\" }", "{ strip_prefix: \"/api\" }", "/x/../api/a", "/a"),
        // A prefix is whole segments, whatever the route lets in.
        ("\"/{*rest}\"", "{ strip_prefix: \"/api\" }", "/apiary/x", "/apiary/x"),
        ("\"/{*rest}\"", "{ strip_prefix: \"/api\" }", "/api/x", "/x"),
        ("{ regex: \"/api.*\" }", "{ strip_prefix: \"/api\" }", "/apiary", "/apiary"),
    ] {
        assert_eq!(rewritten(path, rewrite, target).0, expected, "{path} {rewrite} {target}");
    }
}

#[test]
fn a_rewrite_lets_no_encoded_byte_out() {
    for target in ["/api/a%0d%0ab", "/api/a%3Fb", "/api/a%23b", "/api/%252e%252e/x"] {
        let (got, _) = rewritten("\"/api/{*rest}\"", "{ path: \"/v2/{rest}\" }", target);
        let expected = target.replace("/api/", "/v2/").replace("%0d%0a", "%0D%0A");
        assert_eq!(got, expected);
    }
}

#[test]
fn the_host_may_be_rewritten() {
    let (_, host) = rewritten("\"/{*rest}\"", "{ host: inner.example }", "/");
    assert_eq!(host, "inner.example");
}

#[test]
fn the_service_decides_what_the_endpoint_sees_as_host() {
    let origin = Origin::echo();
    for (policy, expected) in [
        ("preserve", "a.example".to_owned()),
        ("endpoint", origin.address()),
        ("{ set: fixed.example }", "fixed.example".to_owned()),
    ] {
        let gateway = Gateway::start(&Config::before(&origin).service(&format!("host: {policy}")));
        assert_eq!(gateway.get("/").status, 200);
        let request = origin.last_request();
        assert_eq!(request.field("host"), Some(expected.as_str()));
        assert_eq!(request.field("x-forwarded-host"), Some("a.example"));
    }
}
