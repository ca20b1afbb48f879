//! Header lists: their limits, and blocks that never end or grow when they are unpacked
//! (CVE-2024-27316 and relatives, CVE-2016-6581, CVE-2019-9516).

use portcullis_testkit::h2::{Block, Frame, Outcome, ToBytes, code, flag};
use portcullis_testkit::{Gateway, Origin};

use super::{Bystander, calmed, client, flood, gateway_with};

fn first() -> Frame {
    Frame::headers(1, &Block::get("/bad")).ending().unflagged(flag::END_HEADERS)
}

fn unended(fragment: Vec<u8>) -> Vec<u8> {
    Frame::continuation(1, fragment).unflagged(flag::END_HEADERS).to_bytes()
}

/// Floods with continuations of one block.
fn continued(fragment: &'static (dyn Fn(usize) -> Vec<u8> + Sync)) {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client = client(&bystander.gateway);
    client.send(first());
    let end = flood(&mut client, (0..50_000).map(move |n| unended(fragment(n))));
    calmed(&bystander.gateway, end, "continuations");
    bystander.has_noticed_nothing();
    assert!(origin.requests().iter().all(|request| request.target != "/bad"));
}

#[test]
fn continuations_without_end() {
    continued(&|n| Block::new().field(format!("x-{n}"), "y").encode());
}

#[test]
fn empty_continuations_without_end() {
    continued(&|_| Vec::new());
}

#[test]
fn continuations_of_the_greatest_size_without_end() {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client = client(&bystander.gateway);
    client.send(first());
    let full = Block::new().field("x", "y".repeat(16_300)).encode();
    let end = flood(&mut client, std::iter::repeat_n(unended(full), 20_000));
    // Whichever bound is reached first.
    let end = end.unwrap().expect("GOAWAY");
    assert_eq!(end.code, code::ENHANCE_YOUR_CALM, "{}", code::name(end.code));
    bystander.has_noticed_nothing();
}

#[test]
fn continuations_that_do_end_are_too_many_all_the_same() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "http2: { continuations: 4 }");
    let block = Block::get("/").field("x", "y".repeat(100));
    // HEADERS and four more are taken, five are not.
    let size = block.encode().len().div_ceil(5);
    let mut frames = block.split(1, size);
    assert_eq!(frames.len(), 5);
    frames[0].flags |= flag::END_STREAM;
    let mut good = client(&gateway);
    good.send(&frames);
    assert_eq!(good.reply(1).status, 200);
    let mut frames = block.split(1, block.encode().len().div_ceil(6));
    frames[0].flags |= flag::END_STREAM;
    assert_eq!(frames.len(), 6);
    let end = flood(&mut client(&gateway), frames.into_iter().map(|frame| frame.to_bytes()));
    calmed(&gateway, end, "continuations");
}

#[test]
fn limits_are_those_of_http_1() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "limits: { head: 4KiB, fields: 20, uri: 100 }");
    let mut client = client(&gateway);
    let many = (0..30).fold(Block::get("/bad"), |block, n| block.field(format!("x-{n}"), "y"));
    let large = Block::get("/bad").field("x", "y".repeat(5000));
    let packed = Block::get("/bad").indexing("x", "y".repeat(1000));
    let packed = (0..10).fold(packed, |block, _| block.indexed(62));
    let long = Block::get(&format!("/bad{}", "x".repeat(200)));
    for (what, block, status) in
        [("many", many, 431), ("large", large, 431), ("packed", packed, 431), ("long", long, 414)]
    {
        let reply = client.ask(&block);
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert_eq!(client.get("/").status, 200, "behind {what}");
    }
    assert!(origin.requests().iter().all(|request| request.target == "/"));
    let failures = |code| gateway.metric("portcullis_failures_total", code);
    assert_eq!((failures("head_too_large"), failures("uri_too_long")), (3.0, 1.0));
}

