//! What is not a named collection, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OffOr, Spanned, Time};

/// The admin listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminSpec {
    /// `IP:PORT`, or `off`. Default: `127.0.0.1:9901`.
    pub(crate) address: Option<Spanned<OffOr<String>>>,
}

/// The access log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessLogSpec {
    /// `stdout`, the path of a file, or `off`. Default: `stdout`.
    pub(crate) to: Option<Spanned<OffOr<String>>>,
    /// Claims of whoever calls that lines tell, by the names that they have there (lower-case
    /// letters, digits and `_`): names joined by dots, or a JSON pointer. At most 16; of a value at
    /// most 256 bytes are written. Default: none.
    pub(crate) claims: Option<BTreeMap<String, Spanned<String>>>,
}

/// How the gateway ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShutdownSpec {
    /// How long requests in flight may take to finish. Default: `30s`.
    pub(crate) deadline: Option<Time>,
    /// How long the gateway goes on as before after `/readyz` has turned to 503, so that load
    /// balancers notice before the listeners close. Default: `0s`.
    pub(crate) delay: Option<Time>,
}

/// What the gateway does when it has more to do itself than it can.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayOverloadSpec {
    /// How late a worker may be with what it has to do before it turns away requests of low
    /// importance; those of normal importance at twice, of high importance at four times that. At
    /// least `10ms`, or `off`. Default: `1s`.
    pub(crate) lag: Option<Spanned<OffOr<Time>>>,
}

/// How the gateway gives way to a new binary.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpgradeSpec {
    /// How long the new process may take to be ready; then it is ended, and the old one goes on.
    /// Default: `60s`.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// How long requests, streams and tunnels of the old process may take to finish. Default: the
    /// `deadline` of `shutdown`.
    pub(crate) deadline: Option<Time>,
}
