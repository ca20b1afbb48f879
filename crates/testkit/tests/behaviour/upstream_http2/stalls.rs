//! Origins that stall: with settings, with windows, in the middle of a reply.

use std::thread;
use std::time::Duration;

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, setting};
use portcullis_testkit::{Gate, Origin};

use super::{before, with};

#[test]
fn an_origin_that_says_nothing_is_given_up() {
    let origin = Origin::with(|served| served.wait_for_end());
    let gateway = with(&origin, "timeouts: { connect: 300ms, first_byte: 300ms }");
    assert_eq!(gateway.get("/").status, 504);
}

#[test]
fn an_origin_that_takes_no_content_is_given_up() {
    let origin = Origin::h2_with(&[(setting::INITIAL_WINDOW_SIZE, 0)], |served| {
        served.be_quiet();
        while let Some(request) = served.head() {
            if request.path() != "/stalled" {
                served.reply(request.stream, "ok");
            }
        }
    });
    let gateway = with(&origin, "timeouts: { stall: 500ms }");
    let mut client = H2Client::connect(gateway.address());
    // From here on the gateway knows that there is no window.
    assert_eq!(client.get("/next").text(), "ok");
    let stream = client.begin(&Block::post("/stalled"));
    client.send(Frame::data(stream, "never taken").ending());
    // Others go on meanwhile, on the same connection.
    for _ in 0..5 {
        assert_eq!(client.get("/next").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(client.reply(stream).status, 504);
    assert_eq!(gateway.logged_request("/stalled")["error"], "upstream_stalled");
    assert_eq!(client.get("/next").text(), "ok");
}

/// The kit fails the test when more is sent than the window has room for.
#[test]
fn windows_of_origins_are_kept() {
    let origin = Origin::h2_with(&[(setting::INITIAL_WINDOW_SIZE, 100)], |served| {
        served.be_quiet();
        // The gateway may have sent before it knew our settings.
        while let Some(request) = served.head() {
            let stream = request.stream;
            let mut opened = 0;
            while !served.exchanges[&stream].ended {
                let have = served.exchanges[&stream].body.len();
                if have >= opened {
                    opened = have + 1000;
                    served.open_window(stream, 1000);
                    served.open_window(0, 1000);
                }
                if !matches!(served.next_frame(), Ok(Some(_))) {
                    return;
                }
            }
            let length = served.exchanges[&stream].body.len();
            served.reply(stream, &length.to_string());
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    assert_eq!(client.get("/").text(), "0");
    for length in [1_usize, 100, 101, 5000, 100_000] {
        let stream = client.begin(&Block::post("/"));
        client.send_content(stream, &vec![b'x'; length], true).unwrap();
        assert_eq!(client.reply(stream).text(), length.to_string());
    }
}

#[test]
fn an_origin_that_stalls_in_its_reply_is_cut() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            if request.path() == "/stalled" {
                served.send(Frame::headers(request.stream, &Block::status(200)));
                served.send(Frame::data(request.stream, "half"));
                continue;
            }
            served.reply(request.stream, "ok");
        }
    });
    let gateway = with(&origin, "timeouts: { stall: 500ms }");
    let mut client = H2Client::connect(gateway.address());
    let stream = client.request(&Block::get("/stalled"));
    assert_eq!(client.get("/next").text(), "ok");
    assert!(matches!(client.outcome(stream), Outcome::Reset(_)));
    assert_eq!(client.exchanges[&stream].body, b"half");
    assert_eq!(gateway.logged_request("/stalled")["error"], "upstream_stalled");
    assert_eq!(client.get("/next").text(), "ok");
}

/// The connection may be dead, and takes nothing new. What it carries may go on.
#[test]
fn a_first_byte_that_does_not_come_costs_its_stream_alone() {
    let gate = Gate::new();
    let origin = Origin::h2({
        let gate = gate.clone();
        move |served| {
            while let Some(request) = served.request() {
                match request.path() {
                    "/silent" => {}
                    "/begun" => {
                        served.send(Frame::headers(request.stream, &Block::status(200)));
                        gate.pass();
                        served.send(Frame::data(request.stream, "finished").ending());
                    }
                    _ => drop(served.reply(request.stream, "ok")),
                }
            }
        }
    });
    let gateway = with(&origin, "timeouts: { first_byte: 400ms }");
    let mut client = H2Client::connect(gateway.address());
    assert_eq!(client.get("/next").text(), "ok");
    let silent = client.request(&Block::get("/silent"));
    let begun = client.request(&Block::get("/begun"));
    assert_eq!(client.reply_head(begun), 200);
    assert_eq!(origin.connections(), 1);
    assert_eq!(client.reply(silent).status, 504);
    gate.open();
    assert_eq!(client.reply(begun).text(), "finished");
    assert_eq!(client.get("/next").text(), "ok");
}

/// A slow client holds up its own stream, and neither the origin's connection nor other clients.
#[test]
fn a_slow_client_does_not_hold_up_a_shared_connection() {
    let done = Gate::new();
    let origin = Origin::h2({
        let done = done.clone();
        move |served| {
            let mut waiting = Vec::new();
            while let Some(request) = served.request() {
                if request.path() == "/large" {
                    // As much as the gateway takes for a client that takes nothing.
                    served.send(Frame::headers(request.stream, &Block::status(200)));
                    waiting.push(request.stream);
                    done.open();
                    continue;
                }
                served.reply(request.stream, "ok");
                for stream in &waiting {
                    let _ = served.try_send(Frame::data(*stream, [b'x'; 1000]));
                }
            }
        }
    });
    let gateway = before(&origin);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut slow = H2Client::with_settings(gateway.address(), &settings);
    slow.be_quiet();
    slow.request(&Block::get("/large"));
    done.pass();
    let mut quick = H2Client::connect(gateway.address());
    for _ in 0..50 {
        assert_eq!(quick.get("/next").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

/// Back-pressure reaches the origin's stream: what the client does not take is not fetched.
#[test]
fn what_the_client_does_not_take_is_not_fetched() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let origin = Origin::h2({
        let sent = sent.clone();
        move |served| {
            if let Some(request) = served.request() {
                served.send(Frame::headers(request.stream, &Block::status(200)));
                let piece = vec![b'x'; 16_384];
                while served.send_content(request.stream, &piece, false).is_ok() {
                    sent.fetch_add(piece.len(), std::sync::atomic::Ordering::SeqCst);
                }
            }
        }
    });
    let gateway = before(&origin);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 1000)];
    let mut client = H2Client::with_settings(gateway.address(), &settings);
    client.be_quiet();
    let stream = client.request(&Block::get("/"));
    assert_eq!(client.reply_head(stream), 200);
    let now = || sent.load(std::sync::atomic::Ordering::SeqCst);
    let (mut last, mut still) = (now(), 0);
    while still < 10 {
        thread::sleep(Duration::from_millis(50));
        still = if now() == last { still + 1 } else { 0 };
        last = now();
    }
    assert!(last < 4 * 1024 * 1024, "{last} bytes fetched for nobody");
}