/// 16 KiB that become 64 MiB.
#[test]
fn a_packed_list_does_not_become_memory() {
    let origin = Origin::echo();
    let bystander = Bystander::of(Gateway::before(&origin));
    let bomb = |first: bool| {
        let block = Block::get("/bad");
        let block = if first { block.indexing("x", "y".repeat(4000)) } else { block };
        let references = vec![0x80 | 62; if first { 12_000 } else { 16_000 }];
        block.raw(references)
    };
    for _ in 0..10 {
        let mut client = client(&bystander.gateway);
        for n in 0..20 {
            if client.try_send(Frame::headers(2 * n + 1, &bomb(n == 0)).ending()).is_err() {
                break;
            }
        }
        match client.outcome(1) {
            Outcome::Reply(reply) => assert_eq!(reply.status, 431, "{}", reply.text()),
            Outcome::GoneAway(goaway) => assert_eq!(goaway.code, code::ENHANCE_YOUR_CALM),
            other => panic!("expected 431 or GOAWAY, got {other}"),
        }
    }
    bystander.has_noticed_nothing();
    assert!(origin.requests().iter().all(|request| request.target != "/bad"));
}

/// The table belongs to the connection, whatever becomes of a request.
#[test]
fn a_refused_list_leaves_the_table_as_it_should_be() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "limits: { head: 4KiB }");
    let mut client = client(&gateway);
    let malformed = Block::get("/bad").indexing("x-first", "1").field("upgrade", "x");
    let malformed = malformed.indexing("x-second", "2");
    let stream = client.request(&malformed);
    assert!(matches!(client.outcome(stream), Outcome::Reset(code::PROTOCOL_ERROR)));
    let large = Block::get("/bad").field("x", "y".repeat(5000)).indexing("x-third", "3");
    assert_eq!(client.ask(&large).status, 431);
    let cancelled = client.begin(&Block::post("/").indexing("x-fourth", "4"));
    client.send(Frame::reset(cancelled, code::CANCEL));
    let text = client.ask(&Block::get("/").indexed(62).indexed(63).indexed(64).indexed(65));
    let text = text.text().to_ascii_lowercase();
    for line in ["x-first: 1", "x-second: 2", "x-third: 3", "x-fourth: 4"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// 8 KiB, as over HTTP/1.1.
#[test]
fn trailers_have_limits() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    for trailers in [
        Block::new().field("x", "y".repeat(9_000)),
        (0..1_000).fold(Block::new(), |block, n| block.field(format!("x-{n}"), "y")),
    ] {
        let stream = client.begin(&Block::post("/bad"));
        client.send([Frame::data(stream, "x"), Frame::headers(stream, &trailers).ending()]);
        let outcome = client.outcome(stream);
        let refused = match &outcome {
            Outcome::Reply(reply) => reply.status == 431 || reply.status == 400,
            Outcome::Reset(_) => true,
            _ => false,
        };
        assert!(refused, "{outcome}");
        assert_eq!(client.get("/").status, 200);
    }
    assert!(origin.requests().iter().all(|request| request.target != "/bad"));
}

/// The crate never shows it, so it is found in the blocks, and in what the table keeps of them.
#[test]
fn a_fragment_from_the_table_is_refused_each_time() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let without = || Block::get("/").without(":path");
    for block in [
        without().indexing(":path", "/bad#cut"),
        without().indexed(62),
        without().indexing("x", "y").indexed(63),
        // Its name, index 63, for another path.
        without().raw([0x0f, 63 - 15]).raw(*b"\x05/bad#"),
    ] {
        let stream = client.request(&block);
        assert!(matches!(client.outcome(stream), Outcome::Reset(code::PROTOCOL_ERROR)));
        assert_eq!(client.get("/").status, 200);
    }
    let good = without().raw([0x0f, 63 - 15]).raw(*b"\x05/good");
    assert_eq!(client.ask(&good).status, 200);
    let targets: Vec<_> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/", "/", "/", "/", "/good"]);
}
