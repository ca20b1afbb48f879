//! TLS: what is chosen, what is asked of clients, and what is wrong with it.

use super::*;
use crate::model::{ClientCertHeader, Config, TlsVersions};

/// A folder with a file of each kind.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("c.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.write("k.pem", "-----BEGIN EC PRIVATE KEY-----\n");
    folder.write("l.pem", "-----BEGIN X509 CRL-----\n");
    folder.write("der", "0\u{1}");
    folder
}

fn listener(more: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: c.pem, key: k.pem }}], {more} }} }} }}\n"
    )
}

fn loaded(name: &str, text: &str) -> Arc<Config> {
    let folder = folder(name);
    let path = folder.write("gate.yaml", text);
    Loader::new(&path).load().unwrap().config
}

/// Each fault with what helps.
fn faults(name: &str, text: &str) -> Vec<(String, String)> {
    let folder = folder(name);
    let path = folder.write("gate.yaml", text);
    let report = Loader::new(&path).load().unwrap_err();
    let told = |fault: &Fault| (fault.message.clone(), fault.help.clone().unwrap_or_default());
    report.faults().iter().map(told).collect()
}

#[test]
fn clients_may_be_asked_for_certificates() {
    let config = loaded("auth", &listener("client_auth: { ca: c.pem }"));
    let tls = config.listeners["w"].tls.clone().unwrap();
    let auth = tls.client_auth.as_ref().unwrap();
    assert!(auth.required && auth.revocation.lists.is_empty());
    assert_eq!(auth.headers, [ClientCertHeader::ClientCert]);

    let more = "client_auth: { mode: optional, ca: c.pem, crl: l.pem, crl_unknown: accept, headers: [subject, dns, subject] }";
    let config = loaded("auth2", &listener(more));
    let tls = config.listeners["w"].tls.clone().unwrap();
    let auth = tls.client_auth.as_ref().unwrap();
    assert!(!auth.required && auth.revocation.accept_unknown && !auth.revocation.accept_expired);
    assert_eq!(auth.headers, [ClientCertHeader::Subject, ClientCertHeader::Dns]);
    assert_eq!(auth.revocation.lists.len(), 1);
}

#[test]
fn faults_of_client_auth_are_told() {
    let faults = |name: &str, more: &str| faults(name, &listener(more));
    let told = faults("crl", "client_auth: { ca: k.pem, crl: [c.pem, der] }");
    assert_eq!(told[0].0, "there is no certificate in this file");
    assert_eq!(told[1].0, "there is no revocation list in this file");
    assert!(told[2].1.contains("openssl"), "{told:?}");
    let told = faults("mode", "client_auth: { ca: c.pem, mode: require }");
    assert_eq!(told[0], ("`require` is not known here".into(), "did you mean `required`?".into()));
    let told = faults("expired", "client_auth: { ca: c.pem, crl_expired: accept }");
    assert_eq!(told[0].0, "`crl_expired` says nothing without `crl`");
    let told = faults("headers", "client_auth: { ca: c.pem, headers: [sbject] }");
    assert_eq!(told[0].1, "did you mean `subject`?");
    let told = faults("ca", "client_auth: {}");
    assert_eq!(told[0].0, "`ca` is missing");
}

#[test]
fn versions_suites_and_curves_are_chosen() {
    let more = "min_version: 1.2, max_version: \"1.2\", ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256], curves: [P-256, x25519]";
    let config = loaded("choices", &listener(more));
    let choices = &config.listeners["w"].tls.as_ref().unwrap().choices;
    assert_eq!(choices.versions, TlsVersions::Only12);
    assert_eq!((choices.suites.len(), choices.curves.len()), (1, 2));
    let config = loaded("none", &listener("require_sni: true"));
    assert_eq!(config.listeners["w"].tls.as_ref().unwrap().choices, Default::default());
}

#[test]
fn choices_that_leave_nothing_are_faults() {
    for (name, more, message, help) in [
        (
            "no12",
            "ciphers: [TLS_AES_128_GCM_SHA256]",
            "no cipher suite of TLS 1.2 is left",
            "add one, or set `min_version: \"1.3\"`",
        ),
        (
            "no13",
            "ciphers: [ECDHE-RSA-AES128-GCM-SHA256]",
            "no cipher suite of TLS 1.3 is left",
            "add one, or set `max_version: \"1.2\"`",
        ),
        (
            "only13",
            "min_version: 1.3, ciphers: [ECDHE-RSA-AES128-GCM-SHA256]",
            "no cipher suite of TLS 1.3 is left",
            "add one",
        ),
        (
            "nocurve",
            "curves: [X25519MLKEM768]",
            "no curve of TLS 1.2 is left",
            "add one, or set `min_version: \"1.3\"`",
        ),
        ("empty", "ciphers: []", "TLS needs at least one cipher suite", ""),
        ("order", "min_version: 1.3, max_version: 1.2", "`min_version` is above `max_version`", ""),
        (
            "typo",
            "ciphers: [TLS_AES_128_GMC_SHA256]",
            "`TLS_AES_128_GMC_SHA256` is no cipher suite that is spoken",
            "did you mean `TLS_AES_128_GCM_SHA256`?",
        ),
        (
            "curve",
            "curves: [x25591]",
            "`x25591` is no curve that is spoken",
            "did you mean `x25519`?",
        ),
        ("twice", "curves: [P-256, prime256v1]", "the curve `prime256v1` is here twice", ""),
    ] {
        assert_eq!(faults(name, &listener(more)), [(message.into(), help.into())], "{name}");
    }
    let old = faults("old", &listener("ciphers: [AES128-SHA]"));
    assert!(old[0].1.starts_with("spoken are `TLS_AES_128_GCM_SHA256`, "), "{old:?}");
}

#[test]
fn services_have_the_same_choices() {
    let service = |tls: &str| {
        format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices: {{ s: {{ endpoints: [\"h:1\"], tls: {{ {tls} }} }} }}\n"
        )
    };
    let config = loaded("service", &service("crl: [l.pem], crl_expired: accept, max_version: 1.2"));
    let tls = config.services["s"].tls.clone().unwrap();
    assert_eq!(tls.choices.versions, TlsVersions::Only12);
    assert!(tls.revocation.accept_expired);
    let told = faults("unverified", &service("crl: [l.pem], verify: false"));
    assert_eq!(told[0].0, "revocation is not checked where `verify` is false");
    let told = faults("ocsp", &service("certificate: { cert: c.pem, key: k.pem, ocsp: der }"));
    assert_eq!(told[0].0, "`ocsp` is for certificates that are shown to clients");
}
