//! Tokens that are shown to services.

use super::*;
use crate::model::{ClientProof, Granter};

const ISSUERS: &str = "issuers: { main: { issuer: \"https://id.example\" }, keys: { issuer: k, jwks_url: \"https://id.example/k\" } }";

fn with(token: &str, more: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\n{ISSUERS}\nservices:\n  s: {{ endpoints: [\"h:1\"], upstream_token: {{ {token} }} }}\nroutes: {{ r: {{ service: s }} }}\n{more}"
    )
}

/// The faults, without their places.
fn faults(token: &str) -> Vec<String> {
    let faults = bad(&with(token, ""));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

const CLIENT: &str = "client: { id: gw, secret: s }";

#[test]
fn what_is_asked_for_is_told_as_it_is_sent() {
    let token = format!(
        "issuer: main, {CLIENT}, scopes: [a, b, a], resource: [\"urn:x\"], parameters: {{ audience: y }}"
    );
    let loaded = good(&with(&token, ""));
    let token = loaded.config.services["s"].upstream_token.clone().unwrap();
    let told: Vec<_> = token.parameters.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(told, [("scope", "a b"), ("resource", "urn:x"), ("audience", "y")]);
    assert!(matches!(token.client.proof, ClientProof::Basic(_)));
    assert_eq!(token.refresh_ahead.as_secs(), 60);
    let alone = format!("endpoint: \"https://id.example/t\", timeout: 1s, {CLIENT}");
    let loaded = good(&with(&alone, ""));
    let other = loaded.config.services["s"].upstream_token.clone().unwrap();
    assert!(matches!(&other.granter, Granter::Address { timeout, .. } if timeout.as_secs() == 1));
    assert!(!token.grants_the_same(&other) && token.grants_the_same(&token));
}

#[test]
fn what_cannot_be_got_is_a_fault() {
    for (token, fault) in [
        (CLIENT.to_owned(), "nobody is named who grants this token"),
        (format!("issuer: none, {CLIENT}"), "there is no issuer `none`"),
        (
            format!("issuer: keys, {CLIENT}"),
            "the issuer `keys` has no metadata that say where it grants",
        ),
        (
            format!("issuer: main, {CLIENT}, timeout: 1s"),
            "that of the issuer holds: `timeout` is idle",
        ),
        ("issuer: main, client: { id: gw }".into(), "a public client gets no token for itself"),
        (format!("issuer: main, {CLIENT}, refresh_ahead: 2h"), "this time makes no sense here"),
        (
            format!("issuer: main, {CLIENT}, parameters: {{ scope: x }}"),
            "`scope` is the gateway's own to say",
        ),
        (format!("issuer: main, {CLIENT}, resource: \"a b\""), "`a b` is no resource"),
    ] {
        assert_eq!(faults(&token), [fault], "{token}");
    }
    let explicit = format!("issuer: keys, endpoint: \"https://id.example/t\", {CLIENT}");
    good(&with(&explicit, ""));
}

#[test]
fn bytes_of_a_tcp_route_show_no_token() {
    let token = format!("issuer: main, {CLIENT}");
    let text = with(&token, "tcp_routes: { t: { listener: raw, service: s } }\n").replace(
        "listeners: { ",
        "listeners: { raw: { address: \"127.0.0.1:0\", protocol: tcp }, ",
    );
    let faults = bad(&text);
    assert!(faults[0].contains("the TCP route `t` cannot show a token to `s`"), "{faults:?}");
}
