//! One connection carries many requests, and as many more are opened as the origin's limit asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code, setting};
use portcullis_testkit::{Client, Gate, Origin, eventually};

use super::before;

#[test]
fn requests_of_many_clients_share_a_connection() {
    let origin = Origin::h2(|served| {
        let mut streams = Vec::new();
        while let Some(request) = served.request() {
            streams.push(request.stream);
            // None is answered before all have come: they must be there side by side.
            if streams.len() == 50 {
                for stream in streams.drain(..).rev() {
                    served.reply(stream, "ok");
                }
            }
        }
    });
    let gateway = before(&origin);
    let mut first: Vec<Client> = (0..25).map(|_| gateway.client()).collect();
    for client in &mut first {
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    }
    let mut second = H2Client::connect(gateway.address());
    let streams: Vec<u32> = (0..25).map(|_| second.request(&Block::get("/"))).collect();
    for stream in streams {
        assert_eq!(second.reply(stream).text(), "ok");
    }
    for client in &mut first {
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(gateway.metric("portcullis_upstream_connections_total", ""), 1.0);
}

#[test]
fn an_origins_limit_is_kept_and_costs_no_request() {
    const LIMIT: usize = 3;
    let (most, arrived) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::h2_with(&[(setting::MAX_CONCURRENT_STREAMS, 3)], {
        let (most, arrived) = (most.clone(), arrived.clone());
        move |served| {
            let (mut begun, mut answered) = (0, 0);
            while let Ok(Some(_)) = served.next_frame() {
                let streams = served.exchanges.iter().filter(|(_, e)| !e.sections.is_empty());
                let streams: Vec<(u32, bool)> = streams.map(|(id, e)| (*id, e.ended)).collect();
                arrived.fetch_add(streams.len() - begun, Ordering::SeqCst);
                begun = streams.len();
                most.fetch_max(begun - answered, Ordering::SeqCst);
                // A stream is open for as long as its request is.
                for (stream, _) in streams.iter().filter(|(_, ended)| *ended).skip(answered) {
                    served.reply(*stream, "ok");
                    answered += 1;
                }
            }
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    // The limit is known from here on.
    assert_eq!(client.get("/").text(), "ok");
    let streams: Vec<u32> = (0..5 * LIMIT).map(|_| client.begin(&Block::post("/"))).collect();
    let all = || arrived.load(Ordering::SeqCst) == 1 + 5 * LIMIT;
    assert!(eventually(all), "{} have arrived", arrived.load(Ordering::SeqCst));
    for stream in streams {
        client.send(Frame::data(stream, "").ending());
        assert_eq!(client.reply(stream).text(), "ok");
    }
    assert_eq!(most.load(Ordering::SeqCst), LIMIT, "more streams at once than allowed");
    assert!(origin.connections() >= 5, "{} connections", origin.connections());
}

/// A limit of one is a connection for each request under way.
#[test]
fn an_origin_with_one_stream_at_a_time_is_served() {
    let gate = Gate::new();
    let origin = Origin::h2_with(&[(setting::MAX_CONCURRENT_STREAMS, 1)], {
        let gate = gate.clone();
        move |served| {
            while let Some(request) = served.request() {
                if request.path() == "/held" {
                    gate.pass();
                }
                served.reply(request.stream, request.path());
            }
        }
    });
    let gateway = before(&origin);
    assert_eq!(gateway.get("/").text(), "/");
    let mut client = H2Client::connect(gateway.address());
    let held: Vec<u32> = (0..5).map(|_| client.request(&Block::get("/held"))).collect();
    assert!(eventually(|| origin.connections() >= 5), "{} connections", origin.connections());
    held.iter().for_each(|_| gate.open());
    for stream in held {
        assert_eq!(client.reply(stream).text(), "/held");
    }
}

#[test]
fn a_limit_of_none_is_another_connections_matter() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.request() {
            if served.number() == 0 {
                served.send(Frame::settings(&[(setting::MAX_CONCURRENT_STREAMS, 0)]));
            }
            served.reply(request.stream, "ok");
        }
    });
    let gateway = before(&origin);
    for _ in 0..5 {
        assert_eq!(gateway.get("/").text(), "ok");
    }
    assert!(origin.connections() >= 2);
}

#[test]
fn a_client_that_is_gone_takes_its_stream_along_and_no_other() {
    let (arrived, reset) = (Gate::new(), Gate::new());
    let origin = Origin::h2({
        let (arrived, reset) = (arrived.clone(), reset.clone());
        move |served| {
            while let Some(request) = served.request() {
                if request.path() == "/left" {
                    arrived.open();
                    let code = served.wait_for_reset(request.stream);
                    assert_eq!(code, Some(code::CANCEL));
                    reset.open();
                    continue;
                }
                served.reply(request.stream, "ok");
            }
        }
    });
    let gateway = before(&origin);
    assert_eq!(gateway.get("/").text(), "ok");
    // By closing its connection, and by a reset.
    let mut first = H2Client::connect(gateway.address());
    first.request(&Block::get("/left"));
    arrived.pass();
    drop(first);
    reset.pass();
    let mut second = H2Client::connect(gateway.address());
    let stream = second.request(&Block::get("/left"));
    arrived.pass();
    second.send(Frame::reset(stream, code::CANCEL));
    reset.pass();
    assert_eq!(second.get("/").text(), "ok");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_that_does_not_speak_it_is_502() {
    let origin = Origin::with(|served| {
        served.some();
        served.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let gateway = before(&origin);
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 502);
    }
}

#[test]
fn large_content_passes_both_ways_at_once() {
    let origin = Origin::h2(|served| {
        while let Some(request) = served.head() {
            let stream = request.stream;
            served.send(Frame::headers(stream, &Block::status(200)));
            let mut passed = 0;
            // What comes goes back at once.
            while let Ok(Some(some)) = served.read_until(|peer| {
                let exchange = &peer.exchanges[&stream];
                let some = exchange.body[passed..].to_vec();
                (!some.is_empty() || exchange.ended).then_some(some)
            }) {
                passed += some.len();
                let end = served.exchanges[&stream].ended;
                if served.send_content(stream, &some, end).is_err() {
                    return;
                }
                if end && served.exchanges[&stream].body.len() == passed {
                    break;
                }
            }
        }
    });
    let gateway = before(&origin);
    let mut client = H2Client::connect(gateway.address());
    let stream = client.begin(&Block::post("/"));
    let content: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    client.send_content(stream, &content, true).unwrap();
    match client.outcome(stream) {
        Outcome::Reply(reply) => assert!(reply.body == content, "{} bytes", reply.body.len()),
        other => panic!("{other}"),
    }
}
