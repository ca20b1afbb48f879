//! Ejection of endpoints for what requests meet there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use portcullis_testkit::{Config, Gateway, Origin, eventually, signal};
use serde_json::Value;

/// An origin that answers with the status that is set.
fn settable() -> (Origin, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let says = status.clone();
    let origin = Origin::with(move |served| {
        while served.request().is_some() {
            let status = says.load(SeqCst);
            served.send(format!("HTTP/1.1 {status} Set\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    (origin, status)
}

fn endpoint(gateway: &Gateway, address: &str) -> Value {
    let page: Value = serde_json::from_str(&gateway.admin("GET", "/endpoints").text()).unwrap();
    let endpoints = page["services"]["origin"]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["address"] == address).unwrap().clone()
}

fn ejected(gateway: &Gateway) -> f64 {
    gateway.metric("portcullis_endpoints_ejected", "service=\"origin\"")
}

/// Sends requests until an endpoint is ejected.
fn eject(gateway: &Gateway, address: &str) -> Value {
    assert!(eventually(|| {
        let _ = gateway.get("/");
        !endpoint(gateway, address)["ejected"].is_null()
    }));
    // The workers are told within a moment.
    endpoint(gateway, address)["ejected"].clone()
}

/// Waits until nothing goes to `origin` any more.
fn is_left_alone(gateway: &Gateway, origin: &Origin) {
    assert!(eventually(|| {
        let before = origin.requests().len();
        (0..4).for_each(|_| drop(gateway.get("/")));
        origin.requests().len() == before
    }));
    let before = origin.requests().len();
    (0..20).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert_eq!(origin.requests().len(), before);
}

#[test]
fn gateway_errors_in_a_row_eject_by_default_and_others_do_not() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let gateway =
        Gateway::start(&Config::before(&a).and(&b).service("outliers: { base_ejection: 1h }"));
    a_says.store(500, SeqCst);
    (0..40).for_each(|_| drop(gateway.get("/")));
    assert_eq!((a.requests().len(), ejected(&gateway)), (20, 0.0));
    // Four are not enough, and one that goes well ends the row.
    for status in [503, 200, 502, 200] {
        a_says.store(status, SeqCst);
        (0..8).for_each(|_| drop(gateway.get("/")));
    }
    assert_eq!(ejected(&gateway), 0.0);
    a_says.store(503, SeqCst);
    assert_eq!(eject(&gateway, &a.address())["cause"], "consecutive_gateway_errors");
    is_left_alone(&gateway, &a);
    let line = gateway.wait_for_log("an endpoint is ejected");
    assert!(line.contains(&a.address()) && line.contains("5 gateway errors in a row"), "{line}");
    let count = gateway.metric("portcullis_endpoint_ejections_total", "consecutive_gateway_errors");
    assert_eq!(count, 1.0);
    let labels = format!("endpoint=\"{}\"", a.address());
    assert_eq!(gateway.metric("portcullis_endpoint_available", &labels), 0.0);
}

#[test]
fn errors_are_counted_over_all_workers() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let outliers = "outliers: { consecutive_5xx: 12, base_ejection: 1h }";
    let config = Config::before(&a).and(&b).service(outliers).also("workers: 4");
    let gateway = Gateway::start(&config);
    a_says.store(500, SeqCst);
    assert_eq!(eject(&gateway, &a.address())["cause"], "consecutive_5xx");
    // Over many connections, each of which met fewer.
    assert!(a.requests().len() < 40, "{}", a.requests().len());
}

#[test]
fn who_is_ejected_returns_and_the_next_time_it_takes_longer() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let outliers =
        "outliers: { consecutive_gateway_errors: 2, base_ejection: 200ms, interval: 1h }";
    let gateway = Gateway::start(&Config::before(&a).and(&b).service(outliers));
    for times in 1..=3 {
        a_says.store(503, SeqCst);
        assert_eq!(eject(&gateway, &a.address())["times"], times);
        a_says.store(200, SeqCst);
        assert!(eventually(|| ejected(&gateway) == 0.0));
        let before = a.requests().len();
        assert!(eventually(|| {
            assert_eq!(gateway.get("/").status, 200);
            a.requests().len() > before
        }));
        let _ = gateway.wait_for_log("an endpoint is back from its ejection");
    }
}

#[test]
fn a_quiet_interval_makes_the_next_ejection_shorter() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let outliers =
        "outliers: { consecutive_gateway_errors: 2, base_ejection: 100ms, interval: 200ms }";
    let gateway = Gateway::start(&Config::before(&a).and(&b).service(outliers));
    for _ in 0..2 {
        a_says.store(503, SeqCst);
        assert_eq!(eject(&gateway, &a.address())["times"], 1);
        a_says.store(200, SeqCst);
        assert!(eventually(|| ejected(&gateway) == 0.0));
        // Five intervals: more than it takes.
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn not_too_many_are_ejected_and_one_stays() {
    let settables = [settable(), settable(), settable()];
    settables.iter().for_each(|(_, says)| says.store(503, SeqCst));
    let [(a, _), (b, _), (c, _)] = &settables;
    for (share, most) in [("50%", 1.0), ("70%", 2.0), ("100%", 2.0)] {
        let outliers = format!("outliers: {{ base_ejection: 1h, max_ejected: {share} }}");
        let gateway = Gateway::start(&Config::before(a).and(b).and(c).service(&outliers));
        let spared = || gateway.metric("portcullis_endpoint_ejections_spared_total", "");
        assert!(eventually(|| {
            assert_eq!(gateway.get("/").status, 503);
            spared() > 2.0
        }));
        assert_eq!(ejected(&gateway), most, "{share}");
    }
    let gateway = Gateway::start(&Config::before(a).service("outliers: { base_ejection: 1h }"));
    (0..30).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    assert_eq!(ejected(&gateway), 0.0, "the only one is never ejected");
}

#[test]
fn it_can_be_switched_off() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    a_says.store(503, SeqCst);
    let gateway = Gateway::start(&Config::before(&a).and(&b).service("outliers: off"));
    (0..40).for_each(|_| drop(gateway.get("/")));
    assert_eq!(a.requests().len(), 20);
}

#[test]
fn a_dead_endpoint_is_ejected_and_no_request_fails() {
    let ((a, _), (b, _)) = (settable(), settable());
    let gateway =
        Gateway::start(&Config::before(&a).and(&b).service("outliers: { base_ejection: 1h }"));
    let address = a.address();
    drop(a);
    assert!(eventually(|| {
        assert_eq!(gateway.get("/").status, 200);
        !endpoint(&gateway, &address)["ejected"].is_null()
    }));
    let tries = gateway.metric("portcullis_upstream_retries_total", "");
    (0..4).for_each(|_| drop(gateway.get("/")));
    let tries_then = gateway.metric("portcullis_upstream_retries_total", "");
    assert!(tries_then - tries <= 4.0);
}

#[test]
fn a_stopped_process_is_ejected_by_its_silence() {
    let stopped = Gateway::start(
        &"listeners: { web: { address: \"127.0.0.1:0\" } }\nroutes: { all: { reply: {} } }\naccess_log: off\n",
    );
    let (b, _) = settable();
    let config = Config::before_address(&stopped.address().to_string()).and(&b).service(
        "timeouts: { first_byte: 100ms }, outliers: { consecutive_gateway_errors: 2, base_ejection: 1h }",
    );
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 200);
    signal(stopped.pid(), "STOP");
    let told = eject(&gateway, &stopped.address().to_string());
    assert_eq!(told["cause"], "consecutive_gateway_errors");
    assert!(eventually(|| (0..6).all(|_| gateway.get("/").status == 200)));
    signal(stopped.pid(), "CONT");
}

