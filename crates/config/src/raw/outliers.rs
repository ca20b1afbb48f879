//! Ejection of endpoints for what requests meet there, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OffOr, Share, Spanned, Time};

/// Takes an endpoint out for a while when requests fare worse there than they should.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutliersSpec {
    /// Replies of 5xx or gateway errors in a row that eject at once, or `off`. Default: `off`.
    pub(crate) consecutive_5xx: Option<Spanned<OffOr<u32>>>,
    /// Gateway errors in a row that eject at once, or `off`: no connection, no reply or a broken
    /// one, or status 502, 503 or 504. Default: 5.
    pub(crate) consecutive_gateway_errors: Option<Spanned<OffOr<u32>>>,
    /// Ejects endpoints whose replies are 5xx, or missing, far more often than the others'.
    /// Default: `off`.
    pub(crate) success_rate: Option<OffOr<SuccessRateSpec>>,
    /// Ejects endpoints that answer far slower than the others. Default: `off`.
    pub(crate) latency: Option<OffOr<LatencySpec>>,
    /// How often `success_rate` and `latency` are looked at; each time what came since the last
    /// counts. Default: `10s`.
    pub(crate) interval: Option<Spanned<Time>>,
    /// How long the first ejection lasts, the second twice as long, and so on; each `interval`
    /// without one takes one off again. Default: `10s`.
    pub(crate) base_ejection: Option<Spanned<Time>>,
    /// The longest that an ejection lasts. Default: `5m`, or `base_ejection` if that is longer.
    pub(crate) max_ejection: Option<Spanned<Time>>,
    /// Most of a service's endpoints that are ejected at once, rounded down but one of several; one
    /// that is available stays in any case. Default: `50%`.
    pub(crate) max_ejected: Option<Spanned<Share>>,
}

/// When an endpoint's share of successes is too small.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuccessRateSpec {
    /// Ejects an endpoint that succeeds less often than this, whatever the others do; `0%` for
    /// none. Default: `0%`.
    pub(crate) minimum: Option<Spanned<Share>>,
    /// Ejects an endpoint that is so many standard deviations below the mean of all. Default: 1.9.
    pub(crate) deviations: Option<Spanned<f64>>,
    /// Endpoints with enough requests that it takes to speak of a mean. Default: 5.
    #[schemars(range(min = 3))]
    pub(crate) endpoints: Option<Spanned<u32>>,
    /// Requests within `interval` that it takes to judge an endpoint. Default: 100.
    #[schemars(range(min = 1))]
    pub(crate) requests: Option<Spanned<u32>>,
}

/// When an endpoint is too slow.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LatencySpec {
    /// Ejects an endpoint whose replies begin so many times later, on average, than those of the
    /// one in the middle. Default: 3.
    pub(crate) factor: Option<Spanned<f64>>,
    /// Never ejects an endpoint that is faster than this on average. Default: `100ms`.
    pub(crate) at_least: Option<Spanned<Time>>,
    /// Endpoints with enough requests that it takes to compare. Default: 3.
    #[schemars(range(min = 3))]
    pub(crate) endpoints: Option<Spanned<u32>>,
    /// Requests within `interval` that it takes to judge an endpoint. Default: 100.
    #[schemars(range(min = 1))]
    pub(crate) requests: Option<Spanned<u32>>,
}
