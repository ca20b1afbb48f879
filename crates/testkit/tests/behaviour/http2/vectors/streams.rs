//! Frames in the wrong state of a stream, and streams with wrong numbers (sections 5.1 and 5.1.1).

use portcullis_testkit::h2::{Block, Frame, code, flag};

use super::{Case, Expect, IGNORED, OK, case, connection, either, get, open};

const PROTOCOL: Expect = connection(&[code::PROTOCOL_ERROR]);
const CLOSED: Expect = either(&[code::STREAM_CLOSED]);
const LEFT_OVER: Expect = connection(&[code::PROTOCOL_ERROR, code::STREAM_CLOSED]);

pub(super) fn cases() -> Vec<Case> {
    [idle(), half_closed(), closed(), numbers()].into_iter().flatten().collect()
}

fn idle() -> Vec<Case> {
    vec![
        case("DATA on an idle stream", "5.1", LEFT_OVER, Frame::data(1, "x")),
        case("RST_STREAM on an idle stream", "5.1, 6.4", PROTOCOL, Frame::reset(1, code::CANCEL)),
        case("WINDOW_UPDATE on an idle stream", "5.1", PROTOCOL, Frame::window_update(1, 100)),
        case("CONTINUATION on an idle stream", "5.1", PROTOCOL, Frame::continuation(1, [])),
        case("DATA on a stream of ours", "5.1", LEFT_OVER, Frame::data(2, "x")),
        case("WINDOW_UPDATE on a stream of ours", "5.1", PROTOCOL, Frame::window_update(2, 1)),
        case("RST_STREAM on a stream of ours", "5.1", PROTOCOL, Frame::reset(2, code::CANCEL)),
    ]
}

/// The client has ended its side.
fn half_closed() -> Vec<Case> {
    let slow = || Frame::headers(1, &Block::get("/slow")).ending();
    let again = || Frame::headers(1, &Block::get("/bad")).ending();
    vec![
        case("DATA on a half-closed stream", "5.1", CLOSED, [slow(), Frame::data(1, "x")])
            .told_as(code::PROTOCOL_ERROR),
        case("DATA that ends a half-closed stream", "5.1", CLOSED, {
            [slow(), Frame::data(1, "").ending()]
        })
        .told_as(code::PROTOCOL_ERROR),
        case("HEADERS on a half-closed stream", "5.1", CLOSED, [slow(), again()])
            .told_as(code::PROTOCOL_ERROR),
        case("CONTINUATION on a half-closed stream", "5.1", LEFT_OVER, {
            [slow(), Frame::continuation(1, [])]
        }),
        case("WINDOW_UPDATE on a half-closed stream", "5.1", OK, {
            [get(), Frame::window_update(1, 100)]
        }),
        case("PRIORITY on a half-closed stream", "5.1", OK, [get(), Frame::priority(1, 0, 9)]),
        case("nothing's window on a half-closed stream", "6.9", either(&[code::PROTOCOL_ERROR]), {
            [slow(), Frame::window_update(1, 0)]
        }),
    ]
}

fn closed() -> Vec<Case> {
    let reset = || [open(), Frame::reset(1, code::CANCEL)];
    let [head, cancel] = reset();
    let behind_reset = |frame| [head.clone(), cancel.clone(), frame];
    let again = || Frame::headers(1, &Block::get("/bad")).ending();
    vec![
        // What was under way when the reset was sent is no reason to end all else.
        case("DATA behind a reset", "5.1", CLOSED.or_ignored(), behind_reset(Frame::data(1, "x"))),
        case(
            "HEADERS behind a reset",
            "5.1",
            either(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]).or_ignored(),
            behind_reset(again()),
        ),
        case("CONTINUATION behind a reset", "5.1", LEFT_OVER, {
            behind_reset(Frame::continuation(1, []))
        }),
        case("RST_STREAM behind a reset", "5.1", IGNORED, {
            behind_reset(Frame::reset(1, code::CANCEL))
        }),
        case("DATA behind the end", "5.1", CLOSED, Frame::data(1, "x")).behind(get()),
        case(
            "HEADERS behind the end",
            "5.1, 5.1.1",
            either(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]),
            again(),
        )
        .behind(get()),
        case("CONTINUATION behind the end", "5.1", LEFT_OVER, {
            Frame::continuation(1, []).unflagged(flag::END_HEADERS)
        })
        .behind(get()),
        case("WINDOW_UPDATE behind the end", "5.1", IGNORED, Frame::window_update(1, 9))
            .behind(get()),
        case("RST_STREAM behind the end", "5.1", IGNORED, Frame::reset(1, 8)).behind(get()),
        case("PRIORITY behind the end", "5.1", IGNORED, Frame::priority(1, 0, 9)).behind(get()),
    ]
}

fn numbers() -> Vec<Case> {
    vec![
        case("a stream with an even number", "5.1.1", PROTOCOL, get().on(2)),
        case("a stream below an earlier one", "5.1.1", LEFT_OVER, [get().on(5), get().on(3)]),
        case("streams that leave numbers out", "5.1.1", OK, [get(), get().on(9), get().on(77)])
            .about(77),
        case("DATA on a stream that was left out", "5.1.1", CLOSED.or_ignored(), {
            [get().on(9), Frame::data(3, "x")]
        }),
    ]
}
