//! Streams beside each other: as many as allowed, in any order, with what HTTP gives each.

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code};
use portcullis_testkit::{Gate, Gateway, Origin, Reader, eventually};

use serde_json::Value;

use super::{client, gateway_with};

/// An origin that answers `/held` only when the gate lets it, once for each.
fn holding(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/held" {
                gate.pass();
            }
            served.reply(&request.target);
        }
    })
}

#[test]
fn streams_beyond_the_limit_are_refused_and_may_be_tried_again() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = gateway_with(&origin, "http2: { concurrent_streams: 5 }");
    let mut client = client(&gateway);
    let held: Vec<u32> = (0..5).map(|_| client.request(&Block::get("/held"))).collect();
    let beyond: Vec<u32> = (0..3).map(|_| client.request(&Block::get("/beyond"))).collect();
    for stream in beyond {
        match client.outcome(stream) {
            Outcome::Reset(code::REFUSED_STREAM | code::PROTOCOL_ERROR) => {}
            other => panic!("expected RST_STREAM, got {other}"),
        }
    }
    held.iter().for_each(|_| gate.open());
    for stream in held {
        assert_eq!(client.reply(stream).text(), "/held");
    }
    assert_eq!(client.get("/again").text(), "/again");
    assert!(origin.requests().iter().all(|request| request.target != "/beyond"));
}

#[test]
fn a_hundred_streams_are_served_at_once() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let held: Vec<u32> = (0..100).map(|_| client.request(&Block::get("/held"))).collect();
    assert!(eventually(|| origin.requests().len() == 100), "{}", origin.requests().len());
    held.iter().for_each(|_| gate.open());
    for stream in held.into_iter().rev() {
        assert_eq!(client.reply(stream).text(), "/held");
    }
}

#[test]
fn requests_that_get_no_place_in_time_are_refused_and_may_be_tried_again() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = gateway_with(&origin, "limits: { streams: 1 }, timeouts: { head: 300ms }");
    let mut client = client(&gateway);
    let held = client.request(&Block::get("/held"));
    assert!(eventually(|| origin.requests().len() == 1));
    let waiting: Vec<u32> = (0..3).map(|_| client.request(&Block::get("/waiting"))).collect();
    assert!(eventually(|| gateway.metric("portcullis_http2_connections_waiting", "") == 1.0));
    for stream in waiting {
        match client.outcome(stream) {
            Outcome::Reset(code::REFUSED_STREAM) => {}
            other => panic!("expected RST_STREAM, got {other}"),
        }
    }
    let told = |line: &Value| {
        line["error"] == "saturated"
            && line["detail"] == "limits.streams: 3 requests waited for 300ms"
    };
    assert!(eventually(|| gateway.logged_requests().iter().any(told)));
    assert_eq!(gateway.metric("portcullis_failures_total", "reason=\"saturated\""), 3.0);
    gate.open();
    assert_eq!(client.reply(held).text(), "/held");
    assert_eq!(client.get("/again").text(), "/again");
    assert_eq!(gateway.metric("portcullis_http2_connections_waiting", ""), 0.0);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn replies_come_in_the_order_of_their_readiness() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let first = client.request(&Block::get("/held"));
    assert_eq!(client.get("/quick").text(), "/quick");
    assert!(!client.exchanges.contains_key(&first));
    gate.open();
    assert_eq!(client.reply(first).text(), "/held");
}

#[test]
fn the_last_number_is_served_and_no_other_comes() {
    const LAST: u32 = 0x7fff_ffff;
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    assert_eq!(client.get("/").status, 200);
    client.send(Frame::headers(LAST, &Block::get("/")).ending());
    assert_eq!(client.reply(LAST).status, 200);
    client.barrier().unwrap();
    client.send(Frame::headers(3, &Block::get("/bad")).ending());
    let goaway = client.end_of_connection().unwrap().expect("GOAWAY");
    assert!(matches!(goaway.code, code::PROTOCOL_ERROR | code::STREAM_CLOSED));
    assert_eq!(super::client(&gateway).get("/").status, 200);
    assert!(origin.requests().iter().all(|request| request.target == "/"));
}

