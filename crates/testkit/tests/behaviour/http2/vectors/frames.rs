//! Frames with wrong sizes, flags, streams and places (sections 4 and 6).

use portcullis_testkit::h2::{Block, Frame, code, flag, kind};

use super::{Case, IGNORED, NOTHING, OK, case, connection, either, get, open, stream};

const SIZE: super::Expect = connection(&[code::FRAME_SIZE_ERROR]);
const PROTOCOL: super::Expect = connection(&[code::PROTOCOL_ERROR]);

pub(super) fn cases() -> Vec<Case> {
    [general(), data_and_headers(), control(), windows(), continuations()]
        .into_iter()
        .flatten()
        .collect()
}

fn general() -> Vec<Case> {
    let unknown = |stream| Frame::new(0x7f, 0xff, stream, *b"whatever");
    let long = Block::get("/bad").field("x", "y".repeat(16_400));
    vec![
        case("unknown type on the connection", "4.1, 5.5", IGNORED, unknown(0)),
        case("unknown type on a stream", "4.1, 5.5", OK, [unknown(1), get()]),
        case("unknown flags", "4.1", OK, [get().flagged(0xd2 & !flag::PRIORITY & !flag::PADDED)]),
        case("reserved bit of the stream", "4.1", OK, get().on(0x8000_0001)),
        case(
            "DATA of the greatest size",
            "4.2",
            OK,
            [Frame::headers(1, &Block::post("/")), Frame::data(1, [b'x'; 16_384]).ending()],
        ),
        case(
            "DATA beyond the greatest size",
            "4.2",
            either(&[code::FRAME_SIZE_ERROR]),
            [open(), Frame::data(1, [b'x'; 16_385]).ending()],
        ),
        case("HEADERS beyond the greatest size", "4.2", SIZE, Frame::headers(1, &long).ending()),
        case("unknown type beyond the greatest size", "4.2", SIZE.or_ignored(), {
            Frame::new(0x7f, 0, 0, [0; 16_385])
        }),
        case(
            "PRIORITY_UPDATE",
            "RFC 9218 7.1",
            OK,
            [Frame::new(kind::PRIORITY_UPDATE, 0, 0, *b"\0\0\0\x01u=1, i"), get()],
        ),
    ]
}

fn data_and_headers() -> Vec<Case> {
    let short = Frame::new(kind::HEADERS, flag::END_HEADERS | flag::PRIORITY, 1, *b"\0\0\0");
    let overpadded = Frame::new(kind::HEADERS, flag::END_HEADERS | flag::PADDED, 1, *b"\x05\x82");
    vec![
        case("DATA on the connection", "6.1", PROTOCOL, Frame::data(0, "x")),
        case(
            "DATA with more padding than payload",
            "6.1",
            PROTOCOL,
            [open(), Frame::new(kind::DATA, flag::PADDED, 1, *b"\x05abc")],
        ),
        case(
            "DATA padded without a length",
            "6.1",
            NOTHING.or_connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
            [open(), Frame::new(kind::DATA, flag::PADDED, 1, [])],
        ),
        case(
            "DATA with padding",
            "6.1",
            OK,
            [
                Frame::headers(1, &Block::post("/").field("content-length", "2")),
                Frame::data(1, "ok").padded(255).ending(),
            ],
        ),
        case(
            "DATA with padding alone",
            "6.1",
            OK,
            [
                Frame::headers(1, &Block::post("/").field("content-length", "0")),
                Frame::data(1, "").padded(10).ending(),
            ],
        ),
        case("HEADERS on the connection", "6.2", PROTOCOL, get().on(0)),
        case("HEADERS with padding", "6.2", OK, get().padded(100)),
        case("HEADERS with priority and padding", "6.2", OK, get().depending(0, 9).padded(8)),
        case("HEADERS with more padding than payload", "6.2", PROTOCOL, overpadded),
        case(
            "HEADERS too short for their priority",
            "6.2",
            NOTHING.or_connection(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]),
            short,
        ),
        case(
            "HEADERS that depend on themselves",
            "5.3.1 of RFC 7540",
            OK.or_stream(&[code::PROTOCOL_ERROR]).or_connection(&[code::PROTOCOL_ERROR]),
            get().depending(1, 9),
        ),
    ]
}

fn control() -> Vec<Case> {
    let cut = |mut frame: Frame, length: usize| {
        frame.payload.resize(length, 0);
        frame
    };
    vec![
        case("PRIORITY on the connection", "6.3", PROTOCOL, Frame::priority(0, 1, 9)),
        case(
            "PRIORITY of a wrong size",
            "6.3",
            either(&[code::FRAME_SIZE_ERROR]),
            [open(), cut(Frame::priority(1, 0, 9), 4)],
        )
        .told_as(code::PROTOCOL_ERROR),
        case("PRIORITY on an idle stream", "5.1", IGNORED, Frame::priority(31, 1, 9)),
        case(
            "PRIORITY that depends on itself",
            "5.3.1 of RFC 7540",
            IGNORED.or_stream(&[code::PROTOCOL_ERROR]).or_connection(&[code::PROTOCOL_ERROR]),
            Frame::priority(1, 1, 9),
        ),
        case(
            "PRIORITY in a circle",
            "5.3.3 of RFC 7540",
            OK,
            [Frame::priority(1, 3, 9), Frame::priority(3, 5, 9), Frame::priority(5, 1, 9), get()],
        ),
        case("RST_STREAM on the connection", "6.4", PROTOCOL, Frame::reset(0, code::CANCEL)),
        case("RST_STREAM too short", "6.4", SIZE, [open(), cut(Frame::reset(1, 0), 3)]),
        case("RST_STREAM too long", "6.4", SIZE, [open(), cut(Frame::reset(1, 0), 5)]),
        case("RST_STREAM with an unknown code", "7", IGNORED, [open(), Frame::reset(1, 0xff)]),
        case(
            "PUSH_PROMISE from a client",
            "6.6, 8.4",
            PROTOCOL,
            [open(), Frame::push_promise(1, 2, &Block::get("/bad"))],
        ),
        case("PUSH_PROMISE on the connection", "6.6", PROTOCOL, {
            Frame::push_promise(0, 2, &Block::get("/bad"))
        }),
        case("PING on a stream", "6.7", PROTOCOL, Frame::ping(*b"12345678").on(1)),
        case("PING too short", "6.7", SIZE, cut(Frame::ping([0; 8]), 7)),
        case("PING too long", "6.7", SIZE, cut(Frame::ping([0; 8]), 9)),
        case("PING with unknown flags", "6.7", IGNORED, Frame::ping([0; 8]).flagged(0xfe)),
        case("PING acknowledged that nobody sent", "6.7", IGNORED, {
            Frame::ping([7; 8]).flagged(flag::ACK)
        }),
        case("GOAWAY on a stream", "6.8", PROTOCOL, Frame::goaway(0, code::NO_ERROR).on(1)),
        case("GOAWAY too short", "6.8", SIZE, cut(Frame::goaway(0, 0), 7)),
    ]
}

