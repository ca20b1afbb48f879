//! Who was thrown out for a flood and comes back: it waits, and longer each time; nobody else does.

use portcullis_testkit::h2::{Frame, PREFACE, ToBytes, code};
use portcullis_testkit::{Config, Gateway, Origin, eventually};

use serde_json::Value;

use super::{client, gateway_with};

/// Bounds that a flood passes soon, and room for penalties that a slow machine cannot outlast.
const STRICT: &str = "http2: { control_frames: 10, penalty: 1m }";
/// So many floods in a row make the next penalty last seconds.
const FLOODS: usize = 6;

/// Floods on a new connection, behind these bytes, until it is thrown out.
fn flood(gateway: &Gateway, before: &str) {
    let pings = Frame::ping([0; 8]).to_bytes().repeat(40);
    let settings = Frame::settings(&[]).to_bytes();
    let mut client = gateway.client();
    client.send([before.as_bytes(), PREFACE, &settings, &pings].concat());
    // GOAWAY, and then the end.
    let mut bytes = Vec::new();
    while let Ok(byte) = client.exactly(1) {
        bytes.extend(byte);
    }
    let calm = code::ENHANCE_YOUR_CALM.to_be_bytes();
    assert!(bytes.windows(4).any(|window| window == calm), "{bytes:?}");
}

fn floods(gateway: &Gateway, before: &str) {
    (0..FLOODS).for_each(|_| flood(gateway, before));
}

fn held(gateway: &Gateway) -> f64 {
    gateway.metric("portcullis_connections_held_total", "")
}

#[test]
fn who_comes_back_waits_and_is_then_served() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, STRICT);
    let mut open = client(&gateway);
    floods(&gateway, "");
    let before = held(&gateway);
    assert_eq!(open.get("/open").status, 200, "what is open goes on");
    assert_eq!(client(&gateway).get("/again").status, 200);
    assert!(held(&gateway) > before, "it had to wait");
    assert_eq!(gateway.metric("portcullis_connections_held", ""), 0.0);
    let told = |line: &Value| {
        line["error"] == "flood"
            && line["detail"] == "control frames; new connections wait for 3.2s"
    };
    assert!(eventually(|| gateway.logged_requests().iter().any(told)));
}

#[test]
fn waiting_connections_count_and_are_answered_when_the_gateway_ends() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, STRICT);
    floods(&gateway, "");
    let mut late = gateway.client();
    late.send("GET /late HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| gateway.metric("portcullis_connections_held", "") == 1.0));
    assert!(eventually(|| gateway.metric("portcullis_connections_open", "") == 1.0));
    gateway.signal("TERM");
    assert_eq!(late.reply().status, 200);
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn it_is_the_address_in_a_trusted_header_that_waits() {
    let origin = Origin::echo();
    let listener = format!("proxy_protocol: {{ trusted: [\"127.0.0.0/8\"] }}, {STRICT}");
    let gateway = gateway_with(&origin, &listener);
    let header = |ip: &str| format!("PROXY TCP4 {ip} 198.51.100.2 56324 443\r\n");
    let request = |ip| format!("{}GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", header(ip));
    floods(&gateway, &header("203.0.113.7"));
    let before = held(&gateway);
    assert_eq!(gateway.ask(request("203.0.113.8")).status, 200);
    assert_eq!(held(&gateway), before, "its neighbour does not wait");
    assert_eq!(gateway.ask(request("203.0.113.7")).status, 200);
    assert_eq!(held(&gateway), before + 1.0);
}

#[test]
fn a_reload_forgets_nothing() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, STRICT);
    floods(&gateway, "");
    let changed = format!("{STRICT}, timeouts: {{ idle: 10s }}");
    gateway.write_config(&Config::before(&origin).listener(&changed));
    assert_eq!(gateway.reload().status, 200);
    let before = held(&gateway);
    assert_eq!(gateway.get("/").status, 200);
    assert!(held(&gateway) > before, "it had to wait");
}

#[test]
fn nobody_waits_where_that_is_off_or_the_peer_speaks_for_others() {
    for listener in [
        "http2: { control_frames: 10, penalty: off }".to_owned(),
        format!("{STRICT}, forwarded: {{ trusted: [\"127.0.0.0/8\"] }}"),
    ] {
        let origin = Origin::echo();
        let gateway = gateway_with(&origin, &listener);
        floods(&gateway, "");
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(held(&gateway), 0.0, "{listener}");
    }
}
