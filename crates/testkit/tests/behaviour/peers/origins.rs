//! Real servers behind the gateway, asked by a client that reads with no leniency. Every server is
//! held to the same stories; `Can` says where they differ.

use std::fs;

use portcullis_testkit::{Client, Fields, Framing, Gateway, Reply, chunked, eventually};

use super::programs::program;
use super::servers::{self, Server, TEXT, sha256};
use portcullis_testkit::process::run;

/// What not every server can do.
#[derive(Debug, Clone, Copy)]
struct Can {
    /// It serves many requests over one connection.
    keep_alive: bool,
    /// It frames content by the end of the connection.
    until_close: bool,
    /// `PUT` stores a file, where others answer with the hash of what came.
    store: bool,
    /// It tells clients that expect it to go on.
    goes_on: bool,
}

const COMMON: Can = Can { keep_alive: true, until_close: false, store: false, goes_on: true };

macro_rules! stories {
    ($($server:ident: $can:expr;)*) => {$(
        mod $server {
            use super::*;

            #[test]
            fn replies_of_every_framing_pass() {
                if let Some(server) = servers::$server() { replies(&server, $can) }
            }

            #[test]
            fn large_content_passes_whole_both_ways() {
                if let Some(server) = servers::$server() { large_content(&server, $can) }
            }

            #[test]
            fn content_comes_as_it_is_made() {
                if let Some(server) = servers::$server() { slow_content(&server) }
            }

            #[test]
            fn the_client_is_told_to_go_on() {
                if let Some(server) = servers::$server() { expectation(&server, $can) }
            }
        }
    )*};
}

stories! {
    nginx: Can { until_close: true, store: true, ..COMMON };
    apache: Can { until_close: true, ..COMMON };
    node_server: Can { until_close: true, ..COMMON };
    gunicorn: COMMON;
    gunicorn_sync: Can { keep_alive: false, ..COMMON };
    uvicorn: COMMON;
    node_http2: Can { until_close: true, ..COMMON };
    node_secure: Can { until_close: true, ..COMMON };
    nginx_http2: Can { until_close: true, store: true, goes_on: false, ..COMMON };
    nginx_secure: Can { until_close: true, store: true, goes_on: false, ..COMMON };
}

fn replies(server: &Server, can: Can) {
    let gateway = server.gateway();
    let mut client = gateway.client();
    let ports: Vec<String> = (0..10)
        .map(|_| {
            let reply = get(&mut client, "/length");
            assert_eq!(reply.framing, Framing::Length(TEXT.len() as u64));
            reply.field("x-peer-port").unwrap().to_owned()
        })
        .collect();
    let reused = ports.iter().all(|port| *port == ports[0]);
    assert_eq!(reused, can.keep_alive, "{ports:?}");

    assert_eq!(get(&mut client, "/chunked").framing, Framing::Chunked);
    if can.until_close {
        // The gateway knows no end before it comes; its own connections live on.
        assert_eq!(get(&mut client, "/close").framing, Framing::Chunked);
    }
    without_content(&mut client);
    let reply = client.get("/missing");
    assert_eq!(reply.status, 404);
    get(&mut client, "/length");
}

fn get(client: &mut Client, path: &str) -> Reply {
    let reply = client.get(path);
    assert_eq!((reply.status, reply.text().as_str()), (200, TEXT), "{path}: {reply:?}");
    assert!(!reply.closes(), "{path}: {reply:?}");
    reply
}

/// `HEAD`, 204 and 304, none of which has content, whatever its fields say.
fn without_content(client: &mut Client) {
    client.send("HEAD /length HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let head = client.try_reply("HEAD").unwrap();
    assert_eq!((head.status, head.field("content-length")), (200, Some("13")));
    client.send("HEAD /chunked HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.try_reply("HEAD").unwrap().status, 200);

    let empty = client.get("/empty");
    assert_eq!(empty.status, 204);
    assert!(!empty.fields.has("content-length") && !empty.fields.has("transfer-encoding"));

    let tag = get(client, "/length").field("etag").unwrap().to_owned();
    let request =
        format!("GET /length HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: {tag}\r\n\r\n");
    let unchanged = client.ask(request);
    assert_eq!((unchanged.status, unchanged.field("etag")), (304, Some(tag.as_str())));
}

fn large_content(server: &Server, can: Can) {
    let gateway = server.gateway();
    let mut client = gateway.client();
    let content = fs::read(server.big()).unwrap();
    let reply = client.get("/big");
    assert_eq!(reply.status, 200);
    assert!(reply.body == content, "{} bytes of {}", reply.body.len(), content.len());

    let length = format!("Content-Length: {}", content.len());
    upload(server, can, &mut client, &length, content.clone());
    upload(server, can, &mut client, "Transfer-Encoding: chunked", chunked(&content, 70_000));
    get(&mut client, "/length");
}

/// Sends the big file and looks at what arrived.
fn upload(server: &Server, can: Can, client: &mut Client, framing: &str, message: Vec<u8>) {
    client.send(upload_head(can, framing));
    let sending = client.send_aside(message);
    let reply = client.reply();
    sending.join().unwrap().unwrap();
    arrived(server, can, &reply);
}

fn upload_head(can: Can, fields: &str) -> String {
    let method = if can.store { "PUT" } else { "POST" };
    format!("{method} /upload HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n")
}

fn arrived(server: &Server, can: Can, reply: &Reply) {
    let sent = sha256(&server.big());
    if can.store {
        assert!(matches!(reply.status, 201 | 204), "{reply:?}");
        assert_eq!(sha256(&server.stored()), sent);
    } else {
        assert_eq!((reply.status, reply.text()), (200, sent), "{reply:?}");
    }
}

/// The server makes each part only once the one before it has arrived.
fn slow_content(server: &Server) {
    let gateway = server.gateway();
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().framing, Framing::Chunked);
    for part in 0..3 {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\n") {
            seen.extend(client.reader().chunk().unwrap().expect("more content"));
        }
        assert_eq!(String::from_utf8(seen).unwrap(), format!("part {part}\n"));
        server.go_on(part);
    }
    assert_eq!(client.reader().chunk().unwrap(), None);
    client.reader().trailers().unwrap();
    get(&mut client, "/length");
}

