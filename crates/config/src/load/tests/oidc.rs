//! Faults of logins, and what they are by default.

use std::time::Duration;

use super::faults::only;
use super::yaml;
use crate::model::{ClientProof, Layered, Method, Oidc};

/// A configuration with this policy.
fn text(policy: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\", forwarded: {{ hops: 1 }} }} }}\n\
         issuers: {{ main: {{ issuer: \"https://id.example\" }} }}\n\
         stores: {{ kept: {{ redis: {{ address: \"127.0.0.1:6379\" }} }} }}\n\
         policies: [oidc: {{ {policy} }}]\n"
    )
}

const CLIENT: &str = "issuer: main, client: { id: shop, secret: s }";
const SESSION: &str = "session: { secret: 0123456789abcdef0123456789abcdef }";

fn with(more: &str) -> String {
    text(&format!("{CLIENT}, {SESSION}, {more}"))
}

fn session(more: &str) -> String {
    text(&format!("{CLIENT}, session: {{ {more} }}"))
}

fn client(client: &str) -> String {
    text(&format!("issuer: main, client: {{ {client} }}, {SESSION}"))
}

fn loaded(text: &str) -> std::sync::Arc<Oidc> {
    let loaded = yaml(text).load().unwrap_or_else(|report| panic!("{report}"));
    let Layered::On(authentication) = &loaded.config.process.policies.authentication else {
        panic!("no policy")
    };
    match &authentication.method {
        Some(Method::Oidc(oidc)) => oidc.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn little_needs_to_be_said() {
    let oidc = loaded(&text(&format!("{CLIENT}, {SESSION}")));
    assert_eq!(&*oidc.scopes, "openid");
    assert_eq!(&*oidc.callback, "/.portcullis/callback");
    assert_eq!((&*oidc.logout.path, &*oidc.logout.then), ("/.portcullis/logout", "/"));
    assert!(oidc.logout.end_session && !oidc.plain_http && !oidc.user_info);
    assert_eq!(oidc.session.idle, Duration::from_secs(1800));
    assert_eq!(oidc.session.lifetime, Duration::from_secs(43_200));
    assert_eq!(oidc.login_timeout, Duration::from_secs(600));
    assert_eq!(oidc.refresh_ahead, Duration::from_secs(60));
    assert!(oidc.session.cookie.starts_with("portcullis-") && oidc.session.cookie.len() == 19);
    assert!(matches!(oidc.client.proof, ClientProof::Basic(_)));
    let other = loaded(&client("id: other"));
    assert_ne!(oidc.session.cookie, other.session.cookie, "each client has its own");
    assert_eq!(other.client.proof, ClientProof::None);
    let more = loaded(&with("scopes: [openid, email], origin: \"https://Shop.example\""));
    assert_eq!(
        (&*more.scopes, more.origin.as_deref()),
        ("openid email", Some("https://shop.example"))
    );
}

#[test]
fn mistakes_are_told() {
    for (text, message) in [
        (session("secret: short"), "this secret is too short"),
        (session("secret: []"), "sessions are sealed with a secret"),
        (
            session("secret: 0123456789abcdef0123456789abcdef, cookie: __Host-x"),
            "`__Host-x` is no name for this cookie",
        ),
        (
            session("secret: 0123456789abcdef0123456789abcdef, cookie: \"a b\""),
            "`a b` is no name for this cookie",
        ),
        (
            session("secret: 0123456789abcdef0123456789abcdef, idle: 0s"),
            "this time is out of range",
        ),
        (
            session("secret: 0123456789abcdef0123456789abcdef, lifetime: 400d"),
            "this time is out of range",
        ),
        (
            session("secret: 0123456789abcdef0123456789abcdef, store: keep"),
            "there is no store `keep`",
        ),
        (with("login_timeout: 2h"), "this time is out of range"),
        (with("refresh_ahead: 2h"), "tokens are not renewed so early"),
        (with("callback: x"), "`x` is no path that can be the gateway's"),
        (with("callback: /a/../b"), "`/a/../b` is no path that can be the gateway's"),
        (with("callback: \"/a?b\""), "`/a?b` is no path that can be the gateway's"),
        (with("callback: /.portcullis/logout"), "`callback` and `logout` need two paths"),
        (with("origin: shop.example"), "`shop.example` is no origin"),
        (with("origin: \"https://shop.example/x\""), "`https://shop.example/x` is no origin"),
        (with("origin: \"http://shop.example\""), "browsers log in over TLS"),
        (
            with("logout: { then: \"//evil.example\" }"),
            "`//evil.example` is nowhere to go after logging out",
        ),
        (with("parameters: { state: x }"), "`state` is the gateway's own to say"),
        (with("scopes: \"a b\""), "`a b` is no scope"),
        (with("access_token_header: host"), "no claim is written to `host`"),
        (
            with("access_token_header: x-a, claims_to_headers: { X-A: sub }"),
            "a claim is written to `x-a` already",
        ),
        (with("require_consumer: false"), "no claim names a consumer"),
        (client("id: \"\""), "`` is no client's id"),
        (client("id: a, auth: client_secret_post"), "this client needs a `secret`"),
        (client("id: a, auth: private_key_jwt"), "this client needs a `private_key`"),
        (client("id: a, private_key: x"), "this private key cannot be used"),
        (client("id: a, secret: s, key_id: k"), "this client has no use for its `key_id`"),
        (client("id: a, secret: s, auth: none"), "this client has no use for its `secret`"),
        (
            text(&format!("issuer: other, client: {{ id: a }}, {SESSION}")),
            "there is no issuer `other`",
        ),
    ] {
        assert_eq!(only(&text), message, "{text}");
    }
    assert!(loaded(&with("plain_http: true, origin: \"http://localhost:8000\"")).plain_http);
}

#[test]
fn a_login_that_cannot_work_is_told() {
    let keyed = text(&format!("{CLIENT}, {SESSION}"))
        .replace("example\" }", "example\", jwks_url: \"https://id.example/keys\" }");
    assert_eq!(only(&keyed), "nobody knows where to log in with the issuer `main`");
    let plain = |policy: &str| text(policy).replace(", forwarded: { hops: 1 }", "");
    let message = "no browser can log in here: no listener is reached over TLS";
    assert_eq!(only(&plain(&format!("{CLIENT}, {SESSION}"))), message);
    loaded(&plain(&format!("{CLIENT}, {SESSION}, plain_http: true")));
}

#[test]
fn a_secret_that_providers_may_refuse_is_warned_of_and_not_shown() {
    for (secret, place) in [("gr\u{fc}n-7hU3", 3), ("7hU3\\n", 5), ("\\t7hU3", 1)] {
        let text = client(&format!("id: a, secret: \"{secret}\""));
        let warnings = yaml(&text).load().unwrap_or_else(|report| panic!("{report}")).warnings;
        let [fault] = warnings.faults() else { panic!("{warnings}") };
        assert_eq!(
            fault.message,
            "this secret has a character that OAuth does not know in secrets"
        );
        let label = &fault.places[0].label;
        assert!(label.starts_with(&format!("character {place} is neither")), "{label}");
        assert!(!fault.message.contains("7hU3") && !label.contains("7hU3"));
    }
    let good = yaml(&client("id: a, secret: \" ~!\"")).load();
    assert!(good.unwrap_or_else(|report| panic!("{report}")).warnings.is_empty());
}
