//! Policies for the sake of browsers, as they are read.

use std::time::Duration;

use super::{bad, good, yaml};
use crate::model::{CorsOrigins, Layered, OriginPort, Policies};

/// A configuration with these policies at the top.
fn global(policies: &[&str]) -> String {
    let text: String = policies.iter().map(|policy| format!("  - {policy}\n")).collect();
    format!("listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\npolicies:\n{text}")
}

fn policies(written: &str) -> std::sync::Arc<Policies> {
    good(&global(&[written])).config.process.policies.clone()
}

fn faults(written: &[&str]) -> Vec<String> {
    let faults = bad(&global(written));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let read = policies(
        "cors: { origins: [\"HTTPS://App.Example:443\", \"http://[::1]:3000\", \"null\", \"https://*.example.com\", \"http://localhost:*\", { regex: \"https://[a-z]+\\\\.dev\" }, \"app://x\"] }",
    );
    let Layered::On(cors) = &read.cors else { panic!("no policy") };
    let CorsOrigins::Some(set) = &cors.origins else { panic!("any origin") };
    for exact in ["https://app.example", "http://[::1]:3000", "null", "app://x"] {
        assert!(set.exact.contains(exact.as_bytes()), "{exact}");
    }
    assert_eq!(set.exact.len(), 4);
    assert_eq!(
        (&*set.patterns[0].host, set.patterns[0].port),
        (".example.com", OriginPort::Default)
    );
    assert_eq!((&*set.patterns[1].host, set.patterns[1].port), ("localhost", OriginPort::Any));
    assert!(set.regexes[0].is_match(b"https://a.dev"));
    assert!(
        !set.regexes[0].is_match(b"https://a.dev.evil")
            && !set.regexes[0].is_match(b"xhttps://a.dev")
    );
    assert_eq!((cors.max_age, cors.credentials), (Duration::from_secs(600), false));
    assert!(cors.methods.is_none() && cors.headers.is_none() && cors.expose.is_empty());
}

#[test]
fn what_origins_may_not_be() {
    for (origin, help) in [
        ("app.example", "scheme"),
        ("https://app.example/", "nothing behind"),
        ("https://user@app.example", "nothing behind"),
        ("https://app.example:99999", ""),
        ("https://app.example:", ""),
        ("https://*", ""),
        ("https://*example.com", ""),
        ("https://a.*.com", ""),
        ("https://bücher.example", "xn--"),
        ("1a://x", ""),
    ] {
        let text = global(&[&format!("cors: {{ origins: \"{origin}\" }}")]);
        let report = yaml(&text).load().unwrap_err().render(false);
        assert!(report.contains("is no origin"), "{origin}: {report}");
        assert!(report.contains(help), "{origin}: {report}");
    }
}

#[test]
fn what_does_not_go_together_is_a_fault() {
    for (policy, expected) in [
        ("cors: { origins: \"*\", credentials: true }", "`*` and `credentials` exclude each other"),
        ("cors: { origins: [\"*\", \"https://a.example\"] }", "`*` stands for this origin already"),
        ("cors: { origins: [] }", "`cors.origins` is an empty list"),
        (
            "cors: { origins: { regex: \"https?://.*\" }, credentials: true }",
            "this regular expression takes every origin",
        ),
        (
            "cors: { origins: [\"null\"], credentials: true }",
            "with `credentials`, the origin `null` is anybody's",
        ),
        (
            "cors: { origins: [\"https://a.example\", \"https://A.example:443\"] }",
            "this origin is here twice",
        ),
        (
            "cors: { origins: \"https://a.example\", expose: [\"*\"], credentials: true }",
            "with `credentials`, `*` is no wildcard",
        ),
        ("cors: { origins: \"https://a.example\", methods: [\"*\"] }", "a `*` is no method"),
        (
            "cors: { origins: \"https://a.example\", headers: [\"*\"] }",
            "a `*` is no name of a header field",
        ),
        (
            "cors: { origins: \"https://a.example\", max_age: 2d }",
            "no browser remembers it for longer than a day",
        ),
        ("csrf: { origins: \"*\" }", "with all origins this policy refuses nothing"),
        ("csrf: { origins: { regex: \".*\" } }", "this regular expression takes every origin"),
        ("security_headers: { hsts: { preload: true } }", "no list of browsers takes this host"),
        (
            "security_headers: { frame: deny, content_security_policy: \"frame-ancestors 'self'\" }",
            "`frame` is said twice",
        ),
        (
            "security_headers: { content_security_policy: \"default-src self\" }",
            "`self` without quotes is a host",
        ),
        ("security_headers: { referrer_policy: never }", "browsers know no `never` here"),
        (
            "security_headers: { cross_origin_opener_policy: same-site }",
            "browsers know no `same-site` here",
        ),
        ("security_headers: { permissions_policy: \"a\\nb\" }", "no header can have this value"),
        (
            "security_headers: { remove: [content-type] }",
            "clients need `content-type` to understand a reply",
        ),
        ("{ csrf: on, cors: off }", "`cors` and `csrf` are two policies"),
    ] {
        assert_eq!(faults(&[policy]), [expected], "{policy}");
    }
    assert_eq!(faults(&["csrf: on", "csrf: off"]), ["`csrf` is here twice"]);
}

#[test]
fn defaults_of_security_headers() {
    let set = |written: &str| -> Vec<String> {
        let read = policies(written);
        let Layered::On(headers) = &read.security_headers else { panic!("no policy") };
        let hsts = headers.hsts.iter().map(|value| format!("hsts: {value}"));
        let set = headers.set.iter().map(|field| format!("{}: {}", field.name, field.value));
        hsts.chain(set).collect()
    };
    assert_eq!(
        set("security_headers: on"),
        [
            "hsts: max-age=31536000",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "content-security-policy: frame-ancestors 'none'",
            "referrer-policy: strict-origin-when-cross-origin",
        ]
    );
    assert_eq!(
        set(
            "security_headers: { hsts: { include_subdomains: true, preload: true }, nosniff: false, frame: same_origin, content_security_policy: \"default-src 'self';\", referrer_policy: off }"
        ),
        [
            "hsts: max-age=31536000; includeSubDomains; preload",
            "x-frame-options: SAMEORIGIN",
            "content-security-policy: default-src 'self'; frame-ancestors 'self'",
        ]
    );
    let own = "security_headers: { hsts: off, nosniff: false, referrer_policy: off, content_security_policy: \"frame-ancestors https://a.example\" }";
    assert_eq!(set(own), ["content-security-policy: frame-ancestors https://a.example"]);
    assert!(matches!(policies("cors: off").cors, Layered::Off));
    assert!(matches!(policies("csrf: on").cors, Layered::Unsaid));
}
