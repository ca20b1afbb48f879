//! Replies: legal ones pass whole, others are a 502 before their head has passed, and an aborted
//! reply after.

use std::io;
use std::sync::{Arc, Mutex};

use portcullis_testkit::h2::{Block, Frame, H2Client, H2Served, Outcome, code, flag};
use portcullis_testkit::{Gateway, Origin, Reply};

use super::before;

/// Frames of a reply on this stream.
type Frames = Box<dyn Fn(u32) -> Vec<Frame> + Send>;
type Script = Arc<Mutex<Option<Frames>>>;

/// Answers `/case` with what the script says, and all else with `ok`.
fn scripted() -> (Origin, Script) {
    let script = Script::default();
    let origin = Origin::h2({
        let script = script.clone();
        move |served| answer(served, &script)
    });
    (origin, script)
}

fn answer(served: &mut H2Served<'_>, script: &Script) {
    while let Some(request) = served.request() {
        if request.path() != "/case" {
            served.reply(request.stream, "ok");
            continue;
        }
        let frames = script.lock().unwrap().as_ref().map(|frames| frames(request.stream));
        let _ = served.try_send(frames.unwrap_or_default());
    }
}

fn head(block: Block) -> Frames {
    Box::new(move |stream| vec![Frame::headers(stream, &block).ending()])
}

fn ok() -> Block {
    Block::status(200)
}

/// What is wrong with the head, so that nothing of it may pass.
fn malformed() -> Vec<(&'static str, Frames)> {
    let field = |name: &'static str, value: &'static str| head(ok().field(name, value));
    vec![
        ("no status", head(Block::new().field("x", "y"))),
        ("nothing", head(Block::new())),
        ("two statuses", head(ok().field(":status", "200"))),
        ("a status of letters", head(Block::new().field(":status", "abc"))),
        ("a status of two digits", head(Block::new().field(":status", "20"))),
        ("a status of four digits", head(Block::new().field(":status", "2000"))),
        ("a status with a space", head(Block::new().field(":status", "200 "))),
        ("a status below 100", head(Block::status(99).set(":status", "099"))),
        ("an empty status", head(Block::new().field(":status", ""))),
        ("status 101", head(Block::status(101))),
        ("a status behind fields", head(Block::new().field("x", "y").field(":status", "200"))),
        ("an unknown pseudo-field", field(":smuggled", "1")),
        ("upper case", field("X-Upper", "1")),
        ("a name with a space", field("x y", "1")),
        ("a name with CRLF", field("x\r\nsmuggled", "1")),
        ("a name with a colon", field("x:", "1")),
        ("no name", field("", "1")),
        ("a value with CRLF", field("x", "1\r\nsmuggled: 1")),
        ("a value with LF", field("x", "1\n")),
        ("a value with NUL", field("x", "1\0")),
        ("a value with a space before it", field("x", " 1")),
        ("connection", field("connection", "close")),
        ("keep-alive", field("keep-alive", "timeout=5")),
        ("transfer-encoding", field("transfer-encoding", "chunked")),
        ("upgrade", field("upgrade", "h2c")),
        (
            "two lengths that differ",
            head(ok().field("content-length", "0").field("content-length", "1")),
        ),
        ("a length of letters", field("content-length", "x")),
        ("a length without content", field("content-length", "5")),
        ("an interim reply that ends", head(Block::status(103))),
        (
            "content before the head",
            Box::new(|stream| vec![Frame::data(stream, "smuggled").ending()]),
        ),
        (
            "more interim replies than anyone wants",
            Box::new(|stream| {
                vec![Frame::headers(stream, &Block::status(103).field("x", "y")); 1000]
            }),
        ),
        (
            "a head larger than anyone wants",
            Box::new(|stream| {
                let block =
                    (0..40).fold(ok(), |block, n| block.field(format!("x-{n}"), "y".repeat(8000)));
                let mut frames = block.split(stream, 16_384);
                frames[0].flags |= flag::END_STREAM;
                frames
            }),
        ),
        (
            "a block that cannot be read",
            Box::new(|stream| vec![Frame::headers(stream, &ok().raw([0x80])).ending()]),
        ),
        ("a push", Box::new(|stream| vec![Frame::push_promise(stream, 2, &Block::get("/pushed"))])),
        ("a stream of its own", Box::new(|_| vec![Frame::headers(2, &ok()).ending()])),
        ("a continuation of nothing", Box::new(|stream| vec![Frame::continuation(stream, [])])),
        ("a window too large", Box::new(|_| vec![Frame::window_update(0, 0x7fff_ffff)])),
        ("a window of nothing", Box::new(|_| vec![Frame::window_update(0, 0)])),
        ("settings of a wrong size", Box::new(|_| vec![Frame::new(4, 0, 0, *b"abc")])),
        ("a frame too long", Box::new(|stream| vec![Frame::data(stream, [b'x'; 16_385])])),
    ]
}

