//! Pseudo-fields, targets and methods (sections 8.3 and 8.5; RFC 8441 section 4).

use portcullis_testkit::h2::{Block, Frame, flag};

use super::{Case, Expect, MALFORMED, OK, REFUSED, UNREADABLE, case, whole};

/// A gateway does no `CONNECT`; whether it says so with a status or resets is its own affair.
const NOT_SERVED: Expect = MALFORMED.or_status(&[400, 404, 405, 501]);

/// The origin answers as if it were any request, and that is no tunnel.
const NO_TUNNEL: Expect = NOT_SERVED.or_status(&[502]);

pub(super) fn cases() -> Vec<Case> {
    [pseudo_fields(), methods(), paths(), authorities(), connects()].into_iter().flatten().collect()
}

fn get() -> Block {
    Block::get("/bad")
}

fn pseudo_fields() -> Vec<Case> {
    let malformed = |what, section, block| case(what, section, MALFORMED, whole(block));
    let mut late = Block::new().field(":method", "GET").field(":scheme", "http");
    late = late.field("x", "y").field(":path", "/bad").field(":authority", "a.example");
    vec![
        malformed("no method", "8.3.1", get().without(":method")),
        malformed("no scheme", "8.3.1", get().without(":scheme")),
        malformed("no path", "8.3.1", get().without(":path")),
        malformed("no field at all", "8.3.1", Block::new()),
        malformed("a method twice", "8.3.1", get().field(":method", "GET")),
        malformed("a scheme twice", "8.3.1", get().field(":scheme", "https")),
        malformed("a path twice", "8.3.1", get().field(":path", "/smuggled")),
        malformed("an authority twice", "8.3.1", get().field(":authority", "b.example")),
        case("an unknown pseudo-field", "8.3", UNREADABLE, whole(get().field(":smuggled", "1"))),
        case("a pseudo-field in upper case", "8.3", UNREADABLE, {
            whole(get().without(":path").field(":Path", "/bad"))
        }),
        malformed("a pseudo-field of replies", "8.3", get().field(":status", "200")),
        malformed("a pseudo-field behind fields", "8.3", late),
        malformed(
            "a protocol without CONNECT",
            "RFC 8441 4",
            get().field(":protocol", "websocket"),
        ),
        malformed("an empty scheme", "8.3.1", get().set(":scheme", "")),
        malformed("a scheme with CRLF", "8.3.1", get().set(":scheme", "http\r\nsmuggled: 1")),
        case("a scheme that is a URL", "8.3.1", REFUSED, {
            whole(get().set(":scheme", "http://private.example/?"))
        }),
        case(
            "pseudo-fields in any order",
            "8.3",
            OK,
            whole(
                Block::new()
                    .field(":path", "/")
                    .field(":authority", "a.example")
                    .field(":method", "GET")
                    .field(":scheme", "http"),
            ),
        ),
    ]
}

fn methods() -> Vec<Case> {
    let method =
        |what, method: &str| case(what, "8.3.1", UNREADABLE, whole(get().set(":method", method)));
    vec![
        method("an empty method", ""),
        method("a method with a space", "GET /smuggled"),
        method("a method that is a request line", "GET /smuggled HTTP/1.1\r\nx: y\r\n\r\nGET"),
        method("a method with CRLF", "GET\r\n"),
        method("a method with a colon", "GET:"),
        method("a method with NUL", "G\0T"),
        case("a method that nobody knows", "RFC 9110 9.1", OK, {
            whole(Block::get("/").set(":method", "FROBNICATE"))
        }),
    ]
}

fn paths() -> Vec<Case> {
    let path = |what, path: &[u8]| case(what, "8.3.1", MALFORMED, whole(get().set(":path", path)));
    vec![
        path("an empty path", b""),
        path("a path with a space", b"/bad smuggled"),
        path("a path that is a request line", b"/bad HTTP/1.1\r\nsmuggled: 1\r\n\r\nGET /"),
        path("a path with CR", b"/bad\rx"),
        path("a path with LF", b"/bad\nx"),
        path("a path with NUL", b"/bad\0x"),
        path("a path with a tab", b"/bad\tx"),
        path("a path with a fragment", b"/bad#cut"),
        path("a path with a fragment behind a query", b"/bad?a#cut"),
        case("a path with a fragment in Huffman code", "8.3.1", MALFORMED, {
            whole(get().without(":path").huffman(":path", "/bad#cut"))
        }),
        case("a path with a fragment for the table", "8.3.1", MALFORMED, {
            whole(get().without(":path").indexing(":path", "/bad#cut"))
        }),
        case("a path with a fragment over two frames", "8.3.1", MALFORMED, {
            let block = get().set(":path", "/bad#cut").field("x", "y");
            let mut frames = block.split(1, block.encode().len() - 10);
            frames[0].flags |= flag::END_STREAM;
            frames
        }),
        case("another field with a hash", "8.3.1", OK, {
            whole(Block::get("/").indexing("x-path", "/a#b").huffman("x", "#"))
        }),
        path("a path without its slash", b"bad"),
        path("a path of a question mark", b"?bad"),
        path("a path that is a URL", b"http://b.example/bad"),
        path("an asterisk without OPTIONS", b"*"),
        path("a path that begins with an at sign", b"@b.example/bad"),
        case("a path beyond ASCII", "RFC 3986 3.3", REFUSED, {
            whole(get().set(":path", b"/bad\xc3\xa4"))
        }),
        case("a path with DEL", "RFC 3986 3.3", REFUSED, whole(get().set(":path", "/bad\x7f"))),
        case("OPTIONS with an asterisk", "8.3.1", OK.or_status(&[200, 204]), {
            whole(Block::request("OPTIONS", "*"))
        }),
        case("OPTIONS with an asterisk and more", "8.3.1", REFUSED, {
            whole(Block::request("OPTIONS", "*bad"))
        }),
        case("a path with a query", "8.3.1", OK, whole(Block::get("/?a=/b?c"))),
    ]
}

