//! Settings (sections 6.5, 7 and 8.4; RFC 8441 section 3; RFC 9218 section 2.1).

use portcullis_testkit::h2::{Frame, code, flag, kind, setting};

use super::{Case, Expect, IGNORED, case, connection};

const SIZE: Expect = connection(&[code::FRAME_SIZE_ERROR]);
const PROTOCOL: Expect = connection(&[code::PROTOCOL_ERROR]);

pub(super) fn cases() -> Vec<Case> {
    let one = |id, value| Frame::settings(&[(id, value)]);
    let acknowledged = || Frame::settings_ack();
    vec![
        case("on a stream", "6.5", PROTOCOL, Frame::settings(&[]).on(1)),
        case("of no whole entries", "6.5", SIZE, Frame::new(kind::SETTINGS, 0, 0, *b"\0\x03\0")),
        case("acknowledged with a payload", "6.5", SIZE, {
            one(setting::MAX_CONCURRENT_STREAMS, 1).flagged(flag::ACK)
        }),
        case(
            "acknowledged that nobody sent",
            "6.5.3",
            IGNORED.or_connection(&[code::PROTOCOL_ERROR]),
            acknowledged(),
        ),
        case("unknown", "6.5.2", IGNORED, one(0xff, 0xffff_ffff)),
        case("the same twice", "6.5.3", IGNORED, {
            Frame::settings(&[(setting::MAX_FRAME_SIZE, 20_000), (setting::MAX_FRAME_SIZE, 16_384)])
        }),
        case("push neither on nor off", "6.5.2", PROTOCOL, one(setting::ENABLE_PUSH, 2)),
        case("push off", "6.5.2", IGNORED, one(setting::ENABLE_PUSH, 0)),
        case("a window too large", "6.5.2", connection(&[code::FLOW_CONTROL_ERROR]), {
            one(setting::INITIAL_WINDOW_SIZE, 0x8000_0000)
        })
        .told_as(code::PROTOCOL_ERROR),
        case("frames too small", "6.5.2", PROTOCOL, one(setting::MAX_FRAME_SIZE, 16_383)),
        case("frames too large", "6.5.2", PROTOCOL, one(setting::MAX_FRAME_SIZE, 16_777_216)),
        case("frames as large as may be", "6.5.2", IGNORED, {
            one(setting::MAX_FRAME_SIZE, 16_777_215)
        }),
        case("no table", "6.5.2", IGNORED, one(setting::HEADER_TABLE_SIZE, 0)),
        case("an endless table", "6.5.2", IGNORED, one(setting::HEADER_TABLE_SIZE, u32::MAX)),
        case("extended CONNECT neither on nor off", "RFC 8441 3", PROTOCOL.or_ignored(), {
            one(setting::ENABLE_CONNECT_PROTOCOL, 2)
        }),
        // A change behind the first frame may be taken as an error.
        case(
            "no priorities",
            "RFC 9218 2.1",
            IGNORED.or_connection(&[code::PROTOCOL_ERROR]),
            one(setting::NO_RFC7540_PRIORITIES, 1),
        ),
        case("longer than a frame may be", "4.2", SIZE, {
            Frame::settings(&vec![(setting::HEADER_TABLE_SIZE, 4096); 2_800])
        }),
    ]
}
