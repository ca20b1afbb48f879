//! How fast connections may come, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Spanned, Time};

/// How fast connections may come.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionRateSpec {
    /// From one client's address; of IPv6 its first 64 bits. Default: no limit.
    pub(crate) per_client: Option<Spanned<PaceSpec>>,
    /// From all clients together. Default: no limit.
    pub(crate) total: Option<Spanned<PaceSpec>>,
}

/// So many connections in a stretch of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaceSpec {
    /// Connections in `per`, 1 to 16,000,000; others are closed at once.
    #[schemars(range(min = 1, max = 16_000_000))]
    pub(crate) limit: Spanned<u32>,
    /// The stretch of time, `1ms` to `31d`.
    pub(crate) per: Spanned<Time>,
    /// Connections that may come at once. Default: the `limit`.
    #[schemars(range(min = 1, max = 16_000_000))]
    pub(crate) burst: Option<Spanned<u32>>,
}
