//! A service as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    AvailabilitySpec, BalanceSpec, BreakerSpec, HealthSpec, OffOr, OutliersSpec, OverloadSpec,
    PolicySpec, RetriesSpec, ServiceTlsSpec, SlowStartSpec, Spanned, StickySpec, Time,
    UpstreamTokenSpec,
};

/// An upstream service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceSpec {
    /// Where the service is reached: a list, or `{ static: [...] }`.
    pub(crate) endpoints: Spanned<EndpointsSpec>,
    /// How an endpoint is chosen: `round_robin` (in turn, by weight), `least_requests` (the fewest
    /// in flight relative to the weight), `peak_ewma` (the lowest latency) or `{ hash: { by: ip } }`
    /// (equal ones to the same). Default: `round_robin`.
    pub(crate) balance: Option<Spanned<BalanceSpec>>,
    /// A cookie of the gateway's own brings a client back to the endpoint that it had; `{}` is with
    /// all defaults. Default: none.
    pub(crate) sticky: Option<StickySpec>,
    /// Give an endpoint that has become available its share little by little. Default: at once.
    pub(crate) slow_start: Option<SlowStartSpec>,
    /// How many endpoints must be available before others take a part, or all are used.
    #[serde(default)]
    pub(crate) availability: AvailabilitySpec,
    /// What the endpoint sees as `Host`: `preserve` (the client's), `endpoint` (its own address) or
    /// `{ set: NAME }`. Default: `preserve`.
    pub(crate) host: Option<HostPolicySpec>,
    /// TLS towards the endpoints; its presence, even as `{}`, means HTTPS. Default: none.
    pub(crate) tls: Option<ServiceTlsSpec>,
    /// How the endpoints are spoken to: `http1`, `http2` (without `tls` by prior knowledge), or
    /// `auto`, which needs `tls` and takes what the endpoint chooses. Default: `http1`.
    pub(crate) protocol: Option<Spanned<ProtocolSpec>>,
    /// Begin each connection with a PROXY header of this version: `v1` or `v2`. It tells the client's
    /// address, so a connection serves one client and one request. Default: none.
    pub(crate) proxy_protocol: Option<Spanned<ProxyVersionSpec>>,
    /// How the gateway finds out whether endpoints are well. Default: by `outliers` alone.
    pub(crate) health: Option<HealthSpec>,
    /// Takes an endpoint out for a while when requests fare worse there than they should, or `off`.
    /// Default: after 5 gateway errors in a row.
    pub(crate) outliers: Option<OffOr<OutliersSpec>>,
    /// Lets no more requests through than the service can take without becoming slow; its presence,
    /// even as `{}`, means that it is on. Default: off.
    pub(crate) overload: Option<OverloadSpec>,
    /// Idle connections.
    #[serde(default)]
    pub(crate) pool: PoolSpec,
    /// Policies for requests that go to the service, asked after those of the route.
    #[serde(default)]
    pub(crate) policies: Vec<Spanned<PolicySpec>>,
    /// How long the gateway waits for an endpoint. A route may override them.
    #[serde(default)]
    pub(crate) timeouts: ServiceTimeoutsSpec,
    /// When a request is sent once more, or `off`. A route may have its own instead. Default: an
    /// idempotent one whose connection was lost before any reply goes to another endpoint, once.
    pub(crate) retries: Option<Spanned<OffOr<RetriesSpec>>>,
    /// The service that takes over when this one has no endpoint that takes requests, none can be
    /// connected to, or its breaker is open. Default: none.
    pub(crate) backup: Option<Spanned<String>>,
    /// When the service is spared. Default: never.
    pub(crate) breaker: Option<Spanned<BreakerSpec>>,
    /// A token that the gateway gets for itself and shows to the service instead of the client's
    /// `Authorization`. Default: none.
    pub(crate) upstream_token: Option<Spanned<UpstreamTokenSpec>>,
}

/// A version of the PROXY header.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProxyVersionSpec {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The endpoints of a service.
#[derive(Debug)]
pub(crate) struct EndpointsSpec(pub(crate) Vec<Spanned<EndpointSpec>>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StaticEndpoints {
    /// The endpoints.
    #[serde(rename = "static")]
    fixed: Vec<Spanned<EndpointSpec>>,
}

impl<'de> Deserialize<'de> for EndpointsSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointsVisitor)
    }
}

struct EndpointsVisitor;

impl<'de> Visitor<'de> for EndpointsVisitor {
    type Value = EndpointsSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of endpoints such as `[\"10.0.0.1:8080\"]`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<EndpointsSpec, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(EndpointsSpec)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointsSpec, A::Error> {
        let found = StaticEndpoints::deserialize(MapAccessDeserializer::new(map))?;
        Ok(EndpointsSpec(found.fixed))
    }
}

impl JsonSchema for EndpointsSpec {
    fn schema_name() -> Cow<'static, str> {
        "Endpoints".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<EndpointSpec>>();
        let fixed = generator.subschema_for::<StaticEndpoints>();
        json_schema!({ "anyOf": [list, fixed] })
    }
}

