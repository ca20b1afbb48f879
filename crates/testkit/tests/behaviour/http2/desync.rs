//! Requests that would become others, or several, if they were written down as HTTP/1.1 the way they
//! came: the classes of "HTTP/2: The Sequel is Always Worse" and what followed it. What counts is
//! what the origin has read in the end.

use portcullis_testkit::h2::{Block, Frame, Outcome};
use portcullis_testkit::{Config, Gateway, Origin};

use super::client;

/// A request in HTTP/1.1, to be hidden in another.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX: ";

struct Case {
    /// `class/case`.
    name: &'static str,
    block: Block,
    content: &'static str,
}

fn case(name: &'static str, block: Block) -> Case {
    Case { name, block, content: "" }
}

fn with_content(name: &'static str, block: Block, content: &'static str) -> Case {
    Case { name, block, content }
}

fn post() -> Block {
    Block::post("/bad")
}

fn get() -> Block {
    Block::get("/bad")
}

/// What must never reach an origin, in any form.
fn refused() -> Vec<Case> {
    let inject = |before: &str| format!("{before}\r\n\r\n{HIDDEN}");
    let chunked = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
    vec![
        with_content(
            "h2.cl/zero",
            post().field("content-length", "0"),
            "GET /smuggled HTTP/1.1\r\n\r\n",
        ),
        with_content(
            "h2.cl/short",
            post().field("content-length", "1"),
            "xGET /smuggled HTTP/1.1\r\n\r\n",
        ),
        with_content("h2.cl/long", post().field("content-length", "50"), "x"),
        with_content(
            "h2.cl/two",
            post().field("content-length", "0").field("content-length", "27"),
            "GET /smuggled HTTP/1.1\r\n\r\n",
        ),
        with_content(
            "h2.cl/underscore-is-not-it",
            post().field("content-length ", "0"),
            "smuggled",
        ),
        case("h2.cl/of-a-get", get().field("content-length", "10")),
        with_content("h2.te/plain", post().field("transfer-encoding", "chunked"), chunked),
        with_content("h2.te/upper-case", post().field("Transfer-Encoding", "chunked"), chunked),
        with_content("h2.te/identity", post().field("transfer-encoding", "identity"), chunked),
        with_content(
            "h2.te/space-behind-the-name",
            post().field("transfer-encoding ", "chunked"),
            chunked,
        ),
        with_content(
            "h2.te/tab-behind-the-name",
            post().field("transfer-encoding\t", "chunked"),
            chunked,
        ),
        with_content(
            "h2.te/colon-in-the-name",
            post().field("transfer-encoding: chunked\r\nx", "y"),
            chunked,
        ),
        with_content(
            "h2.te/in-a-value",
            post().field("x", "y\r\ntransfer-encoding: chunked"),
            chunked,
        ),
        with_content(
            "h2.te/behind-lf-in-a-value",
            post().field("x", "y\ntransfer-encoding: chunked"),
            chunked,
        ),
        with_content(
            "h2.te/behind-cr-in-a-value",
            post().field("x", "y\rtransfer-encoding: chunked"),
            chunked,
        ),
        with_content(
            "h2.te/in-the-authority",
            post().set(":authority", "a.example\r\ntransfer-encoding: chunked"),
            chunked,
        ),
        with_content(
            "h2.te/in-the-method",
            post().set(":method", "POST /bad HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y"),
            chunked,
        ),
        with_content(
            "h2.te/in-the-path",
            post().set(":path", "/bad HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y"),
            chunked,
        ),
        with_content(
            "h2.te/in-the-scheme",
            post().set(":scheme", "http\r\ntransfer-encoding: chunked\r\nx: y"),
            chunked,
        ),
        case("crlf/request-in-a-value", get().field("x", inject("y"))),
        case("crlf/request-in-a-name", get().field(inject("x"), "y")),
        case("crlf/request-in-the-path", get().set(":path", inject("/bad HTTP/1.1\r\nHost: a"))),
        case(
            "crlf/request-in-the-method",
            get().set(":method", inject("GET /bad HTTP/1.1\r\nHost: a")),
        ),
        case("crlf/request-in-the-authority", get().set(":authority", inject("a.example"))),
        case("crlf/request-in-a-cookie", get().field("cookie", inject("a=b"))),
        case("crlf/request-in-the-user-agent", get().huffman("user-agent", inject("curl"))),
        case(
            "crlf/lf-alone",
            get().field("x", "y\n\nGET /smuggled HTTP/1.1\nHost: a.example\nz: "),
        ),
        case("crlf/field-in-a-value", get().field("x", "y\r\nsmuggled: 1")),
        case("crlf/host-in-a-value", get().field("x", "y\r\nHost: smuggled.example")),
        case("crlf/behind-a-tab", get().field("x", "y\r\n\tsmuggled")),
        case("crlf/in-the-dynamic-table", get().indexing("x", "y\r\nsmuggled: 1").indexed(62)),
        case("name/colon", get().field("host: smuggled.example\r\nx", "y")),
        case("name/colon-alone", get().field("x: smuggled", "y")),
        case("name/colon-behind", get().field("x:", "smuggled")),
        case("name/space", get().field("x smuggled", "y")),
        case("name/space-behind", get().field("x-smuggled ", "y")),
        case("name/null-behind", get().field("x-smuggled\0", "y")),
        case("name/empty", get().field("", "smuggled")),
        case("line/space-in-the-path", get().set(":path", "/bad HTTP/1.1 smuggled")),
        case("line/tab-in-the-path", get().set(":path", "/bad\tHTTP/1.1\tsmuggled")),
        case("line/space-in-the-method", get().set(":method", "GET /smuggled HTTP/1.1")),
        case("line/url-in-the-method", get().set(":method", "GET http://smuggled.example/bad")),
        case("line/url-in-the-path", get().set(":path", "http://smuggled.example/bad")),
        case("line/authority-in-the-path", get().set(":path", "@smuggled.example/bad")),
        case("line/port-in-the-path", get().set(":path", ":80@smuggled.example/bad")),
        case("line/empty-path", get().set(":path", "")),
        case("host/both", get().field("host", "smuggled.example")),
        case("host/with-a-path", get().set(":authority", "a.example/smuggled?")),
        case("host/with-a-user", get().set(":authority", "a.example@smuggled.example")),
        case("host/list", get().set(":authority", "a.example, smuggled.example")),
        case("pseudo/two-paths", get().field(":path", "/smuggled")),
        case("pseudo/two-methods", get().field(":method", "DELETE")),
        case("pseudo/two-authorities", get().field(":authority", "smuggled.example")),
        case(
            "pseudo/path-behind-fields",
            get().without(":path").field("x", "y").field(":path", "/smuggled"),
        ),
        case("pseudo/scheme-with-a-url", get().set(":scheme", "http://smuggled.example/bad?")),
        case(
            "connection/names-a-field",
            get().field("connection", "x-smuggled").field("x-smuggled", "1"),
        ),
        case("connection/upgrade", get().field("connection", "upgrade").field("upgrade", "h2c")),
        case("connection/upgrade-alone", get().field("upgrade", "websocket")),
        case("connection/keep-alive", get().field("keep-alive", "smuggled")),
    ]
}

