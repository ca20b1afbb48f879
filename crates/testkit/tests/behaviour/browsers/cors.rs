//! Preflights, and the fields by which browsers know who may read a reply.

use portcullis_testkit::h2::{Block, H2Client};
use portcullis_testkit::{Config, Gateway, Origin, Reply};

use super::{ask, with_policies};

const APP: &str = "Origin: https://app.example\r\n";
const EVIL: &str = "Origin: https://evil.example\r\n";

fn preflight(gateway: &Gateway, path: &str, fields: &str) -> Reply {
    ask(&mut gateway.client(), &format!("OPTIONS {path}"), fields)
}

/// The fields of the CORS protocol that a reply has.
fn said(reply: &Reply) -> Vec<String> {
    let names = [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-allow-private-network",
        "access-control-expose-headers",
        "access-control-max-age",
    ];
    let values = |name: &'static str| {
        let short = name.strip_prefix("access-control-").unwrap();
        reply.fields.all(name).into_iter().map(move |value| format!("{short}: {value}"))
    };
    names.into_iter().flat_map(values).collect()
}

#[test]
fn a_preflight_is_answered_by_the_gateway() {
    let origin = Origin::echo();
    let origins = "origins: [\"https://app.example\", \"https://*.apps.example\", { regex: \"https://pr-[0-9]+[.]example\" }]";
    let rest =
        "methods: [PUT, DELETE], headers: [X-One, content-type], credentials: true, max_age: 1h";
    let gateway = with_policies(&origin, &format!("cors: {{ {origins}, {rest} }}"));
    let asked = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-one\r\n";
    for page in ["https://app.example", "https://x.apps.example", "https://pr-12.example"] {
        let reply = preflight(&gateway, "/x", &format!("Origin: {page}\r\n{asked}"));
        assert_eq!(reply.status, 204);
        assert_eq!(
            said(&reply),
            [
                &format!("allow-origin: {page}"),
                "allow-credentials: true",
                "allow-methods: PUT, DELETE",
                "allow-headers: x-one, content-type",
                "max-age: 3600",
            ]
        );
        assert_eq!(
            reply.field("vary"),
            Some("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        );
    }
    for page in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://app.example.evil.example\r\n",
        "Origin: http://app.example\r\n",
        "Origin: https://app.example\r\nOrigin: https://app.example\r\n",
        "Origin: https://pr-12.example.evil.example\r\n",
    ] {
        let reply = preflight(&gateway, "/x", &format!("{page}{asked}"));
        assert_eq!(reply.status, 403, "{page}");
        assert!(reply.text().contains("\"code\":\"cors_refused\""), "{}", reply.text());
        assert!(said(&reply).is_empty() && reply.field("vary").unwrap().starts_with("Origin"));
    }
    assert!(origin.requests().is_empty());
    let labels = |outcome| {
        format!("scope=\"route/all\",kind=\"cors\",policy=\"cors\",outcome=\"{outcome}\"")
    };
    let counted = |outcome| gateway.metric("portcullis_policy_requests_total", &labels(outcome));
    assert_eq!((counted("allowed"), counted("refused")), (3.0, 6.0));
}

#[test]
fn a_preflight_finds_the_route_of_what_it_announces() {
    let origin = Origin::echo();
    let cors = |page: &str| format!("policies: [cors: {{ origins: \"https://{page}.example\" }}]");
    let (app, other) = (cors("app"), cors("other"));
    let config = format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\nservices:\n  s: {{ endpoints: [\"{}\"] }}\nroutes:\n  put: {{ match: {{ path: /x, methods: [PUT] }}, service: s, {app} }}\n  get: {{ match: {{ path: /x, methods: [GET] }}, service: s, {other} }}\n  own: {{ match: {{ path: /own }}, service: s }}\n",
        origin.address()
    );
    let gateway = Gateway::start(&config);
    let asked = |method: &str| format!("{APP}Access-Control-Request-Method: {method}\r\n");
    let put = preflight(&gateway, "/x", &asked("PUT"));
    assert_eq!(put.status, 204);
    // What was asked is what is allowed: the route takes it.
    assert!(said(&put).contains(&"allow-methods: PUT".to_owned()));
    assert_eq!(preflight(&gateway, "/x", &asked("GET")).status, 403);
    assert_eq!(preflight(&gateway, "/x", &asked("DELETE")).status, 405);
    assert!(origin.requests().is_empty());
    // Where no policy is, the service answers for itself.
    assert_eq!(preflight(&gateway, "/own", &asked("PUT")).status, 200);
    assert_eq!(origin.requests().len(), 1);
    // And what only looks like a preflight goes the way of others.
    assert_eq!(preflight(&gateway, "/own", APP).status, 200);
    assert_eq!(preflight(&gateway, "/x", "Access-Control-Request-Method: PUT\r\n").status, 405);
    assert_eq!(preflight(&gateway, "/x", &asked("P@T")).status, 405);
}

#[test]
fn replies_say_who_may_read_them() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nX-Total: 3\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: x-secret\r\n\r\nhi",
    );
    let gateway =
        with_policies(&origin, "cors: { origins: \"https://app.example\", expose: [X-Total] }");
    let mut client = gateway.client();
    let reply = ask(&mut client, "GET /x", APP);
    assert_eq!(said(&reply), ["allow-origin: https://app.example", "expose-headers: x-total"]);
    assert_eq!(reply.fields.all("vary"), ["Accept", "Origin"]);
    for fields in [EVIL, ""] {
        let reply = ask(&mut client, "GET /x", fields);
        assert_eq!((reply.status, said(&reply)), (200, vec![]));
        assert_eq!(reply.fields.all("vary"), ["Accept", "Origin"]);
    }

    let open = with_policies(&origin, "cors: { origins: \"*\", expose: [\"*\"] }");
    for fields in [APP, EVIL, ""] {
        let reply = ask(&mut open.client(), "GET /x", fields);
        assert_eq!(said(&reply), ["allow-origin: *", "expose-headers: *"]);
        assert_eq!(reply.fields.all("vary"), ["Accept"]);
    }
}

#[test]
fn pages_can_read_what_the_gateway_itself_answers() {
    let config = Config::before_address("127.0.0.1:1")
        .route("match: { path: /limited }, policies: [rate_limit: { limit: 1, per: 1h }]")
        .also("policies: [cors: { origins: \"https://app.example\", expose: [retry-after] }]");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    for (path, status) in [("/limited", 502), ("/limited", 429), ("/nowhere", 404)] {
        let reply = ask(&mut client, &format!("GET {path}"), APP);
        assert_eq!(reply.status, status);
        assert_eq!(
            said(&reply),
            ["allow-origin: https://app.example", "expose-headers: retry-after"]
        );
        assert_eq!(reply.field("vary"), Some("Origin"));
    }
    let asked = format!("{APP}Access-Control-Request-Method: PUT\r\n");
    assert_eq!(preflight(&gateway, "/nowhere", &asked).status, 204);
}

#[test]
fn a_preflight_comes_before_other_policies() {
    let origin = Origin::echo();
    let gateway = with_policies(
        &origin,
        "cors: { origins: \"https://app.example\" }, rate_limit: { limit: 1, per: 1h }, csrf: on",
    );
    let asked = format!("{APP}Access-Control-Request-Method: PUT\r\n");
    for _ in 0..3 {
        assert_eq!(preflight(&gateway, "/x", &asked).status, 204);
    }
    assert_eq!(ask(&mut gateway.client(), "GET /x", APP).status, 200);
}

#[test]
fn http2_and_private_networks() {
    let origin = Origin::echo();
    let gateway =
        with_policies(&origin, "cors: { origins: \"https://app.example\", private_network: true }");
    let mut http2 = H2Client::connect(gateway.address());
    let block = Block::request("OPTIONS", "/x")
        .field("origin", "https://app.example")
        .field("access-control-request-method", "PATCH")
        .field("access-control-request-headers", "content-type,x-two")
        .field("access-control-request-private-network", "true");
    let reply = http2.ask(&block);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.field("access-control-allow-methods"), Some("PATCH"));
    assert_eq!(reply.field("access-control-allow-headers"), Some("content-type,x-two"));
    assert_eq!(reply.field("access-control-allow-private-network"), Some("true"));

    // Nothing that is no name goes back in a field.
    let headers = "Access-Control-Request-Headers: a b\r\n";
    let asked = format!("{APP}Access-Control-Request-Method: PATCH\r\n{headers}");
    let reply = preflight(&gateway, "/x", &asked);
    assert_eq!(reply.status, 204);
    assert!(reply.field("access-control-allow-headers").is_none());
    assert!(reply.field("access-control-allow-private-network").is_none());
}
