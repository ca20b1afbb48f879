//! One request and its reply after another: keep-alive, pipelining, framing and bodiless replies.

use std::thread;
use std::time::Duration;

use portcullis_testkit::{Framing, Gateway, Origin};

#[test]
fn many_requests_share_one_connection_on_each_side() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for i in 0..50 {
        let reply = client.get(&format!("/{i}"));
        assert_eq!(reply.status, 200);
        assert!(reply.text().starts_with(&format!("GET /{i} HTTP/1.1\r\n")), "{}", reply.text());
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn pipelined_requests_in_one_write_are_answered_in_order() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let request = |i: usize| match i % 3 {
        0 => format!("GET /{i} HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        1 => format!("POST /{i} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"),
        _ => format!(
            "POST /{i} HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        ),
    };
    client.send((0..30).map(request).collect::<String>());
    for i in 0..30 {
        let text = client.reply().text();
        assert!(text.contains(&format!(" /{i} HTTP/1.1\r\n")), "{i}: {text}");
        assert_eq!(text.ends_with("\r\n\r\nhello"), i % 3 != 0, "{i}: {text}");
    }
}

#[test]
fn a_message_may_arrive_in_any_two_pieces() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let bytes = b"POST /1 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
        4;x=\"y\"\r\nfour\r\n3\r\nsix\r\n0\r\nX-Sum: 7\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nfive";
    for at in 1..bytes.len() {
        client.send(&bytes[..at]);
        thread::sleep(Duration::from_millis(1));
        client.send(&bytes[at..]);
        let (first, second) = (client.reply().text(), client.reply().text());
        assert!(
            first.starts_with("POST /1 ") && first.ends_with("\r\n\r\nfoursix"),
            "{at}: {first}"
        );
        assert!(
            second.starts_with("POST /2 ") && second.ends_with("\r\n\r\nfive"),
            "{at}: {second}"
        );
    }
}

#[test]
fn a_reply_may_arrive_byte_by_byte() {
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            let reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n\
                2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 5\r\n\r\n";
            if !reply.iter().all(|byte| served.send([*byte])) {
                return;
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let reply = client.get("/");
        assert_eq!((reply.text().as_str(), reply.field("x-a")), ("hello", Some("b")));
        assert_eq!(reply.trailers.one("x-sum"), Some("5"));
    }
}

#[test]
fn the_origin_gets_content_framed_as_the_client_framed_it() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello");
    let sized = origin.last_request();
    assert_eq!((sized.framing, &sized.body[..]), (Framing::Length(5), &b"hello"[..]));

    client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let chunked = origin.last_request();
    assert_eq!((chunked.framing, &chunked.body[..]), (Framing::Chunked, &b"hello"[..]));

    client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(origin.last_request().framing, Framing::Length(0));

    client.get("/");
    assert_eq!(origin.last_request().framing, Framing::None);
}

#[test]
fn trailers_pass_both_ways() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            let sum = request.trailers.one("x-sum").unwrap_or("none").to_owned();
            served.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Back\r\n\r\n\
                 2\r\nok\r\n0\r\nX-Back: {sum}\r\n\r\n"
            ));
        }
    });
    let gateway = Gateway::before(&origin);
    let reply = gateway.ask(
        "POST / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 99\r\n\r\n",
    );
    assert_eq!(reply.text(), "ok");
    assert_eq!(reply.trailers.one("x-back"), Some("99"));
}

#[test]
fn a_reply_to_head_names_a_length_and_has_no_content() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            if request.target == "/chunked" {
                served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            } else {
                served.send("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"a\"\r\n\r\n");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for path in ["/sized", "/chunked", "/sized"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        let reply = client.try_reply("HEAD").unwrap();
        assert_eq!(reply.status, 200);
        let length = (path == "/sized").then_some("12345");
        assert_eq!(reply.field("content-length"), length, "{path}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn replies_without_content_leave_the_connection_in_step() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            served.send(match request.target.as_str() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n",
                "/empty" => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            });
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for (path, status, text) in [
        ("/204", 204, ""),
        ("/x", 200, "ok"),
        ("/304", 304, ""),
        ("/empty", 200, ""),
        ("/x", 200, "ok"),
    ] {
        let reply = client.get(path);
        assert_eq!((reply.status, reply.text().as_str()), (status, text), "{path}");
        if status == 204 {
            assert!(!reply.fields.has("content-length") && !reply.fields.has("transfer-encoding"));
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_has_ended_its_direction_still_gets_its_reply() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    for request in [
        "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut client = gateway.client();
        client.send(request);
        client.end();
        assert_eq!(client.reply().status, 200);
        assert!(client.is_closed());
    }
}

#[test]
fn a_client_that_has_ended_its_direction_gets_every_reply_that_it_is_owed() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(5));
    client.end();
    for _ in 0..5 {
        assert_eq!(client.reply().status, 200);
    }
    assert!(client.is_closed());
}

#[test]
fn connection_close_is_obeyed_and_announced() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    assert!(reply.closes());
    assert!(client.is_closed());
    // The client's wish is about the client's connection: the origin's goes on.
    assert!(!origin.last_request().fields.all("connection").contains(&"close"));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn fields_of_a_reply_pass_in_order_and_as_they_came() {
    let many: String = (0..90).map(|i| format!("X-Field-{i}: {i}\r\n")).collect();
    let large = "b".repeat(40_000);
    let origin = Origin::replying(format!(
        "HTTP/1.1 200 Sure Thing\r\nSet-Cookie: a=1; Path=/\r\nX-Empty:\r\nserver: inner\r\n\
             Set-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Large: {large}\r\n{many}\
             WWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    ));
    let gateway = Gateway::before(&origin);
    let reply = gateway.get("/");
    assert_eq!(reply.fields.all("set-cookie"), ["a=1; Path=/", "b=2"]);
    for (name, value) in [
        ("x-empty", ""),
        ("server", "inner"),
        ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-large", &large),
        ("x-field-89", "89"),
        ("www-authenticate", "Basic"),
    ] {
        assert_eq!(reply.field(name), Some(value));
    }
}

#[test]
fn the_target_reaches_the_origin_as_it_came() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for target in ["/a%2Fb;c=d/%7E?x=1&y=%zz?", "/?", "/a/../b//c", "/%61", "/%C3%A9?q=a+b"] {
        client.get(target);
        assert_eq!(origin.last_request().target, target);
    }
}

#[test]
fn what_frames_routes_or_identifies_is_no_trailer() {
    const TRAILERS: &str = "X-Sum: 99\r\nSet-Cookie: a=b\r\nContent-Type: text/html\r\n\
        X-Forwarded-For: 6.6.6.6\r\nAuthorization: Basic eDp5\r\nCache-Control: public\r\n\
        If-Match: x\r\n";
    let origin = Origin::replying(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{TRAILERS}\r\n"
    ));
    let gateway = Gateway::before(&origin);
    let reply = gateway.ask(format!(
        "POST / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n{TRAILERS}\r\n"
    ));
    let only = [("X-Sum".to_owned(), "99".to_owned())];
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
    assert_eq!(reply.trailers.0, only);
    let request = origin.last_request();
    assert_eq!((&request.body[..], &request.trailers.0[..]), (&b"hello"[..], &only[..]));
}