fn windows() -> Vec<Case> {
    const MOST: u32 = 0x7fff_ffff;
    vec![
        case("WINDOW_UPDATE of nothing", "6.9", PROTOCOL, Frame::window_update(0, 0)),
        case(
            "WINDOW_UPDATE of nothing for a stream",
            "6.9",
            either(&[code::PROTOCOL_ERROR]),
            [open(), Frame::window_update(1, 0)],
        ),
        case("WINDOW_UPDATE with the reserved bit", "6.9", IGNORED, {
            Frame::window_update(0, 0x8000_0001)
        }),
        case("WINDOW_UPDATE too short", "6.9", SIZE, {
            Frame::new(kind::WINDOW_UPDATE, 0, 0, *b"\0\0\x01")
        }),
        case("WINDOW_UPDATE too long", "6.9", SIZE, {
            Frame::new(kind::WINDOW_UPDATE, 0, 0, *b"\0\0\0\x01\0")
        }),
        case(
            "WINDOW_UPDATE too long for a stream",
            "6.9",
            SIZE,
            [open(), Frame::new(kind::WINDOW_UPDATE, 0, 1, *b"\0\0\0\x01\0")],
        ),
        case(
            "window of the connection too large",
            "6.9.1",
            connection(flow_control()),
            [Frame::window_update(0, MOST), Frame::window_update(0, MOST)],
        ),
        case(
            "window of a stream too large",
            "6.9.1",
            stream(flow_control()),
            [open(), Frame::window_update(1, MOST), Frame::window_update(1, MOST)],
        ),
        case(
            "windows too large by settings",
            "6.9.2",
            connection(flow_control()),
            [open(), Frame::window_update(1, MOST - 65_535), Frame::settings(&[(4, 65_536)])],
        ),
        case(
            "window of a stream as large as may be",
            "6.9.1",
            OK,
            [
                Frame::headers(1, &Block::post("/")),
                Frame::window_update(1, MOST - 65_535),
                Frame::data(1, "").ending(),
            ],
        ),
    ]
}

const fn flow_control() -> &'static [u32] {
    &[code::FLOW_CONTROL_ERROR]
}

fn continuations() -> Vec<Case> {
    let first = || Frame::headers(1, &Block::get("/bad")).unflagged(flag::END_HEADERS);
    let rest = || Frame::continuation(1, Block::new().field("x", "y").encode());
    let mut many = Block::get("/").field("x", "y".repeat(40)).split(1, 20);
    many[0].flags |= flag::END_STREAM;
    let empty = Frame::continuation(1, []).unflagged(flag::END_HEADERS);
    vec![
        case("a block in several frames", "4.3, 6.10", OK, many),
        case(
            "a block with empty frames in it",
            "6.10",
            OK,
            [
                Frame::headers(1, &Block::get("/")).unflagged(flag::END_HEADERS).ending(),
                empty,
                rest(),
            ],
        ),
        case("a block interrupted by DATA", "6.10", PROTOCOL, [first(), Frame::data(1, "x")]),
        case("a block interrupted by PRIORITY", "6.10", PROTOCOL, {
            [first(), Frame::priority(1, 0, 9), rest()]
        }),
        case("a block interrupted by another's HEADERS", "6.2", PROTOCOL, [first(), get().on(3)]),
        case(
            "a block interrupted by PING",
            "6.10",
            PROTOCOL,
            [first(), Frame::ping([0; 8]), rest()],
        ),
        case(
            "a block interrupted by SETTINGS",
            "6.10",
            PROTOCOL,
            [first(), Frame::settings(&[]), rest()],
        ),
        case(
            "a block interrupted by WINDOW_UPDATE",
            "6.10",
            PROTOCOL,
            [first(), Frame::window_update(0, 1), rest()],
        ),
        case("a block interrupted by an unknown frame", "5.5", PROTOCOL, {
            [first(), Frame::new(0x7f, 0, 0, *b"x"), rest()]
        }),
        case("CONTINUATION on another stream", "6.10", PROTOCOL, [first(), rest().on(3)]),
        case("CONTINUATION on the connection", "6.10", PROTOCOL, [first(), rest().on(0)]),
        case("CONTINUATION behind a whole block", "6.10", PROTOCOL, [get(), rest()]),
        case("CONTINUATION behind DATA", "6.10", PROTOCOL, [open(), Frame::data(1, "x"), rest()]),
        case("CONTINUATION of nothing", "6.10", PROTOCOL, rest()),
    ]
}
