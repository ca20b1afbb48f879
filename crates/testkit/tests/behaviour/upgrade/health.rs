//! What is known of endpoints passes to the new process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use portcullis_testkit::{Config, Gate, Gateway, Origin, Starting, eventually};
use serde_json::Value;

/// What the admin listener tells of the endpoint with this address.
fn endpoint(gateway: &Gateway, address: &str) -> Value {
    let page: Value = serde_json::from_str(&gateway.admin("GET", "/endpoints").text()).unwrap();
    let endpoints = page["services"]["origin"]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["address"] == address).unwrap().clone()
}

#[test]
fn a_verdict_goes_on_and_nobody_waits_for_checks() {
    let held = Gate::new();
    let (checks, gate) = (Arc::new(AtomicUsize::new(0)), held.clone());
    let counted = checks.clone();
    // Each process's checks behind the first of all are never answered.
    let origin = Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/healthz" && counted.fetch_add(1, SeqCst) > 0 {
                gate.pass();
                return;
            }
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let active = "path: /healthz, interval: 10m, timeout: 10m, initial: unhealthy";
    let config = Config::before(&origin).service(&format!("health: {{ active: {{ {active} }} }}"));
    let gateway = Starting::new(&config).replaceable().start();
    let verdict = || endpoint(&gateway, &origin.address())["check"]["verdict"].clone();
    assert!(eventually(|| verdict() == "healthy"));
    let old = gateway.pid();
    assert_ne!(gateway.upgrade(), old);
    let told = endpoint(&gateway, &origin.address());
    assert_eq!((&told["available"], &told["check"]["verdict"]), (&true.into(), &"healthy".into()));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    // It finds out for itself nevertheless.
    assert!(eventually(|| checks.load(SeqCst) >= 2));
    held.open();
}

#[test]
fn an_ejection_goes_on() {
    let bad = Origin::replying("HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno");
    let good = Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let outliers = "outliers: { consecutive_gateway_errors: 2, base_ejection: 10m }";
    let config = Config::before(&bad).and(&good).service(outliers);
    let gateway = Starting::new(&config).replaceable().start();
    let ejected = || endpoint(&gateway, &bad.address())["ejected"].clone();
    assert!(eventually(|| {
        let _ = gateway.get("/");
        !ejected().is_null()
    }));
    let before = ejected();
    gateway.upgrade();
    let after = ejected();
    for same in ["cause", "times"] {
        assert_eq!(after[same], before[same], "{after}");
    }
    assert!(after["ends_in_s"].as_f64() <= before["ends_in_s"].as_f64(), "{before} {after}");
    for _ in 0..8 {
        assert_eq!(gateway.get("/").status, 200);
    }
}