/// An endpoint: an address, or an address with what is known of it.
#[derive(Debug)]
pub(crate) struct EndpointSpec {
    pub(crate) address: Option<Spanned<String>>,
    /// The address when it stands alone; its place is the endpoint's.
    pub(crate) short: String,
    pub(crate) weight: Option<Spanned<u16>>,
    pub(crate) priority: Option<Spanned<u8>>,
    pub(crate) zone: Option<Spanned<String>>,
}

/// An endpoint with what is known of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WeightedEndpoint {
    /// `HOST:PORT`, `IP:PORT` or `unix:/path.sock`.
    address: Spanned<String>,
    /// Its share of requests relative to the others, 0 to 1000; 0 takes no new ones. Default: 1.
    #[schemars(range(max = 1000))]
    weight: Option<Spanned<u16>>,
    /// Its level: endpoints of a level get requests only when too few of the levels before are
    /// available. 0 to 15. Default: 0.
    #[schemars(range(max = 15))]
    priority: Option<Spanned<u8>>,
    /// Where it stands. Endpoints in the gateway's own `zone` come first. Default: nowhere.
    zone: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for EndpointSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

struct EndpointVisitor;

impl<'de> Visitor<'de> for EndpointVisitor {
    type Value = EndpointSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as `10.0.0.1:8080`, or `{ address, weight, priority, zone }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EndpointSpec, E> {
        Ok(EndpointSpec {
            address: None,
            short: text.to_owned(),
            weight: None,
            priority: None,
            zone: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointSpec, A::Error> {
        let found = WeightedEndpoint::deserialize(MapAccessDeserializer::new(map))?;
        Ok(EndpointSpec {
            address: Some(found.address),
            short: String::new(),
            weight: found.weight,
            priority: found.priority,
            zone: found.zone,
        })
    }
}

impl JsonSchema for EndpointSpec {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<WeightedEndpoint>();
        json_schema!({
            "anyOf": [
                { "type": "string", "description": "`HOST:PORT`, `IP:PORT` or `unix:/path.sock`." },
                long
            ]
        })
    }
}

/// How endpoints are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProtocolSpec {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// What the endpoint chooses in the TLS handshake (ALPN), HTTP/2 preferred.
    Auto,
}

/// What the endpoint sees as `Host`.
#[derive(Debug)]
pub(crate) enum HostPolicySpec {
    Preserve,
    Endpoint,
    Set(Spanned<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetHost {
    /// The host to send.
    set: Spanned<String>,
}

impl<'de> Deserialize<'de> for HostPolicySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HostPolicyVisitor)
    }
}

struct HostPolicyVisitor;

impl<'de> Visitor<'de> for HostPolicyVisitor {
    type Value = HostPolicySpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`preserve`, `endpoint` or `{ set: NAME }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HostPolicySpec, E> {
        match text {
            "preserve" => Ok(HostPolicySpec::Preserve),
            "endpoint" => Ok(HostPolicySpec::Endpoint),
            _ => Err(E::unknown_variant(text, &["preserve", "endpoint", "{ set: NAME }"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HostPolicySpec, A::Error> {
        let found = SetHost::deserialize(MapAccessDeserializer::new(map))?;
        Ok(HostPolicySpec::Set(found.set))
    }
}

impl JsonSchema for HostPolicySpec {
    fn schema_name() -> Cow<'static, str> {
        "HostPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let set = generator.subschema_for::<SetHost>();
        json_schema!({ "anyOf": [{ "enum": ["preserve", "endpoint"] }, set] })
    }
}

/// Idle connections to endpoints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolSpec {
    /// Most idle connections kept for an endpoint by one worker. Default: 256.
    pub(crate) idle: Option<u32>,
    /// How long one is kept. Default: `60s`.
    pub(crate) idle_timeout: Option<Spanned<Time>>,
    /// Most HTTP/1.1 exchanges with an endpoint at once by one worker, tunnels not counted; others
    /// wait for up to `first_byte`, then 503. Default: 2048.
    pub(crate) connections: Option<Spanned<u32>>,
    /// Most HTTP/2 connections to an endpoint by one worker; each carries many requests. Default: 8.
    pub(crate) http2_connections: Option<Spanned<u16>>,
}

/// How long the gateway waits for an endpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceTimeoutsSpec {
    /// To open a connection, TLS included; then 504. Default: `5s`.
    pub(crate) connect: Option<Spanned<Time>>,
    /// From the request's last byte to the reply's first; then 504. Default: `60s`.
    pub(crate) first_byte: Option<Spanned<Time>>,
    /// Without any progress in either direction. Default: `60s`.
    pub(crate) stall: Option<Spanned<Time>>,
    /// Without any byte through a tunnel (WebSocket and other upgrades); then it is closed.
    /// Default: `1h`.
    pub(crate) tunnel: Option<Spanned<Time>>,
    /// For the whole exchange, or `off`; then 504. Default: `off`.
    pub(crate) total: Option<Spanned<OffOr<Time>>>,
}
