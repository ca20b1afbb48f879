//! Sets of the RFCs, and keys that must not be used.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::*;
use crate::Signer;
use crate::algorithm::Algorithms;
use crate::testing::{keys, pem, rsa_pem, set, signer, verify};

fn vectors() -> Value {
    let vectors = include_str!("../../../tests/vectors/rfc.json");
    serde_json::from_str::<Value>(vectors).unwrap()["sets"].take()
}

fn read(json: &Value) -> Result<KeySet, KeyError> {
    KeySet::from_jwks(json.to_string().as_bytes(), KeySetLimits::default())
}

/// Why a set of one key has none that can be used.
fn why(key: &Value) -> KeyError {
    let mut set = set(&json!({"keys": [key]}));
    assert!(set.is_empty(), "{key}");
    set.skipped.remove(0).why
}

/// The good key of RSA, changed.
fn rsa(change: impl FnOnce(&mut Value)) -> Value {
    let mut key = vectors()["RFC 7517 appendix A.1"]["keys"][1].take();
    change(&mut key);
    key
}

fn ec() -> Value {
    signer(Algorithm::Es256).public_jwk().unwrap()
}

fn changed(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key[member] = value.into();
    key
}

#[test]
fn the_sets_of_the_rfc_are_read() {
    let vectors = vectors();
    for appendix in ["A.1", "A.2"] {
        let set = read(&vectors[format!("RFC 7517 appendix {appendix}")]).unwrap();
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.keys()[0].kid(), Some("2011-04-29"));
        assert_eq!(set.keys()[0].algorithms(), Algorithms::NONE.with(Algorithm::Rs256));
        assert_eq!(set.skipped()[0].why, KeyError::Use);
    }
    let symmetric = &vectors["RFC 7517 appendix A.3"];
    let kept = set(symmetric);
    assert_eq!(kept.keys().len(), 1);
    assert_eq!(kept.skipped()[0].why, KeyError::Algorithm);
    let refused = read(symmetric).unwrap();
    assert!(refused.is_empty());
    assert_eq!(refused.skipped()[1].why, KeyError::Symmetric);
    let single = read(&vectors["RFC 7517 appendix B"]).unwrap();
    assert_eq!(single.keys()[0].kid(), Some("1b94c"));
    assert_eq!(single.keys()[0].algorithms().iter().count(), 6);
}

#[test]
fn a_document_that_is_no_set_is_refused() {
    for json in [json!({}), json!({"keys": {}}), json!({"keys": [1]}), json!({"keys": null})] {
        assert_eq!(read(&json).unwrap_err(), KeyError::NotASet, "{json}");
    }
    assert_eq!(read(&json!({"keys": [], "kty": "RSA"})).unwrap_err(), KeyError::NotASet);
    assert_eq!(read(&json!([])).unwrap_err(), KeyError::Json(crate::JsonError::NotAnObject));
    let text = br#"{"keys":[],"keys":[]}"#;
    let limits = KeySetLimits::default();
    let refused = KeySet::from_jwks(text, limits).unwrap_err();
    assert_eq!(refused, KeyError::Json(crate::JsonError::Duplicate));
    assert!(read(&json!({"keys": []})).unwrap().is_empty());
}

