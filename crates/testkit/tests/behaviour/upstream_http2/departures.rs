//! Origins that leave: `GOAWAY`, refused streams, closed connections. What was not processed is
//! asked for again elsewhere, and no request fails (RFC 9113 sections 6.8 and 8.7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code};
use portcullis_testkit::{Gate, Load, Origin, eventually};

use super::before;

#[test]
fn a_goodbye_lets_streams_finish_and_moves_on() {
    let (gate, gone) = (Gate::new(), Gate::new());
    let origin = Origin::h2({
        let (gate, gone) = (gate.clone(), gone.clone());
        move |served| {
            if served.number() > 0 {
                while let Some(request) = served.request() {
                    served.reply(request.stream, "second");
                }
                return;
            }
            let first = served.request().expect("a request").stream;
            served.send([Frame::goaway(0x7fff_ffff, code::NO_ERROR), Frame::ping([0; 8])]);
            // The gateway has seen the goodbye before it answers the ping.
            served.read_until(|peer| (!peer.pongs.is_empty()).then_some(())).unwrap();
            gone.open();
            gate.pass();
            served.send(Frame::goaway(first, code::NO_ERROR));
            served.reply(first, "first");
            served.wait_for_end();
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    let first = client.request(&Block::get("/"));
    gone.pass();
    for _ in 0..5 {
        assert_eq!(gateway.get("/").text(), "second");
    }
    gate.open();
    assert_eq!(client.reply(first).text(), "first");
    assert_eq!(client.get("/").text(), "second");
}

#[test]
fn what_a_goodbye_left_out_is_asked_for_again() {
    for number in [code::NO_ERROR, code::ENHANCE_YOUR_CALM, code::INTERNAL_ERROR] {
        let origin = Origin::h2(move |served| {
            let mut streams = Vec::new();
            while let Some(request) = served.request() {
                if served.number() > 0 {
                    served.reply(request.stream, "second");
                    continue;
                }
                streams.push(request.stream);
                // Ten have come: the first two are taken, the others are not.
                if streams.len() == 10 {
                    served.send(Frame::goaway(streams[1], number));
                    served.reply(streams[0], "first");
                    served.reply(streams[1], "first");
                    return;
                }
            }
        });
        let gateway = before(&origin);
        let mut client = H2Client::connect(gateway.address());
        let streams: Vec<u32> = (0..10).map(|_| client.request(&Block::get("/"))).collect();
        let texts: Vec<String> = streams.into_iter().map(|s| client.reply(s).text()).collect();
        let first = texts.iter().filter(|text| *text == "first").count();
        let second = texts.iter().filter(|text| *text == "second").count();
        assert_eq!((first, second), (2, 8), "{}: {texts:?}", code::name(number));
    }
}

/// Unprocessed is unprocessed, whatever the method.
#[test]
fn a_post_that_was_not_processed_is_sent_again() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            if served.number() == 0 {
                served.send(Frame::goaway(0, code::NO_ERROR));
                return;
            }
            let text = String::from_utf8_lossy(&request.body).into_owned();
            served.reply(request.stream, &text);
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    assert_eq!(client.ask(&Block::post("/")).status, 200);
}

#[test]
fn refused_streams_are_asked_for_again() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let origin = Origin::h2({
        let refusals = refusals.clone();
        move |served| {
            while let Some(request) = served.request() {
                if refusals.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                    served.send(Frame::reset(request.stream, code::REFUSED_STREAM));
                } else {
                    served.reply(request.stream, "ok");
                }
            }
        }
    });
    let gateway = before(&origin);
    for _ in 0..10 {
        assert_eq!(gateway.get("/").text(), "ok");
    }
    assert_eq!(refusals.load(Ordering::SeqCst), 20);
}

#[test]
fn an_origin_that_always_refuses_is_not_asked_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = Origin::h2({
        let asked = asked.clone();
        move |served| {
            while let Some(request) = served.request() {
                asked.fetch_add(1, Ordering::SeqCst);
                served.send(Frame::reset(request.stream, code::REFUSED_STREAM));
            }
        }
    });
    let gateway = before(&origin);
    let status = gateway.get("/refused").status;
    assert!(matches!(status, 502 | 503), "{status}");
    assert_eq!(gateway.logged_request("/refused")["error"], "upstream_reset");
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked <= 5, "asked {asked} times");
}

