//! A TCP route as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Spanned, SplitSpec, Time};

/// A TCP route: which connections of a listener with `protocol: tcp` or `tls_passthrough` it takes,
/// and exactly one of `service` and `split`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpRouteSpec {
    /// The listener whose connections it takes.
    pub(crate) listener: Spanned<String>,
    /// One server name that clients ask for, or a list: `mail.example.com`, or `*.example.com` for
    /// one or more labels in front. Only with `protocol: tls_passthrough`. Default: those that no
    /// other TCP route of the listener takes, and those without a name.
    pub(crate) sni: Option<OneOrMany<Spanned<String>>>,
    /// The service that the connection goes to.
    pub(crate) service: Option<Spanned<String>>,
    /// Several services, chosen by weight.
    #[schemars(length(min = 1))]
    pub(crate) split: Option<Spanned<Vec<SplitSpec>>>,
    /// How long the gateway waits.
    #[serde(default)]
    pub(crate) timeouts: TcpRouteTimeoutsSpec,
}

/// Timeouts of a TCP route.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpRouteTimeoutsSpec {
    /// To open a connection to one endpoint. Default: the service's.
    pub(crate) connect: Option<Spanned<Time>>,
    /// Without any byte in either direction; then both connections are closed. Default: the
    /// service's `tunnel`.
    pub(crate) idle: Option<Spanned<Time>>,
}
