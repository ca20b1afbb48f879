//! How connections end: drains and departures, of which no request may notice anything (RFC 9113
//! section 6.8).

use portcullis_testkit::h2::{Block, Frame, Outcome, code};
use portcullis_testkit::{Gate, Gateway, Origin, eventually};

use super::client;

fn holding(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/held" {
                gate.pass();
            }
            served.reply(&request.target);
        }
    })
}

#[test]
fn a_drain_says_goodbye_and_finishes_what_was_begun() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let held = client.request(&Block::get("/held"));
    let open = client.begin(&Block::post("/open"));
    assert!(eventually(|| origin.requests().len() == 1));
    gateway.signal("TERM");
    let goaway = client.read_until(|peer| peer.goaway.clone()).unwrap().expect("GOAWAY");
    assert_eq!(goaway.code, code::NO_ERROR);
    assert!(goaway.last >= open, "{goaway:?}");
    client.send(Frame::data(open, "the rest").ending());
    assert_eq!(client.reply(open).text(), "/open");
    gate.open();
    assert_eq!(client.reply(held).text(), "/held");
    let last = client.end_of_connection().unwrap().expect("GOAWAY");
    assert_eq!(last.code, code::NO_ERROR);
    assert!(last.last >= open, "{last:?}");
    assert_eq!(gateway.exited().code, Some(0));
}

/// What was on its way when the gateway said goodbye is served, or told that it was not.
#[test]
fn a_request_that_crosses_the_goodbye_is_not_lost() {
    for _ in 0..20 {
        let origin = Origin::echo();
        let gateway = Gateway::before(&origin);
        let mut client = client(&gateway);
        assert_eq!(client.get("/").status, 200);
        gateway.signal("TERM");
        let mut streams = Vec::new();
        while client.goaway.is_none() && streams.len() < 50 {
            let stream = client.stream();
            if client.try_send(Frame::headers(stream, &Block::get("/")).ending()).is_err() {
                break;
            }
            streams.push(stream);
            match client.outcome(stream) {
                Outcome::Reply(reply) => assert_eq!(reply.status, 200),
                Outcome::Reset(code) => assert_eq!(code, code::REFUSED_STREAM),
                Outcome::GoneAway(goaway) => assert!(goaway.last < stream, "{stream}: {goaway:?}"),
                other => panic!("{stream}: {other}"),
            }
        }
        drop(client);
        assert_eq!(gateway.exited().code, Some(0));
    }
}

#[test]
fn a_client_that_says_goodbye_gets_what_it_asked_for() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let held = client.request(&Block::get("/held"));
    client.send(Frame::goaway(0, code::NO_ERROR));
    gate.open();
    assert_eq!(client.reply(held).text(), "/held");
    assert!(client.end_of_connection().is_ok());
}

#[test]
fn a_client_that_is_gone_leaves_nothing() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = Gateway::before(&origin);
    let mut gone = client(&gateway);
    for _ in 0..20 {
        gone.request(&Block::get("/held"));
    }
    assert!(eventually(|| origin.requests().len() == 20));
    gone.connection().reader().stream().close();
    drop(gone);
    assert!(eventually(|| gateway.metric("portcullis_connections_open", "") == 0.0));
    for _ in 0..20 {
        gate.open();
    }
    assert!(eventually(|| gateway.metric("portcullis_failures_total", "client_gone") == 20.0));
    assert_eq!(client(&gateway).get("/").status, 200);
}

/// Half-closing is how some clients say that they will ask no more.
#[test]
fn an_end_of_the_clients_side_does_not_cut_what_it_asked_for() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let stream = client.request(&Block::get("/"));
    client.connection().end();
    let outcome = client.outcome(stream);
    // The standard leaves it open whether this is still wanted; it must not hang.
    let well = matches!(outcome, Outcome::Reply(_) | Outcome::GoneAway(_) | Outcome::Closed);
    assert!(well, "{outcome}");
    assert!(client.end_of_connection().is_ok());
}