/// A reset that says nothing of the kind may have done something: it is not tried again.
#[test]
fn other_resets_are_502() {
    for number in [code::INTERNAL_ERROR, code::CANCEL, code::PROTOCOL_ERROR, code::NO_ERROR] {
        let origin = Origin::h2(move |served| {
            while let Some(request) = served.request() {
                served.send(Frame::reset(request.stream, number));
            }
        });
        let gateway = before(&origin);
        let mut client = H2Client::connect(gateway.address());
        let reply = client.ask(&Block::post("/reset").field("content-length", "0"));
        assert_eq!(reply.status, 502, "{}", code::name(number));
        assert_eq!(gateway.logged_request("/reset")["error"], "upstream_reset");
        assert_eq!(origin.connections(), 1);
    }
}

#[test]
fn a_connection_closed_without_a_word_is_replaced() {
    let origin = Origin::h2(|served| {
        // One reply for each connection.
        if let Some(request) = served.request() {
            served.reply(request.stream, "ok");
        }
    });
    let gateway = before(&origin);
    for n in 1..=10 {
        assert_eq!(gateway.get("/").text(), "ok");
        assert!(eventually(|| origin.open_connections() == 0));
        assert_eq!(origin.connections(), n);
    }
}

/// What was asked for and not answered when the connection died may have been done.
#[test]
fn a_connection_that_dies_under_a_post_is_502() {
    let origin = Origin::h2(|served| drop(served.request()));
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    let reply = client.ask(&Block::post("/dead").field("content-length", "0"));
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(gateway.logged_request("/dead")["error"], "upstream_reset");
}

/// Every few requests another connection says goodbye, in every way there is; nobody notices.
#[test]
fn no_request_fails_however_often_origins_leave() {
    let origin = Origin::h2(|served| {
        let mut answered = 0;
        while let Some(request) = served.request() {
            answered += 1;
            if answered < 20 {
                served.reply(request.stream, "ok");
                continue;
            }
            match served.number() % 3 {
                0 => {
                    served.send(Frame::goaway(0x7fff_ffff, code::NO_ERROR));
                    served.reply(request.stream, "ok");
                    served.send(Frame::goaway(request.stream, code::NO_ERROR));
                }
                1 => {
                    served.send(Frame::goaway(request.stream, code::NO_ERROR));
                    served.reply(request.stream, "ok");
                }
                _ => served.send(Frame::goaway(request.stream - 2, code::NO_ERROR)),
            }
            // Whatever came behind was not processed.
            served.wait_for_end();
            return;
        }
    });
    let gateway = before(&origin);
    let load = Load::start(gateway.address(), "/", 8);
    load.wait_for_more(2_000);
    let report = load.stop();
    assert!(report.failed.is_empty(), "{:?}", &report.failed[..report.failed.len().min(5)]);
    assert!(origin.connections() > 50, "{}", origin.connections());
}

/// Streams of HTTP/2 clients find their way as well.
#[test]
fn no_stream_fails_however_often_origins_leave() {
    let origin = Origin::h2(|served| {
        let mut last = 0;
        // Four clients have ten streams each under way: none is turned away twice.
        for _ in 0..100 {
            let Some(request) = served.request() else { return };
            served.reply(request.stream, "ok");
            last = request.stream;
        }
        served.send(Frame::goaway(last, code::NO_ERROR));
        served.wait_for_end();
    });
    let gateway = before(&origin);
    let address = gateway.address();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut client = H2Client::connect(address);
                for _ in 0..20 {
                    let streams: Vec<u32> =
                        (0..10).map(|_| client.request(&Block::get("/"))).collect();
                    for stream in streams {
                        match client.outcome(stream) {
                            Outcome::Reply(reply) if reply.text() == "ok" => {}
                            other => panic!("{other}"),
                        }
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}
