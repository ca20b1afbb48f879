//! Requests that are sent once more: what for, which ones, how often, and with which content.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portcullis_testkit::h2::{Block, Frame, H2Client, code};
use portcullis_testkit::{Config, Gate, Gateway, Origin, eventually};

/// Answers the first `bad` requests over all connections with these bytes and closes, then 200.
fn bad_at_first(bad: usize, reply: &'static str) -> Origin {
    let seen = Arc::new(AtomicUsize::new(0));
    Origin::with(move |served| {
        while let Some(request) = served.request() {
            if seen.fetch_add(1, Ordering::SeqCst) < bad {
                served.send(reply);
                return;
            }
            served.reply(&String::from_utf8_lossy(&request.body));
        }
    })
}

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

fn with(origin: &Origin, retries: &str) -> Gateway {
    Gateway::start(&Config::before(origin).service(&format!("retries: {retries}")))
}

#[test]
fn statuses_resets_and_half_heads_are_tried_again() {
    for reply in [BUSY, "", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let origin = bad_at_first(2, reply);
        let gateway = with(&origin, "{}");
        assert_eq!(gateway.get("/").status, 200, "{reply:?}");
        assert_eq!(origin.requests().len(), 3);
        let logged = gateway.logged_request("/");
        assert_eq!((&logged["tries"], &logged["status"]), (&3.into(), &200.into()), "{logged}");
        let cause = if reply == BUSY { "cause=\"status\"" } else { "cause=\"reset\"" };
        assert_eq!(gateway.metric("portcullis_retries_total", cause), 2.0);
    }
}

#[test]
fn after_the_last_attempt_the_client_gets_what_came() {
    let origin = bad_at_first(100, BUSY);
    let gateway = with(&origin, "{ attempts: 2 }");
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.text().as_str()), (503, "busy"));
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(gateway.metric("portcullis_retries_denied_total", "why=\"attempts\""), 1.0);
}

#[test]
fn without_retries_nothing_is_sent_twice() {
    let origin = bad_at_first(1, BUSY);
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/").status, 503);
    let gateway =
        Gateway::start(&Config::before(&origin).service("retries: {}").route("retries: off"));
    let bad = bad_at_first(1, "");
    assert_eq!(gateway.get("/").status, 200);
    let gateway = with(&bad, "off");
    assert_eq!(gateway.get("/").status, 502);
    assert_eq!((origin.requests().len(), bad.requests().len()), (2, 1));
}

