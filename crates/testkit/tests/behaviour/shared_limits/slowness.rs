//! Stores that answer, but late.

use std::time::Duration;

use portcullis_testkit::redis::{Redis, redis_is_here};
use portcullis_testkit::{Detour, Gateway, Load, Origin, eventually};

use super::{ask, gateway, origin};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn far(redis: &Redis) -> (Detour, String) {
    let detour = Detour::to(([127, 0, 0, 1], redis.port()).into());
    let address = format!("address: \"{}\"", detour.address());
    (detour, address)
}

fn calls(gateway: &Gateway, result: &str) -> f64 {
    gateway.metric("portcullis_store_calls_total", &format!("result=\"{result}\""))
}

fn is_up(gateway: &Gateway) -> bool {
    gateway.metric("portcullis_store_up", "") > 0.0
}

/// Milliseconds that a request took.
fn took(gateway: &Gateway, path: &str) -> u64 {
    gateway.logged_request(path)["duration_us"].as_u64().unwrap() / 1000
}

#[test]
fn a_store_that_is_slow_but_in_time_counts_exactly() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), origin());
    let (detour, address) = far(&redis);
    let policy = "rate_limit: { by: { header: k }, limit: 3, per: 1d, store: limits }";
    let gateway = gateway(&origin, policy, &address, "timeout: 8s, on_failure: closed");
    assert!(eventually(|| is_up(&gateway)));
    detour.delay(Duration::from_millis(150));
    let gateway = &gateway;
    let mut seen = std::thread::scope(|scope| {
        let asked = [(); 12].map(|()| scope.spawn(|| ask(gateway, "a")));
        asked.map(|one| one.join().unwrap())
    });
    seen.sort_unstable();
    assert_eq!(seen[..3], [200; 3]);
    assert_eq!(seen[3..], [429; 9]);
    assert!(took(gateway, "/a") >= 150, "the store was asked");
    assert!(is_up(gateway));
}

#[test]
fn a_store_that_is_too_slow_holds_nobody_up_and_is_found_again() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), origin());
    let (detour, address) = far(&redis);
    let policy = "rate_limit: { by: { header: k }, limit: 3, per: 1d, store: limits }";
    let gateway = gateway(&origin, policy, &address, "timeout: 1s, on_failure: local");
    assert!(eventually(|| is_up(&gateway)));
    assert_eq!(ask(&gateway, "before"), 200);
    // Every call ends well, and long after anybody waits for it.
    detour.delay(Duration::from_secs(6));
    let statuses: Vec<u16> = (0..6).map(|_| ask(&gateway, "slow")).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429], "by the gateway's own count");
    assert!(calls(&gateway, "timeout") >= 1.0);
    assert!(took(&gateway, "/slow") < 5000, "not as long as the store takes");
    assert!(eventually(|| !is_up(&gateway)));
    let asked = calls(&gateway, "skipped");
    assert_eq!(ask(&gateway, "skips"), 200);
    assert!(calls(&gateway, "skipped") > asked, "it is not even asked any more");
    detour.delay(Duration::ZERO);
    assert!(eventually(|| is_up(&gateway)));
    // Answers that come after all are nobody's: each request gets its own.
    for key in ["x", "y", "z"] {
        let statuses: Vec<u16> = (0..5).map(|_| ask(&gateway, key)).collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429], "{key}");
    }
}

#[test]
fn shares_are_filled_by_a_slow_store_and_nobody_waits() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::replying(ANSWER));
    let (detour, address) = far(&redis);
    let policy = "rate_limit: { limit: 10000000, per: 1d, store: limits, mode: leased }";
    let gateway = gateway(&origin, policy, &address, "timeout: 250ms, on_failure: closed");
    assert!(eventually(|| is_up(&gateway)));
    let load = Load::start(gateway.address(), "/", 4);
    load.wait_for_more(2000);
    // Longer than any request may wait, and shorter than the background is ready to.
    detour.delay(Duration::from_millis(500));
    let filled = || gateway.metric("portcullis_store_lease_calls_total", "");
    let (timeouts, before) = (calls(&gateway, "timeout"), filled());
    assert!(eventually(|| filled() >= before + 3.0));
    load.wait_for_more(1000);
    let report = load.stop();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(calls(&gateway, "timeout"), timeouts);
    assert!(is_up(&gateway));
}