#[test]
fn a_client_that_sends_slowly_ejects_nobody() {
    let ((a, _), (b, _)) = (settable(), settable());
    let config = Config::before(&a).and(&b).route("timeouts: { total: 100ms }").service(
        "outliers: { consecutive_gateway_errors: 1, consecutive_5xx: 1, base_ejection: 1h }",
    );
    let gateway = Gateway::start(&config);
    for _ in 0..4 {
        let reply =
            gateway.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhello");
        assert_eq!(reply.status, 504);
    }
    assert_eq!(ejected(&gateway), 0.0);
}

#[test]
fn who_succeeds_too_seldom_is_ejected() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let outliers = "outliers: { success_rate: { minimum: 80%, requests: 10 }, interval: 200ms, base_ejection: 1h }";
    let gateway = Gateway::start(&Config::before(&a).and(&b).service(outliers));
    assert!(eventually(|| {
        // Every other one fails, so that there is never a row.
        for status in [500, 200] {
            a_says.store(status, SeqCst);
            (0..2).for_each(|_| drop(gateway.get("/")));
        }
        ejected(&gateway) > 0.0
    }));
    assert_eq!(endpoint(&gateway, &a.address())["ejected"]["cause"], "success_rate");
    let line = gateway.wait_for_log("an endpoint is ejected");
    assert!(line.contains("at least 80.0 % should"), "{line}");
}