#[test]
fn what_is_not_idempotent_is_sent_once_unless_asked_for() {
    let post = |key: &str| {
        format!("POST / HTTP/1.1\r\nHost: a.example\r\n{key}Content-Length: 5\r\n\r\nhello")
    };
    for reply in [BUSY, ""] {
        let origin = bad_at_first(1, reply);
        let gateway = with(&origin, "{}");
        assert!(gateway.ask(post("")).status >= 502);
        assert_eq!(origin.requests().len(), 1);
        assert_eq!(gateway.metric("portcullis_retries_denied_total", "why=\"method\""), 1.0);
    }
    let origin = bad_at_first(1, BUSY);
    let gateway = with(&origin, "{ methods: [POST] }");
    assert_eq!(gateway.ask(post("")).text(), "hello");
    let origin = bad_at_first(1, BUSY);
    let gateway = with(&origin, "{ idempotency_key: true }");
    assert_eq!(gateway.ask(post("Idempotency-Key: 7\r\n")).text(), "hello");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn content_is_sent_again_as_it_was() {
    let content = "0123456789".repeat(6000);
    let chunked = String::from_utf8(portcullis_testkit::chunked(content.as_bytes(), 777)).unwrap();
    for request in [
        format!(
            "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        ),
        format!("PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
    ] {
        let origin = bad_at_first(2, BUSY);
        let gateway = with(&origin, "{}");
        assert_eq!(gateway.ask(request).text(), content);
        assert!(origin.requests().iter().all(|request| request.body == content.as_bytes()));
        assert_eq!(origin.requests().len(), 3);
    }
}

#[test]
fn content_beyond_the_buffer_is_sent_once() {
    let origin = bad_at_first(1, BUSY);
    let gateway = with(&origin, "{ buffer: 1KiB }");
    let content = "x".repeat(1025);
    let request = |content: &str| {
        let length = content.len();
        format!("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n{content}")
    };
    assert_eq!(gateway.ask(request(&content)).status, 503);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(gateway.metric("portcullis_retries_denied_total", "why=\"content\""), 1.0);
    assert_eq!(gateway.ask(request(&content[1..])).status, 200);
}

#[test]
fn retry_after_is_waited_for_or_passed_on() {
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let origin = bad_at_first(1, busy);
    let gateway = with(&origin, "{ retry_after: 2s }");
    assert_eq!(gateway.get("/").status, 200);
    assert!(gateway.logged_request("/")["duration_us"].as_u64().unwrap() >= 1_000_000);
    let origin = bad_at_first(1, busy);
    let gateway = with(&origin, "{ retry_after: 500ms }");
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_try_that_takes_too_long_goes_elsewhere() {
    let held = Gate::new();
    let stuck = Origin::with({
        let held = held.clone();
        move |served| {
            served.request();
            held.pass();
        }
    });
    let well = Origin::echo();
    let gateway = Gateway::start(
        &Config::before(&stuck).and(&well).service("retries: { per_try_timeout: 100ms }"),
    );
    for _ in 0..4 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(!stuck.requests().is_empty());
    (0..100).for_each(|_| held.open());
}

#[test]
fn another_endpoint_is_preferred() {
    let (bad, good) = (bad_at_first(100, BUSY), Origin::echo());
    let gateway =
        Gateway::start(&Config::before(&bad).and(&good).service("retries: { attempts: 2 }"));
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(!bad.requests().is_empty());
    assert_eq!(good.requests().len(), 10);
}

#[test]
fn a_client_that_goes_ends_the_waiting() {
    let origin = bad_at_first(100, "HTTP/1.1 503 Busy\r\nRetry-After: 60\r\n\r\n");
    let gateway = with(&origin, "{ retry_after: 2m }");
    let mut client = H2Client::connect(gateway.address());
    client.request(&Block::get("/"));
    assert!(eventually(|| !origin.requests().is_empty()));
    assert!(eventually(|| gateway
        .metric("portcullis_service_requests_active", "service=\"origin\"")
        == 1.0));
    drop(client);
    assert!(eventually(|| gateway
        .metric("portcullis_service_requests_active", "service=\"origin\"")
        == 0.0));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_storm_stays_within_the_budget() {
    const REQUESTS: usize = 100;
    let together = Gate::new();
    let origin = Origin::with({
        let together = together.clone();
        move |served| {
            while served.request().is_some() {
                together.pass();
                served.send(BUSY);
            }
        }
    });
    for (config, most) in [
        // A fifth of them; and three at once, as often as each request may be sent again.
        ("{ attempts: 5 }", REQUESTS + REQUESTS / 5 + 3 * 4),
        ("{ attempts: 2, budget: off }", 2 * REQUESTS),
    ] {
        let before = origin.requests().len();
        let gateway = with(&origin, config);
        let address = gateway.address();
        let clients: Vec<_> = (0..REQUESTS)
            .map(|_| thread::spawn(move || portcullis_testkit::Client::connect(address).get("/")))
            .collect();
        if before == 0 {
            assert!(eventually(|| origin.requests().len() == REQUESTS));
            (0..2 * REQUESTS * 3).for_each(|_| together.open());
        }
        for client in clients {
            assert_eq!(client.join().unwrap().status, 503);
        }
        let seen = origin.requests().len() - before;
        assert!(seen > REQUESTS && seen <= most, "{config}: {seen}");
    }
}

#[test]
fn budgets_and_counts_survive_a_reload() {
    let origin = bad_at_first(1, BUSY);
    let config = Config::before(&origin).service("retries: {}");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 200);
    gateway.write_config(&config.service("timeouts: { connect: 4s }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.metric("portcullis_retries_total", "cause=\"status\""), 1.0);
}

#[test]
fn streams_of_http2_are_tried_again_too() {
    let seen = Arc::new(AtomicUsize::new(0));
    let origin = Origin::h2(move |served| {
        while let Some(request) = served.request() {
            match seen.fetch_add(1, Ordering::SeqCst) {
                0 => served.send(Frame::reset(request.stream, code::INTERNAL_ERROR)),
                _ => drop(served.reply(request.stream, "well")),
            }
        }
    });
    let config = Config::before(&origin).service("protocol: http2, retries: {}");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").text(), "well");
    assert_eq!(gateway.metric("portcullis_retries_total", "cause=\"reset\""), 1.0);
}