#[test]
fn a_set_is_bounded() {
    let many = json!({"keys": vec![json!({"kty": "unknown"}); 101]});
    assert_eq!(read(&many).unwrap_err(), KeyError::TooMany { limit: 100 });
    let limits = KeySetLimits { bytes: 10, ..KeySetLimits::default() };
    let long = KeySet::from_jwks(br#"{"keys":[]}"#, limits).unwrap_err();
    assert_eq!(long, KeyError::TooLong { bytes: 11, limit: 10 });
}

#[test]
fn keys_that_are_not_for_signatures_are_skipped() {
    assert_eq!(why(&changed(ec(), "use", "enc")), KeyError::Use);
    assert_eq!(why(&changed(ec(), "use", "SIG")), KeyError::Use);
    assert_eq!(why(&changed(ec(), "use", 1)), KeyError::Member { member: "use" });
    assert_eq!(why(&changed(ec(), "key_ops", json!(["sign"]))), KeyError::Operations);
    assert_eq!(why(&changed(ec(), "key_ops", json!([]))), KeyError::Operations);
    assert_eq!(why(&changed(ec(), "key_ops", "verify")), KeyError::Member { member: "key_ops" });
    assert_eq!(set(&changed(ec(), "key_ops", json!(["verify"]))).keys().len(), 1);
}

#[test]
fn kinds_and_algorithms_must_go_together() {
    for algorithm in ["RS256", "HS256", "ES384", "EdDSA", "none", "ECDH-ES", "es256", ""] {
        assert_eq!(why(&changed(ec(), "alg", algorithm)), KeyError::Algorithm, "{algorithm}");
    }
    assert_eq!(why(&changed(ec(), "alg", 1)), KeyError::Member { member: "alg" });
    assert_eq!(why(&rsa(|key| key["alg"] = "HS256".into())), KeyError::Algorithm);
    assert_eq!(why(&changed(ec(), "kty", "RSA")), KeyError::Member { member: "n" });
    assert_eq!(why(&changed(ec(), "kty", "ec")), KeyError::Kind);
    assert_eq!(why(&json!({})), KeyError::Kind);
    assert_eq!(why(&json!({"kty": "OKP", "crv": "X25519", "x": "AA"})), KeyError::Curve);
    assert_eq!(why(&json!({"kty": "OKP", "crv": "Ed448", "x": "AA"})), KeyError::Curve);
}

#[test]
fn a_key_is_used_only_for_the_algorithm_that_it_names() {
    let signer = signer(Algorithm::Ps256);
    let text = signer.sign("JWT", &json!({})).unwrap();
    let keys = KeySet::from_pem(rsa_pem().as_bytes()).unwrap();
    assert!(verify(&text, &keys).is_ok());
    let pinned = rsa(|_| {});
    let refused = verify(&text, &set(&pinned)).unwrap_err();
    assert!(matches!(refused, TokenError::UnknownKey { .. }), "{refused}");
}

#[test]
fn weak_and_odd_keys_of_rsa_are_refused() {
    let modulus = |bits: usize| {
        let mut n = vec![0xff; bits / 8];
        n[0] = 0x80;
        base64url(&n)
    };
    for bits in [8, 512, 1024, 2040] {
        assert_eq!(why(&rsa(|key| key["n"] = modulus(bits).into())), KeyError::RsaSize { bits });
    }
    assert_eq!(why(&rsa(|key| key["n"] = modulus(8200).into())), KeyError::RsaSize { bits: 8200 });
    // Bytes in front that are zero do not make a key longer.
    let padded = [vec![0; 128], vec![0xff; 128]].concat();
    let why_padded = why(&rsa(|key| key["n"] = base64url(&padded).into()));
    assert_eq!(why_padded, KeyError::RsaSize { bits: 1024 });
    let even = [vec![0xff; 255], vec![0xfe]].concat();
    assert_eq!(why(&rsa(|key| key["n"] = base64url(&even).into())), KeyError::RsaNumbers);
    for e in [&[1][..], &[0], &[2], &[0, 0, 1], &[1, 0, 0], &[1, 0, 0, 0, 1], &[0xff; 256]] {
        let refused = why(&rsa(|key| key["e"] = base64url(e).into()));
        assert_eq!(refused, KeyError::RsaNumbers, "{e:?}");
    }
    for (member, odd) in [("n", ""), ("e", ""), ("e", "AQAB="), ("e", "AQ AB"), ("e", "AQA+")] {
        let refused = why(&rsa(|key| key[member] = odd.into()));
        assert_eq!(refused, KeyError::Member { member }, "{odd:?}");
    }
    let n = base64url(&[&[0, 0], &*vec![0xff; 256]].concat());
    assert_eq!(set(&rsa(|key| key["n"] = n.into())).keys().len(), 1);
}

fn base64url(bytes: &[u8]) -> String {
    crate::base64url::encode(bytes)
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    let short = base64url(&[1; 31]);
    assert_eq!(why(&changed(ec(), "x", short)), KeyError::Member { member: "x" });
    let long = base64url(&[&[0][..], &[1; 32]].concat());
    assert_eq!(why(&changed(ec(), "y", long)), KeyError::Member { member: "y" });
    assert_eq!(why(&changed(ec(), "y", base64url(&[1; 32]))), KeyError::Rejected);
    assert_eq!(why(&changed(ec(), "x", base64url(&[0xff; 32]))), KeyError::Rejected);
    let zero = changed(changed(ec(), "x", base64url(&[0; 32])), "y", base64url(&[0; 32]));
    assert_eq!(why(&zero), KeyError::Rejected);
    assert_eq!(why(&changed(ec(), "crv", "P-384")), KeyError::Member { member: "x" });
    assert_eq!(why(&changed(ec(), "crv", "secp256k1")), KeyError::Curve);
    assert_eq!(
        why(&json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&[1; 31])})),
        KeyError::Member { member: "x" }
    );
}

#[test]
fn secrets_that_can_be_guessed_are_refused() {
    let secret = |bytes: usize, algorithm: Option<&str>| {
        let mut key = json!({"kty": "oct", "k": base64url(&vec![7; bytes])});
        if let Some(algorithm) = algorithm {
            key["alg"] = algorithm.into();
        }
        key
    };
    for (bytes, algorithm, least) in
        [(31, None, 32), (31, Some("HS256"), 32), (47, Some("HS384"), 48), (63, Some("HS512"), 64)]
    {
        let refused = why(&secret(bytes, algorithm));
        assert!(matches!(refused, KeyError::SecretTooShort { least: l, .. } if l == least));
    }
    let of = |bytes| set(&secret(bytes, None)).keys()[0].algorithms();
    assert_eq!(of(32), Algorithms::NONE.with(Algorithm::Hs256));
    assert_eq!(of(64).iter().count(), 3);
    assert_eq!(why(&json!({"kty": "oct", "k": ""})), KeyError::Member { member: "k" });
    assert!(KeySet::from_secret(&[7; 64], Some(Algorithm::Rs256)).is_err());
}

