//! Tunnels: extended `CONNECT` (RFC 8441) on one side or both, and what must not be taken for one.
//! Real WebSockets are in `peers`; here the protocol is one that nobody knows.

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code, setting};
use portcullis_testkit::{Config, Gateway, Origin, Served};

use super::client;

fn connect(protocol: &str) -> Block {
    Block::request("CONNECT", "/tunnel").field(":protocol", protocol)
}

/// An origin that switches to `chat` and says everything back.
fn chat() -> Origin {
    Origin::with(|served| {
        let Some(request) = served.head() else { return };
        if request.target != "/tunnel" {
            served.reply("no tunnel");
            return;
        }
        assert_eq!((request.method.as_str(), request.fields.one("upgrade")), ("GET", Some("chat")));
        assert!(!request.fields.has("content-length") && !request.fields.has("transfer-encoding"));
        served.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
        );
        say_back(served);
    })
}

fn say_back(served: &mut Served) {
    loop {
        let some = served.some();
        if some.is_empty() || !served.send(some) {
            return served.end();
        }
    }
}

/// Waits until so much has come on a stream.
fn heard(client: &mut H2Client, stream: u32, length: usize) -> Vec<u8> {
    let heard = client.read_until(|peer| {
        let body = &peer.exchanges.get(&stream)?.body;
        (body.len() >= length).then(|| body.clone())
    });
    heard.expect("content").expect("content before the end")
}

#[test]
fn a_tunnel_is_a_stream_beside_others() {
    let origin = chat();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.begin(&connect("chat"));
    assert_eq!(client.reply_head(stream), 200);
    client.send(Frame::data(stream, "hello"));
    assert_eq!(heard(&mut client, stream, 5), b"hello");
    assert_eq!(client.get("/other").text(), "no tunnel");
    client.send_content(stream, &vec![b'x'; 100_000], false).unwrap();
    assert_eq!(heard(&mut client, stream, 100_005).len(), 100_005);
    client.send(Frame::data(stream, "bye").ending());
    let reply = client.reply(stream);
    assert!(reply.body.ends_with(b"xbye"));
    let regular = ["upgrade", "connection", "content-length", "transfer-encoding"];
    assert!(regular.iter().all(|name| !reply.fields.has(name)), "{:?}", reply.fields);
}

#[test]
fn a_tunnel_that_its_client_resets_is_over_for_the_origin() {
    let origin = chat();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.begin(&connect("chat"));
    assert_eq!(client.reply_head(stream), 200);
    client.send(Frame::reset(stream, code::CANCEL));
    assert!(!origin.bytes_at_the_end().is_empty());
    assert_eq!(client.get("/other").text(), "no tunnel");
}

/// To the client any success means that the tunnel is open (RFC 8441 section 4, RFC 9110 section
/// 9.3.6): the content of an ordinary reply would become bytes of the tunnel.
#[test]
fn a_reply_that_switches_nothing_opens_no_tunnel() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nsmuggled",
        "HTTP/1.1 101 Switching Protocols\r\n\r\nsmuggled",
    ] {
        let origin = Origin::replying_once(reply);
        let gateway = Gateway::before(&origin);
        let mut client = client(&gateway);
        let stream = client.begin(&connect("chat"));
        match client.outcome(stream) {
            Outcome::Reply(got) => {
                assert!(got.status >= 300, "{reply:?} became {} {:?}", got.status, got.text());
                assert!(!got.text().contains("smuggled"), "{reply:?}");
            }
            Outcome::Reset(_) => {}
            other => panic!("{reply:?} became {other}"),
        }
    }
}

#[test]
fn a_refusal_of_the_origin_passes() {
    let origin = Origin::replying("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.begin(&connect("chat"));
    let reply = client.reply(stream);
    assert_eq!((reply.status, reply.text().as_str()), (403, "no"));
}

/// The key is the gateway's own, and so is the look at its answer.
#[test]
fn a_handshake_of_a_web_socket_is_checked() {
    let origin = Origin::replying_once(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nsmuggled",
    );
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.begin(&connect("websocket").field("sec-websocket-version", "13"));
    assert_eq!(client.reply(stream).status, 502);
    let request = origin.first_request();
    assert_eq!(request.fields.one("sec-websocket-key").map(str::len), Some(24));
}

/// Another HTTP in a tunnel would slip past every rule (h2c smuggling).
#[test]
fn http_in_a_tunnel_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    for protocol in ["h2c", "h2", "HTTP/1.1", "TLS/1.0", "websocket, h2c"] {
        let mut client = client(&gateway);
        let stream = client.begin(&connect(protocol));
        let outcome = client.outcome(stream);
        let opened = matches!(&outcome, Outcome::Reply(reply) if reply.status < 300);
        assert!(!opened, "{protocol}: {outcome}");
    }
    assert!(origin.requests().iter().all(|request| !request.fields.has("upgrade")));
}

