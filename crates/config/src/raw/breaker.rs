//! A circuit breaker as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Share, Spanned, Time};

/// When a service is spared: bounds for what it has at once, and a breaker that opens where it fails
/// or is slow too often. What is refused for it gets 503 with `Retry-After`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerSpec {
    /// Most that the service has at once, over all workers and endpoints.
    #[serde(default)]
    pub(crate) limits: BreakerLimitsSpec,
    /// Opens where too many tries fail: no reply, or a status of 5xx other than 501 and 505, or a
    /// code of gRPC that says the same. Default: never for that.
    pub(crate) errors: Option<Spanned<ErrorsSpec>>,
    /// Opens where too many tries are slow. Default: never for that.
    pub(crate) slow: Option<Spanned<SlowSpec>>,
    /// How far `errors` and `slow` look back, `100ms` to `1h`. Default: `10s`.
    pub(crate) window: Option<Spanned<Time>>,
    /// How long it is open the first time; each time that the probes fail, twice as long. Default:
    /// `5s`.
    pub(crate) open: Option<Spanned<Time>>,
    /// The longest that it is open. Default: `60s`, or `open` if that is more.
    pub(crate) max_open: Option<Spanned<Time>>,
    /// Requests that are let through at once to find out whether the service is well again; it is
    /// when so many in a row went well. 1 to 100. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) probes: Option<Spanned<u8>>,
}

/// Most that a service has at once, over all workers and endpoints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerLimitsSpec {
    /// Open connections, idle ones included. Default: no limit but those of `pool`.
    #[schemars(range(min = 1))]
    pub(crate) connections: Option<Spanned<u32>>,
    /// Requests that wait for a connection. Default: no limit.
    #[schemars(range(min = 1))]
    pub(crate) pending: Option<Spanned<u32>>,
    /// Requests under way, waiting ones and tunnels included. Default: no limit.
    #[schemars(range(min = 1))]
    pub(crate) requests: Option<Spanned<u32>>,
}

/// When too many tries fail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorsSpec {
    /// So large a part of the tries in the window. Default: `50%`.
    pub(crate) share: Option<Spanned<Share>>,
    /// Of at least so many. Default: 20.
    pub(crate) at_least: Option<Spanned<u32>>,
}

/// When too many tries are slow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowSpec {
    /// Longer than this to the head of the reply is slow.
    pub(crate) over: Spanned<Time>,
    /// So large a part of the tries in the window. Default: `50%`.
    pub(crate) share: Option<Spanned<Share>>,
    /// Of at least so many. Default: 20.
    pub(crate) at_least: Option<Spanned<u32>>,
}
