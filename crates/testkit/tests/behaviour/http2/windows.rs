//! Flow control (RFC 9113 sections 5.2 and 6.9): the gateway keeps to the client's windows, holds
//! the client to its own, and gives up on whoever opens none (CVE-2019-9511, 9517).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code, setting};
use portcullis_testkit::{Gate, Gateway, Origin, eventually};

use super::{Bystander, calmed, client, gateway_with};

const MIB: usize = 1024 * 1024;

/// Replies with so many bytes.
fn large(length: usize) -> Origin {
    Origin::with(move |served| {
        while let Some(request) = served.request() {
            let length = if request.target == "/bystander" { 2 } else { length };
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            served.send(vec![b'x'; length]);
        }
    })
}

/// Waits until so much content has come on a stream, and not more.
fn content_is(client: &mut H2Client, stream: u32, length: usize) {
    let read = client.read_until(|peer| {
        let body = peer.exchanges.get(&stream).map_or(0, |exchange| exchange.body.len());
        (body >= length).then_some(())
    });
    read.expect("content").expect("content before the end");
    client.barrier().unwrap();
    assert_eq!(client.exchanges[&stream].body.len(), length);
}

#[test]
fn a_window_is_used_to_its_last_byte_and_no_further() {
    let origin = large(100_000);
    let gateway = Gateway::before(&origin);
    let mut client =
        H2Client::with_settings(gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    client.be_quiet();
    let stream = client.request(&Block::get("/"));
    content_is(&mut client, stream, 10);
    client.open_window(stream, 5);
    content_is(&mut client, stream, 15);
    // More for all streams, then less: the window is below nothing (section 6.9.2).
    client.announce(&[(setting::INITIAL_WINDOW_SIZE, 20)]);
    content_is(&mut client, stream, 25);
    client.announce(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.barrier().unwrap();
    client.open_window(stream, 20);
    content_is(&mut client, stream, 25);
    client.open_window(stream, 7);
    content_is(&mut client, stream, 32);
    client.open_window(stream, 1_000_000);
    // The connection's window is the next bound.
    content_is(&mut client, stream, 65_535);
    client.open_window(0, 1_000_000);
    assert_eq!(client.reply(stream).body.len(), 100_000);
}

#[test]
fn a_stream_without_a_window_does_not_hold_up_others() {
    let origin = large(10_000);
    let gateway = Gateway::before(&origin);
    let mut client =
        H2Client::with_settings(gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 1)]);
    client.be_quiet();
    let blocked: Vec<u32> = (0..10).map(|_| client.request(&Block::get("/"))).collect();
    for stream in &blocked {
        content_is(&mut client, *stream, 1);
    }
    let free = client.request(&Block::get("/"));
    client.read_until(|peer| peer.exchanges.get(&free).map(|_| ())).unwrap().unwrap();
    client.open_window(free, 20_000);
    assert_eq!(client.reply(free).body.len(), 10_000);
    for stream in blocked {
        client.open_window(stream, 20_000);
        client.open_window(0, 20_000);
        assert_eq!(client.reply(stream).body.len(), 10_000);
    }
}

