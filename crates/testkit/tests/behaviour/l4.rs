//! Listeners of bytes: what one side sends reaches the other, whatever it is.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_testkit::{Client, Gateway, Origin, Served, eventually, until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// A listener `web` of bytes before these endpoints, with more about listener, service and route.
pub(super) fn tcp(endpoints: &[&str], listener: &str, service: &str, route: &str) -> String {
    format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\", protocol: tcp, {listener} }}\n\
         services:\n  origin: {{ endpoints: {endpoints:?}, {service} }}\n\
         tcp_routes:\n  all: {{ listener: web, service: origin, {route} }}\n"
    )
}

fn before(origin: &Origin) -> Gateway {
    Gateway::start(&tcp(&[&origin.address()], "", "", ""))
}

/// Sends back whatever comes.
pub(super) fn mirror(served: &mut Served) {
    loop {
        let bytes = served.some();
        if bytes.is_empty() || !served.send(bytes) {
            return;
        }
    }
}

/// The first line of the access log.
pub(super) fn logged(gateway: &Gateway) -> Value {
    until(|| gateway.logged_requests().into_iter().next()).expect("a line in the log")
}

/// Whether a new connection is reset, which may come before it looks open.
fn is_reset(gateway: &Gateway) -> bool {
    Client::try_connect(gateway.address()).and_then(|mut client| client.reader().rest()).is_err()
}

fn noise(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761 + seed) >> 13) as u8).collect()
}

#[test]
fn bytes_pass_both_ways_and_are_told_of() {
    let origin = Origin::with(mirror);
    let gateway = before(&origin);
    let mut client = gateway.client();
    for bytes in [&b"\0\xff\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"x"] {
        client.send(bytes);
        assert_eq!(client.exactly(bytes.len()).unwrap(), bytes);
    }
    let count = |name: &str| gateway.metric(name, "tcp_route=\"all\"");
    assert_eq!(count("portcullis_tcp_connections_open"), 1.0);
    assert_eq!(count("portcullis_tcp_received_bytes_total"), 25.0, "counted as they go");
    drop(client);
    let line = logged(&gateway);
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&25.into(), &25.into()));
    assert_eq!((&line["listener"], &line["protocol"]), (&"web".into(), &"tcp".into()));
    assert_eq!((&line["tcp_route"], &line["service"]), (&"all".into(), &"origin".into()));
    assert_eq!(
        (&line["endpoint"], &line["client"]),
        (&origin.address().into(), &"127.0.0.1".into())
    );
    assert!(line["error"].is_null() && line["sni"].is_null(), "{line}");
    assert!(eventually(|| count("portcullis_tcp_connections_open") == 0.0));
    assert_eq!(count("portcullis_tcp_connections_total"), 1.0);
    assert_eq!(count("portcullis_tcp_sent_bytes_total"), 25.0);
    assert_eq!(count("portcullis_tcp_connection_duration_seconds_count"), 1.0);
}

#[test]
fn the_endpoint_may_speak_first() {
    let origin = Origin::with(|served| {
        served.send("220 ready\r\n");
        mirror(served);
    });
    let gateway = before(&origin);
    assert_eq!(gateway.client().exactly(11).unwrap(), b"220 ready\r\n");
}

#[test]
fn either_side_may_end_its_direction() {
    let origin = Origin::with(|served| {
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
    });
    let gateway = before(&origin);
    let mut client = gateway.client();
    client.send("abc");
    client.end();
    assert_eq!(client.reader().rest().unwrap(), b"cba");

    let origin = Origin::with(|served| {
        served.send("bye");
        served.end();
        served.wait_for_end();
    });
    let gateway = before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.reader().rest().unwrap(), b"bye");
    client.send("still");
    thread::sleep(Duration::from_millis(50));
    client.send(" here");
    client.end();
    assert!(eventually(|| origin.bytes() == b"still here"));
    assert!(logged(&gateway)["error"].is_null());
}

#[test]
fn bulk_passes_both_ways_at_once() {
    let size = 48 * MIB;
    let origin = Origin::with(move |served| {
        let down = noise(size, 2);
        let mut sending = served.second_handle();
        let sender = thread::spawn(move || sending.write_all(&down));
        assert!(served.exactly(size) == noise(size, 1));
        sender.join().unwrap().unwrap();
        served.end();
        served.wait_for_end();
    });
    let gateway = before(&origin);
    let mut client = gateway.client();
    let sending = client.send_aside(noise(size, 1));
    assert!(client.exactly(size).unwrap() == noise(size, 2));
    sending.join().unwrap().unwrap();
    client.end();
    assert!(client.is_closed());
    let line = logged(&gateway);
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&size.into(), &size.into()), "{line}");
}

