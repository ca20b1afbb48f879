//! Circuit breakers: caps on what a service has at once, and what opens and closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_testkit::{Client, Config, Gate, Gateway, Origin, eventually};

fn held(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::with(move |served| {
        while served.request().is_some() {
            gate.pass();
            served.reply("ok");
        }
    })
}

fn asking(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    client
}

#[test]
fn no_more_requests_than_the_cap_over_all_workers() {
    let gate = Gate::new();
    let origin = held(&gate);
    let config =
        Config::before(&origin).service("breaker: { limits: { requests: 3 } }").also("workers: 2");
    let gateway = Gateway::start(&config);
    let mut clients: Vec<Client> = (0..3).map(|_| asking(&gateway)).collect();
    assert!(eventually(|| origin.requests().len() == 3));
    for _ in 0..8 {
        let reply = gateway.get("/");
        assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
        assert!(reply.text().contains("\"code\":\"overloaded\""));
    }
    // A reload forgets nobody.
    gateway.write_config(&config.service("timeouts: { connect: 4s }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 503);
    (0..100).for_each(|_| gate.open());
    for client in &mut clients {
        assert_eq!(client.reply().status, 200);
    }
    assert!(eventually(|| gateway.get("/").status == 200));
    assert_eq!(origin.requests().len(), 4);
    assert_eq!(gateway.metric("portcullis_service_spared_total", "why=\"requests\""), 9.0);
}

#[test]
fn no_more_connections_than_the_cap() {
    let gate = Gate::new();
    let origin = held(&gate);
    let config = Config::before(&origin)
        .service("breaker: { limits: { connections: 2 } }")
        .also("workers: 2");
    let gateway = Gateway::start(&config);
    let mut clients: Vec<Client> = (0..2).map(|_| asking(&gateway)).collect();
    assert!(eventually(|| origin.requests().len() == 2));
    for _ in 0..8 {
        assert_eq!(gateway.get("/").status, 503);
    }
    assert_eq!(origin.connections(), 2);
    (0..100).for_each(|_| gate.open());
    for client in &mut clients {
        assert_eq!(client.reply().status, 200);
    }
    // Whichever worker a client meets: idle connections of the other one give way.
    for _ in 0..8 {
        assert!(eventually(|| gateway.get("/").status == 200));
    }
    assert!(origin.open_connections() <= 2);
}

#[test]
fn no_more_waiting_requests_than_the_cap() {
    let gate = Gate::new();
    let origin = held(&gate);
    let config = Config::before(&origin)
        .service("pool: { connections: 1 }, breaker: { limits: { pending: 1 } }")
        .also("workers: 1");
    let gateway = Gateway::start(&config);
    let mut first = asking(&gateway);
    assert!(eventually(|| origin.requests().len() == 1));
    let mut second = asking(&gateway);
    let active = || gateway.metric("portcullis_service_requests_active", "service=\"origin\"");
    assert!(eventually(|| active() == 2.0));
    let reply = gateway.get("/");
    assert!(reply.text().contains("\"code\":\"overloaded\""), "{}", reply.text());
    (0..100).for_each(|_| gate.open());
    assert_eq!((first.reply().status, second.reply().status), (200, 200));
}

/// Answers 500 as long as it is ill.
fn ill(ill: &Arc<AtomicBool>) -> Origin {
    let ill = ill.clone();
    Origin::with(move |served| {
        while served.request().is_some() {
            let status = if ill.load(Ordering::SeqCst) { "500 Oops" } else { "200 OK" };
            served.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    })
}

const TRIP: &str = "breaker: { errors: { at_least: 5 }, open: 2s, probes: 2 }";

#[test]
fn too_many_errors_open_it_and_probes_close_it() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let origin = ill(&is_ill);
    let config = Config::before(&origin).service(TRIP).also("workers: 2");
    let gateway = Gateway::start(&config);
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 500);
    }
    let reply = gateway.get("/");
    assert_eq!(reply.status, 503);
    assert!(
        matches!(reply.field("retry-after"), Some("1" | "2")),
        "{:?}",
        reply.field("retry-after")
    );
    assert!(reply.text().contains("\"code\":\"circuit_open\""));
    assert_eq!(gateway.metric("portcullis_breaker_trips_total", "service=\"origin\""), 1.0);
    // A reload closes nothing.
    gateway.write_config(&config.service("timeouts: { connect: 4s }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 503);
    assert_eq!(origin.requests().len(), 5);
    is_ill.store(false, Ordering::SeqCst);
    assert!(eventually(|| gateway.get("/").status == 200));
    assert!(eventually(|| {
        let _ = gateway.get("/");
        gateway.metric("portcullis_breaker_state", "service=\"origin\"") == 0.0
    }));
    // The log may come a moment later than the metric.
    assert!(eventually(|| gateway.log().contains("the breaker closes")));
    let log = gateway.log();
    for line in ["the breaker opens", "the breaker is half open", "the breaker closes"] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

#[test]
fn a_failed_probe_opens_it_again() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let origin = ill(&is_ill);
    let gateway = Gateway::start(&Config::before(&origin).service(TRIP));
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 500);
    }
    assert!(eventually(|| gateway.get("/").status == 500));
    assert_eq!(gateway.metric("portcullis_breaker_state", "service=\"origin\""), 2.0);
    assert_eq!(gateway.metric("portcullis_breaker_trips_total", "service=\"origin\""), 2.0);
    assert_eq!(origin.requests().len(), 6);
}

#[test]
fn slow_replies_open_it_too_and_a_backup_takes_over() {
    let slow = Origin::with(|served| {
        while served.request().is_some() {
            std::thread::sleep(std::time::Duration::from_millis(60));
            served.reply("slow");
        }
    });
    let backup = Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbackup");
    let gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n  s: {{ endpoints: [\"{}\"], backup: t, breaker: {{ slow: {{ over: 50ms, at_least: 3 }}, open: 1m }} }}\n  t: {{ endpoints: [\"{}\"] }}\nroutes: {{ all: {{ service: s }} }}\n",
        slow.address(),
        backup.address()
    ));
    for _ in 0..3 {
        assert_eq!(gateway.get("/").text(), "slow");
    }
    assert_eq!(gateway.get("/").text(), "backup");
    assert_eq!(slow.requests().len(), 3);
}
