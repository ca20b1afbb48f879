//! Stores that gateways share, and the policies that count in them.

use super::*;
use crate::model::{Address, OnFailure, Policy, Servers, SharingMode};

fn with(store: &str, policy: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nstores:\n  s:\n    {store}\nroutes:\n  r:\n    reply: {{}}\n    policies:\n      - {policy}\n"
    )
}

const LIMIT: &str = "rate_limit: { limit: 5, per: 1m, store: s }";

fn store(text: &str) -> Arc<crate::model::Store> {
    good(&with(text, LIMIT)).config.stores["s"].clone()
}

/// The faults, without their places.
fn faults(store: &str, policy: &str) -> Vec<String> {
    let faults = bad(&with(store, policy));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let store = store("redis: { address: \"127.0.0.1:6379\" }");
    let address = "127.0.0.1:6379".parse().unwrap();
    assert_eq!(store.servers, Servers::Single(Address::Ip(address)));
    assert_eq!((&*store.prefix, store.timeout.as_millis()), ("portcullis", 20));
    assert_eq!(
        (store.on_failure, store.database, store.tls.is_some()),
        (OnFailure::Local, 0, false)
    );
    let loaded = good(&with("redis: { cluster: [\"a.example:1\"] }", LIMIT));
    let Policy::RateLimit(policy) = &loaded.config.routes["r"].policies.limits[0] else {
        panic!("another policy");
    };
    let sharing = policy.sharing.as_ref().unwrap();
    assert_eq!((&*sharing.store, sharing.mode), ("s", SharingMode::Exact));
}

#[test]
fn sentinels_and_all_that_belongs_to_them() {
    let store = store(
        "redis: { sentinel: { addresses: [\"10.0.0.1:26379\"], primary: p, password: \"file:Cargo.toml\" }, database: 3, username: u, password: \"file:Cargo.toml\" }",
    );
    let Servers::Sentinel { addresses, primary, login, tls } = &store.servers else {
        panic!("other servers");
    };
    assert_eq!((addresses.len(), &**primary, tls.is_some()), (1, "p", false));
    assert!(login.password.is_some() && store.login.password.is_some());
    assert_eq!((store.login.username.as_deref(), store.database), (Some("u"), 3));
    assert!(!format!("{store:?}").contains("[package]"));
}

#[test]
fn faults_of_stores() {
    for (text, expected) in [
        ("redis: {}", "the store `s` is nowhere"),
        (
            "redis: { address: \"a:1\", cluster: [\"a:1\"] }",
            "a store has either `address` or `cluster`, not both",
        ),
        ("redis: { cluster: [] }", "`cluster` needs at least one address"),
        ("redis: { cluster: [\"unix:/a\"] }", "a cluster has no Unix socket"),
        ("redis: { cluster: [\"a:1\"], database: 1 }", "a cluster has one database, 0"),
        ("redis: { address: \"redis://a:1\" }", "`redis://a:1` is no address of an endpoint"),
        ("redis: { address: \"a:1\", username: u }", "a user without a password"),
        ("redis: { address: \"a:1\", password: \"\" }", "an empty password is none"),
        (
            "redis: { sentinel: { addresses: [\"a:1\"], primary: \"\" } }",
            "`` is no name of a primary",
        ),
        ("redis: { address: \"a:1\" }\n    timeout: 11s", "no request waits that long for a store"),
        ("redis: { address: \"a:1\" }\n    prefix: \"{a}\"", "`{a}` is no prefix of keys"),
    ] {
        let found = faults(text, LIMIT);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{text}: {found:?}");
    }
}

#[test]
fn faults_of_policies_that_count_in_stores() {
    let store = "redis: { address: \"a:1\" }";
    let found = faults(store, "rate_limit: { limit: 5, per: 1m, store: t }");
    assert!(found[0].contains("there is no store `t`"), "{found:?}");
    let found = faults(store, "quota: { limit: 5, per: day, mode: leased }");
    assert!(found[0].contains("without a store nobody counts together"), "{found:?}");
    let found =
        faults(store, "rate_limit: { limit: 5, per: 1m, store: s, mode: leased, on_limit: delay }");
    assert!(found[0].contains("with `leased` no request can wait for its turn"), "{found:?}");
    for policy in [
        "rate_limit: { limit: 16000000, per: 1m, store: s, mode: leased, cost: 8000001 }",
        "quota: { limit: 10000000000, per: day, store: s, mode: leased, cost: 8000001 }",
        "quota: { limit: 10000000000, per: day, store: s, mode: leased, cost: { header: x, max: 9000000 } }",
    ] {
        let found = faults(store, policy);
        assert!(found[0].contains("with `leased` no request costs more than 8000000"), "{found:?}");
        good(&with(store, &policy.replace("leased", "exact")));
    }
    let found = faults(store, "quota: { limit: 10000000000, per: day, cost: 4294967296 }");
    assert!(found[0].contains("no request costs more than 4294967295"), "{found:?}");
}

#[test]
fn missing_stores_are_found_wherever_a_policy_stands() {
    let text = "listeners: { w: { address: \"127.0.0.1:0\" } }\npolicies:\n  - quota: { limit: 5, per: day, store: gone }\nservices:\n  a:\n    endpoints: [\"127.0.0.1:1\"]\n    policies:\n      - quota: { limit: 5, per: day, store: gone }\nroutes: { r: { service: a } }\n";
    let found = bad(text);
    assert_eq!(found.iter().filter(|fault| fault.contains("there is no store `gone`")).count(), 2);
    assert!(found[0].starts_with("3:") || found[1].starts_with("3:"), "{found:?}");
}

#[test]
fn a_store_that_changes_is_told() {
    let mut loader = yaml(&with("redis: { address: \"a:1\" }", LIMIT));
    assert_eq!(loader.load().unwrap().changes.stores.added, ["s".into()]);
    loader.set_text(with("redis: { address: \"a:2\" }", LIMIT));
    let changes = loader.load().unwrap().changes;
    assert_eq!(changes.stores.changed, ["s".into()]);
    assert!(changes.routes.is_empty());
}
