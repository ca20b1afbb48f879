//! A listener as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ConnectionRateSpec, Http2Spec, Limit, ListenerTlsSpec, OffOr, Size, Spanned, Switch, Time,
};

/// A place where the gateway accepts connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerSpec {
    /// `IP:PORT`, `[IPv6]:PORT` or `unix:/path.sock`. Port 0 lets the system choose.
    pub(crate) address: Spanned<String>,
    /// What is spoken: `http`, or bytes that go on as they come: `tcp`, or `tls_passthrough`, where
    /// the server name that a client asks for chooses the TCP route. Default: `http`.
    pub(crate) protocol: Option<Spanned<ListenerProtocolSpec>>,
    /// Proxies in front that tell by a PROXY header (version 1 or 2) whose connection they pass on.
    /// Default: none.
    pub(crate) proxy_protocol: Option<ProxyProtocolSpec>,
    /// TLS towards clients. Default: none.
    pub(crate) tls: Option<ListenerTlsSpec>,
    /// HTTP/2 beside HTTP/1.1, or `off`: chosen by ALPN over TLS, and else by how a client begins.
    /// Default: on.
    pub(crate) http2: Option<Spanned<Switch<Http2Spec>>>,
    /// Forwarding headers: whom the listener believes and what it writes.
    pub(crate) forwarded: Option<Spanned<ForwardedSpec>>,
    /// How request paths are normalised before a route is looked for.
    pub(crate) path: Option<Spanned<PathPolicySpec>>,
    /// What is refused as too much.
    #[serde(default)]
    pub(crate) limits: LimitsSpec,
    /// How long the listener waits for a client.
    #[serde(default)]
    pub(crate) timeouts: ListenerTimeoutsSpec,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListenerProtocolSpec {
    /// HTTP, by the routes.
    Http,
    /// Bytes, by the one TCP route of the listener.
    Tcp,
    /// TLS that the endpoint ends, by the TCP route for the server name.
    TlsPassthrough,
}

/// The PROXY protocol on a listener: every connection must begin with its header.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProxyProtocolSpec {
    /// Networks (CIDR) of the proxies that are believed, or `unix` for whoever may connect to a Unix
    /// socket. Connections from anywhere else are refused.
    #[schemars(length(min = 1))]
    pub(crate) trusted: Spanned<Vec<Spanned<String>>>,
}

/// Forwarding headers of a listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardedSpec {
    /// Networks (CIDR) of the proxies whose `X-Forwarded-*` and `Forwarded` are believed. What
    /// anyone else sends is replaced. Not together with `hops`. Default: none.
    pub(crate) trusted: Option<Spanned<Vec<Spanned<String>>>>,
    /// Number of trusted proxies in front, whoever they are. Default: 0.
    pub(crate) hops: Option<Spanned<u8>>,
    /// The gateway's name in `Via`, or `off`. Default: `portcullis`.
    pub(crate) via: Option<Spanned<OffOr<String>>>,
    /// Write `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`. Default: true.
    pub(crate) x_forwarded: Option<bool>,
    /// Write `Forwarded` (RFC 7239). Default: false.
    pub(crate) rfc7239: Option<bool>,
}

/// Normalisation of request paths.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathPolicySpec {
    /// Treat `//` as `/`. Default: true.
    pub(crate) merge_slashes: Option<bool>,
    /// What `%2F` in a path means. Default: `keep`.
    pub(crate) encoded_slash: Option<EncodedSlashSpec>,
}

/// What `%2F` in a path means.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncodedSlashSpec {
    /// Data inside a segment, never a separator.
    Keep,
    /// The request is refused with 400.
    Reject,
    /// It separates segments as `/` does.
    Decode,
}

/// What a listener refuses as too much.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSpec {
    /// Longest request target; more is 414. Default: `8KiB`.
    pub(crate) uri: Option<Spanned<Size>>,
    /// Most header fields; more is 431. Default: 100.
    pub(crate) fields: Option<Spanned<u32>>,
    /// Largest header section; more is 431. Default: `32KiB`.
    pub(crate) head: Option<Spanned<Size>>,
    /// Largest request body, or `unlimited`; more is 413. Default: `unlimited`.
    pub(crate) body: Option<Spanned<Limit>>,
    /// Most HTTP/2 requests that a worker serves at once; others wait for their turn.
    /// Default: 8192.
    pub(crate) streams: Option<Spanned<u32>>,
    /// Most connections at once over all workers. Default: 100000.
    pub(crate) connections: Option<Spanned<u32>>,
    /// How fast connections may come; those beyond are closed at once.
    #[serde(default)]
    pub(crate) connection_rate: ConnectionRateSpec,
}

/// How long a listener waits for a client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTimeoutsSpec {
    /// From the first byte of a request's head to its last; then 408. Default: `10s`.
    pub(crate) head: Option<Spanned<Time>>,
    /// Between two requests on a connection; then it is closed. Default: `75s`.
    pub(crate) idle: Option<Spanned<Time>>,
    /// Without any progress while a body is read or a reply is written. Default: `60s`.
    pub(crate) stall: Option<Spanned<Time>>,
    /// Bytes a second that a request body must average once `min_rate_grace` is over; 0 is off;
    /// else 408. Default: `240B`.
    pub(crate) min_rate: Option<Spanned<Size>>,
    /// How long a request body may take before `min_rate` counts. Default: `10s`.
    pub(crate) min_rate_grace: Option<Spanned<Time>>,
}
