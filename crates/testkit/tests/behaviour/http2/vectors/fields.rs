//! Names and values of fields (section 8.2): what HTTP/1.1 would read as something else is never
//! taken, whoever wrote it.

use portcullis_testkit::h2::Block;

use super::{Case, MALFORMED, OK, UNREADABLE, case, whole};

pub(super) fn cases() -> Vec<Case> {
    [names(), values(), of_connections(), legal()].into_iter().flatten().collect()
}

fn with(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
    Block::get("/bad").field(name, value)
}

fn names() -> Vec<Case> {
    let name = |what, bytes: &[u8]| case(what, "8.2.1", UNREADABLE, whole(with(bytes, "x")));
    vec![
        name("a name in upper case", b"X-Upper"),
        name("a name with one letter in upper case", b"x-uppeR"),
        name("a name with a space", b"x y"),
        name("a name with a space before it", b" x"),
        name("a name with a space behind it", b"x "),
        name("a name with a tab", b"x\ty"),
        name("a name with CR", b"x\ry"),
        name("a name with LF", b"x\ny"),
        name("a name with NUL", b"x\0y"),
        name("a name with DEL", b"x\x7f"),
        name("a name beyond ASCII", b"x\xff"),
        name("a name with a colon in it", b"x:y"),
        name("a name with a colon behind it", b"x:"),
        name("a name that is a field line", b"x: y\r\ntransfer-encoding"),
        name("a name with a parenthesis", b"x(y"),
        name("a name with a slash", b"x/y"),
        name("a name with a quotation mark", b"x\"y"),
        name("no name", b""),
        name("a colon alone", b":"),
        case("upper case in Huffman code", "8.2.1", UNREADABLE, {
            whole(Block::get("/bad").huffman("X-Upper", "x"))
        }),
        case("upper case in the dynamic table", "8.2.1", UNREADABLE, {
            whole(Block::get("/bad").indexing("X-Upper", "x"))
        }),
    ]
}

fn values() -> Vec<Case> {
    let value = |what, bytes: &[u8]| case(what, "8.2.1", UNREADABLE, whole(with("x", bytes)));
    vec![
        value("a value with CR", b"a\rb"),
        value("a value with LF", b"a\nb"),
        value("a value with CRLF", b"a\r\nsmuggled: 1"),
        value("a value with NUL", b"a\0b"),
        value("a value with a space before it", b" a"),
        value("a value with a space behind it", b"a "),
        value("a value with a tab before it", b"\ta"),
        value("a value with a tab behind it", b"a\t"),
        value("a value of a space", b" "),
        case("a cookie with LF", "8.2.1, 8.2.3", UNREADABLE, whole(with("cookie", "a=b\nc"))),
        case("a value with NUL in Huffman code", "8.2.1", UNREADABLE, {
            whole(Block::get("/bad").huffman("x", "a\0b"))
        }),
    ]
}

fn of_connections() -> Vec<Case> {
    let field = |what, name, value| case(what, "8.2.2", MALFORMED, whole(with(name, value)));
    vec![
        field("connection", "connection", "close"),
        field("connection that names nothing", "connection", ""),
        field("keep-alive", "keep-alive", "timeout=5"),
        field("proxy-connection", "proxy-connection", "keep-alive"),
        field("transfer-encoding", "transfer-encoding", "chunked"),
        field("transfer-encoding of nothing", "transfer-encoding", ""),
        field("upgrade", "upgrade", "websocket"),
        field("te other than trailers", "te", "gzip"),
        field("te with trailers and others", "te", "trailers, deflate"),
        field("te with trailers and a weight", "te", "trailers;q=0.5"),
        case("te twice", "8.2.2", MALFORMED, whole(with("te", "trailers").field("te", "gzip"))),
        // Legal as a field, and nothing that may go on to HTTP/1.1 as it is.
        case("http2-settings", "3.1", OK.or_stream(MALFORMED.stream), {
            whole(Block::get("/").field("http2-settings", "AAMAAABkAAQAAP__"))
        }),
    ]
}

fn legal() -> Vec<Case> {
    let get = || Block::get("/");
    vec![
        case("te: trailers", "8.2.2", OK, whole(get().field("te", "trailers"))),
        case("an empty value", "8.2.1", OK, whole(get().field("x", ""))),
        case("a value with a tab in it", "8.2.1", OK, whole(get().field("x", "a\tb"))),
        case("a value beyond ASCII", "8.2.1", OK, whole(get().field("x", b"\xc3\xa4\xff"))),
        case("all kinds of letters in a name", "8.2.1", OK, {
            whole(get().field("!#$%&'*+-.^_`|~0z", "1"))
        }),
        case(
            "a value with DEL",
            "RFC 9110 5.5",
            UNREADABLE.or_status(&[200, 400]),
            whole(Block::get("/").field("x", "a\x7fb")),
        ),
        case("cookies in crumbs", "8.2.3", OK, {
            whole(get().field("cookie", "a=1").field("cookie", "b=2"))
        }),
        case("the same field twice", "RFC 9110 5.3", OK, {
            whole(get().field("accept", "a/b").field("accept", "c/d"))
        }),
    ]
}
