//! Switching protocols: after a 101 the gateway passes bytes both ways and understands none.

use portcullis_testkit::{Client, Config, Gateway, Origin, Served, eventually};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches and sends back whatever comes.
fn echo(served: &mut Served) {
    let Some(request) = served.head() else { return };
    assert_eq!(request.field("upgrade"), Some("websocket"));
    assert_eq!(
        request.field("connection").map(str::to_ascii_lowercase).as_deref(),
        Some("upgrade")
    );
    assert_eq!(request.field("sec-websocket-version"), Some("13"));
    served.send(SWITCHING);
    loop {
        let bytes = served.some();
        if bytes.is_empty() || !served.send(bytes) {
            return;
        }
    }
}

fn switched(client: &mut Client) {
    let reply = client.reply();
    assert_eq!(reply.status, 101, "{}", reply.text());
    assert_eq!(reply.field("upgrade"), Some("websocket"));
    assert_eq!(reply.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(reply.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn bytes_pass_both_ways_after_the_switch() {
    let origin = Origin::with(echo);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send(REQUEST);
    switched(&mut client);
    for length in [1, 125, 126, 65_535, 65_536, 300_000] {
        let frame: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
        let sending = client.send_aside(frame.clone());
        assert!(client.exactly(length).unwrap() == frame, "{length}");
        sending.join().unwrap().unwrap();
    }
}

#[test]
fn bytes_right_behind_the_heads_are_the_first_of_the_tunnel() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send([SWITCHING.as_bytes(), b"\x81\x05hello"].concat());
            let bytes = served.exactly(4);
            served.send(bytes);
            served.wait_for_end();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send([REQUEST.as_bytes(), b"\x89\x00\x0d\x0a"].concat());
    switched(&mut client);
    assert_eq!(client.exactly(7).unwrap(), b"\x81\x05hello");
    assert_eq!(client.exactly(4).unwrap(), b"\x89\x00\x0d\x0a");
}

#[test]
fn either_side_may_end_its_direction() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send(SWITCHING);
            // Answers only when the client has ended.
            let mut all = Vec::new();
            loop {
                let bytes = served.some();
                if bytes.is_empty() {
                    break;
                }
                all.extend(bytes);
            }
            all.reverse();
            served.send(all);
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send(REQUEST);
    switched(&mut client);
    client.send("abc");
    client.end();
    assert_eq!(client.reader().rest().unwrap(), b"cba");
}

#[test]
fn a_tunnel_without_traffic_is_closed_after_its_time() {
    let origin = Origin::with(echo);
    let config = Config::before(&origin).service("timeouts: { tunnel: 300ms, stall: 100ms }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    client.send(REQUEST);
    switched(&mut client);
    assert!(client.is_closed());
    assert!(eventually(|| origin.open_connections() == 0));
}

#[test]
fn a_refused_switch_is_an_ordinary_reply() {
    let origin = Origin::replying("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        let reply = client.ask(REQUEST);
        assert_eq!((reply.status, reply.text().as_str()), (403, "no"));
        assert!(!reply.fields.has("upgrade"));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_route_may_forbid_the_switch() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).route("upgrade: false"));
    let reply = gateway.ask(REQUEST);
    assert_eq!(reply.status, 200);
    let request = origin.last_request();
    assert!(!request.fields.has("upgrade") && !request.fields.has("connection"), "{request:?}");
}

#[test]
fn an_http_1_0_client_cannot_switch() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.ask(REQUEST.replace("HTTP/1.1", "HTTP/1.0")).status, 200);
    assert!(!origin.last_request().fields.has("upgrade"));
}

#[test]
fn a_tunnel_is_in_the_log_with_its_bytes() {
    let origin = Origin::with(echo);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send(REQUEST);
    switched(&mut client);
    client.send("hello");
    assert_eq!(client.exactly(5).unwrap(), b"hello");
    drop(client);
    let line = gateway.logged_request("/chat");
    assert_eq!(
        (&line["status"], &line["bytes_in"], &line["bytes_out"]),
        (&101.into(), &5.into(), &5.into())
    );
}

#[test]
fn a_switch_brings_nothing_that_belongs_to_the_connection_or_frames_content() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Hop\r\n\
                 Upgrade: websocket\r\nX-Hop: 1\r\nX-End: 2\r\nTrailer: X-Sum\r\n\
                 Content-Length: 0\r\n\r\nhello",
            );
            served.wait_for_end();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask(REQUEST);
    assert_eq!((reply.status, reply.field("upgrade")), (101, Some("websocket")));
    assert_eq!(reply.field("x-end"), Some("2"));
    assert_eq!(reply.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    for gone in ["x-hop", "trailer", "content-length"] {
        assert!(!reply.fields.has(gone), "{reply:?}");
    }
    assert_eq!(client.exactly(5).unwrap(), b"hello");
}
