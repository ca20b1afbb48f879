//! What tests of several modules need: keys, tokens, and tokens that no signer would make.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Value, json};

use crate::{Algorithm, Algorithms, KeySet, KeySetLimits, Signer, Token, TokenError, Verified};

/// The limit of tokens in tests.
pub(crate) const LIMIT: usize = 8192;

/// A key of RSA: making one takes a second, so that tests share it.
static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// A signer of an algorithm with a key that fits.
pub(crate) fn signer(algorithm: Algorithm) -> Signer {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => {
            let pkcs8: Pkcs8V1Der<'_> = RSA.as_der().unwrap();
            Signer::from_pkcs8(pkcs8.as_ref(), algorithm, None).unwrap()
        }
        _ if algorithm.is_symmetric() => Signer::from_secret(&[7; 64], algorithm, None).unwrap(),
        _ => Signer::generate(algorithm).unwrap(),
    }
}

/// The public part of the key of RSA, as PEM.
pub(crate) fn rsa_pem() -> String {
    let der: PublicKeyX509Der<'_> = RSA.public_key().as_der().unwrap();
    pem("PUBLIC KEY", der.as_ref())
}

/// DER as PEM.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The keys that verify what a signer signs.
pub(crate) fn keys(signer: &Signer) -> KeySet {
    match signer.public_jwk() {
        Some(jwk) => set(&json!({"keys": [jwk]})),
        None if signer.algorithm().is_symmetric() => {
            KeySet::from_secret(&[7; 64], Some(signer.algorithm())).unwrap()
        }
        None => KeySet::from_pem(rsa_pem().as_bytes()).unwrap(),
    }
}

/// A set from JSON, shared secrets included.
pub(crate) fn set(json: &Value) -> KeySet {
    let limits = KeySetLimits { symmetric: true, ..KeySetLimits::default() };
    KeySet::from_jwks(json.to_string().as_bytes(), limits).unwrap()
}

/// Every algorithm.
pub(crate) fn every() -> Algorithms {
    Algorithm::ALL.into_iter().collect()
}

/// Verifies with any algorithm.
pub(crate) fn verify(token: &str, keys: &KeySet) -> Result<Verified, TokenError> {
    Token::parse(token.as_bytes(), LIMIT)?.verify(keys, every())
}

/// A token from parts that need not be right.
pub(crate) fn token(header: &str, payload: &str, signature: &[u8]) -> String {
    let encode = crate::base64url::encode;
    format!("{}.{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()), encode(signature))
}
