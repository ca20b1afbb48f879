//! So many requests at once.

use portcullis_testkit::h2::{Block, H2Client};
use portcullis_testkit::{Gate, Origin, eventually};

use super::{ask, asked, with_policies};

/// An origin that answers each request only when the gate lets it.
fn holding(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::with(move |served| {
        while served.request().is_some() {
            gate.pass();
            served.reply("done");
        }
    })
}

#[test]
fn one_more_than_the_limit_is_429_and_a_place_comes_back() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = with_policies(&origin, "concurrency: { by: { header: x-key }, limit: 2 }");
    let mut held = [gateway.client(), gateway.client()];
    held.iter_mut().for_each(|client| client.send(asked("a")));
    assert!(eventually(|| origin.requests().len() == 2));
    let mut other = gateway.client();
    let reply = ask(&mut other, "a");
    assert_eq!((reply.status, reply.field("retry-after")), (429, Some("1")));
    assert!(reply.text().contains("\"code\":\"too_many_at_once\""), "{}", reply.text());
    assert_eq!(reply.field("ratelimit"), Some("\"concurrency\";r=0"));
    assert_eq!(
        reply.field("ratelimit-policy"),
        Some("\"concurrency\";q=2;qu=\"concurrent-requests\"")
    );
    for client in &mut held {
        gate.open();
        gate.open();
        assert_eq!(client.reply().status, 200);
    }
    // Whoever is refused needs no gate; the one who is not finds it open.
    assert!(eventually(|| ask(&mut other, "a").status == 200));
}

#[test]
fn a_client_that_goes_away_leaves_its_place() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = with_policies(&origin, "concurrency: { limit: 1 }");
    let mut held = H2Client::connect(gateway.address());
    held.request(&Block::get("/x"));
    assert!(eventually(|| origin.requests().len() == 1));
    assert_eq!(gateway.get("/").status, 429);
    drop(held);
    gate.open();
    gate.open();
    assert!(eventually(|| gateway.get("/").status == 200));
}

#[test]
fn who_waits_in_line_is_served_in_turn_and_the_line_has_an_end() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = with_policies(&origin, "concurrency: { limit: 1, queue: 2, wait: 60s }");
    let labels = "scope=\"route/all\",kind=\"concurrency\",policy=\"concurrency\"";
    let waiting = || gateway.metric("portcullis_policy_waiting_requests", labels);
    let mut clients = [gateway.client(), gateway.client(), gateway.client()];
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(asked("a"));
        assert!(eventually(|| origin.requests().len() == 1 && waiting() == index as f64));
    }
    assert_eq!(gateway.get("/").status, 429);
    for client in &mut clients {
        gate.open();
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(waiting(), 0.0);
}

#[test]
fn a_wait_in_vain_ends_in_429() {
    let gate = Gate::new();
    let origin = holding(&gate);
    let gateway = with_policies(&origin, "concurrency: { limit: 1, queue: 2, wait: 50ms }");
    let mut held = gateway.client();
    held.send(asked("a"));
    assert!(eventually(|| origin.requests().len() == 1));
    assert_eq!(gateway.get("/").status, 429);
    gate.open();
    assert_eq!(held.reply().status, 200);
}