#[test]
fn a_client_that_does_not_read_stops_the_endpoint() {
    let sent = Arc::new(AtomicUsize::new(0));
    let origin = Origin::with({
        let sent = sent.clone();
        move |served| {
            let piece = vec![b'x'; 64 * 1024];
            while sent.load(Ordering::SeqCst) < 128 * MIB && served.send(&piece) {
                sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    });
    let gateway = before(&origin);
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    let resident = gateway.resident();
    let mut client = gateway.client();
    let (mut last, mut still) = (0, 0);
    while still < 10 {
        thread::sleep(Duration::from_millis(50));
        let now = sent.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
    }
    assert!(last < 64 * MIB, "{last} bytes sent to a client that reads nothing");
    let grown = gateway.resident().saturating_sub(resident);
    assert!(grown < 8 * MIB as u64, "{grown} bytes more for one slow client");
    assert_eq!(client.exactly(last + MIB).unwrap().len(), last + MIB);
}

#[test]
fn connections_at_rest_cost_little() {
    const MANY: usize = 400;
    let origin = Origin::with(mirror);
    let gateway = before(&origin);
    let exchange = |client: &mut Client| {
        client.send([b'x'; 1000]);
        assert_eq!(client.exactly(1000).unwrap().len(), 1000);
    };
    let mut clients: Vec<Client> = (0..20).map(|_| gateway.client()).collect();
    clients.iter_mut().for_each(exchange);
    let resident = gateway.resident();
    let mut more: Vec<Client> = (0..MANY).map(|_| gateway.client()).collect();
    more.iter_mut().for_each(exchange);
    let each = gateway.resident().saturating_sub(resident) / MANY as u64;
    // A buffer would be 64 KiB.
    assert!(each < 12 * 1024, "{each} bytes for each connection");
}

#[test]
fn another_endpoint_is_tried_where_one_refuses() {
    let origin = Origin::with(mirror);
    let gone = Origin::with(mirror);
    let dead = gone.address();
    drop(gone);
    let gateway = Gateway::start(&tcp(&[&dead, &origin.address()], "", "", ""));
    for _ in 0..6 {
        let mut client = gateway.client();
        client.send("x");
        assert_eq!(client.exactly(1).unwrap(), b"x");
    }
    assert_eq!(origin.connections(), 6);
    assert_eq!(gateway.metric("portcullis_failures_total", "connect_failed"), 0.0);
}

#[test]
fn without_any_endpoint_the_client_is_reset() {
    let gone = Origin::with(mirror);
    let dead = gone.address();
    drop(gone);
    let gateway = Gateway::start(&tcp(&[&dead], "", "", ""));
    assert!(is_reset(&gateway), "no proper end: nobody was there");
    let line = logged(&gateway);
    assert_eq!((&line["error"], &line["endpoint"]), (&"connect_failed".into(), &dead.into()));
    assert!(eventually(|| gateway.metric("portcullis_failures_total", "connect_failed") == 1.0));
}

#[test]
fn a_reset_is_passed_on_as_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let gateway = Gateway::start(&tcp(&[&address], "", "", ""));
    let mut client = gateway.client();
    client.send("x");
    let (mut endpoint, _) = listener.accept().unwrap();
    endpoint.write_all(b"y").unwrap();
    assert_eq!(client.exactly(1).unwrap(), b"y");
    socket2::SockRef::from(&endpoint).set_linger(Some(Duration::ZERO)).unwrap();
    drop(endpoint);
    assert!(client.reader().rest().is_err(), "cut short is no end");
    assert_eq!(logged(&gateway)["error"], "upstream_truncated");
}

#[test]
fn a_connection_without_traffic_is_closed_after_its_time() {
    let origin = Origin::with(mirror);
    let address = origin.address();
    for (service, route) in [("timeouts: { tunnel: 300ms }", ""), ("", "timeouts: { idle: 300ms }")]
    {
        let gateway = Gateway::start(&tcp(&[&address], "", service, route));
        let mut client = gateway.client();
        client.send("x");
        assert_eq!(client.exactly(1).unwrap(), b"x");
        assert!(client.is_closed());
        assert_eq!(logged(&gateway)["error"], "idle_timeout");
        assert!(eventually(|| origin.open_connections() == 0));
    }
}

#[test]
fn a_drain_lets_connections_go_on_until_its_deadline() {
    let origin = Origin::with(mirror);
    let config = tcp(&[&origin.address()], "", "", "") + "shutdown: { deadline: 1500ms }\n";
    let gateway = Gateway::start(&config);
    let address = gateway.address();
    let mut client = gateway.client();
    client.send("x");
    assert_eq!(client.exactly(1).unwrap(), b"x");
    gateway.signal("TERM");
    assert!(eventually(|| Client::try_connect(address).is_err()));
    client.send("during the drain");
    assert_eq!(client.exactly(16).unwrap(), b"during the drain");
    assert!(client.reader().rest().is_err(), "cut at the deadline");
    let exited = gateway.exited();
    assert_eq!(exited.code, Some(0));
    assert!(exited.access_log.contains("\"error\":\"shutdown\""), "{}", exited.access_log);
}

#[test]
fn a_drain_ends_with_the_last_connection() {
    let origin = Origin::with(mirror);
    let gateway = before(&origin);
    let mut client = gateway.client();
    client.send("x");
    assert_eq!(client.exactly(1).unwrap(), b"x");
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    drop(client);
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn reloads_disturb_no_connection() {
    let (one, two) = (Origin::with(mirror), Origin::with(mirror));
    let config = |origin: &Origin, idle: usize| {
        let idle = format!("timeouts: {{ idle: {idle}m }}");
        tcp(&[&origin.address()], "", "", &idle)
    };
    let gateway = Gateway::start(&config(&one, 1));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, mut client) = (stop.clone(), gateway.client());
            thread::spawn(move || {
                let mut rounds = 0;
                while !stop.load(Ordering::SeqCst) {
                    client.send("ping");
                    assert_eq!(client.exactly(4).unwrap(), b"ping");
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    for round in 0..20 {
        gateway.write_config(&config(if round % 2 == 0 { &two } else { &one }, 2 + round));
        assert_eq!(gateway.reload().status, 200);
        let mut fresh = gateway.client();
        fresh.send("x");
        assert_eq!(fresh.exactly(1).unwrap(), b"x");
    }
    // Without its route, and its service.
    let bare = "listeners:\n  web: { address: \"127.0.0.1:0\", protocol: tcp }\n";
    gateway.write_config(&bare);
    assert_eq!(gateway.reload().status, 200);
    assert!(is_reset(&gateway), "nobody takes a new one");
    thread::sleep(Duration::from_millis(50));
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.join().unwrap() > 20);
    }
    let refused = |line: &Value| line["error"] == "no_route";
    assert!(eventually(|| gateway.logged_requests().iter().any(refused)));
}

#[test]
fn a_listener_may_change_what_it_speaks() {
    let origin = Origin::echo();
    let gateway = before(&origin);
    let mut old = gateway.client();
    assert_eq!(old.get("/raw").status, 200);
    assert!(!origin.last_request().fields.has("x-forwarded-for"));
    let http = tcp(&[&origin.address()], "", "", "")
        .replace("protocol: tcp, ", "")
        .replace("tcp_routes:\n  all: { listener: web, ", "routes:\n  all: { ");
    gateway.write_config(&http);
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/http").status, 200);
    assert!(origin.last_request().fields.has("x-forwarded-for"));
    assert_eq!(old.get("/raw").status, 200);
    assert!(!origin.last_request().fields.has("x-forwarded-for"));
}

#[test]
fn connections_are_let_in_at_a_rate() {
    let origin = Origin::with(mirror);
    let limits = "limits: { connection_rate: { total: { limit: 1, per: 1h, burst: 3 } } }";
    let gateway = Gateway::start(&tcp(&[&origin.address()], limits, "", ""));
    let mut clients: Vec<Client> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("x");
        assert_eq!(client.exactly(1).unwrap(), b"x");
    }
    assert!(gateway.client().is_closed());
    assert_eq!(origin.connections(), 3);
    assert!(eventually(|| gateway.metric("portcullis_connections_too_fast_total", "") == 1.0));
}

#[test]
fn connections_are_limited_and_balanced() {
    let (one, two) = (Origin::with(mirror), Origin::with(mirror));
    let endpoints = [one.address(), two.address()];
    let endpoints = [&*endpoints[0], &*endpoints[1]];
    let limits = "limits: { connections: 6 }";
    let gateway = Gateway::start(&tcp(&endpoints, limits, "balance: least_requests", ""));
    let mut clients: Vec<Client> = (0..6).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("x");
        assert_eq!(client.exactly(1).unwrap(), b"x");
    }
    assert!(gateway.client().is_closed());
    assert_eq!((one.connections(), two.connections()), (3, 3), "by connections that are open");
    assert!(eventually(|| gateway.metric("portcullis_connections_refused_total", "") == 1.0));
}
