//! Endpoints that cannot be reached or take too long.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use portcullis_testkit::{Authority, Config, Gateway, Origin, Place, eventually};
use socket2::{Domain, Socket, Type};

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener that takes no more connections: its queue is full and nobody empties it.
struct Full {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Full {
    fn new() -> Full {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
        }
        Full { address, _listener: listener, _queued: queued }
    }
}

#[test]
fn an_endpoint_where_nobody_listens_is_502() {
    let gateway = Gateway::start(&Config::before_address(&nobody().to_string()));
    let mut client = gateway.client();
    for _ in 0..2 {
        let reply = client.get("/x");
        assert_eq!(reply.status, 502);
        assert!(
            !reply.text().contains("127.0.0.1"),
            "outsiders learn no address: {}",
            reply.text()
        );
    }
    assert_eq!(gateway.logged_request("/x")["error"], "connect_failed");
}

#[test]
fn a_name_that_does_not_resolve_is_502() {
    let gateway = Gateway::start(&Config::before_address("does-not-exist.invalid:80"));
    assert_eq!(gateway.get("/").status, 502);
}

#[test]
fn an_endpoint_that_takes_no_connection_is_504() {
    let full = Full::new();
    let config =
        Config::before_address(&full.address.to_string()).service("timeouts: { connect: 300ms }");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/x").status, 504);
    assert_eq!(gateway.logged_request("/x")["error"], "connect_timeout");
}

#[test]
fn an_endpoint_that_does_not_answer_is_504() {
    let origin = Origin::with(|served| {
        served.request();
        served.wait_for_end();
    });
    let config = Config::before(&origin).service("timeouts: { first_byte: 300ms }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    assert_eq!(client.get("/x").status, 504);
    assert_eq!(gateway.logged_request("/x")["error"], "first_byte_timeout");
    assert!(eventually(|| origin.open_connections() == 0), "the late reply has no connection");
    assert_eq!(client.get("/x").status, 504, "the client's connection goes on");
}

#[test]
fn the_first_byte_is_not_awaited_while_the_upload_runs() {
    let origin = Origin::echo();
    let config = Config::before(&origin).service("timeouts: { first_byte: 400ms }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n");
    for _ in 0..10 {
        client.send([b'x'; 100]);
        thread::sleep(Duration::from_millis(80));
    }
    assert_eq!(client.reply().status, 200);
}

#[test]
fn a_reply_that_stops_is_cut_off() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            served.wait_for_end();
        }
    });
    let gateway = Gateway::start(&Config::before(&origin).service("timeouts: { stall: 300ms }"));
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let reply = client.try_reply("GET").unwrap_err();
    assert_ne!(reply.kind(), std::io::ErrorKind::WouldBlock, "it was never cut");
    assert_eq!(gateway.logged_request("/x")["error"], "upstream_stalled");
}

#[test]
fn a_reply_that_trickles_is_not_stalled() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(50));
                served.send("x");
            }
            served.wait_for_end();
        }
    });
    let gateway = Gateway::start(&Config::before(&origin).service("timeouts: { stall: 500ms }"));
    assert_eq!(gateway.get("/").text().len(), 20);
}

#[test]
fn the_whole_exchange_may_be_limited() {
    let origin = Origin::with(|served| {
        let Some(request) = served.request() else { return };
        if request.target == "/head" {
            served.send("HTTP/1.1 200 OK\r\n\r\n");
        }
        // Interim replies are progress too, and buy no time.
        let piece = if request.target == "/head" { "x" } else { "HTTP/1.1 102 Processing\r\n\r\n" };
        while served.send(piece) {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let gateway = Gateway::start(&Config::before(&origin).service("timeouts: { total: 500ms }"));
    let mut client = gateway.client();
    client.send("GET /no-head HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let status = std::iter::repeat_with(|| client.reply().status).find(|status| *status != 102);
    assert_eq!(status, Some(504));
    let mut client = gateway.client();
    client.send("GET /head HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    if let Ok(read) = client.reader().rest() {
        assert!(!read.ends_with(b"0\r\n\r\n"), "a clean end of a reply that was cut off");
    }
    assert_eq!(gateway.logged_request("/head")["error"], "total_timeout");
}

#[test]
fn a_route_has_timeouts_of_its_own() {
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            thread::sleep(Duration::from_millis(600));
            served.reply("late");
        }
    });
    let config = Config::before(&origin).service("timeouts: { first_byte: 200ms }");
    let gateway = Gateway::start(&config.clone().route("timeouts: { first_byte: 20s }"));
    assert_eq!(gateway.get("/").text(), "late");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 504);
}

/// Passes connections on to `to`, each after a rest: whatever greets there is slow to greet.
fn slow_door(to: SocketAddr, rest: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for outer in listener.incoming().map_while(Result::ok) {
            thread::sleep(rest);
            let Ok(inner) = TcpStream::connect(to) else { return };
            for (mut from, mut into) in [
                (outer.try_clone().unwrap(), inner.try_clone().unwrap()),
                (inner.try_clone().unwrap(), outer.try_clone().unwrap()),
            ] {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    address
}

#[test]
fn a_slow_handshake_is_charged_to_nobody_else() {
    let server = Authority::new().issue(&["127.0.0.1"]).server();
    let origin = Origin::at(&Place::tls(server), |served| served.echo());
    let rest = Duration::from_millis(1800);
    let door = slow_door(([127, 0, 0, 1], origin.port()).into(), rest);
    let config = Config::before_address(&door.to_string())
        .listener("timeouts: { min_rate: 1KiB, min_rate_grace: 1500ms }")
        .service("tls: { verify: false }, timeouts: { connect: 15s, first_byte: 1500ms }");
    let gateway = Gateway::start(&config.clone().service("pool: { idle: 0 }"));
    assert_eq!(gateway.get("/").status, 200, "the first byte is awaited once the request is sent");

    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n");
    assert!(eventually(|| origin.bytes().windows(4).any(|bytes| bytes == b"POST")));
    client.send("hello");
    assert_eq!(client.reply().status, 200, "the client has its grace once it may send");
}
