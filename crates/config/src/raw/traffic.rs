//! What happens to a route's traffic besides its being forwarded, as written: how a split holds on
//! to a client, copies, faults on purpose, and who is turned away first.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Share, Size, Spanned, Time};

/// What holds a client to one service of a `split`: a cookie or a header field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitBySpec {
    /// The name of a cookie. A client without it is drawn by weight and given one by the gateway.
    pub(crate) cookie: Option<Spanned<String>>,
    /// How long the client keeps the cookie; only with `cookie`. Default: until its session ends.
    pub(crate) max_age: Option<Spanned<Time>>,
    /// The name of a header field. Requests without it are drawn by weight, each by itself.
    pub(crate) header: Option<Spanned<String>>,
}

/// Copies of requests for another service, whose replies nobody sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MirrorSpec {
    /// The service that gets the copies.
    pub(crate) service: Spanned<String>,
    /// The share of requests that are copied, at random. Default: `100%`.
    pub(crate) share: Option<Spanned<Share>>,
    /// Largest body that is copied; a request with a larger one is not. At most 1MiB.
    /// Default: `64KiB`.
    pub(crate) body: Option<Spanned<Size>>,
    /// Most copies under way at once by one worker; what comes beyond is not copied. Default: 64.
    pub(crate) most: Option<Spanned<u32>>,
}

/// Faults on purpose, to see what clients make of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsSpec {
    /// Requests that are held for a while first.
    pub(crate) delay: Option<DelaySpec>,
    /// Requests that are refused; those that are delayed too are refused after that.
    pub(crate) abort: Option<AbortSpec>,
}

/// Requests that are held for a while.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DelaySpec {
    /// For how long.
    pub(crate) time: Spanned<Time>,
    /// The share of requests, at random. Default: `100%`.
    pub(crate) share: Option<Spanned<Share>>,
}

/// Requests that are refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AbortSpec {
    /// With this status, 400 to 599. Default: 503.
    #[schemars(range(min = 400, max = 599))]
    pub(crate) status: Option<Spanned<u16>>,
    /// The share of requests, at random. Default: `100%`.
    pub(crate) share: Option<Spanned<Share>>,
}

/// How much a route's requests matter where there is too much to do.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportanceSpec {
    /// Turned away first.
    Low,
    /// Turned away when that was not enough.
    Normal,
    /// Turned away last.
    High,
}

/// How a service is kept from having more to do than it can.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverloadSpec {
    /// Requests that a worker may always have under way, however slow the service is. Default: 4.
    pub(crate) least: Option<Spanned<u32>>,
    /// Requests that a worker may have under way at most. Default: 1000.
    pub(crate) most: Option<Spanned<u32>>,
    /// How many times slower than usual the service may become before fewer requests are let
    /// through, 1.1 to 10. Default: 2.
    #[schemars(range(min = 1.1, max = 10.0))]
    pub(crate) tolerance: Option<Spanned<f64>>,
}
