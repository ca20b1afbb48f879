//! Frames without end that each cost the gateway more than the client: CVE-2019-9512 to 9518 and
//! their relatives.

use portcullis_testkit::h2::{Block, Frame, ToBytes, code, flag, kind, setting};
use portcullis_testkit::{Gateway, Origin};

use super::{Bystander, calmed, client, flood, gateway_with};

/// Many times the default of `control_frames`.
const MANY: usize = 100_000;

/// A flood of one frame on a connection that has one request under way.
fn of(frame: Frame) {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client = client(&bystander.gateway);
    assert_eq!(client.get("/").status, 200);
    let stream = client.begin(&Block::post("/"));
    assert_eq!(stream, 3);
    // In pieces, since a system call for each frame would make it slow.
    let piece = vec![frame; 100].to_bytes();
    let end = flood(&mut client, std::iter::repeat_n(piece, MANY / 100));
    calmed(&bystander.gateway, end, "control_frames");
    bystander.has_noticed_nothing();
}

#[test]
fn pings() {
    of(Frame::ping(*b"flooding"));
}

#[test]
fn pings_acknowledged() {
    of(Frame::ping(*b"flooding").flagged(flag::ACK));
}

#[test]
fn settings() {
    of(Frame::settings(&[(setting::MAX_FRAME_SIZE, 16_384)]));
}

#[test]
fn empty_settings() {
    of(Frame::settings(&[]));
}

#[test]
fn settings_that_change_windows() {
    of(Frame::settings(&[
        (setting::INITIAL_WINDOW_SIZE, 1),
        (setting::INITIAL_WINDOW_SIZE, 65_535),
    ]));
}

#[test]
fn priorities() {
    of(Frame::priority(3, 1, 9));
}

#[test]
fn priorities_of_idle_streams() {
    of(Frame::priority(99, 97, 9));
}

#[test]
fn priority_updates() {
    of(Frame::new(kind::PRIORITY_UPDATE, 0, 0, *b"\0\0\0\x03u=1"));
}

#[test]
fn unknown_frames() {
    of(Frame::new(0x7f, 0, 0, []));
}

#[test]
fn unknown_frames_with_content() {
    of(Frame::new(0x7f, 0, 3, [b'x'; 1000]));
}

#[test]
fn windows_by_single_bytes() {
    of(Frame::window_update(0, 1));
}

#[test]
fn windows_of_a_stream_by_single_bytes() {
    of(Frame::window_update(3, 1));
}

#[test]
fn empty_content() {
    of(Frame::data(3, ""));
}

#[test]
fn padding_alone() {
    of(Frame::data(3, "").padded(255));
}

/// CVE-2019-9516: fields without names or values, of which some keep memory. They are malformed.
#[test]
fn empty_fields() {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client = client(&bystander.gateway);
    let one = |n: usize| {
        let stream = u32::try_from(2 * n + 1).unwrap();
        Frame::headers(stream, &Block::get("/bad").field("", "")).ending().to_bytes()
    };
    let end = flood(&mut client, (0..20_000).map(one)).unwrap().expect("GOAWAY");
    // The first of them may be taken for an error of the connection.
    assert!(matches!(end.code, code::PROTOCOL_ERROR | code::ENHANCE_YOUR_CALM), "{end:?}");
    bystander.has_noticed_nothing();
    assert!(origin.requests().iter().all(|request| request.target != "/bad"));
}

/// CVE-2019-9512, 9515 and 9517: the client reads nothing, so that answers pile up.
#[test]
fn answers_that_nobody_reads() {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    for frame in [Frame::ping([0; 8]), Frame::settings(&[])] {
        let mut client = client(&bystander.gateway);
        let piece = vec![frame; 1000].to_bytes();
        // The gateway may stop to read, or end the connection.
        for _ in 0..200 {
            let Ok(()) = client.try_send(&piece) else { break };
        }
    }
    bystander.has_noticed_nothing();
}

#[test]
fn a_few_control_frames_are_nobodys_harm() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for round in 0..30 {
        client.send([
            Frame::settings(&[]),
            Frame::priority(99, 0, 9),
            Frame::window_update(0, 1),
            Frame::new(0x7f, 0, 0, *b"x"),
        ]);
        client.barrier().unwrap();
        assert_eq!(client.get("/").status, 200, "round {round}");
    }
    assert_eq!(gateway.metric("portcullis_http2_floods_total", ""), 0.0);
}

/// Useful frames pay for control frames, so that long uploads and downloads may have as many as
/// they need.
#[test]
fn a_long_download_may_open_its_window_often() {
    let length = 4 * 1024 * 1024;
    let origin = Origin::with(move |served| {
        while served.request().is_some() {
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            served.send(vec![b'x'; length]);
        }
    });
    let gateway = gateway_with(&origin, "http2: { control_frames: 50 }");
    let mut client = client(&gateway);
    for _ in 0..3 {
        // Two for each DATA frame.
        assert_eq!(client.get("/").body.len(), length);
    }
}

#[test]
fn the_bound_is_configured() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "http2: { control_frames: 10 }");
    let mut client = client(&gateway);
    let end = flood(&mut client, std::iter::repeat_n(Frame::ping([0; 8]).to_bytes(), 40));
    calmed(&gateway, end, "control_frames");
}
