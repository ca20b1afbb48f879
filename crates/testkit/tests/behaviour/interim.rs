//! Replies before the reply (RFC 9110 section 15.2).

use portcullis_testkit::{Gate, Gateway, Origin};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn early_hints_reach_the_client_before_the_reply_is_there() {
    let seen = Gate::new();
    let origin = Origin::with({
        let seen = seen.clone();
        move |served| {
            if served.request().is_some() {
                served.send(HINTS);
                seen.pass();
                served.send(OK);
                served.wait_for_end();
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let hints = client.reply();
    assert_eq!((hints.status, hints.field("link")), (103, Some("</style.css>; rel=preload")));
    seen.open();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn several_interim_replies_keep_their_order() {
    let origin = Origin::replying(format!("HTTP/1.1 102 Processing\r\n\r\n{HINTS}{HINTS}{OK}"));
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let statuses: Vec<u16> = (0..4).map(|_| client.reply().status).collect();
        assert_eq!(statuses, [102, 103, 103, 200]);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_http_1_0_client_gets_no_interim_reply() {
    let origin = Origin::replying(format!("{HINTS}{OK}"));
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.ask("GET / HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn interim_replies_without_end_are_no_reply() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            while served.send(HINTS) {}
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let last = (0..10_000).map(|_| client.reply().status).find(|status| *status != 103);
    assert_eq!(last, Some(502));
}

#[test]
fn an_origin_that_has_begun_to_answer_is_not_asked_again() {
    for request in ["GET / HTTP/1.1", "PUT / HTTP/1.1\r\nContent-Length: 0"] {
        let origin = Origin::with(|served| {
            served.request();
            served.send(OK);
            if served.number == 0 {
                served.request();
                served.send(HINTS);
            }
        });
        let gateway = Gateway::before(&origin);
        let mut client = gateway.client();
        assert_eq!(client.get("/").text(), "ok");
        client.send(format!("{request}\r\nHost: a.example\r\n\r\n"));
        assert_eq!(client.reply().status, 103, "{request}");
        assert_eq!(client.reply().status, 502, "{request}");
        assert_eq!((origin.connections(), origin.requests().len()), (1, 2), "{request}");
    }
}
