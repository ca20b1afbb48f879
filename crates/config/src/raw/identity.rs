//! Consumers, groups, plans and what is kept of credentials, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OffOr, PolicySpec, Spanned, Time};

/// Somebody who calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsumerSpec {
    /// What others know it by. Default: its name.
    pub(crate) id: Option<Spanned<String>>,
    /// The groups that it belongs to; where limits of several have one name, the first counts.
    /// Default: none.
    pub(crate) groups: Option<Vec<Spanned<String>>>,
    /// Its plan. Default: none.
    pub(crate) plan: Option<Spanned<String>>,
    /// Words to find it by. Default: none.
    pub(crate) tags: Option<Vec<Spanned<String>>>,
    /// What else is to be known of it. Default: nothing.
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    /// Its API keys, as `portcullis key create` prints them. Default: none.
    pub(crate) keys: Option<Vec<Spanned<KeySpec>>>,
    /// Its name and password for `basic`. Default: none.
    pub(crate) basic: Option<Spanned<PasswordSpec>>,
    /// Its certificates for `mtls`. Default: none.
    pub(crate) certificates: Option<Vec<Spanned<CertificateNameSpec>>>,
    /// Its limits: `rate_limit`, `quota` and `concurrency`. They replace limits of the same name of
    /// its plan, its groups, the route, the service and the top.
    pub(crate) policies: Option<Vec<Spanned<PolicySpec>>>,
}

/// An API key as it is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySpec {
    /// The eight characters of the key that may be shown.
    pub(crate) prefix: Spanned<String>,
    /// HMAC-SHA-256 of the key with the `credentials.secret`, in hexadecimal digits.
    pub(crate) hash: Spanned<String>,
    /// Until when it is good, as `2030-01-31` or `2030-01-31T12:00:00Z`. Default: for ever.
    pub(crate) expires: Option<Spanned<String>>,
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordSpec {
    /// The name. Default: that of the consumer.
    pub(crate) username: Option<Spanned<String>>,
    /// The hash of the password: `$argon2id$...` or `$2b$...`.
    pub(crate) hash: Spanned<String>,
}

/// What a certificate is known by: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateNameSpec {
    /// Its subject as RFC 4514 writes it, such as `CN=shop,O=Example`.
    pub(crate) subject: Option<Spanned<String>>,
    /// A DNS name among its alternative names.
    pub(crate) dns: Option<Spanned<String>>,
    /// A URI among its alternative names, such as `spiffe://example/shop`.
    pub(crate) uri: Option<Spanned<String>>,
    /// A mail address among its alternative names.
    pub(crate) email: Option<Spanned<String>>,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub(crate) fingerprint: Option<Spanned<String>>,
}

/// Consumers that belong together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupSpec {
    /// Its limits: `rate_limit`, `quota` and `concurrency`. They count every consumer for itself
    /// unless they say `by`.
    pub(crate) policies: Option<Vec<Spanned<PolicySpec>>>,
}

/// What consumers have agreed to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanSpec {
    /// Its limits: `rate_limit`, `quota` and `concurrency`. They count every consumer for itself
    /// unless they say `by`.
    pub(crate) policies: Option<Vec<Spanned<PolicySpec>>>,
}

/// How credentials are kept and looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialsSpec {
    /// What API keys are hashed with: at least 32 bytes, the same on every gateway, best as
    /// `${NAME}` or `file:PATH`. Needed as soon as there is an API key. Default: none.
    pub(crate) secret: Option<Spanned<String>>,
    /// Path of the database (SQLite) of consumers that are not in the configuration; made when it
    /// is not there. Default: none.
    pub(crate) store: Option<Spanned<String>>,
    /// What slows down whoever guesses credentials, or `off`. Default: on.
    pub(crate) guessing: Option<OffOr<GuessingSpec>>,
    /// How passwords are verified.
    pub(crate) passwords: Option<PasswordsSpec>,
}

/// What slows down whoever guesses credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuessingSpec {
    /// Wrong credentials that an address (an IPv6 network of 64 bits) may show in `per`, 1 to
    /// 1,000,000; then its requests with credentials get 429 until there is room again. Default: 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) failures: Option<Spanned<u32>>,
    /// The stretch of time, `1s` to `31d`. Default: `1m`.
    pub(crate) per: Option<Spanned<Time>>,
    /// Most addresses that are remembered, 1 to 50,000,000, each in 48 bytes. Default: 100,000.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) clients: Option<Spanned<u32>>,
}

/// How passwords are verified: slow on purpose, so never by the threads that serve requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordsSpec {
    /// Most passwords that are verified at once, each by a thread, 1 to 64. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) threads: Option<Spanned<u16>>,
    /// Most requests that wait for that, up to 100,000; others get 503. Default: 100.
    #[schemars(range(max = 100_000))]
    pub(crate) queue: Option<Spanned<u32>>,
    /// Most verified passwords that are remembered (a keyed hash of each), up to 10,000,000; 0
    /// remembers none. Default: 10,000.
    #[schemars(range(max = 10_000_000))]
    pub(crate) cache: Option<Spanned<u32>>,
    /// How long they are. Default: `5m`.
    pub(crate) cache_for: Option<Spanned<Time>>,
}
