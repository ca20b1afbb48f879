//! How a connection begins (RFC 9113 sections 3.2 to 3.4).

use std::io;
use std::thread;
use std::time::Duration;

use portcullis_testkit::h2::{Block, Frame, H2Client, PREFACE, ToBytes, code, setting};
use portcullis_testkit::{Authority, Client, Config, Gateway, Origin, TempDir};

use super::client;

#[test]
fn the_preface_may_come_byte_by_byte() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = H2Client::silent(gateway.address());
    let request = Frame::headers(1, &Block::get("/"));
    let bytes = [PREFACE, &Frame::settings(&[]).to_bytes(), &request.ending().to_bytes()].concat();
    for byte in bytes {
        client.send([byte]);
    }
    assert_eq!(client.reply(1).status, 200);
}

#[test]
fn requests_may_follow_the_preface_at_once() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = H2Client::silent(gateway.address());
    client.send([PREFACE, &Frame::settings(&[]).to_bytes()].concat());
    let stream = client.request(&Block::get("/"));
    assert_eq!(client.reply(stream).status, 200);
}

#[test]
fn http_1_is_served_beside_it() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut second = client(&gateway);
    for _ in 0..3 {
        assert_eq!(second.get("/two").status, 200);
        assert_eq!(gateway.get("/one").status, 200);
    }
    // What begins like the preface and is none.
    for request in ["P", "PR", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "PRI / HTTP/2.0\r\n\r\n"] {
        let mut client = gateway.client();
        client.send(request);
        client.end();
        let rest = client.reader().rest().unwrap_or_default();
        let text = rest.escape_ascii().to_string();
        assert!(rest.is_empty() || refused(&rest), "{request:?} got {text}");
    }
    let post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(gateway.ask(post).status, 200);
}

#[test]
fn a_preface_that_goes_wrong_ends_the_connection() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let settings = Frame::settings(&[]).to_bytes();
    let get = Frame::headers(1, &Block::get("/bad")).ending().to_bytes();
    let cases: [(&str, Vec<u8>); 6] = [
        ("another end", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()),
        ("HTTP/1.1 in it", b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("no settings", [PREFACE, &get].concat()),
        ("a ping before settings", [PREFACE, &Frame::ping([0; 8]).to_bytes()].concat()),
        ("settings acknowledged first", [PREFACE, &Frame::settings_ack().to_bytes()].concat()),
        ("settings on a stream", [PREFACE, &Frame::settings(&[]).on(1).to_bytes()].concat()),
    ];
    for (what, bytes) in cases {
        let mut client = H2Client::silent(gateway.address());
        let _ = client.try_send([bytes, settings.clone()].concat());
        let end = client.end_of_connection();
        // An answer in HTTP/1.1 cannot be read as frames; it is an end as well.
        let refused = match &end {
            Ok(Some(goaway)) => goaway.code == code::PROTOCOL_ERROR,
            Ok(None) => true,
            Err(error) => error.kind() == io::ErrorKind::InvalidData,
        };
        assert!(refused, "{what}: {end:?}");
    }
    assert!(origin.requests().is_empty());
    assert_eq!(client(&gateway).get("/").status, 200);
}

#[test]
fn the_gateway_announces_its_bounds() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let client = client(&gateway);
    let announced = |id| client.settings.iter().find(|(i, _)| *i == id).map(|(_, value)| *value);
    assert_eq!(announced(setting::MAX_CONCURRENT_STREAMS), Some(100));
    assert_eq!(announced(setting::INITIAL_WINDOW_SIZE), Some(256 * 1024));
    assert_eq!(announced(setting::ENABLE_CONNECT_PROTOCOL), Some(1));
    assert!(announced(setting::MAX_HEADER_LIST_SIZE).is_some(), "{:?}", client.settings);
    assert!(announced(setting::MAX_FRAME_SIZE).is_none_or(|size| size == 16_384));
    // A server neither pushes nor says so (section 6.5.2).
    assert!(announced(setting::ENABLE_PUSH).is_none_or(|push| push == 0));
}

#[test]
fn tls_gives_the_protocol_by_its_name() {
    let (authority, dir, origin) = (Authority::new(), TempDir::new(), Origin::echo());
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let tls = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let gateway = Gateway::start(&Config::before(&origin).listener(&tls));
    let mut second = H2Client::tls(gateway.address(), &authority.client("a.example"));
    let get = Block::get("/").set(":scheme", "https");
    assert_eq!(second.ask(&get).status, 200);
    // Both are offered: the newer one is taken. One alone: that one.
    for (offered, taken) in [
        (&["http/1.1", "h2"][..], &b"h2"[..]),
        (&["http/1.1"], b"http/1.1"),
        (&["spdy/3", "h2"], b"h2"),
    ] {
        let offering = authority.client("a.example").offering(offered);
        let mut client = Client::tls(gateway.address(), &offering).unwrap();
        assert_eq!(client.tls_session().alpn_protocol(), Some(taken), "{offered:?}");
    }
    // Whoever was promised HTTP/1.1 cannot have the other, and the other way round.
    let first = authority.client("a.example").offering(&["http/1.1"]);
    let mut client = Client::tls(gateway.address(), &first).unwrap();
    client.send([PREFACE, &Frame::settings(&[]).to_bytes()].concat());
    let got = client.reader().rest().unwrap_or_default();
    assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 "), "{}", got.escape_ascii());
    let newer = authority.client("a.example").offering(&["h2"]);
    let mut client = Client::tls(gateway.address(), &newer).unwrap();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let got = client.reader().rest().unwrap_or_default();
    assert!(!got.starts_with(b"HTTP/1.1 2"), "{}", got.escape_ascii());
    assert_eq!(second.ask(&get).status, 200);
}

/// Over TLS the preface seldom comes together with the end of the handshake.
#[test]
fn a_preface_over_tls_may_take_its_time() {
    let (authority, dir, origin) = (Authority::new(), TempDir::new(), Origin::echo());
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let tls = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let gateway = Gateway::start(&Config::before(&origin).listener(&tls));
    let asking = authority.client("a.example").offering(&["h2"]);
    let pause = || thread::sleep(Duration::from_millis(50));
    let mut client = Client::tls(gateway.address(), &asking).unwrap();
    let get = Block::get("/").set(":scheme", "https");
    let begun =
        [&Frame::settings(&[]).to_bytes()[..], &Frame::headers(1, &get).ending().to_bytes()];
    let (first, rest) = PREFACE.split_at(10);
    for piece in [first, rest, begun[0], begun[1]] {
        pause();
        client.send(piece);
    }
    let mut client = H2Client::over(client);
    assert_eq!(client.reply(1).status, 200);
}

#[test]
fn a_listener_without_it_reads_the_preface_as_http_1() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("http2: off"));
    let mut client = gateway.client();
    client.send([PREFACE, &Frame::settings(&[]).to_bytes()].concat());
    let got = client.reader().rest().unwrap_or_default();
    assert!(refused(&got), "{}", got.escape_ascii());
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.requests().len(), 1);
}

/// A reply in HTTP/1.1 that says no.
fn refused(reply: &[u8]) -> bool {
    reply.starts_with(b"HTTP/1.1 4") || reply.starts_with(b"HTTP/1.1 505")
}