#[test]
fn frames_are_as_small_as_the_client_wants() {
    let origin = large(100_000);
    let gateway = Gateway::before(&origin);
    // The kit refuses frames of more than 16 KiB, which is also the least that may be asked for.
    let mut client =
        H2Client::with_settings(gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
    client.open_window(0, 1 << 20);
    assert_eq!(client.get("/").body.len(), 100_000);
}

/// Content for an origin that does not read is taken up to the windows, and no further.
#[test]
fn content_beyond_the_window_is_an_error() {
    let gate = Gate::new();
    let origin = Origin::with({
        let gate = gate.clone();
        move |served| {
            while let Some(request) = served.head() {
                if request.target == "/stalled" {
                    gate.pass();
                    return;
                }
                served.reply("ok");
            }
        }
    });
    let bystander = Bystander::of(gateway_with(&origin, "http2: { window: 64KiB }"));
    let mut client = client(&bystander.gateway);
    let stream = client.begin(&Block::post("/stalled"));
    let full = Frame::data(stream, [b'x'; 16_384]);
    // 64 MiB: more than the sockets on the way to the origin hold.
    for _ in 0..4096 {
        if client.try_send(&full).is_err() {
            break;
        }
    }
    match client.outcome(stream) {
        Outcome::Reset(code) => assert_eq!(code, code::FLOW_CONTROL_ERROR),
        Outcome::GoneAway(goaway) => assert_eq!(goaway.code, code::FLOW_CONTROL_ERROR),
        other => panic!("expected an error of flow control, got {other}"),
    }
    bystander.has_noticed_nothing();
    gate.open();
}

#[test]
fn an_origin_that_reads_slowly_stops_the_client() {
    let (taken, gate) = (Arc::new(AtomicUsize::new(0)), Gate::new());
    let origin = Origin::with({
        let (taken, gate) = (taken.clone(), gate.clone());
        move |served| {
            if served.head().is_some() {
                gate.pass();
                loop {
                    let some = served.some();
                    taken.fetch_add(some.len(), Ordering::SeqCst);
                    if some.is_empty() || some.ends_with(b"0\r\n\r\n") {
                        break;
                    }
                }
                served.reply("all of it");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    let before = gateway.resident();
    let mut client = client(&gateway);
    let stream = client.begin(&Block::post("/"));
    let total = 64 * MIB;
    // The gate opens when the client has long been stopped; the kit waits for windows meanwhile.
    let opener = thread::spawn({
        let gate = gate.clone();
        move || {
            thread::sleep(Duration::from_millis(700));
            gate.open();
        }
    });
    client.send_content(stream, &vec![b'x'; total], true).unwrap();
    assert_eq!(client.reply(stream).text(), "all of it");
    opener.join().unwrap();
    assert!(taken.load(Ordering::SeqCst) > total);
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < super::IN_GATEWAY, "{grown} bytes more for one slow origin");
}

/// CVE-2019-9511 and 9517: replies that nobody takes.
#[test]
fn windows_that_are_never_opened_cost_little_and_not_for_long() {
    let origin = large(8 * MIB);
    let bystander = Bystander::of(gateway_with(&origin, "timeouts: { stall: 700ms }"));
    let mut client =
        H2Client::with_settings(bystander.gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.be_quiet();
    let streams: Vec<u32> = (0..50).map(|_| client.request(&Block::get("/unread"))).collect();
    for stream in streams {
        let outcome = client.outcome(stream);
        let given_up = match &outcome {
            Outcome::Reset(_) => true,
            Outcome::GoneAway(goaway) => goaway.code != code::NO_ERROR,
            _ => false,
        };
        assert!(given_up, "{outcome}");
    }
    assert_eq!(bystander.gateway.logged_request("/unread")["error"], "client_stalled");
    let gateway = bystander.has_noticed_nothing();
    assert!(eventually(|| gateway.metric("portcullis_failures_total", "client_stalled") >= 50.0));
}

/// The stream has a window, the connection has none.
#[test]
fn a_window_of_the_connection_that_is_never_opened_ends_streams_as_well() {
    let origin = large(8 * MIB);
    let gateway = gateway_with(&origin, "timeouts: { stall: 700ms }");
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut client = H2Client::with_settings(gateway.address(), &settings);
    client.be_quiet();
    let stream = client.request(&Block::get("/unread"));
    assert!(matches!(client.outcome(stream), Outcome::Reset(_)));
    assert_eq!(gateway.logged_request("/unread")["error"], "client_stalled");
}

#[test]
fn a_window_opened_byte_by_byte_is_a_flood() {
    let origin = large(8 * MIB);
    let bystander = Bystander::of(Gateway::before(&origin));
    let mut client =
        H2Client::with_settings(bystander.gateway.address(), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.be_quiet();
    let stream = client.request(&Block::get("/dribble"));
    let mut dribble = 0;
    let end = loop {
        client.open_window(stream, 1);
        dribble += 1;
        assert!(dribble < 50_000, "dribbles on for ever");
        match client.next_frame() {
            Ok(Some(_)) if client.goaway.is_none() => {}
            _ => break client.end_of_connection(),
        }
    };
    calmed(&bystander.gateway, end, "control_frames");
    bystander.has_noticed_nothing();
}

/// The windows are open, and nobody reads the socket.
#[test]
fn a_socket_that_is_not_read_costs_little_and_not_for_long() {
    let origin = large(64 * MIB);
    let bystander = Bystander::of(gateway_with(&origin, "timeouts: { stall: 700ms }"));
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut client = H2Client::with_settings(bystander.gateway.address(), &settings);
    client.open_window(0, 0x7fff_0000);
    for _ in 0..20 {
        client.request(&Block::get("/unread"));
    }
    // The connection's patience may be at its end before that of a stream, which knows why all the
    // same.
    let gateway = bystander.has_noticed_nothing();
    let failures = |reason| gateway.metric("portcullis_failures_total", reason);
    assert!(eventually(|| failures("client_stalled") == 20.0), "{}", gateway.log());
    assert_eq!(failures("client_gone"), 0.0);
    assert_eq!(gateway.logged_request("/unread")["error"], "client_stalled");
}