#[test]
fn nothing_that_would_be_read_otherwise_reaches_the_origin() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut failures = Vec::new();
    let cases = refused();
    for case in &cases {
        let mut client = client(&gateway);
        let stream = client.stream();
        let head = Frame::headers(stream, &case.block);
        if case.content.is_empty() {
            client.send(head.ending());
        } else {
            client.send([head, Frame::data(stream, case.content).ending()]);
        }
        let outcome = client.outcome(stream);
        let refused = match &outcome {
            Outcome::Reply(reply) => reply.status == 400 && !reply.text().contains("smuggled"),
            Outcome::Reset(_) | Outcome::GoneAway(_) => true,
            Outcome::Closed | Outcome::Failed(_) => false,
        };
        // What stays on the origin's connection would be the beginning of the next request.
        let next = super::client(&gateway).get("/next").text();
        if !refused || !next.starts_with("GET /next HTTP/1.1\r\n") || next.contains("muggled") {
            failures.push(format!("{}: got {outcome}, the next one {next:?}", case.name));
        }
    }
    gateway.kill();
    let text = origin.bytes_at_the_end().escape_ascii().to_string();
    let whole: Vec<_> = origin.requests().into_iter().filter(|r| r.target != "/next").collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(whole.is_empty(), "the origin got {whole:?}");
    // The head of a request whose content turned out wrong may have been passed on.
    assert!(!text.contains("muggled"), "the origin got {text}");
}

/// What a legal request becomes: parts of it, lower-cased, that the origin must and must not read.
struct Passed {
    name: &'static str,
    frames: Vec<Frame>,
    must_contain: &'static [&'static str],
    must_not_contain: &'static [&'static str],
}

