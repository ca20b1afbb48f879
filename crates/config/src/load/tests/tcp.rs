//! TCP routes, and what listeners, services and they must be like for each other.

use super::*;

fn with(listener: &str, routes: &str) -> String {
    format!(
        "listeners:\n  e: {{ address: \"127.0.0.1:0\", {listener} }}\n  w: {{ address: \"127.0.0.1:0\" }}\n\
         services:\n  s: {{ endpoints: [\"h:1\"] }}\n  t: {{ endpoints: [\"h:2\"], tls: {{}} }}\n\
         tcp_routes:\n{routes}"
    )
}

fn edge(routes: &str) -> Vec<String> {
    bad(&with("protocol: tls_passthrough", routes))
}

#[test]
fn faults_of_a_tcp_route_alone() {
    for (route, fault) in [
        ("service: s", "8:3 `listener` is missing"),
        ("listener: e", "8:3 the TCP route `a` leads nowhere"),
        (
            "listener: e, service: s, split: [{ service: s, weight: 1 }]",
            "8:40 a TCP route has either `service` or `split`, not both",
        ),
        (
            "listener: e, split: [{ service: s, weight: 0 }]",
            "8:28 no service of this split has a weight above 0",
        ),
        ("listener: e, service: s, sni: []", "8:3 `sni` is an empty list"),
        ("listener: e, service: s, sni: \"*\"", "8:38 `*` is no host"),
        ("listener: e, service: s, sni: \"a.*.b\"", "8:38 `a.*.b` is no host"),
        ("listener: e, service: s, sni: 192.0.2.1", "8:38 `192.0.2.1` is no server name"),
        ("listener: e, service: s, sni: \"[::1]\"", "8:38 clients never ask for an address by SNI"),
        (
            "listener: e, service: s, timeouts: { idle: 0 }",
            "8:51 a duration of zero makes no sense here",
        ),
        ("listener: e, service: s, timeouts: { first_byte: 1s }", "8:45 unknown key `first_byte`"),
        ("listener: e, service: s, match: {}", "8:33 unknown key `match`"),
    ] {
        let faults = edge(&format!("  a: {{ {route} }}\n"));
        assert_eq!(faults[0], fault, "{route}");
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}

#[test]
fn faults_between_tcp_routes_and_others() {
    let other = "  z: { listener: e, service: s }\n";
    for (routes, fault) in [
        ("  a: { listener: f, service: s }\n", "8:18 there is no listener `f`"),
        ("  a: { listener: e, service: u, sni: x.y }\n", "8:30 there is no service `u`"),
        ("  a: { listener: w, service: s }\n", "8:18 the listener `w` speaks HTTP"),
        (
            "  a: { listener: e, service: t, sni: x.y }\n",
            "8:3 the service `t` has `tls`, but TLS passes through",
        ),
        (
            "  a: { listener: e, service: s, sni: [x.y, \"*.y\"] }\n  b: { listener: e, service: s, sni: [\"*.Y.\", z.y] }\n",
            "9:3 the TCP routes `a` and `b` both take `*.y` of the listener `e`",
        ),
    ] {
        let faults = edge(&format!("{routes}{other}"));
        assert_eq!(faults, [fault], "{routes}");
    }
    assert_eq!(
        edge("  a: { listener: e, service: s }\n  b: { listener: e, service: s }\n"),
        ["9:3 the TCP routes `a` and `b` both take what no other takes of the listener `e`"]
    );
    // Different names, a wildcard beside a name below it, and a default are no clash.
    assert_eq!(
        edge(&format!("  a: {{ listener: e, service: s, sni: [x.y, \"*.y\"] }}\n{other}")),
        [""; 0]
    );
}

#[test]
fn a_tcp_listener_has_one_route_without_names() {
    let tcp = |routes: &str| bad(&with("protocol: tcp", routes));
    assert_eq!(tcp("  a: { listener: e, service: t }\n"), [""; 0], "TLS towards endpoints is fine");
    assert_eq!(
        tcp("  a: { listener: e, service: s, sni: x.y }\n"),
        ["8:38 on the `tcp` listener `e` nobody asks for a server name"]
    );
    assert_eq!(
        tcp("  a: { listener: e, service: s }\n  b: { listener: e, service: t }\n"),
        ["9:3 the TCP routes `a` and `b` both take what no other takes of the listener `e`"]
    );
    assert_eq!(tcp("  {}\n"), ["2:3 no TCP route takes connections of the listener `e`"]);
}

#[test]
fn what_is_about_http_is_not_for_tcp() {
    for (key, fault) in [
        ("forwarded: {}", "`forwarded` has no meaning with `protocol: tcp`"),
        ("path: {}", "`path` has no meaning with `protocol: tcp`"),
        ("limits: { body: 1 }", "`limits.body` has no meaning with `protocol: tcp`"),
        ("limits: { uri: 1 }", "`limits.uri` has no meaning with `protocol: tcp`"),
        ("timeouts: { idle: 1s }", "`timeouts.idle` has no meaning with `protocol: tcp`"),
        ("timeouts: { min_rate: 0 }", "`timeouts.min_rate` has no meaning with `protocol: tcp`"),
    ] {
        let listener = format!("protocol: tcp, {key}");
        let faults = bad(&with(&listener, "  a: { listener: e, service: s }\n"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("2:") && faults[0].ends_with(fault), "{faults:?}");
    }
    let fine = "protocol: tcp, limits: { connections: 5 }, timeouts: { head: 1s }";
    assert_eq!(bad(&with(fine, "  a: { listener: e, service: s }\n")), [""; 0]);
    let route = "  a: { listener: e, service: s }\nroutes:\n  r: { match: { listener: [w, e] }, reply: {} }\n";
    assert_eq!(bad(&with("protocol: tcp", route)), ["10:17 the listener `e` does not speak HTTP"]);
}

#[test]
fn whose_proxy_headers_are_believed() {
    let of = |address: &str, trusted: &str| {
        bad(&format!(
            "listeners:\n  w: {{ address: \"{address}\", proxy_protocol: {{ trusted: {trusted} }} }}\n"
        ))
    };
    assert_eq!(of("127.0.0.1:0", "[\"10.0.0.0/8\", \"::1\"]"), [""; 0]);
    assert_eq!(of("unix:/tmp/x", "[unix]"), [""; 0]);
    assert_eq!(of("127.0.0.1:0", "[]"), ["2:59 nobody could connect: no proxy is trusted"]);
    assert_eq!(of("127.0.0.1:0", "[unix]"), ["2:60 `unix` is for a listener on a Unix socket"]);
    assert_eq!(
        of("127.0.0.1:0", "[10.0.0.1/8]"),
        ["2:60 `10.0.0.1/8` has bits set behind its prefix"]
    );
    assert_eq!(
        of("unix:/tmp/x", "[10.0.0.1]"),
        ["2:60 over a Unix socket nobody has an address to be trusted by"]
    );
    assert_eq!(
        bad("listeners:\n  w: { address: \"127.0.0.1:0\", proxy_protocol: {} }\n"),
        ["2:32 `trusted` is missing"]
    );
}

#[test]
fn a_proxy_header_is_for_one_client() {
    let of = |protocol: &str| {
        bad(&format!(
            "listeners:\n  w: {{ address: \"127.0.0.1:0\" }}\nservices:\n  s: {{ endpoints: [\"h:1\"], \
             proxy_protocol: v2, tls: {{}}, protocol: {protocol} }}\n"
        ))
    };
    assert_eq!(of("http1"), [""; 0]);
    for protocol in ["http2", "auto"] {
        let faults = of(protocol);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("a PROXY header tells of one"), "{faults:?}");
    }
}

#[test]
fn a_reload_finds_what_changed_between_entries() {
    let text = |protocol: &str, service: &str, sni: &str| {
        with(
            &format!("protocol: {protocol}"),
            &format!("  a: {{ listener: e, service: {service}{sni} }}\n"),
        )
    };
    let mut loader = yaml(&text("tls_passthrough", "s", ", sni: a.b"));
    let first = loader.load().unwrap();
    assert_eq!(first.changes.tcp_routes.added, ["a".into()]);
    // The route is the same text, and wrong now.
    for (protocol, service, fault) in [
        ("tcp", "s", "8:38 on the `tcp` listener `e` nobody asks for a server name"),
        ("http", "s", "8:18 the listener `e` speaks HTTP"),
        ("tls_passthrough", "t", "8:3 the service `t` has `tls`, but TLS passes through"),
    ] {
        loader.set_text(text(protocol, service, ", sni: a.b"));
        assert_eq!(lines(&loader.load().unwrap_err()), [fault]);
    }
    loader.set_text(text("tls_passthrough", "s", ", sni: a.b"));
    assert!(loader.load().unwrap().changes.is_empty());
    loader.set_text(text("tls_passthrough", "s", ""));
    let changed = loader.load().unwrap();
    assert_eq!(changed.changes.tcp_routes.changed, ["a".into()]);
    assert!(changed.changes.routes.is_empty() && changed.changes.listeners.is_empty());
    let twice = format!("{}  b: {{ listener: e, service: s }}\n", text("tls_passthrough", "s", ""));
    loader.set_text(twice);
    assert_eq!(loader.load().unwrap_err().errors(), 1);
    loader.set_text(text("tls_passthrough", "s", ""));
    assert!(loader.load().unwrap().changes.is_empty());
}
