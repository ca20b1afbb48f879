//! Clients that take their time: with the preface, a header block, content.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, PREFACE, ToBytes, flag};
use portcullis_testkit::{Gateway, Origin, eventually};

use super::{client, gateway_with};

#[test]
fn a_preface_that_does_not_end_is_given_up() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { head: 300ms }");
    let settings = Frame::settings(&[(4, 1)]).to_bytes();
    for (what, bytes) in [
        ("a part", &PREFACE[..10]),
        ("all but a byte", &PREFACE[..23]),
        ("no settings", PREFACE),
        ("half of the settings", &[PREFACE, &settings[..12]].concat()),
    ] {
        let mut client = gateway.client();
        client.send(bytes);
        // Whatever is said before, it ends.
        assert!(client.reader().rest().is_ok(), "{what}: goes on");
    }
}

#[test]
fn a_preface_that_trickles_is_given_up_all_the_same() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { head: 400ms }");
    let mut client = gateway.client();
    let mut stream = client.reader().stream().second_handle();
    let trickle = thread::spawn(move || {
        let settings = Frame::settings(&[(4, 1); 100]).to_bytes();
        for byte in PREFACE.iter().chain(&settings) {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("all of it was taken");
    });
    assert!(client.reader().rest().is_ok());
    client.reader().stream().close();
    trickle.join().unwrap();
}

#[test]
fn a_header_block_that_does_not_end_ends_the_connection() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { head: 300ms }");
    // Stream 1 is used before.
    let open = Frame::headers(3, &Block::get("/bad")).unflagged(flag::END_HEADERS).to_bytes();
    let more = Frame::continuation(3, [0; 9]).to_bytes();
    for (what, bytes) in [
        ("no CONTINUATION", &open[..]),
        ("a part of a CONTINUATION", &[&open, &more[..12]].concat()),
        ("a part of HEADERS", &open[..20]),
        ("a part of a frame's head", &open[..5]),
    ] {
        let mut client = client(&gateway);
        assert_eq!(client.get("/").status, 200);
        client.send(bytes);
        assert!(client.end_of_connection().is_ok(), "{what}: goes on");
    }
    assert!(origin.requests().iter().all(|request| request.target == "/"));
}

#[test]
fn an_idle_connection_is_said_goodbye_to() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { idle: 300ms }");
    let mut used = client(&gateway);
    assert_eq!(used.get("/").status, 200);
    let mut unused = client(&gateway);
    for client in [&mut used, &mut unused] {
        let goaway = client.end_of_connection().unwrap().expect("GOAWAY");
        assert_eq!(goaway.code, 0);
    }
}

/// Pings keep a connection, not a client: without streams it is idle.
#[test]
fn pings_do_not_keep_a_connection() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { idle: 400ms }");
    let mut client = client(&gateway);
    let mut stream = client.connection().reader().stream().second_handle();
    let pinging = thread::spawn(move || {
        while stream.write_all(&Frame::ping([0; 8]).to_bytes()).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(client.end_of_connection().unwrap().is_some());
    client.connection().reader().stream().close();
    pinging.join().unwrap();
}

#[test]
fn a_stream_under_way_keeps_its_connection() {
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            thread::sleep(Duration::from_millis(1200));
            served.reply("late");
        }
    });
    let gateway = gateway_with(&origin, "timeouts: { idle: 300ms, head: 300ms, stall: 300ms }");
    assert_eq!(client(&gateway).get("/").text(), "late");
}

/// Heads whose content never comes.
#[test]
fn content_that_never_comes_costs_a_stream_each_and_no_connection() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { stall: 400ms }");
    let mut client = client(&gateway);
    let streams: Vec<u32> = (0..50).map(|_| client.begin(&Block::post("/slow"))).collect();
    assert_eq!(client.get("/").status, 200);
    for stream in streams {
        timed_out(&mut client, stream);
    }
    assert_eq!(client.get("/").status, 200);
    let timeouts = || gateway.metric("portcullis_failures_total", "body_timeout");
    assert!(eventually(|| timeouts() == 50.0), "{}", timeouts());
    assert!(origin.requests().iter().all(|request| request.target == "/"));
}

#[test]
fn content_below_the_rate_costs_its_stream() {
    let origin = Origin::echo();
    let gateway = gateway_with(&origin, "timeouts: { min_rate: 10KiB, min_rate_grace: 300ms }");
    let mut client = client(&gateway);
    let stream = client.begin(&Block::post("/slow"));
    let mut handle = client.connection().reader().stream().second_handle();
    let trickle = thread::spawn(move || {
        let byte = Frame::data(stream, "x").to_bytes();
        for _ in 0..500 {
            if handle.write_all(&byte).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    timed_out(&mut client, stream);
    assert_eq!(gateway.logged_request("/slow")["error"], "body_timeout");
    assert_eq!(client.get("/").status, 200);
    client.connection().reader().stream().close();
    trickle.join().unwrap();
}

/// 408, or a reset where that is no longer possible.
fn timed_out(client: &mut H2Client, stream: u32) {
    let outcome = client.outcome(stream);
    let right = match &outcome {
        Outcome::Reply(reply) => reply.status == 408,
        Outcome::Reset(_) => true,
        _ => false,
    };
    assert!(right, "{outcome}");
}

#[test]
fn slow_streams_do_not_hold_up_quick_ones() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = client(&gateway);
    let slow: Vec<u32> = (0..20).map(|_| client.begin(&Block::post("/slow"))).collect();
    for _ in 0..20 {
        assert_eq!(client.get("/").status, 200);
    }
    for stream in slow {
        client.send(Frame::data(stream, "at last").ending());
        assert!(client.reply(stream).text().ends_with("at last"));
    }
}
