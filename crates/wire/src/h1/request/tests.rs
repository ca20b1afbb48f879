//! Request heads that must be read, and those that must not.

use super::*;

const LIMITS: HeadLimits = HeadLimits { target: 100, fields: 10, section: 400 };

fn parse(input: &[u8]) -> Result<Option<RequestHead>, Malformed> {
    let mut head = RequestHead::default();
    let length = parse_request(input, &LIMITS, &mut Scan::default(), &mut head)?;
    Ok(length.map(|_| head))
}

fn good(input: &str) -> RequestHead {
    parse(input.as_bytes()).unwrap().expect("a whole head")
}

fn bad(input: &[u8]) -> Malformed {
    match parse(input) {
        Err(malformed) => malformed,
        Ok(read) => panic!("{:?} was read as {read:?}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn a_usual_request() {
    let head =
        good("GET /a/b?c=d HTTP/1.1\r\nHost: x.example:80\r\nAccept: */*  \r\nX-Empty:\r\n\r\n");
    assert_eq!(head.method(), b"GET");
    assert_eq!(head.path(), b"/a/b");
    assert_eq!(head.query(), Some(&b"c=d"[..]));
    assert_eq!(head.authority(), b"x.example:80");
    assert_eq!(head.length, BodyLength::Empty);
    assert!(!head.close);
    assert_eq!(head.fields.all(b"accept").collect::<Vec<_>>(), [b"*/*"]);
    assert_eq!(head.fields.all(b"x-empty").collect::<Vec<_>>(), [b""]);
}

#[test]
fn the_target_has_four_forms() {
    let head = good("GET http://a.example/x?y HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(
        (head.authority(), head.path(), head.query()),
        (&b"a.example"[..], &b"/x"[..], Some(&b"y"[..]))
    );
    let head = good("GET http://a.example?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!((head.path(), head.query()), (&b"/"[..], Some(&b"y"[..])));
    let head = good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.is_asterisk());
    assert_eq!(bad(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"), Malformed::Target);
    assert_eq!(bad(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), Malformed::Connect);
}

#[test]
fn framing_is_what_rfc_9112_section_6_says() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(good(&post("Content-Length: 10\r\n")).length, BodyLength::Exact(10));
    assert_eq!(good(&post("Content-Length: 0\r\n")).length, BodyLength::Empty);
    assert_eq!(good(&post("Transfer-Encoding: Chunked\r\n")).length, BodyLength::Unknown);
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
    ] {
        bad(post(fields).as_bytes());
    }
    bad(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    bad(b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
}

#[test]
fn host_is_one_and_legal() {
    assert_eq!(good("GET / HTTP/1.0\r\n\r\n").authority(), b"");
    for input in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    ] {
        assert_eq!(bad(input.as_bytes()), Malformed::Host, "{input}");
    }
}

#[test]
fn lines_that_parsers_differ_over_are_refused() {
    for input in [
        &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/11.1\r\nHost: a\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        bad(input);
    }
    assert_eq!(bad(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Malformed::Version);
    assert_eq!(bad(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"), Malformed::Version);
}

#[test]
fn a_head_in_pieces_reads_as_one_in_one() {
    let whole = b"GET /a HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n\r\n";
    let mut head = RequestHead::default();
    let mut scan = Scan::default();
    for end in 1..whole.len() {
        assert_eq!(parse_request(&whole[..end], &LIMITS, &mut scan, &mut head), Ok(None), "{end}");
    }
    let length = parse_request(whole, &LIMITS, &mut scan, &mut head);
    assert_eq!(length, Ok(Some(whole.len())));
    assert_eq!(head.authority(), b"a.example");
}

#[test]
fn limits_hold_for_whole_and_partial_heads() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100));
    assert_eq!(bad(long.as_bytes()), Malformed::TargetTooLong);
    let endless = format!("GET /{}", "a".repeat(200));
    assert_eq!(bad(endless.as_bytes()), Malformed::TargetTooLong);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(10));
    assert_eq!(bad(many.as_bytes()), Malformed::HeadTooLarge);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(400));
    assert_eq!(bad(large.as_bytes()), Malformed::HeadTooLarge);
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(600));
    assert_eq!(bad(endless.as_bytes()), Malformed::HeadTooLarge);
    let crowd = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:\r\n".repeat(300));
    assert_eq!(bad(crowd.as_bytes()), Malformed::HeadTooLarge);
}

#[test]
fn the_connection_field_is_understood() {
    let with = |fields: &str| good(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    assert!(with("Connection: Close\r\n").close);
    assert!(with("Connection: x, close\r\n").close);
    assert!(with("Connection: x\r\nConnection: close\r\n").close);
    assert!(!with("Connection: closed\r\n").close);
    assert!(with("Connection: Upgrade\r\nUpgrade: websocket\r\n").upgrade);
    assert!(!with("Upgrade: websocket\r\n").upgrade);
    assert!(!with("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n").upgrade);
    assert!(good("GET / HTTP/1.0\r\n\r\n").close);
    assert!(!good("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
    assert!(with("Expect: 100-Continue\r\nContent-Length: 1\r\n").expects_continue);
    assert!(!with("Expect: 100-continue\r\n").expects_continue);
}