#[test]
fn replies_without_content_end_with_their_head() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            served.send(match request.target.as_str() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 99\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            });
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for (block, status) in
        [(Block::get("/204"), 204), (Block::get("/304"), 304), (Block::request("HEAD", "/"), 200)]
    {
        let reply = client.ask(&block);
        assert_eq!((reply.status, reply.body.len()), (status, 0));
        assert_eq!(reply.field("content-length"), (status != 204).then_some("99"));
    }
}

#[test]
fn what_belongs_to_http_1_does_not_reach_the_client() {
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            served.send(
                "HTTP/1.1 200 Reason\r\nX-Upper: Kept\r\nConnection: keep-alive, x-hop\r\n\
                 X-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                 Upgrade: h2c\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                 5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            );
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for _ in 0..2 {
        // The kit refuses what must not stand in HTTP/2.
        let reply = client.get("/");
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
        assert_eq!(reply.field("x-upper"), Some("Kept"));
        assert_eq!(reply.trailers.one("x-sum"), Some("1"), "{:?}", reply.trailers);
        assert!(!reply.fields.has("x-hop"), "{:?}", reply.fields);
    }
}

#[test]
fn interim_replies_are_passed_on() {
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            served.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            served.reply("ok");
        }
    });
    let gateway = Gateway::before(&origin);
    let reply = client(&gateway).get("/");
    assert_eq!(reply.text(), "ok");
    let hints = reply.interim.iter().map(|(status, fields)| (*status, fields.one("link")));
    assert_eq!(hints.collect::<Vec<_>>(), [(103, Some("</x>"))]);
}

#[test]
fn content_that_waits_for_a_word_gets_it() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            served.send("HTTP/1.1 100 Continue\r\n\r\n");
            let content = served.content(request.framing).unwrap_or_default();
            served.reply(&String::from_utf8_lossy(&content));
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let block = Block::post("/").field("expect", "100-continue").field("content-length", "2");
    let stream = client.begin(&block);
    let status = |peer: &mut H2Client| {
        let sections = peer.exchanges.get(&stream).map(|exchange| exchange.sections.clone());
        sections?.first()?.one(":status").map(ToOwned::to_owned)
    };
    assert_eq!(client.read_until(status).unwrap().as_deref(), Some("100"));
    client.send(Frame::data(stream, "ok").ending());
    assert_eq!(client.reply(stream).text(), "ok");
}

/// The origin's reply came early: the rest of the request is of no use (section 8.1).
#[test]
fn a_reply_before_the_end_of_the_request_is_whole() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served
                .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
            served.end();
            served.wait_for_end();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for _ in 0..3 {
        let stream = client.begin(&Block::post("/"));
        client.send(Frame::data(stream, "some"));
        let reply = client.reply(stream);
        assert_eq!((reply.status, reply.text().as_str()), (413, "no"));
        // Either side ends the stream now.
        client.send(Frame::reset(stream, code::NO_ERROR));
        client.barrier().unwrap();
    }
}

/// A reply that breaks off must not look whole.
#[test]
fn a_truncated_reply_is_reset() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let origin = Origin::replying_once(reply);
        let gateway = Gateway::before(&origin);
        let mut client = client(&gateway);
        let stream = client.request(&Block::get("/"));
        let outcome = client.outcome(stream);
        assert!(matches!(outcome, Outcome::Reset(code::INTERNAL_ERROR)), "{outcome}");
        // What was on its way when the stream was reset may have been overtaken.
        assert!(b"half".starts_with(&client.exchanges[&stream].body));
        client.barrier().unwrap();
    }
}

#[test]
fn http_1_and_2_share_the_origins_connections() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut second = client(&gateway);
    for _ in 0..5 {
        let text = second.get("/two").text();
        let mut reader = Reader::new(text.as_bytes());
        let request = reader.request().unwrap().expect("a whole request");
        assert_eq!((request.target.as_str(), request.version.as_str()), ("/two", "HTTP/1.1"));
        assert_eq!(gateway.get("/one").status, 200);
    }
    assert_eq!(origin.connections(), 1);
    let line = gateway.logged_request("/two");
    assert_eq!((&line["status"], &line["error"]), (&200.into(), &Value::Null), "{line}");
}