#[test]
fn who_is_far_slower_than_the_others_is_ejected() {
    let delayed = |ms: u64| {
        let delay = Arc::new(AtomicU64::new(ms));
        let waits = delay.clone();
        Origin::with(move |served| {
            while served.request().is_some() {
                std::thread::sleep(Duration::from_millis(waits.load(SeqCst)));
                served.reply("ok");
            }
        })
    };
    let (a, b, c) = (delayed(60), delayed(0), delayed(0));
    let outliers = "outliers: { latency: { factor: 2, at_least: 40ms, requests: 5 }, interval: 500ms, base_ejection: 1h }";
    let gateway = Gateway::start(&Config::before(&a).and(&b).and(&c).service(outliers));
    assert_eq!(eject(&gateway, &a.address())["cause"], "latency");
    is_left_alone(&gateway, &a);
}

#[test]
fn ejections_and_rows_survive_a_reload() {
    let ((a, a_says), (b, _)) = (settable(), settable());
    let outliers = "outliers: { consecutive_gateway_errors: 4, base_ejection: 1h }";
    let with = |stall: &str| {
        Config::before(&a).and(&b).service(&format!("{outliers}, timeouts: {{ stall: {stall} }}"))
    };
    let gateway = Gateway::start(&with("50s"));
    a_says.store(503, SeqCst);
    // Three errors: one too few.
    assert!(eventually(|| {
        let _ = gateway.get("/");
        a.requests().len() == 3
    }));
    gateway.write_config(&with("40s"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(ejected(&gateway), 0.0);
    assert!(eventually(|| {
        let _ = gateway.get("/");
        a.requests().len() == 4
    }));
    assert!(eventually(|| ejected(&gateway) == 1.0));
    gateway.write_config(&with("30s"));
    assert_eq!(gateway.reload().status, 200);
    let told = endpoint(&gateway, &a.address());
    assert_eq!((&told["ejected"]["times"], &told["available"]), (&1.into(), &false.into()));
    is_left_alone(&gateway, &a);
    // Where nobody is ejected any more, everybody is back.
    gateway.write_config(&Config::before(&a).and(&b).service("outliers: off"));
    assert_eq!(gateway.reload().status, 200);
    assert!(eventually(
        || ejected(&gateway) == 0.0 && endpoint(&gateway, &a.address())["available"] == true
    ));
    let before = a.requests().len();
    assert!(eventually(|| {
        let _ = gateway.get("/");
        a.requests().len() > before
    }));
}
