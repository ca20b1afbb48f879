//! Who may call `/user/info` of the quickstart: whoever shows a token of an issuer that exists only
//! here, or a key. Both are made anew at each start and are worth nothing anywhere else.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use portcullis_jose::{Algorithm, Signer};
use portcullis_policies::consumers::key::{self, KeyHasher};
use serde_json::json;

/// What the tokens say in `iss`; no host can have this name (RFC 6761, 6.4).
pub(super) const ISSUER: &str = "https://issuer.invalid";
/// Whom the tokens are for.
pub(super) const AUDIENCE: &str = "quickstart";
/// Whom the token is about.
pub(super) const SUBJECT: &str = "ann";
/// The consumer whose key it is.
pub(super) const CONSUMER: &str = "demo";
/// How long the token holds.
const HOLDS: Duration = Duration::from_secs(24 * 60 * 60);

/// Credentials of one run, and what the gateway knows them by.
pub(super) struct Demo {
    /// The public key of the issuer, as a key set (RFC 7517).
    pub(super) key_set: String,
    /// A token that the issuer has signed.
    pub(super) token: String,
    /// What keys are hashed with.
    pub(super) secret: String,
    /// The API key.
    pub(super) key: String,
    /// The part of it that may be shown, and the hash that is kept.
    pub(super) prefix: String,
    pub(super) hash: String,
}

impl Demo {
    /// An issuer with a fresh key, a token of it that holds from `now` on, and a fresh API key.
    pub(super) fn new(now: SystemTime) -> anyhow::Result<Demo> {
        let signer = Signer::generate(Algorithm::Es256)?;
        let public = signer.public_jwk().context("the key has no public part")?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let token = signer.sign(
            "JWT",
            &json!({
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": SUBJECT,
                "iat": now,
                "exp": now + HOLDS.as_secs(),
            }),
        )?;
        let secret = key::draw_secret()?;
        let key = key::draw_key()?;
        let prefix = key::prefix(key.as_bytes()).context("the key is not spelt right")?;
        let hash = KeyHasher::new(secret.as_bytes()).hash(key.as_bytes());
        Ok(Demo {
            key_set: json!({ "keys": [public] }).to_string(),
            token,
            secret,
            prefix: prefix.iter().map(|&byte| char::from(byte)).collect(),
            hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            key,
        })
    }
}