fn expectation(server: &Server, can: Can) {
    let gateway = server.gateway();
    let mut client = gateway.client();
    let content = fs::read(server.big()).unwrap();
    for _ in 0..2 {
        let fields = format!("Expect: 100-continue\r\nContent-Length: {}", content.len());
        client.send(upload_head(can, &fields));
        if can.goes_on {
            assert_eq!(client.reply().status, 100);
        }
        let sending = client.send_aside(content.clone());
        let reply = client.reply();
        sending.join().unwrap().unwrap();
        arrived(server, can, &reply);
    }
}

#[test]
fn nginx_loads_anew_and_no_request_fails() {
    if let Some(server) = servers::nginx() {
        closing_idle_connections(&server, "HUP");
    }
}

#[test]
fn nginx_loads_anew_and_no_request_over_http2_fails() {
    for server in [servers::nginx_http2(), servers::nginx_secure()].into_iter().flatten() {
        closing_idle_connections(&server, "HUP");
    }
}

#[test]
fn apache_loads_anew_and_no_request_fails() {
    if let Some(server) = servers::apache() {
        closing_idle_connections(&server, "USR1");
    }
}

/// At this signal the server closes its idle connections, of which the gateway keeps one: whether
/// it sees the end before its next request or behind it, the client must not.
fn closing_idle_connections(server: &Server, signal: &str) {
    let gateway = server.gateway();
    let mut client = gateway.client();
    for _ in 0..5 {
        let before = get(&mut client, "/length");
        server.signal(signal);
        let changed = eventually(|| {
            let reply = get(&mut client, "/length");
            reply.field("x-peer-port") != before.field("x-peer-port")
        });
        assert!(changed, "the server kept its connection");
    }
}

/// Node's servers, of every version.
fn nodes() -> impl Iterator<Item = Server> {
    let starts = [servers::node_server, servers::node_http2, servers::node_secure];
    starts.into_iter().filter_map(|start| start())
}

#[test]
fn early_hints_from_node_come_before_its_reply() {
    for server in nodes() {
        let gateway = server.gateway();
        let mut client = gateway.client();
        client.send("GET /hints HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let hints = client.reply();
        let link = "</style.css>; rel=preload; as=style";
        assert_eq!((hints.status, hints.field("link")), (103, Some(link)));
        server.go_on(0);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text().as_str()), (200, TEXT));
    }
}

#[test]
fn trailers_from_node_pass() {
    for server in nodes() {
        let gateway = server.gateway();
        let Fields(trailers) = get(&mut gateway.client(), "/trailers").trailers;
        let [(name, value)] = &trailers[..] else { panic!("{trailers:?}") };
        assert_eq!((name.to_lowercase().as_str(), value.as_str()), ("x-sum", "13"));
    }
}

#[test]
fn files_and_trailers_from_nghttpd_pass() {
    let Some(server) = servers::nghttpd() else { return };
    let gateway = server.gateway();
    let mut client = gateway.client();
    // Where a length is told, HTTP/1.1 has no place for trailers.
    let reply = get(&mut client, "/length");
    assert_eq!((reply.framing, reply.trailers), (Framing::Length(13), Fields::default()));
    if let Some(nghttp) = program("nghttp") {
        let url = format!("http://{}/length", gateway.address());
        assert!(run(&nghttp, &["-v", &url], &[]).contains("x-sum: 13"));
    }
    let content = fs::read(server.big()).unwrap();
    assert!(client.get("/big").body == content, "another file");
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n",
        content.len()
    ));
    let sending = client.send_aside(content.clone());
    assert!(client.reply().body == content, "another echo");
    sending.join().unwrap().unwrap();
}

#[test]
fn node_learns_that_nobody_takes_its_reply() {
    for server in nodes() {
        let gateway = server.gateway();
        let mut client = gateway.client();
        client.send("GET /endless HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
        drop(client);
        assert!(eventually(|| server.endless_is_closed()), "it goes on");
    }
}

#[test]
fn node_echoes_a_request_that_is_still_being_sent() {
    for server in nodes() {
        duplex(&server);
    }
}

#[test]
fn uvicorn_echoes_a_request_that_is_still_being_sent() {
    if let Some(server) = servers::uvicorn() {
        duplex(&server);
    }
}

fn duplex(server: &Server) {
    let gateway: Gateway = server.gateway();
    let mut client = gateway.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in 0..3 {
        client.send(format!("6\r\npart {part}\r\n"));
        if part == 0 {
            let head = client.reader().reply_head("POST").unwrap();
            assert_eq!((head.status, head.framing), (200, Framing::Chunked));
        }
        let echoed = client.reader().chunk().unwrap();
        assert_eq!(echoed.as_deref(), Some(format!("part {part}").as_bytes()));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.reader().chunk().unwrap(), None);
}
