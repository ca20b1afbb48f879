//! Active health checks of a service as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{Entries, OffOr, OneOrMany, Share, Size, Spanned, Time};

/// How the gateway finds out whether endpoints are well.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthSpec {
    /// Asks each endpoint now and then. Default: `off`.
    pub(crate) active: Option<OffOr<ActiveSpec>>,
}

/// Active checks: at most one of `http`, `tcp` and `grpc`, and when.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveSpec {
    /// Short for `http: { path: ... }`.
    pub(crate) path: Option<Spanned<String>>,
    /// A request whose reply must be as expected. Default: `{}`, unless there is `tcp` or `grpc`.
    pub(crate) http: Option<Spanned<HttpCheckSpec>>,
    /// A connection that opens, TLS included where the service has it, is enough.
    pub(crate) tcp: Option<Spanned<TcpCheckSpec>>,
    /// A call of `grpc.health.v1.Health/Check` over HTTP/2, which must answer `SERVING`.
    pub(crate) grpc: Option<Spanned<GrpcCheckSpec>>,
    /// From one check of an endpoint to the next. Default: `10s`.
    pub(crate) interval: Option<Spanned<Time>>,
    /// The same while the endpoint changes sides: after a check that says otherwise than those
    /// before, until enough agree. Default: `1s`, or `interval` if that is shorter.
    pub(crate) fast_interval: Option<Spanned<Time>>,
    /// How much longer or shorter each wait is, at random, so that checks do not come in step;
    /// `0%` to `50%`. Default: `10%`.
    pub(crate) jitter: Option<Spanned<Share>>,
    /// How long a check may take, its connection included. Default: `3s`, or `interval` if that is
    /// shorter.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// Checks in a row that an unhealthy endpoint must pass to be healthy. Default: 2.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) healthy: Option<Spanned<u8>>,
    /// Checks in a row that a healthy endpoint must fail to be unhealthy. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) unhealthy: Option<Spanned<u8>>,
    /// What an endpoint is taken for before its first check, which decides alone: `healthy`, or
    /// `unhealthy`, and then it gets no request before. Default: `healthy`.
    pub(crate) initial: Option<InitialSpec>,
    /// Another port of the endpoints to check. Default: the endpoint's own.
    pub(crate) port: Option<Spanned<u16>>,
}

/// What an endpoint is taken for before its first check.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InitialSpec {
    /// It takes requests.
    Healthy,
    /// It takes none.
    Unhealthy,
}

/// A request whose reply must be as expected, in the version of HTTP that the service speaks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpCheckSpec {
    /// Path, perhaps with a query. Default: `/`.
    pub(crate) path: Option<Spanned<String>>,
    /// Method; the request has no content. Default: `GET`.
    pub(crate) method: Option<Spanned<String>>,
    /// `Host`. Default: the service's `host` where that is `{ set: NAME }`, else the endpoint's
    /// address.
    pub(crate) host: Option<Spanned<String>>,
    /// More header fields.
    #[serde(default)]
    pub(crate) headers: Entries<Spanned<String>>,
    /// Statuses that pass: one or a list of `204`, `"200-299"`. Default: `200-299`.
    pub(crate) status: Option<OneOrMany<Spanned<StatusSpec>>>,
    /// What the content must have in it: a text, or `{ regex: "..." }`. Default: anything.
    pub(crate) body: Option<Spanned<BodyTestSpec>>,
    /// Most bytes of content that `body` is looked for in. Default: `64KiB`.
    pub(crate) max_body: Option<Spanned<Size>>,
}

/// Nothing to choose.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpCheckSpec {}

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcCheckSpec {
    /// The name of the service that is asked about; empty is the server as a whole. Default: empty.
    pub(crate) service: Option<Spanned<String>>,
    /// `:authority`. Default: as `host` of `http`.
    pub(crate) host: Option<Spanned<String>>,
}

/// A status, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusSpec {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl<'de> Deserialize<'de> for StatusSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = StatusSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as `204`, or a range such as `200-299`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusSpec, E> {
        // What is too large for a status is told by the check.
        let status = u16::try_from(number).unwrap_or(u16::MAX);
        Ok(StatusSpec { first: status, last: status })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusSpec, E> {
        let number = |text: &str| text.trim().parse::<u16>().ok();
        let range = match text.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)),
            None => number(text).map(|status| (status, status)),
        };
        let (first, last) =
            range.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(StatusSpec { first, last })
    }
}

impl JsonSchema for StatusSpec {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status such as `204`, or a range such as `200-299`.",
            "anyOf": [
                { "type": "integer", "minimum": 200, "maximum": 599 },
                { "type": "string", "pattern": r"^([2-5]\d\d( ?- ?[2-5]\d\d)?|.*\$\{.*|file:.*)$" }
            ]
        })
    }
}

/// What content must have in it.
#[derive(Debug, Clone)]
pub(crate) enum BodyTestSpec {
    Contains(String),
    Regex(Spanned<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BodyForms {
    /// A regular expression that must match somewhere in the content.
    regex: Spanned<String>,
}

impl<'de> Deserialize<'de> for BodyTestSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = BodyTestSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text that must be in the content, or `{ regex: \"...\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BodyTestSpec, E> {
        Ok(BodyTestSpec::Contains(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BodyTestSpec, A::Error> {
        let forms = BodyForms::deserialize(MapAccessDeserializer::new(map))?;
        Ok(BodyTestSpec::Regex(forms.regex))
    }
}

impl JsonSchema for BodyTestSpec {
    fn schema_name() -> Cow<'static, str> {
        "BodyTest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = generator.subschema_for::<BodyForms>();
        json_schema!({
            "anyOf": [
                { "type": "string", "description": "A text that must be in the content." },
                forms
            ]
        })
    }
}
