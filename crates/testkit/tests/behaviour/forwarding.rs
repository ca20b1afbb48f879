//! What the origin learns about the client, and from whom (RFC 7239, `X-Forwarded-*`, `Via`).

use portcullis_testkit::{Config, Gateway, Origin, Request};

/// What the origin gets of a request with these fields, over a listener with this `forwarded`.
fn forwarded(settings: &str, fields: &[&str]) -> (Request, serde_json::Value) {
    let origin = Origin::echo();
    let config = Config::before(&origin).listener(&format!("forwarded: {settings}"));
    let gateway = Gateway::start(&config);
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let reply = gateway.ask(format!("GET /x HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    (origin.last_request(), gateway.logged_request("/x"))
}

const SPOOFED: &[&str] = &[
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 443",
    "Forwarded: for=203.0.113.9;proto=https",
    "X-Real-IP: 203.0.113.9",
];

#[test]
fn nobody_is_believed_unless_configured() {
    let (request, line) = forwarded("{}", SPOOFED);
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("a.example"));
    assert_ne!(request.field("x-forwarded-port"), Some("443"));
    assert!(!request.fields.has("forwarded") && !request.fields.has("x-real-ip"));
    assert_eq!(line["client"], "127.0.0.1");
}

#[test]
fn the_port_is_that_of_the_listener() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let _ = gateway.get("/");
    let port = gateway.address().port().to_string();
    assert_eq!(origin.last_request().field("x-forwarded-port"), Some(port.as_str()));
}

#[test]
fn a_trusted_network_is_believed() {
    let (request, line) = forwarded("{ trusted: [\"127.0.0.0/8\"] }", SPOOFED);
    assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(request.field("x-forwarded-port"), Some("443"));
    assert_eq!(line["client"], "203.0.113.9");
}

#[test]
fn an_untrusted_network_is_not_believed() {
    let (request, line) = forwarded("{ trusted: [\"10.0.0.0/8\"] }", SPOOFED);
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(line["client"], "127.0.0.1");
}

#[test]
fn the_client_is_the_last_address_that_no_trusted_network_holds() {
    let (_, line) = forwarded(
        "{ trusted: [\"127.0.0.0/8\", \"10.0.0.0/8\"] }",
        &["X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-For: 10.1.1.1, 10.2.2.2"],
    );
    assert_eq!(line["client"], "203.0.113.9");
}

#[test]
fn hops_are_counted_from_the_gateway() {
    let list = &["X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.2.2.2"];
    let (request, line) = forwarded("{ hops: 2 }", list);
    assert_eq!(line["client"], "203.0.113.9");
    assert_eq!(request.field("x-forwarded-for"), Some("6.6.6.6, 203.0.113.9, 10.2.2.2, 127.0.0.1"));
    let (_, line) = forwarded("{ hops: 1 }", list);
    assert_eq!(line["client"], "10.2.2.2");
}

#[test]
fn forwarded_is_written_when_asked_for() {
    let (request, _) = forwarded("{ rfc7239: true, x_forwarded: false }", SPOOFED);
    let forwarded = request.field("forwarded").unwrap();
    assert!(forwarded.starts_with("for=127.0.0.1"), "{forwarded}");
    assert!(forwarded.contains("proto=http") && !forwarded.contains("proto=https"), "{forwarded}");
    assert!(
        forwarded.contains("host=\"a.example\"") || forwarded.contains("host=a.example"),
        "{forwarded}"
    );
    assert!(!request.fields.has("x-forwarded-for"), "spoofed fields go even when none are written");
}

#[test]
fn forwarded_of_a_trusted_peer_is_added_to_and_believed() {
    let (request, line) = forwarded(
        "{ rfc7239: true, x_forwarded: false, trusted: [\"127.0.0.1/32\"] }",
        &["Forwarded: for=\"[2001:db8::7]:4711\";proto=https"],
    );
    let forwarded = request.field("forwarded").unwrap();
    assert!(
        forwarded.starts_with("for=\"[2001:db8::7]:4711\";proto=https, for=127.0.0.1"),
        "{forwarded}"
    );
    assert_eq!(line["client"], "2001:db8::7");
}

