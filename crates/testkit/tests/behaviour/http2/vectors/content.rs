//! Content, its announced length, and trailers (sections 8.1 and 8.1.1).

use portcullis_testkit::h2::{Block, Frame, flag};

use super::{Case, Expect, MALFORMED, OK, UNREADABLE, case, whole};

pub(super) fn cases() -> Vec<Case> {
    [lengths(), trailers(), legal()].into_iter().flatten().collect()
}

fn sized(length: &str) -> Block {
    Block::post("/bad").field("content-length", length)
}

fn lengths() -> Vec<Case> {
    let head = |length| Frame::headers(1, &sized(length));
    let data = |content: &str| Frame::data(1, content);
    vec![
        case("a length without content", "8.1.1", MALFORMED, whole(sized("5"))),
        case("a length and too little content", "8.1.1", MALFORMED, {
            [head("5"), data("1234").ending()]
        }),
        case("a length and too much content", "8.1.1", MALFORMED, {
            [head("5"), data("123456").ending()]
        }),
        case("a length and too much content that does not end", "8.1.1", MALFORMED, {
            [head("5"), data("123"), data("456")]
        }),
        case("a length of nothing and content", "8.1.1", MALFORMED, {
            [head("0"), data("GET /smuggled HTTP/1.1\r\n\r\n").ending()]
        }),
        case(
            "a length and content that ends with trailers",
            "8.1.1",
            MALFORMED,
            [
                head("5"),
                data("1234"),
                Frame::headers(1, &Block::new().field("x-sum", "1")).ending(),
            ],
        ),
        case("padding does not count as content", "8.1.1, 6.1", MALFORMED, {
            [head("5"), data("1234").padded(10).ending()]
        }),
        case("two lengths that differ", "RFC 9110 8.6", MALFORMED, {
            [Frame::headers(1, &sized("5").field("content-length", "6")), data("12345").ending()]
        }),
        case(
            "two lengths that agree",
            "RFC 9110 8.6",
            AS_ONE_LIKES,
            [
                Frame::headers(
                    1,
                    &Block::post("/").field("content-length", "2").field("content-length", "2"),
                ),
                data("ok").ending(),
            ],
        ),
        case(
            "a list of lengths that agree",
            "RFC 9110 8.6",
            AS_ONE_LIKES,
            [
                Frame::headers(1, &Block::post("/").field("content-length", "2, 2")),
                data("ok").ending(),
            ],
        ),
        case(
            "a length with a sign",
            "RFC 9110 8.6",
            MALFORMED,
            [head("+5"), data("12345").ending()],
        ),
        case("a length below nothing", "RFC 9110 8.6", MALFORMED, [head("-1"), data("").ending()]),
        case("a length in hexadecimal", "RFC 9110 8.6", MALFORMED, {
            [head("0x5"), data("12345").ending()]
        }),
        case("a length of no digits", "RFC 9110 8.6", MALFORMED, [head(""), data("").ending()]),
        case("a length beyond 64 bits", "RFC 9110 8.6", MALFORMED, {
            [head("18446744073709551621"), data("12345").ending()]
        }),
    ]
}

/// A recipient may take the two as one, or refuse them (RFC 9110 section 8.6).
const AS_ONE_LIKES: Expect = OK.or_stream(MALFORMED.stream).or_status(&[200, 400]);

fn trailers() -> Vec<Case> {
    let head = || Frame::headers(1, &Block::post("/bad"));
    let section = |block: Block| Frame::headers(1, &block).ending();
    let behind = |block| [head(), Frame::data(1, "x"), section(block)];
    let malformed = |what, section, block| case(what, section, MALFORMED, behind(block));
    // The crate drops them without a word, so that nobody is told anything false.
    let dropped = |what, block: Block| {
        let head = Frame::headers(1, &Block::post("/"));
        case(what, "8.3", MALFORMED, [head, section(block)]).answered_with(200)
    };
    let unreadable = |what, block| case(what, "8.2.1", UNREADABLE, behind(block));
    vec![
        case(
            "a second head that does not end the stream",
            "8.1",
            MALFORMED,
            [head(), Frame::headers(1, &Block::get("/smuggled"))],
        ),
        case(
            "trailers that do not end the stream",
            "8.1",
            MALFORMED,
            [head(), Frame::data(1, "x"), Frame::headers(1, &Block::new().field("x-sum", "1"))],
        ),
        dropped("a method in the trailers", Block::new().field(":method", "GET")),
        malformed(
            "a path in the trailers",
            "8.3",
            Block::new().field("x", "y").field(":path", "/"),
        ),
        dropped("a status in the trailers", Block::new().field(":status", "200")),
        unreadable("upper case in the trailers", Block::new().field("X-Sum", "1")),
        malformed("connection in the trailers", "8.2.2", Block::new().field("connection", "close")),
        malformed("transfer-encoding in the trailers", "8.2.2", {
            Block::new().field("transfer-encoding", "chunked")
        }),
        unreadable("CRLF in the trailers", Block::new().field("x", "a\r\nsmuggled: 1")),
        unreadable("a name with CRLF in the trailers", Block::new().field("x\r\nsmuggled", "1")),
    ]
}

fn legal() -> Vec<Case> {
    let post = || Frame::headers(1, &Block::post("/"));
    vec![
        case("content without a length", "8.1", OK, [post(), Frame::data(1, "x").ending()]),
        case("an empty DATA at the end", "8.1", OK, {
            [post(), Frame::data(1, "x"), Frame::data(1, "").ending()]
        }),
        case("no content", "8.1", OK, [post(), Frame::data(1, "").ending()]),
        case(
            "a length that is right",
            "8.1.1",
            OK,
            [
                Frame::headers(1, &Block::post("/").field("content-length", "5")),
                Frame::data(1, "123"),
                Frame::data(1, "45").ending(),
            ],
        ),
        case("a length of nothing", "8.1.1", OK, {
            whole(Block::post("/").field("content-length", "0"))
        }),
        case(
            "trailers",
            "8.1",
            OK,
            [
                post(),
                Frame::data(1, "x"),
                Frame::headers(1, &Block::new().field("x-sum", "1")).ending(),
            ],
        ),
        case("trailers without content", "8.1", OK, {
            [post(), Frame::headers(1, &Block::new().field("x-sum", "1")).ending()]
        }),
        case(
            "trailers in two frames",
            "8.1",
            OK,
            [
                post(),
                Frame::headers(1, &Block::new().field("x", "1"))
                    .ending()
                    .unflagged(flag::END_HEADERS),
                Frame::continuation(1, Block::new().field("y", "2").encode()),
            ],
        ),
        case("content of a GET", "RFC 9110 9.3.1", OK, {
            [Frame::headers(1, &Block::get("/")), Frame::data(1, "x").ending()]
        }),
    ]
}