/// A service that speaks HTTP/2 with these settings.
fn before(origin: &Origin) -> Gateway {
    Gateway::start(&Config::before(origin).service("protocol: http2"))
}

#[test]
fn an_upgrade_of_http_1_becomes_an_extended_connect() {
    let origin = Origin::h2_with(&[(setting::ENABLE_CONNECT_PROTOCOL, 1)], |served| {
        while let Some(request) = served.head() {
            let stream = request.stream;
            let asked =
                [":method", ":protocol", ":path", ":scheme"].map(|name| request.field(name));
            assert_eq!(asked, ["CONNECT", "chat", "/tunnel", "http"]);
            served.send(Frame::headers(stream, &Block::status(200)));
            let mut said = 0;
            while !served.exchanges[&stream].ended {
                if !matches!(served.next_frame(), Ok(Some(_))) {
                    return;
                }
                let body = served.exchanges[&stream].body.clone();
                if served.send_content(stream, &body[said..], false).is_err() {
                    return;
                }
                said = body.len();
            }
            served.send(Frame::data(stream, "").ending());
        }
    });
    let gateway = before(&origin);
    let upgrade =
        "GET /tunnel HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    let mut first = gateway.client();
    first.send(upgrade);
    let head = first.reader().reply_head("GET").unwrap();
    assert_eq!((head.status, head.field("upgrade")), (101, Some("chat")));
    first.send("hello");
    assert_eq!(first.exactly(5).unwrap(), b"hello");
    first.end();
    assert!(first.is_closed());
    // The same from a client that speaks HTTP/2 itself.
    let mut second = client(&gateway);
    let stream = second.begin(&connect("chat"));
    assert_eq!(second.reply_head(stream), 200);
    second.send(Frame::data(stream, "hello").ending());
    assert_eq!(second.reply(stream).text(), "hello");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_that_takes_no_extended_connect_is_502() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            served.reply(request.stream, "ok");
        }
    });
    let gateway = before(&origin);
    let upgrade =
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    assert_eq!(gateway.ask(upgrade).status, 502);
    let mut client = client(&gateway);
    let stream = client.begin(&connect("chat"));
    assert_eq!(client.reply(stream).status, 502);
    assert_eq!(client.get("/").text(), "ok");
}

/// The gateway is the server of a handshake that it translates (RFC 6455, 4.2): whoever asks
/// wrongly would else get a 101 without an answer to its key.
#[test]
fn a_bad_handshake_of_a_web_socket_is_not_translated() {
    let origin = Origin::h2_with(&[(setting::ENABLE_CONNECT_PROTOCOL, 1)], |served| {
        while let Some(request) = served.head() {
            served.send(Frame::headers(request.stream, &Block::status(200)));
        }
    });
    let gateway = before(&origin);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let ask = |method: &str, fields: &str| {
        gateway.ask(format!(
            "{method} / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n{fields}\r\n"
        ))
    };
    for (method, fields) in [
        ("GET", version.to_owned()),
        ("GET", format!("{key}{key}{version}")),
        ("GET", format!("Sec-WebSocket-Key: short\r\n{version}")),
        ("GET", key.to_owned()),
        ("GET", format!("{key}{version}{version}")),
        ("POST", format!("{key}{version}")),
    ] {
        assert_eq!(ask(method, &fields).status, 400, "{method} {fields:?}");
    }
    let reply = ask("GET", &format!("{key}Sec-WebSocket-Version: 8\r\n"));
    assert_eq!(reply.status, 426);
    assert_eq!(reply.field("sec-websocket-version"), Some("13"));
    assert_eq!(reply.field("upgrade"), Some("websocket"));
    assert!(reply.text().contains("websocket_version"), "{}", reply.text());
    assert!(origin.requests().is_empty());
    let mut client = gateway.client();
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n{key}{version}\r\n"
    ));
    let head = client.reader().reply_head("GET").unwrap();
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // Where nothing is translated, it is for the service to judge.
    let plain = Origin::echo();
    let gateway = Gateway::before(&plain);
    let upgrade =
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(gateway.ask(upgrade).status, 200);
}