fn authorities() -> Vec<Case> {
    let named = |authority: &str| get().set(":authority", authority);
    let refused = |what, block| case(what, "8.3.1", REFUSED, whole(block));
    let host = |name, host: &str| Block::get(name).without(":authority").field("host", host);
    vec![
        case("host alone", "8.3.1", OK, whole(host("/", "a.example"))),
        case("host that says the same", "8.3.1", OK, {
            whole(Block::get("/").field("host", "a.example"))
        }),
        case("host that says the same in other letters", "8.3.1", OK.or_stream(REFUSED.stream), {
            whole(Block::get("/").field("host", "A.example"))
        }),
        case("host that says something else", "8.3.1", MALFORMED, {
            whole(get().field("host", "b.example"))
        }),
        case("host with another port", "8.3.1", MALFORMED, {
            whole(get().field("host", "a.example:81"))
        }),
        case("host twice", "8.3.1", REFUSED, {
            whole(host("/bad", "a.example").field("host", "a.example"))
        }),
        refused("neither host nor authority", get().without(":authority")),
        refused("an empty authority", named("")),
        refused("an empty host", host("/bad", "")),
        refused("an authority with a user", named("user@a.example")),
        refused("an authority with a user and a password", named("a:b@a.example")),
        refused("an authority with a path", named("a.example/smuggled")),
        refused("an authority with a space", named("a.example b")),
        refused("an authority with CRLF", named("a.example\r\nsmuggled: 1")),
        refused("an authority with NUL", named("a.example\0")),
        refused("an authority with a comma", named("a.example,b.example")),
        refused("an authority with a port beyond 65535", named("a.example:65536")),
        refused("an authority with a query", named("a.example?smuggled")),
        case("an authority with a port", "8.3.1", OK, {
            whole(Block::get("/").set(":authority", "a.example:8080"))
        }),
    ]
}

fn connects() -> Vec<Case> {
    let connect = || Block::new().field(":method", "CONNECT").field(":authority", "b.example:443");
    let extended = |protocol: &str| {
        let block = Block::request("CONNECT", "/bad").field(":protocol", protocol);
        Frame::headers(1, &block)
    };
    vec![
        case("CONNECT", "8.5", NOT_SERVED, Frame::headers(1, &connect())),
        case("CONNECT with a scheme and a path", "8.5", MALFORMED, {
            Frame::headers(1, &Block::request("CONNECT", "/bad"))
        }),
        case("CONNECT with a path", "8.5", MALFORMED, {
            Frame::headers(1, &connect().field(":path", "/bad"))
        }),
        case("CONNECT without an authority", "8.5", NOT_SERVED, {
            Frame::headers(1, &connect().without(":authority"))
        }),
        case("extended CONNECT for a protocol that nobody speaks", "RFC 8441 4", NO_TUNNEL, {
            Frame::headers(1, &Block::request("CONNECT", "/").field(":protocol", "unknown"))
        }),
        case("extended CONNECT for no protocol", "RFC 8441 4", NOT_SERVED, extended("")),
        case("extended CONNECT for an illegal protocol", "RFC 8441 4", NOT_SERVED, {
            extended("websocket\r\nsmuggled: 1")
        }),
        case("extended CONNECT without a path", "RFC 8441 4", NOT_SERVED, {
            let block = Block::request("CONNECT", "/bad").field(":protocol", "websocket");
            Frame::headers(1, &block.without(":path"))
        }),
        case("extended CONNECT without a scheme", "RFC 8441 4", NOT_SERVED, {
            let block = Block::request("CONNECT", "/bad").field(":protocol", "websocket");
            Frame::headers(1, &block.without(":scheme"))
        }),
    ]
}