#[test]
fn an_ipv6_client_is_written_as_rfc_7239_asks() {
    let origin = Origin::echo();
    let config =
        Config::before(&origin).address("[::1]:0").listener("forwarded: { rfc7239: true }");
    let gateway = Gateway::start(&config);
    let _ = gateway.get("/");
    let request = origin.last_request();
    assert_eq!(request.field("x-forwarded-for"), Some("::1"));
    assert!(request.field("forwarded").unwrap().starts_with("for=\"[::1]\""), "{request:?}");
}

#[test]
fn via_names_the_version_and_the_pseudonym() {
    let (request, _) = forwarded("{}", &["Via: 1.0 fred"]);
    assert_eq!(request.fields.all("via").join(", "), "1.0 fred, 1.1 portcullis");
    let (request, _) = forwarded("{ via: edge-1 }", &[]);
    assert_eq!(request.field("via"), Some("1.1 edge-1"));
    let (request, _) = forwarded("{ via: false }", &["Via: 1.0 fred"]);
    assert_eq!(request.field("via"), Some("1.0 fred"));
}

#[test]
fn via_of_a_reply_is_passed_on() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::before(&origin);
    assert!(gateway.get("/").fields.all("via").join(", ").starts_with("1.1 inner"));
}

#[test]
fn a_request_that_goes_round_in_a_circle_is_stopped() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let via = "Via: 1.1 portcullis, 1.1 portcullis, 1.1 portcullis, 1.1 portcullis\r\n".repeat(3);
    let reply = gateway.ask(format!("GET / HTTP/1.1\r\nHost: a.example\r\n{via}\r\n"));
    assert_eq!(reply.status, 508);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn what_connection_names_goes_no_further() {
    let (request, _) = forwarded(
        "{}",
        &[
            "Connection: X-Hop, x-other",
            "X-Hop: 1",
            "X-Other: 2",
            "X-Kept: 3",
            "Keep-Alive: timeout=9",
        ],
    );
    for name in ["x-hop", "x-other", "keep-alive", "connection"] {
        assert!(!request.fields.has(name), "{name}");
    }
    assert_eq!(request.field("x-kept"), Some("3"));
}

#[test]
fn what_connection_names_in_a_reply_goes_no_further() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nX-Kept: 3\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = Gateway::before(&origin);
    let reply = gateway.get("/");
    for name in ["x-hop", "keep-alive", "proxy-connection", "connection"] {
        assert!(!reply.fields.has(name), "{name}");
    }
    assert_eq!(reply.field("x-kept"), Some("3"));
}

#[test]
fn proxy_is_never_passed_on() {
    let (request, _) =
        forwarded("{ trusted: [\"127.0.0.0/8\"] }", &["Proxy: http://evil.example/"]);
    assert!(!request.fields.has("proxy"));
}

#[test]
fn everything_else_passes_in_order_and_as_it_came() {
    let fields = [
        "Cookie: a=b",
        "X-Twice: 1",
        "Accept: */*",
        "x-twice: 2",
        "Authorization: Bearer x",
        "X-Empty:",
    ];
    let (request, _) = forwarded("{}", &fields);
    assert_eq!(request.fields.all("x-twice"), ["1", "2"]);
    for (name, value) in
        [("cookie", "a=b"), ("accept", "*/*"), ("authorization", "Bearer x"), ("x-empty", "")]
    {
        assert_eq!(request.field(name), Some(value));
    }
}

#[test]
fn of_several_lines_the_nearest_proxy_wrote_the_last() {
    // A proxy that adds a line instead of replacing it leaves the client's own in front.
    let lines = &[
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: spoofed.example",
        "X-Forwarded-Port: 443",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: shop.example",
        "X-Forwarded-Port: 80",
    ];
    for trust in ["{ trusted: [\"127.0.0.0/8\"] }", "{ hops: 1 }"] {
        let (request, _) = forwarded(trust, lines);
        assert_eq!(request.field("x-forwarded-proto"), Some("http"), "{trust}");
        assert_eq!(request.field("x-forwarded-host"), Some("shop.example"), "{trust}");
        assert_eq!(request.field("x-forwarded-port"), Some("80"), "{trust}");
    }
}