fn passed() -> Vec<Passed> {
    let whole = |block: Block| vec![Frame::headers(1, &block).ending()];
    let content = |block: Block, content: &str| {
        vec![Frame::headers(1, &block), Frame::data(1, content).ending()]
    };
    vec![
        Passed {
            name: "the authority becomes the host",
            frames: whole(Block::get("/x?y=1").set(":authority", "a.example:80")),
            must_contain: &["get /x?y=1 http/1.1\r\n", "\r\nhost: a.example"],
            must_not_contain: &[":authority", ":path", ":scheme", "http/2"],
        },
        Passed {
            name: "content without a length is chunked",
            frames: content(Block::post("/x"), "0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n"),
            must_contain: &["\r\ntransfer-encoding: chunked\r\n", "\r\n1d\r\n0\r\n\r\nget /hidden"],
            must_not_contain: &["content-length:"],
        },
        Passed {
            name: "content with a length keeps it",
            frames: content(Block::post("/x").field("content-length", "5"), "hello"),
            must_contain: &["\r\ncontent-length: 5\r\n", "\r\n\r\nhello"],
            must_not_contain: &["transfer-encoding"],
        },
        Passed {
            name: "no content has no framing",
            frames: whole(Block::get("/x")),
            must_contain: &["get /x http/1.1\r\n"],
            must_not_contain: &["transfer-encoding", "content-length"],
        },
        Passed {
            name: "cookies are one line",
            frames: whole(
                Block::get("/x").field("cookie", "a=1").field("x", "y").field("cookie", "b=2"),
            ),
            must_contain: &["\r\ncookie: a=1; b=2\r\n"],
            must_not_contain: &[],
        },
        Passed {
            name: "te and http2-settings end here",
            frames: whole(
                Block::get("/x").field("te", "trailers").field("http2-settings", "AAMAAABk"),
            ),
            must_contain: &["get /x "],
            must_not_contain: &["http2-settings", "\r\nte: gzip"],
        },
        Passed {
            name: "the client is named as over HTTP/1.1",
            frames: whole(Block::get("/x").field("x-forwarded-for", "6.6.6.6")),
            must_contain: &[
                "\r\nx-forwarded-for: 127.0.0.1\r\n",
                "\r\nx-forwarded-proto: http\r\n",
            ],
            must_not_contain: &["6.6.6.6"],
        },
        Passed {
            name: "padding is no content",
            frames: vec![
                Frame::headers(1, &Block::post("/x").field("content-length", "2")).padded(9),
                Frame::data(1, "ok").padded(200).ending(),
            ],
            must_contain: &["\r\n\r\nok"],
            must_not_contain: &["\0"],
        },
        Passed {
            name: "a doubled encoding stays as it is",
            frames: whole(Block::get("/x%250d%250a")),
            must_contain: &["get /x%250d%250a http/1.1\r\n"],
            must_not_contain: &[],
        },
    ]
}

#[test]
fn what_is_legal_is_written_anew() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut failures = Vec::new();
    for case in passed() {
        let mut client = client(&gateway);
        client.send(&case.frames);
        let outcome = client.outcome(1);
        let seen = String::from_utf8_lossy(&origin.take_bytes()).to_ascii_lowercase();
        let missing: Vec<_> = case.must_contain.iter().filter(|p| !seen.contains(**p)).collect();
        let unwanted: Vec<_> =
            case.must_not_contain.iter().filter(|p| seen.contains(**p)).collect();
        if !missing.is_empty() || !unwanted.is_empty() {
            failures.push(format!(
                "{}: missing {missing:?}, unwanted {unwanted:?}, the client got {outcome}, the \
                 origin {seen:?}",
                case.name
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn trailers_reach_the_origin_as_trailers() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.begin(&Block::post("/x"));
    client.send([
        Frame::data(stream, "content"),
        Frame::headers(stream, &Block::new().field("x-sum", "1")).ending(),
    ]);
    assert_eq!(client.reply(stream).status, 200);
    let request = origin.last_request();
    assert_eq!(request.body, b"content");
    assert_eq!(request.trailers.one("x-sum"), Some("1"), "{:?}", request.trailers);
}

#[test]
fn framing_fields_in_trailers_reach_nobody() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    for (name, value) in [("content-length", "99"), ("host", "smuggled"), ("te", "trailers")] {
        let mut client = client(&gateway);
        let stream = client.begin(&Block::post("/x"));
        let trailers = Block::new().field(name, value).field("x-sum", "1");
        client.send([Frame::data(stream, "content"), Frame::headers(stream, &trailers).ending()]);
        // Dropped or refused, as one likes (RFC 9110 section 6.5.1).
        let outcome = client.outcome(stream);
        for request in origin.requests() {
            assert!(!request.trailers.has(name), "{name}: {outcome}, {:?}", request.trailers);
        }
    }
}

/// Replies of HTTP/1.1 that answer more than was asked (request tunnelling).
#[test]
fn a_second_reply_reaches_nobody() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            let hidden = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
            let (length, content) = match request.method.as_str() {
                "HEAD" => (99, hidden),
                _ => (2, "ok"),
            };
            let tail = if request.target == "/two" { hidden } else { "" };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            served.send(format!("{head}{content}{tail}"));
        }
    });
    let gateway = Gateway::start(&Config::before(&origin));
    for block in [Block::request("HEAD", "/"), Block::get("/two")] {
        let mut client = client(&gateway);
        let first = client.ask(&block);
        assert_eq!(first.status, 200);
        for _ in 0..3 {
            let next = client.get("/next");
            assert_eq!((next.status, next.text().as_str()), (200, "ok"));
        }
    }
}
