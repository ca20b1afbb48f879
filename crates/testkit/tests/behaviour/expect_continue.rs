//! `Expect: 100-continue` (RFC 9110 section 10.1.1): the origin's word decides, not ours.

use std::thread;
use std::time::Duration;

use portcullis_testkit::{Config, Gateway, Origin};

const HEAD: &str =
    "POST /x HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[test]
fn the_origin_tells_the_client_to_go_on() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            assert_eq!(request.field("expect"), Some("100-continue"));
            served.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = served.content(request.framing).unwrap();
            served.reply(&String::from_utf8(body).unwrap());
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send(HEAD);
        assert_eq!(client.reply().status, 100);
        client.send("hello");
        let reply = client.reply();
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn the_origin_refuses_before_any_content_is_sent() {
    for (status, reason) in [(417, "Expectation Failed"), (413, "Content Too Large")] {
        let origin = Origin::with(move |served| {
            if served.head().is_some() {
                served.send(format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 2\r\n\r\nno"));
                // Should the content come all the same, it must not be taken for a request.
                served.wait_for_end();
            }
        });
        let gateway = Gateway::before(&origin);
        let mut client = gateway.client();
        client.send(HEAD);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text().as_str()), (status, "no"));
        if !reply.closes() {
            // Then the client may use the connection, content first or not at all; we hold that
            // it is owed.
            client.send("hello");
        }
        drop(client);
        assert_eq!(gateway.client().ask(HEAD).status, status);
        assert_eq!(origin.connections(), 2, "a connection with content owed is not used again");
    }
}

#[test]
fn a_client_that_does_not_wait_is_served_all_the_same() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            served.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = served.content(request.framing).unwrap();
            served.reply(&String::from_utf8(body).unwrap());
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        client.send(format!("{HEAD}hello"));
        let mut reply = client.reply();
        if reply.status == 100 {
            reply = client.reply();
        }
        assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    }
}

#[test]
fn an_origin_that_says_nothing_gets_the_content_of_a_client_that_has_waited_enough() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send(HEAD);
    // The origin has the head before the client gives up waiting.
    assert!(portcullis_testkit::eventually(|| origin.bytes().ends_with(b"\r\n\r\n")));
    client.send("hello");
    let mut reply = client.reply();
    if reply.status == 100 {
        reply = client.reply();
    }
    assert_eq!(reply.status, 200);
    assert!(reply.text().ends_with("hello"));
}

#[test]
fn an_http_1_0_client_expects_nothing() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            served.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = served.content(request.framing).unwrap();
            served.reply(&String::from_utf8(body).unwrap());
        }
    });
    let gateway = Gateway::before(&origin);
    let reply = gateway.ask(format!("{}hello", HEAD.replace("HTTP/1.1", "HTTP/1.0")));
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
}

#[test]
fn our_own_refusal_comes_without_a_100() {
    let origin = Origin::echo();
    let config = Config::before(&origin).route("limits: { body: 4B }");
    let gateway = Gateway::start(&config);
    let reply = gateway.ask(HEAD);
    assert_eq!(reply.status, 413);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn nothing_behind_our_own_answer_is_served() {
    // The client may leave its content out now, or not: where the next request begins is unknown.
    let gateway = Gateway::start(
        &"listeners:\n  web: { address: \"127.0.0.1:0\" }\nroutes:\n  \
          away: { match: { path: /away }, redirect: { to: \"https://b.example/\" } }\n  \
          fixed: { match: { path: /fixed }, reply: { status: 200, body: ok } }\n",
    );
    let next = "GET /fixed?next HTTP/1.1\r\nHost: a.example\r\n\r\n";
    for (request, status) in [("POST /away", 308), ("POST /fixed", 200), ("OPTIONS *", 204)] {
        let mut client = gateway.client();
        let reply = client.ask(format!(
            "{request} HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n\
             Content-Length: {}\r\n\r\n",
            next.len()
        ));
        assert_eq!(reply.status, status, "{request}");
        assert!(reply.closes(), "{request}: {reply:?}");
        // The first would be swallowed as content, the second be served.
        let _ = client.try_send(next.repeat(2));
        assert!(client.is_closed(), "{request}: an answer to what came behind");
    }
    assert_eq!(gateway.get("/fixed").status, 200);
    let served = gateway.logged_requests();
    assert!(served.iter().all(|line| line["path"] != "/fixed?next"), "{served:?}");
}

#[test]
fn a_client_is_not_blamed_for_an_origin_that_thinks_before_its_100() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            thread::sleep(Duration::from_millis(1200));
            if request.target == "/refused" {
                served.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
                return served.wait_for_end();
            }
            served.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = served.content(request.framing).unwrap();
            served.reply(&String::from_utf8(body).unwrap());
        }
    });
    let strict = "timeouts: { stall: 400ms, min_rate: 1KiB, min_rate_grace: 400ms }";
    let gateway = Gateway::start(&Config::before(&origin).listener(strict));
    let mut client = gateway.client();
    client.send(HEAD);
    assert_eq!(client.reply().status, 100);
    client.send("hello");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(gateway.ask(HEAD.replace("/x", "/refused")).status, 417);
}