#[test]
fn keys_with_the_same_name_are_all_tried() {
    let pairs = [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    let [first, second] = pairs.map(|pair| {
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        Signer::from_pkcs8(pkcs8.as_ref(), Algorithm::Es256, Some("same")).unwrap()
    });
    let both = set(&json!({"keys": [first.public_jwk(), second.public_jwk()]}));
    let text = second.sign("JWT", &json!({})).unwrap();
    assert!(verify(&text, &both).is_ok());
    let only = verify(&text, &keys(&first)).unwrap_err();
    assert_eq!(only, TokenError::Signature { identified: true });
}

#[test]
fn keys_without_a_name_are_tried_for_every_token() {
    let signer = signer(Algorithm::Es256);
    let text = signer.sign("JWT", &json!({})).unwrap();
    assert!(verify(&text, &set(&nameless(&signer))).is_ok());
    let refused = verify(&text, &set(&nameless(&self::signer(Algorithm::Es256)))).unwrap_err();
    assert_eq!(refused, TokenError::Signature { identified: false });
}

fn nameless(signer: &Signer) -> Value {
    let mut jwk = signer.public_jwk().unwrap();
    jwk.as_object_mut().unwrap().remove("kid");
    jwk
}

#[test]
fn only_so_many_keys_are_tried() {
    let last = signer(Algorithm::EdDsa);
    let mut others: Vec<Value> =
        (0..MOST_TRIES).map(|_| nameless(&signer(Algorithm::EdDsa))).collect();
    others.push(nameless(&last));
    let text = last.sign("JWT", &json!({})).unwrap();
    let refused = verify(&text, &set(&json!({"keys": others}))).unwrap_err();
    assert_eq!(refused, TokenError::Signature { identified: false });
    others.remove(0);
    assert!(verify(&text, &set(&json!({"keys": others}))).is_ok());
}

#[test]
fn one_bad_key_does_not_spoil_the_set() {
    let signer = signer(Algorithm::Es256);
    let bad = json!({"kty": "EC", "crv": "P-256", "x": "!", "y": "!", "kid": "bad\n"});
    let set = set(&json!({"keys": [bad, signer.public_jwk()]}));
    assert_eq!(set.keys().len(), 1);
    assert_eq!(set.skipped()[0].index, 0);
    assert_eq!(set.skipped()[0].kid.as_deref(), Some("\"bad\\u{a}\""));
    assert!(verify(&signer.sign("JWT", &json!({})).unwrap(), &set).is_ok());
}

#[test]
fn pem_has_public_keys_and_nothing_else() {
    let keys_of = |text: &str| KeySet::from_pem(text.as_bytes());
    assert_eq!(keys_of(&rsa_pem().repeat(2)).unwrap().keys().len(), 2);
    assert_eq!(keys_of("").unwrap_err(), KeyError::Pem);
    assert_eq!(keys_of("ssh-rsa AAAA").unwrap_err(), KeyError::Pem);
    assert_eq!(keys_of(&pem("PRIVATE KEY", &[1, 2])).unwrap_err(), KeyError::Private);
    assert_eq!(keys_of(&pem("EC PRIVATE KEY", &[1, 2])).unwrap_err(), KeyError::Private);
    assert_eq!(keys_of(&pem("PUBLIC KEY", &[0x30, 0])).unwrap_err(), KeyError::Der);
    assert_eq!(keys_of(&pem("PUBLIC KEY", b"")).unwrap_err(), KeyError::Der);
    assert_eq!(keys_of(&pem("CERTIFICATE", &[0x30, 0])).unwrap_err(), KeyError::Der);
    assert_eq!(keys_of(&pem("X509 CRL", &[0x30, 0])).unwrap_err(), KeyError::Pem);
}

#[test]
fn the_key_of_a_certificate_is_read() {
    let set = KeySet::from_pem(include_bytes!("../../../tests/vectors/certificate.pem")).unwrap();
    assert_eq!(set.keys()[0].algorithms(), Algorithms::NONE.with(Algorithm::Es384));
}

#[test]
fn nothing_secret_is_shown() {
    let signer = signer(Algorithm::Hs256);
    let shown = format!("{:?} {:?}", keys(&signer), signer);
    assert!(!shown.contains("7, 7") && !shown.contains("0707"), "{shown}");
}