#[test]
fn malformed_heads_are_502_and_harm_nobody_else() {
    let (origin, script) = scripted();
    let gateway = before(&origin);
    let mut failures = Vec::new();
    for (what, frames) in malformed() {
        *script.lock().unwrap() = Some(frames);
        let reply = final_reply(&gateway);
        let text = reply.text();
        let ours = reply.field("content-type") == Some("application/problem+json");
        if reply.status != 502 || !ours || text.contains("smuggled") {
            failures.push(format!("{what}: {} with {text:?}", reply.status));
        }
        let next = gateway.get("/next");
        if next.status != 200 {
            failures.push(format!("behind {what}: {} with {:?}", next.status, next.text()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let errors: Vec<_> = gateway.logged_requests().into_iter().collect();
    for line in errors.iter().filter(|line| line["path"] == "/case") {
        let known = ["upstream_malformed", "upstream_reset"].map(Into::into);
        assert!(known.contains(&line["error"]), "{line}");
    }
    assert!(gateway.metric("portcullis_failures_total", "upstream_malformed") >= 25.0);
}

/// RFC 9113 section 8.3 has it malformed. The `h2` crate drops it without a word, so that nobody is
/// told anything false.
#[test]
fn a_pseudo_field_of_requests_does_not_pass() {
    let (origin, script) = scripted();
    *script.lock().unwrap() = Some(head(ok().field(":path", "/smuggled")));
    let gateway = before(&origin);
    let reply = final_reply(&gateway);
    assert_eq!(reply.status, 200);
    assert!(reply.fields.0.iter().all(|(_, value)| value != "/smuggled"), "{:?}", reply.fields);
}

/// The reply behind interim ones, which may have passed.
fn final_reply(gateway: &Gateway) -> Reply {
    let mut client = gateway.client();
    client.send("GET /case HTTP/1.1\r\nHost: a.example\r\n\r\n");
    loop {
        let reply = client.reply();
        if reply.status >= 200 {
            return reply;
        }
    }
}

/// What goes wrong when the head and a part of the content have passed.
fn broken_off() -> Vec<(&'static str, Frames)> {
    let begun = |stream| {
        let head = Frame::headers(stream, &ok().field("content-length", "10"));
        vec![head, Frame::data(stream, "half")]
    };
    let unsized_ = |stream| vec![Frame::headers(stream, &ok()), Frame::data(stream, "half")];
    let reset = move |code| -> Frames {
        Box::new(move |stream| [unsized_(stream), vec![Frame::reset(stream, code)]].concat())
    };
    let then = move |frame: fn(u32) -> Frame| -> Frames {
        Box::new(move |stream| [begun(stream), vec![frame(stream)]].concat())
    };
    vec![
        ("reset with cancel", reset(code::CANCEL)),
        ("reset with an internal error", reset(code::INTERNAL_ERROR)),
        ("reset without an error", reset(code::NO_ERROR)),
        ("reset as refused", reset(code::REFUSED_STREAM)),
        ("reset with an unknown code", reset(0xabc)),
        ("too little content", then(|stream| Frame::data(stream, "").ending())),
        ("too much content", then(|stream| Frame::data(stream, "smuggled").ending())),
        (
            "trailers too early",
            then(|stream| Frame::headers(stream, &Block::new().field("x-sum", "1")).ending()),
        ),
        (
            "trailers that do not end",
            then(|stream| Frame::headers(stream, &Block::new().field("x-sum", "1"))),
        ),
        (
            "trailers with a pseudo-field",
            then(|stream| Frame::headers(stream, &Block::new().field(":status", "200")).ending()),
        ),
        (
            "trailers in upper case",
            then(|stream| Frame::headers(stream, &Block::new().field("X-Sum", "1")).ending()),
        ),
        ("the connection's end in error", then(|_| Frame::goaway(0, code::INTERNAL_ERROR))),
        ("a connection error of the origin's", then(|_| Frame::ping([0; 8]).on(1))),
    ]
}

#[test]
fn replies_that_break_off_are_aborted() {
    let (origin, script) = scripted();
    let gateway = before(&origin);
    let mut failures = Vec::new();
    for (what, frames) in broken_off() {
        *script.lock().unwrap() = Some(frames);
        let mut client = gateway.client();
        client.send("GET /case HTTP/1.1\r\nHost: a.example\r\n\r\n");
        match client.try_reply("GET") {
            Err(error) if ends(&error) => {}
            // Without a word of the reply's passed, it may be a 502 as well.
            Ok(reply) if reply.status == 502 => {}
            other => failures.push(format!("{what}, to HTTP/1.1: {other:?}")),
        }
        let mut client = H2Client::connect(gateway.address());
        let stream = client.request(&Block::get("/case"));
        match client.outcome(stream) {
            Outcome::Reset(code::INTERNAL_ERROR | code::CANCEL | code::PROTOCOL_ERROR) => {}
            Outcome::Reply(reply) if reply.status == 502 => {}
            other => failures.push(format!("{what}, to HTTP/2: {other}")),
        }
        if client.get("/next").status != 200 {
            failures.push(format!("behind {what}: no 200"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn ends(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

#[test]
fn a_head_whose_continuations_never_end_costs_little() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            if request.path() != "/case" {
                served.reply(request.stream, "ok");
                continue;
            }
            let first = Frame::headers(request.stream, &ok()).unflagged(flag::END_HEADERS);
            let more =
                Frame::continuation(request.stream, ok().field("x", "y".repeat(9000)).encode());
            let more = more.unflagged(flag::END_HEADERS);
            served.send(first);
            while served.try_send(&more).is_ok() {}
            return;
        }
    });
    let gateway = before(&origin);
    assert_eq!(gateway.get("/next").status, 200);
    let resident = gateway.resident();
    assert_eq!(gateway.get("/case").status, 502);
    let grown = gateway.resident().saturating_sub(resident);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more");
    let next = gateway.get("/next");
    assert_eq!(next.status, 200, "{}", next.text());
}

/// Nothing of a connection can be understood any more once a header block was given up in its
/// middle: the next request does not meet it.
#[test]
fn a_block_given_up_in_its_middle_ends_its_connection() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            if request.path() != "/case" {
                served.reply(request.stream, "ok");
                continue;
            }
            let first = Frame::headers(request.stream, &ok().field("x", "y"));
            let again = Frame::continuation(request.stream, ok().encode());
            let unended = [first, again].map(|frame| frame.unflagged(flag::END_HEADERS));
            served.send(unended.to_vec());
            if served.request().is_some() {
                let _ = served.try_send(Frame::continuation(request.stream, ok().encode()));
            }
            return;
        }
    });
    let gateway = before(&origin);
    assert_eq!(gateway.get("/next").status, 200);
    assert_eq!(gateway.get("/case").status, 502);
    let next = gateway.get("/next");
    assert_eq!(next.status, 200, "{}", next.text());
}

#[test]
fn control_frames_without_end_are_not_taken() {
    for frame in [Frame::ping([0; 8]), Frame::settings(&[]), Frame::new(0x7f, 0, 0, [])] {
        let origin = Origin::h2(move |served| {
            while let Some(request) = served.request() {
                if request.path() != "/case" {
                    served.reply(request.stream, "ok");
                    continue;
                }
                let many = vec![frame.clone(); 1000];
                for _ in 0..1000 {
                    if served.try_send(&many).is_err() {
                        return;
                    }
                }
                served.reply(request.stream, "at last");
            }
        });
        let gateway = before(&origin);
        assert_eq!(gateway.get("/next").status, 200);
        let resident = gateway.resident();
        // Taken to its end or given up: either way it costs nothing.
        let status = gateway.get("/case").status;
        assert!(matches!(status, 200 | 502), "{status}");
        let grown = gateway.resident().saturating_sub(resident);
        assert!(grown < 16 * 1024 * 1024, "{grown} bytes more");
        assert_eq!(gateway.get("/next").status, 200);
    }
}

/// What the origin is told is the client's request, and what the client is told the origin's reply.
#[test]
fn everything_of_a_message_passes_both_ways() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            let stream = request.stream;
            let seen = format!(
                "{} {} {} {} {} {}",
                request.field(":method"),
                request.path(),
                request.field(":authority"),
                request.field("x-one"),
                String::from_utf8_lossy(&request.body),
                request.trailers.one("x-sum").unwrap_or("none")
            );
            served.send([
                Frame::headers(stream, &Block::status(103).field("link", "</x>")),
                Frame::headers(stream, &ok().field("set-cookie", "a=1").field("set-cookie", "b=2")),
                Frame::data(stream, seen).padded(9),
                Frame::headers(stream, &Block::new().field("x-end", "2")).ending(),
            ]);
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    let stream = client.begin(&Block::post("/x?y").field("x-one", "1"));
    let trailers = Block::new().field("x-sum", "3");
    client.send([Frame::data(stream, "content"), Frame::headers(stream, &trailers).ending()]);
    let reply = client.reply(stream);
    assert_eq!(reply.text(), "POST /x?y a.example 1 content 3");
    assert_eq!(reply.fields.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(reply.trailers.one("x-end"), Some("2"));
    assert_eq!(reply.interim.len(), 1);
    let mut client = gateway.client();
    client.send(
        "POST /x?y HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\
         Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nTE: trailers, gzip\r\n\r\n\
         7\r\ncontent\r\n0\r\nX-Sum: 3\r\n\r\n",
    );
    assert_eq!(client.reply().status, 103);
    let reply = client.reply();
    assert_eq!(reply.text(), "POST /x?y a.example 1 content 3");
    assert_eq!(reply.trailers.one("x-end"), Some("2"));
}

#[test]
fn replies_without_content_are_those_of_http() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            let block = match request.path() {
                "/204" => Block::status(204),
                "/304" => Block::status(304).field("content-length", "99"),
                _ => ok().field("content-length", "99"),
            };
            served.send(Frame::headers(request.stream, &block).ending());
        }
    });
    let gateway = before(&origin);
    for (method, path, status) in [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/", 200)] {
        assert_eq!(asked(&gateway, method, path), status);
        let mut client = H2Client::connect(gateway.address());
        let reply = client.ask(&Block::request(method, path));
        assert_eq!((reply.status, reply.body.len()), (status, 0));
    }
}

fn asked(gateway: &Gateway, method: &str, path: &str) -> u16 {
    let mut client = gateway.client();
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    client.try_reply(method).expect("a whole reply").status
}

/// An origin that has read enough says so, and what it said counts (section 8.1).
#[test]
fn a_reply_before_the_end_of_the_request_is_whole() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.head() {
            let stream = request.stream;
            served.reply(stream, "enough");
            served.send(Frame::reset(stream, code::NO_ERROR));
        }
    });
    let gateway = before(&origin);
    for _ in 0..5 {
        let mut client = H2Client::connect(gateway.address());
        let stream = client.begin(&Block::post("/").field("content-length", "1000"));
        client.send(Frame::data(stream, "some"));
        assert_eq!(client.reply(stream).text(), "enough");
    }
}
