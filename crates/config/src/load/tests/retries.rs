//! Retries, backups, fallbacks and breakers: what they become, and what is wrong with them.

use std::time::Duration;

use super::*;
use crate::model::{RetryBudget, TripShare};

fn services(text: &str) -> String {
    format!("listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n{text}")
}

fn of_service(keys: &str) -> Vec<String> {
    let faults = bad(&services(&format!("  s: {{ endpoints: [\"h:1\"], {keys} }}\n")));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

fn of_route(keys: &str) -> Vec<String> {
    let text = services("  s: { endpoints: [\"h:1\"] }\n");
    let faults = bad(&format!("{text}routes:\n  r: {{ {keys} }}\n"));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn defaults() {
    let mut config = yaml(&services(
        "  a: { endpoints: [\"h:1\"] }\n  b: { endpoints: [\"h:1\"], retries: {}, breaker: { errors: {} } }\n",
    ));
    let config = config.load().unwrap().config;
    let plain = &config.services["a"];
    let unasked = plain.retries.as_deref().unwrap();
    assert!(unasked.elsewhere && unasked.on.reset && unasked.on.refused && !unasked.on.timeout);
    assert_eq!((unasked.attempts, unasked.on.statuses.len()), (2, 0));
    assert_eq!(plain.retry_budget, Some(RetryBudget { share: 0.2, minimum: 3 }));
    let retries = config.services["b"].retries.as_deref().unwrap();
    assert_eq!((retries.attempts, retries.elsewhere), (3, false));
    assert!(retries.on.has_status(503) && !retries.on.has_status(500) && !retries.on.has_grpc(14));
    assert!(!retries.methods.iter().any(|method| &**method == "POST"));
    assert_eq!((retries.buffer, retries.retry_after), (65_536, Duration::from_secs(1)));
    let trip = config.services["b"].breaker.trip.unwrap();
    assert_eq!(trip.errors, Some(TripShare { share: 0.5, at_least: 20 }));
    assert_eq!((trip.slow, trip.probes), (None, 3));
}

#[test]
fn causes_are_words_statuses_and_codes() {
    let mut config = yaml(&services(
        "  s: { endpoints: [\"h:1\"], retries: { on: [reset, 429, \"503\", unavailable, ABORTED] } }\n",
    ));
    let config = config.load().unwrap().config;
    let on = &config.services["s"].retries.as_ref().unwrap().on;
    assert!(on.reset && !on.timeout && on.has_status(429) && on.has_status(503));
    assert!(on.has_grpc(14) && on.has_grpc(10) && !on.has_grpc(0) && !on.has_grpc(200));
}

#[test]
fn impossible_retries() {
    for (keys, fault) in [
        ("attempts: 1", "one attempt leaves nothing to retry"),
        ("attempts: 11", "a request is sent at most 10 times"),
        ("on: []", "`on` is an empty list, so nothing is retried"),
        ("on: [200]", "a reply of status 200 is no failure"),
        ("on: [OK]", "a call that ended with `OK` is no failure"),
        ("on: [rest]", "`rest` is not known here"),
        ("methods: [post]", "`post` is no known method: case counts"),
        ("backoff: { base: 1s, max: 10ms }", "`max` is less than `base`"),
        ("backoff: { base: 0 }", "a duration of zero makes no sense here"),
        ("buffer: 1GiB", "every request with content may take so much memory"),
        ("budget: { share: \"0%\", minimum: 0 }", "a budget of nothing allows no retry"),
        ("per_try_timeout: 0", "a duration of zero makes no sense here"),
    ] {
        assert_eq!(of_service(&format!("retries: {{ {keys} }}")), [fault], "{keys}");
    }
    assert_eq!(
        of_route("service: s, retries: { budget: {} }"),
        ["a route has no retry budget of its own"]
    );
    assert_eq!(
        of_route("reply: {}, retries: {}"),
        ["a route with `reply` has no use for `retries`"]
    );
    assert_eq!(
        of_route("redirect: { to: / }, fallback: {}"),
        ["a route with `redirect` has no use for `fallback`"]
    );
}

#[test]
fn impossible_breakers() {
    for (keys, fault) in [
        ("{}", "this breaker never does anything"),
        ("{ limits: { requests: 0 } }", "a limit of 0 lets nothing through"),
        ("{ limits: { pending: 1 }, open: 1s }", "`open` means nothing: this breaker never opens"),
        (
            "{ errors: { share: \"0%\" } }",
            "with a share of `0%` the breaker opens though all is well",
        ),
        ("{ errors: { at_least: 0 } }", "a share of nothing says nothing"),
        ("{ errors: {}, window: 1ms }", "so short or long a window tells nothing"),
        ("{ errors: {}, open: 2s, max_open: 1s }", "`max_open` is less than `open`"),
        (
            "{ errors: {}, probes: 0 }",
            "without probes nobody learns that the service is well again",
        ),
        ("{ slow: {} }", "`over` is missing"),
    ] {
        assert_eq!(of_service(&format!("breaker: {keys}")), [fault], "{keys}");
    }
}

#[test]
fn backups_lead_somewhere_and_not_in_a_circle() {
    assert_eq!(of_service("backup: s"), ["a service cannot be its own backup"]);
    assert_eq!(of_service("backup: t"), ["there is no service `t`"]);
    let text = services(
        "  a: { endpoints: [\"h:1\"], backup: b }\n  b: { endpoints: [\"h:1\"], backup: c }\n  c: { endpoints: [\"h:1\"], backup: b }\n",
    );
    assert_eq!(bad(&text), ["4:36 these services back each other up in a circle: `b`, `c`"]);
    let text = services(
        "  a: { endpoints: [\"h:1\"], backup: b }\n  b: { endpoints: [\"h:1\"], backup: c }\n  c: { endpoints: [\"h:1\"] }\n",
    );
    assert!(yaml(&text).load().is_ok());
}
