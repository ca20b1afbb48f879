//! A service: endpoints that serve the same thing, and how they are called.

use std::sync::Arc;
use std::time::Duration;

use super::{
    ActiveCheck, Availability, Balance, Breaker, Endpoint, Name, Outliers, Overload, Policies,
    Retries, RetryBudget, ServiceTls, SlowStart, Sticky, UpstreamToken,
};

/// An upstream service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// Its endpoints, at least one, no address twice.
    pub endpoints: Vec<Endpoint>,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// The cookie that brings clients back, if any.
    pub sticky: Option<Arc<Sticky>>,
    /// How an endpoint that has become available gets its share, unless at once.
    pub slow_start: Option<SlowStart>,
    /// How many endpoints must be available.
    pub availability: Availability,
    /// What the upstream sees as `Host`.
    pub host: HostPolicy,
    /// TLS towards the endpoints, if any.
    pub tls: Option<Arc<ServiceTls>>,
    /// How its endpoints are spoken to.
    pub protocol: Protocol,
    /// The PROXY header that each connection begins with, if any; such a connection serves one
    /// client and is not kept.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Active checks of the endpoints, if any.
    pub health: Option<Arc<ActiveCheck>>,
    /// When endpoints are ejected for what requests meet there, if ever.
    pub outliers: Option<Outliers>,
    /// How it is kept from having more to do than it can, if at all.
    pub overload: Option<Overload>,
    /// Idle connections.
    pub pool: Pool,
    /// How long the gateway waits for an endpoint.
    pub timeouts: ServiceTimeouts,
    /// When a request is sent once more; `None` is "off".
    pub retries: Option<Arc<Retries>>,
    /// Most retries at once, whoever asks for them; `None` is no limit.
    pub retry_budget: Option<RetryBudget>,
    /// The service that takes over where this one cannot; it exists in the configuration, and no
    /// way over backups leads back here.
    pub backup: Option<Name>,
    /// When the service is spared.
    pub breaker: Breaker,
    /// The token that is shown to it instead of the client's `Authorization`, if any.
    pub upstream_token: Option<Arc<UpstreamToken>>,
    /// Its policies.
    pub policies: Arc<Policies>,
}

/// A version of the PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How endpoints are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, else by prior knowledge.
    Http2,
    /// What the endpoint chooses by ALPN.
    Auto,
}

/// What the upstream sees as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// The client's.
    Preserve,
    /// The endpoint's address as written.
    Endpoint,
    /// This.
    Set(Arc<str>),
}

/// Idle connections to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Most idle connections kept for an endpoint by one worker.
    pub idle: usize,
    /// How long one is kept.
    pub idle_timeout: Duration,
    /// Most HTTP/1.1 exchanges with an endpoint at once by one worker.
    pub connections: usize,
    /// Most HTTP/2 connections to an endpoint by one worker.
    pub http2_connections: usize,
}

/// How long the gateway waits for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTimeouts {
    /// To open a connection, TLS included; then 504.
    pub connect: Duration,
    /// From the request's last byte to the reply's first; then 504.
    pub first_byte: Duration,
    /// Without any progress in either direction; 504 before the reply's head, else cut off.
    pub stall: Duration,
    /// Without any byte through a tunnel (WebSocket and other upgrades); then it is closed.
    pub tunnel: Duration,
    /// For the whole exchange, or `None` for no limit; then 504.
    pub total: Option<Duration>,
}
