//! Streams that are opened and given up at once: by the client (CVE-2023-44487, "rapid reset"), or
//! by the gateway because the client makes it (CVE-2019-9514, CVE-2025-8671 "MadeYouReset"). What a
//! reset leaves behind must not be work without end for the origin.

use std::io;

use portcullis_testkit::h2::{Block, Frame, GoAway, ToBytes, code};
use portcullis_testkit::{Gateway, Origin, eventually};

use super::{Bystander, calmed, client, flood, gateway_with};

/// Many times the default of `resets`.
const MANY: usize = 20_000;

fn id(n: usize) -> u32 {
    u32::try_from(2 * n + 1).unwrap()
}

fn open(n: usize) -> Frame {
    Frame::headers(id(n), &Block::post("/reset"))
}

fn get(n: usize) -> Frame {
    Frame::headers(id(n), &Block::get("/reset")).ending()
}

/// Floods with what `frames` gives for each stream, and sees it ended and the origin spared.
fn of(frames: impl Fn(usize) -> Vec<Frame> + Send + 'static) {
    let (origin, bystander, end) = flooded(frames);
    calmed(&bystander.gateway, end, "resets");
    spared(&origin, bystander);
}

/// The same where the gateway may take the first of them for a connection error, after which there
/// is no flood to count.
fn provoked(frames: impl Fn(usize) -> Vec<Frame> + Send + 'static) {
    let (origin, bystander, end) = flooded(frames);
    match end {
        Ok(Some(GoAway { code: code::PROTOCOL_ERROR | code::STREAM_CLOSED, .. })) => {}
        end => calmed(&bystander.gateway, end, "resets"),
    }
    spared(&origin, bystander);
}

fn flooded(
    frames: impl Fn(usize) -> Vec<Frame> + Send + 'static,
) -> (Origin, Bystander, io::Result<Option<GoAway>>) {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client = client(&bystander.gateway);
    let end = flood(&mut client, (0..MANY).map(move |n| frames(n).to_bytes()));
    (origin, bystander, end)
}

fn spared(origin: &Origin, bystander: Bystander) {
    bystander.has_noticed_nothing();
    let reached = origin.requests().iter().filter(|request| request.target == "/reset").count();
    assert!(reached < 2_000, "{reached} requests that nobody waited for");
}

#[test]
fn rapid_resets_of_whole_requests() {
    of(|n| vec![get(n), Frame::reset(id(n), code::CANCEL)]);
}

#[test]
fn rapid_resets_of_open_requests() {
    of(|n| vec![open(n), Frame::reset(id(n), code::NO_ERROR)]);
}

#[test]
fn rapid_resets_by_dozens() {
    of(|n| {
        let streams = || (n * 50)..(n * 50 + 50);
        let resets = streams().map(|n| Frame::reset(id(n), code::CANCEL));
        streams().map(get).chain(resets).collect()
    });
}

#[test]
fn windows_of_nothing_provoke_resets() {
    provoked(|n| vec![open(n), Frame::window_update(id(n), 0)]);
}

#[test]
fn windows_too_large_provoke_resets() {
    of(|n| vec![open(n), Frame::window_update(id(n), 0x7fff_ffff)]);
}

#[test]
fn content_behind_the_end_provokes_resets() {
    provoked(|n| vec![get(n), Frame::data(id(n), "x")]);
}

#[test]
fn heads_behind_the_end_provoke_resets() {
    provoked(|n| vec![get(n), get(n)]);
}

#[test]
fn malformed_fields_provoke_resets() {
    provoked(|n| vec![Frame::headers(id(n), &Block::get("/reset").field("X-Upper", "1")).ending()]);
}

#[test]
fn fields_of_connections_provoke_resets() {
    let block = Block::get("/reset").field("connection", "close");
    of(move |n| vec![Frame::headers(id(n), &block).ending()]);
}

#[test]
fn lengths_that_are_wrong_provoke_resets() {
    let block = Block::post("/reset").field("content-length", "5");
    of(move |n| vec![Frame::headers(id(n), &block), Frame::data(id(n), "123456").ending()]);
}

#[test]
fn trailers_that_do_not_end_provoke_resets() {
    provoked(|n| vec![open(n), Frame::headers(id(n), &Block::new().field("x", "y"))]);
}

/// A page that is left resets what it still loads, and that is all right.
#[test]
fn a_hundred_resets_are_nobodys_harm() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for _ in 0..100 {
        let stream = client.request(&Block::get("/"));
        client.send(Frame::reset(stream, code::CANCEL));
    }
    assert_eq!(client.get("/").status, 200);
    assert_eq!(gateway.metric("portcullis_http2_floods_total", ""), 0.0);
}

#[test]
fn the_bound_is_configured() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "http2: { resets: 5 }");
    let mut client = client(&gateway);
    let one = |n| [get(n), Frame::reset(id(n), code::CANCEL)].to_bytes();
    let end = flood(&mut client, (0..30).map(one));
    calmed(&gateway, end, "resets");
}

/// A stream that its client reset is over for the origin too, as far as it can be.
#[test]
fn a_reset_frees_its_place() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            served.wait_for_end();
        }
    });
    let gateway = gateway_with(&origin, "http2: { concurrent_streams: 2 }");
    let mut client = client(&gateway);
    for n in 1..=20 {
        let stream = client.request(&Block::get("/"));
        assert!(eventually(|| origin.connections() >= n), "{n} did not arrive");
        client.send(Frame::reset(stream, code::CANCEL));
        client.barrier().unwrap();
    }
    assert!(eventually(|| origin.open_connections() == 0));
}
