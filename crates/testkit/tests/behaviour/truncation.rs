//! One side leaves in the middle of a message: the other must see that something is missing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_testkit::{Framing, Gate, Gateway, Origin, eventually};

const LARGE: usize = 1024 * 1024;

#[test]
fn a_reply_that_ends_too_early_is_no_whole_reply() {
    for head in ["Content-Length: 2000000", "Transfer-Encoding: chunked"] {
        let origin = Origin::with(move |served| {
            if served.request().is_some() {
                served.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
                served.send("100000\r\n");
                served.send(vec![b'x'; LARGE]);
            }
        });
        let gateway = Gateway::before(&origin);
        let mut client = gateway.client();
        client.send("GET /cut HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
        let read = client.reader().rest();
        if let Ok(read) = read {
            assert!(!read.ends_with(b"0\r\n\r\n"), "{head}: a clean end of chunked content");
            assert!(read.len() < 2_000_000, "{head}: a clean end of sized content");
        }
        let line = gateway.logged_request("/cut");
        assert_eq!(line["error"], "upstream_truncated", "{line}");
    }
}

#[test]
fn an_upload_that_ends_too_early_is_no_whole_request() {
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let whole = Arc::new(AtomicBool::new(false));
        let origin = Origin::with({
            let whole = whole.clone();
            move |served| {
                if served.request().is_some() {
                    whole.store(true, Ordering::SeqCst);
                }
            }
        });
        let gateway = Gateway::before(&origin);
        let mut client = gateway.client();
        client
            .send(format!("POST /cut HTTP/1.1\r\nHost: a.example\r\n{framing}\r\n\r\n64\r\nhello"));
        assert!(eventually(|| origin.bytes().windows(5).any(|bytes| bytes == b"hello")));
        drop(client);
        let seen = origin.bytes_at_the_end();
        assert!(!whole.load(Ordering::SeqCst) && !seen.ends_with(b"0\r\n\r\n"), "{framing}");
        let line = gateway.logged_request("/cut");
        assert_eq!(line["error"], "client_gone", "{line}");
    }
}

#[test]
fn a_client_that_leaves_during_the_reply_frees_the_origin() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\n\r\n");
            while served.send("still here\n") {}
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    client.reader().reply_head("GET").unwrap();
    assert!(!client.reader().some().unwrap().is_empty());
    drop(client);
    assert!(eventually(|| origin.open_connections() == 0), "the origin writes for nobody");
}

#[test]
fn an_origin_that_closes_instead_of_answering_is_a_bad_gateway() {
    let origin = Origin::with(|served| drop(served.request()));
    let gateway = Gateway::before(&origin);
    let reply = gateway.get("/gone");
    assert_eq!(reply.status, 502);
    assert_eq!(gateway.logged_request("/gone")["error"], "upstream_reset");
}

#[test]
fn an_answer_during_the_upload_reaches_the_client() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            served.wait_for_end();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LARGE}\r\n\r\n"));
    client.send(vec![b'x'; 1000]);
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (403, "no"));
    drop(client);
    // Whatever became of that connection, the next request is not taken for its content.
    assert_eq!(gateway.get("/").status, 403);
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_answer_and_a_close_during_the_upload_reach_a_client_that_goes_on_sending() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
            served.end();
            served.exactly(100_000);
        }
    });
    let gateway = Gateway::before(&origin);
    for _ in 0..5 {
        let mut client = gateway.client();
        let head = format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LARGE}\r\n\r\n");
        let sending = client.send_aside([head.as_bytes(), &vec![b'x'; LARGE]].concat());
        let reply = client.reply();
        assert_eq!((reply.status, reply.text().as_str()), (413, "no"));
        // The rest may or may not be taken.
        let _ = sending.join().unwrap();
    }
}

#[test]
fn what_an_http_1_0_client_cannot_see_by_length_it_sees_by_a_reset() {
    let seen = Gate::new();
    let origin = Origin::with({
        let seen = seen.clone();
        move |served| {
            if served.request().is_some() {
                served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
                seen.pass();
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().framing, Framing::UntilClose);
    assert_eq!(client.exactly(5).unwrap(), b"hello");
    seen.open();
    let end = client.reader().rest().map_err(|error| error.kind());
    assert_eq!(
        end,
        Err(io::ErrorKind::ConnectionReset),
        "a clean end of content that is not whole"
    );
}

#[test]
fn an_answer_that_comes_first_does_not_put_the_connection_out_of_step() {
    // Some origins answer at once and read the content afterwards.
    let origin = Origin::with(|served| {
        while let Some(request) = served.head() {
            served.reply(&request.target);
            if served.content(request.framing).is_err() {
                return;
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for i in 0..20 {
        let content = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(1 + i * 300);
        let length = content.len();
        let head =
            format!("POST /{i} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
        let sending = client.send_aside([head, content].concat().into_bytes());
        let reply = client.reply();
        assert_eq!((reply.status, reply.text()), (200, format!("/{i}")));
        let sent = sending.join().unwrap();
        if reply.closes() || sent.is_err() {
            client = gateway.client();
        }
    }
    assert!(origin.requests().iter().all(|request| request.target != "/smuggled"));
}
