//! Active checks and ejections: what is meant by default, and what is refused.

use std::time::Duration;

use super::*;
use crate::model::{BodyTest, CheckKind, Service};

fn with(service: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\n\
         services: {{ s: {{ endpoints: [\"h:1\", \"h:2\", \"h:3\", \"h:4\", \"h:5\"], {service} }} }}\n"
    )
}

fn service(text: &str) -> Arc<Service> {
    Arc::clone(&good(&with(text)).config.services["s"])
}

/// The only finding, without its place.
fn only(service: &str) -> String {
    let mut findings = bad(&with(service));
    assert_eq!(findings.len(), 1, "{service}: {findings:?}");
    let finding = findings.remove(0);
    finding.split_once(' ').map_or(finding.clone(), |(_, message)| message.to_owned())
}

#[test]
fn nobody_asks_unless_told_to_and_gateway_errors_eject() {
    let plain = service("host: preserve");
    assert_eq!(plain.health, None);
    let outliers = plain.outliers.unwrap();
    assert_eq!(outliers.consecutive_gateway_errors, Some(5));
    assert_eq!(
        (outliers.consecutive_5xx, outliers.success_rate, outliers.latency),
        (None, None, None)
    );
    assert_eq!(outliers.base_ejection, Duration::from_secs(10));
    assert_eq!(outliers.max_ejection, Duration::from_secs(300));
    assert_eq!(outliers.max_ejected, 0.5);
    assert_eq!(service("outliers: off").outliers, None);
    assert_eq!(service("outliers: { consecutive_gateway_errors: off }").outliers, None);
    assert_eq!(service("health: { active: off }").health, None);
}

#[test]
fn the_short_form_is_a_request() {
    let short =
        service("health: { active: { path: \"/healthz?full=1\" } }").health.clone().unwrap();
    let long = service("health: { active: { http: { path: \"/healthz?full=1\" } } }");
    assert_eq!(Some(&short), long.health.as_ref());
    let CheckKind::Http(http) = &short.kind else { panic!("{short:?}") };
    assert_eq!(
        (&*http.path, http.query.as_deref(), &*http.method),
        ("/healthz", Some("full=1"), "GET")
    );
    assert_eq!((http.status.as_slice(), http.max_body), (&[(200, 299)][..], 64 << 10));
    assert_eq!(
        (short.interval, short.fast_interval),
        (Duration::from_secs(10), Duration::from_secs(1))
    );
    assert_eq!((short.timeout, short.jitter), (Duration::from_secs(3), 0.1));
    assert_eq!((short.healthy, short.unhealthy, short.initially_healthy), (2, 3, true));
}

#[test]
fn everything_can_be_said() {
    let full = service(
        "health: { active: { http: { path: /x, method: POST, host: \"a.example\", headers: { X-Probe: \"1\" }, \
         status: [204, \"300-399\"], body: { regex: \"o+k\" }, max_body: 1KiB }, interval: 500ms, \
         fast_interval: 100ms, timeout: 1s, jitter: 0%, healthy: 1, unhealthy: 1, initial: unhealthy, port: 81 } }",
    );
    let active = full.health.clone().unwrap();
    let CheckKind::Http(http) = &active.kind else { panic!("{active:?}") };
    assert_eq!(http.status, [(204, 204), (300, 399)]);
    assert!(matches!(&http.body, Some(BodyTest::Regex(regex)) if regex.is_match(b"it is ook.")));
    assert_eq!((active.port, active.initially_healthy, active.jitter), (Some(81), false, 0.0));
    let grpc =
        service("health: { active: { grpc: { service: shop.Carts } } }").health.clone().unwrap();
    assert_eq!(grpc.kind, CheckKind::Grpc { service: "shop.Carts".into(), host: None });
    assert_eq!(
        service("health: { active: { tcp: {} } }").health.clone().unwrap().kind,
        CheckKind::Tcp
    );
    let outliers = service(
        "outliers: { consecutive_5xx: 7, consecutive_gateway_errors: off, success_rate: {}, \
         latency: { factor: 2, at_least: 1s }, base_ejection: 10m, max_ejected: 100% }",
    );
    let outliers = outliers.outliers.unwrap();
    assert_eq!((outliers.consecutive_5xx, outliers.consecutive_gateway_errors), (Some(7), None));
    assert_eq!(outliers.success_rate.unwrap().deviations, 1.9);
    assert_eq!(outliers.latency.unwrap().factor, 2.0);
    // What is not written follows what is.
    assert_eq!(outliers.max_ejection, Duration::from_secs(600));
}

#[test]
fn faults_of_checks() {
    for (active, fault) in [
        ("path: healthz", "`healthz` is no path that can be asked for"),
        ("path: \"/a b\"", "`/a b` is no path that can be asked for"),
        ("path: \"/a#b\"", "`/a#b` is no path that can be asked for"),
        ("path: /a, tcp: {}", "a check is either `path` or `tcp`"),
        ("http: {}, grpc: {}", "a check is either `http` or `grpc`"),
        ("http: { method: CONNECT }", "`CONNECT` asks for a tunnel, which checks nothing"),
        ("http: { headers: { Host: x } }", "`host` has a key of its own"),
        (
            "http: { headers: { content-length: \"1\" } }",
            "`content-length` cannot be set: the gateway frames the request itself",
        ),
        ("http: { status: [] }", "`status` is an empty list"),
        ("http: { status: 100 }", "no reply ends with such a status"),
        ("http: { status: \"299-200\" }", "the range 299-200 is empty"),
        ("http: { status: ok }", "invalid value: `ok`"),
        ("http: { body: \"\" }", "the empty text is in any content"),
        (
            "http: { body: { regex: \"(\" } }",
            "this regular expression cannot be used: unclosed group",
        ),
        ("http: { max_body: 0 }", "this cannot be a limit for the content of a check"),
        ("interval: 0s", "a duration of zero makes no sense here"),
        ("interval: 1ms", "checks that often would be load"),
        ("fast_interval: 20s", "`fast_interval` is longer than `interval`"),
        ("jitter: 60%", "waits that differ by so much are no interval any more"),
        ("jitter: 0.1", "wrong type: a floating-point number"),
        ("healthy: 0", "so many checks in a row say nothing"),
        ("initial: down", "`down` is not known here"),
        ("port: 0", "0 is no port that can be connected to"),
        ("intervall: 1s", "unknown key `intervall`"),
    ] {
        let told = only(&format!("health: {{ active: {{ {active} }} }}"));
        assert!(told.starts_with(fault), "{active}: {told}");
    }
    assert_eq!(
        bad("listeners: { w: { address: \"127.0.0.1:0\" } }\n\
             services: { s: { endpoints: [\"unix:/s\"], health: { active: { tcp: {}, port: 1 } } } }\n"),
        ["2:77 the endpoint `unix:/s` has no ports"]
    );
}

#[test]
fn faults_of_ejections() {
    for (outliers, fault) in [
        ("consecutive_5xx: 0", "none in a row are always there"),
        ("max_ejected: 0%", "with nobody ever ejected nothing here has an effect"),
        ("max_ejected: 50", "wrong type: an integer"),
        ("max_ejection: 1s", "`max_ejection` is shorter than `base_ejection`"),
        ("success_rate: { deviations: 0 }", "that many deviations make no sense here"),
        ("success_rate: { requests: 0 }", "nothing can be judged without requests"),
        ("latency: { factor: 1 }", "half of the endpoints are slower than the middle"),
        ("latency: { endpoints: 2 }", "of two that differ nobody knows which is the odd one"),
        // What has no effect is worth a warning.
        ("latency: { endpoints: 6 }", "`outliers.latency` compares 6 endpoints or more"),
        ("success_rate: { deviations: 2 }", "of 5 endpoints none can be 2 standard deviations"),
    ] {
        let told = only(&format!("outliers: {{ {outliers} }}"));
        assert!(told.starts_with(fault), "{outliers}: {told}");
    }
}
