//! Stores that several nodes count in, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CertificateSpec, Spanned, Time};

/// A store of counters that several nodes share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSpec {
    /// Redis, Valkey or what speaks their protocol: exactly one of `address`, `sentinel` and
    /// `cluster`.
    pub(crate) redis: Spanned<RedisSpec>,
    /// What every key in the store begins with: up to 64 letters, digits, `-`, `_`, `.` and `:`.
    /// Gateways that count together have the same. Default: `portcullis`.
    pub(crate) prefix: Option<Spanned<String>>,
    /// The longest that a request waits for the store, connecting included, up to `10s`. Default:
    /// `20ms`.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// What becomes of a request that the store gives no answer for: it passes (`open`), it is
    /// refused with 429 (`closed`), or the node counts for itself (`local`). Default: `local`.
    pub(crate) on_failure: Option<OnFailureSpec>,
}

/// Where Redis is and who the gateway is to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisSpec {
    /// One server: `HOST:PORT`, `IP:PORT` or `unix:/path.sock`.
    pub(crate) address: Option<Spanned<String>>,
    /// Servers that Sentinels watch.
    pub(crate) sentinel: Option<Spanned<SentinelSpec>>,
    /// Some nodes of a cluster, which know the others: `HOST:PORT` or `IP:PORT`. At least one.
    #[schemars(length(min = 1))]
    pub(crate) cluster: Option<Spanned<Vec<Spanned<String>>>>,
    /// TLS towards the servers; its presence, even as `{}`, means TLS. Default: none.
    pub(crate) tls: Option<StoreTlsSpec>,
    /// The user (ACL). Default: the one that is called `default`.
    pub(crate) username: Option<Spanned<String>>,
    /// The password, best as `${NAME}` or `file:PATH`. Default: none.
    pub(crate) password: Option<Spanned<String>>,
    /// The number of the database. Not with `cluster`. Default: 0.
    pub(crate) database: Option<Spanned<u32>>,
}

/// Servers that Sentinels watch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentinelSpec {
    /// The Sentinels: `HOST:PORT` or `IP:PORT`. At least one.
    #[schemars(length(min = 1))]
    pub(crate) addresses: Spanned<Vec<Spanned<String>>>,
    /// What they call the primary.
    pub(crate) primary: Spanned<String>,
    /// The user of the Sentinels themselves. Default: the one that is called `default`.
    pub(crate) username: Option<Spanned<String>>,
    /// The password of the Sentinels themselves. Default: none.
    pub(crate) password: Option<Spanned<String>>,
    /// TLS towards the Sentinels. Default: none.
    pub(crate) tls: Option<StoreTlsSpec>,
}

/// TLS towards a store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreTlsSpec {
    /// Path of the PEM certificates that are trusted. Default: the system's.
    pub(crate) ca: Option<Spanned<String>>,
    /// Certificate to show. Default: none.
    pub(crate) certificate: Option<CertificateSpec>,
}

/// What becomes of a request that a store gives no answer for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnFailureSpec {
    /// It passes.
    Open,
    /// It is refused.
    Closed,
    /// The node counts for itself.
    Local,
}

/// How a policy counts together with other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SharingModeSpec {
    /// Every request asks the store.
    Exact,
    /// The node takes shares ahead, and requests take from these.
    Leased,
}
