//! A route as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{
    Entries, FaultsSpec, ImportanceSpec, Limit, MirrorSpec, OffOr, OneOrMany, PolicySpec,
    RetriesSpec, Spanned, SplitBySpec, Time,
};

/// A route: what it matches, and exactly one of `service`, `split`, `redirect` and `reply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteSpec {
    /// What the route asks of a request. Default: nothing, so it takes everything.
    #[serde(default, rename = "match")]
    pub(crate) matches: MatchSpec,
    /// Higher wins before anything else is looked at. Default: 0.
    #[serde(default)]
    pub(crate) priority: i32,
    /// The service that the request goes to.
    pub(crate) service: Option<Spanned<String>>,
    /// Several services, chosen by weight.
    #[schemars(length(min = 1))]
    pub(crate) split: Option<Spanned<Vec<SplitSpec>>>,
    /// What holds a client to one of them. Default: nothing, each request is drawn by itself.
    pub(crate) split_by: Option<Spanned<SplitBySpec>>,
    /// Copies of requests for another service, whose replies nobody sees. Default: none.
    pub(crate) mirror: Option<Spanned<MirrorSpec>>,
    /// Faults on purpose, to see what clients make of them. Default: none.
    pub(crate) faults: Option<Spanned<FaultsSpec>>,
    /// How much these requests matter where a service has too much to do: `low`, `normal` or `high`.
    /// Default: `normal`.
    pub(crate) importance: Option<ImportanceSpec>,
    /// Sends the client elsewhere.
    pub(crate) redirect: Option<Spanned<RedirectSpec>>,
    /// Answers from the gateway itself.
    pub(crate) reply: Option<Spanned<ReplySpec>>,
    /// Changes the request on its way; only with `service` or `split`.
    pub(crate) rewrite: Option<Spanned<RewriteSpec>>,
    /// Policies for requests that the route takes.
    #[serde(default)]
    pub(crate) policies: Vec<Spanned<PolicySpec>>,
    /// Overrides limits of the listener.
    #[serde(default)]
    pub(crate) limits: RouteLimitsSpec,
    /// Overrides timeouts of the service.
    #[serde(default)]
    pub(crate) timeouts: RouteTimeoutsSpec,
    /// Whether `Upgrade` (WebSocket) may pass. Default: true.
    pub(crate) upgrade: Option<bool>,
    /// When a request is sent once more, or `off`; instead of the service's as a whole. Default: the
    /// service's.
    pub(crate) retries: Option<Spanned<OffOr<RetriesSpec>>>,
    /// The reply where the gateway would answer 502, 503 or 504 by itself, but for calls of gRPC.
    /// Default: a problem document.
    pub(crate) fallback: Option<Spanned<ReplySpec>>,
}

/// What a route asks of a request; all that is given must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchSpec {
    /// The listener that the request came in through, or a list of them, by name. Default: any.
    pub(crate) listener: Option<OneOrMany<Spanned<String>>>,
    /// One host or a list: `api.example.com`, or `*.example.com` for one or more labels in front.
    /// Default: any.
    pub(crate) host: Option<OneOrMany<Spanned<String>>>,
    /// One path or a list: `/exact`, `/a/{param}/b`, `/a/{*rest}`, `{ prefix: /a }` (by whole
    /// segments) or `{ regex: "^/v[0-9]+/.*$" }` (the whole path must match). Default: any.
    pub(crate) path: Option<OneOrMany<Spanned<PathSpec>>>,
    /// Methods; `GET` includes `HEAD`. Default: any.
    pub(crate) methods: Option<OneOrMany<Spanned<String>>>,
    /// Header fields: a name and its exact value, `{ present: BOOL }` or `{ regex: "..." }`.
    #[serde(default)]
    pub(crate) headers: Entries<Spanned<TestSpec>>,
    /// Query parameters, in the same forms.
    #[serde(default)]
    pub(crate) query: Entries<Spanned<TestSpec>>,
    /// Cookies, in the same forms.
    #[serde(default)]
    pub(crate) cookies: Entries<Spanned<TestSpec>>,
    /// Networks (CIDR) that the client's effective address must be in. Default: any.
    pub(crate) client: Option<OneOrMany<Spanned<String>>>,
}

/// A path that a route takes.
#[derive(Debug)]
pub(crate) enum PathSpec {
    Pattern(String),
    Prefix(Spanned<String>),
    Regex(Spanned<String>),
}

/// A path prefix or a regular expression.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct PathForms {
    /// The path itself or anything below it, by whole segments.
    prefix: Option<Spanned<String>>,
    /// A regular expression that the whole path must match; named groups are parameters.
    regex: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for PathSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathVisitor)
    }
}

struct PathVisitor;

impl<'de> Visitor<'de> for PathVisitor {
    type Value = PathSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path such as `/a/{param}`, `{ prefix: /a }` or `{ regex: \"...\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PathSpec, E> {
        Ok(PathSpec::Pattern(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PathSpec, A::Error> {
        let forms = PathForms::deserialize(MapAccessDeserializer::new(map))?;
        match (forms.prefix, forms.regex) {
            (Some(prefix), None) => Ok(PathSpec::Prefix(prefix)),
            (None, Some(regex)) => Ok(PathSpec::Regex(regex)),
            _ => Err(A::Error::custom("a path is either `{ prefix: ... }` or `{ regex: ... }`")),
        }
    }
}

impl JsonSchema for PathSpec {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = generator.subschema_for::<PathForms>();
        json_schema!({ "anyOf": [{ "type": "string", "pattern": r"^(/|\$\{|file:)" }, forms] })
    }
}

/// What is asked of a value.
#[derive(Debug)]
pub(crate) enum TestSpec {
    Exact(String),
    Present(bool),
    Regex(Spanned<String>),
}

/// A test other than for an exact value.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestForms {
    /// It is there (true) or it is not (false).
    present: Option<bool>,
    /// A regular expression that the whole value must match.
    regex: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for TestSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = TestSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string (put numbers in quotes), `{ present: BOOL }` or `{ regex: \"...\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TestSpec, E> {
        Ok(TestSpec::Exact(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TestSpec, A::Error> {
        let forms = TestForms::deserialize(MapAccessDeserializer::new(map))?;
        match (forms.present, forms.regex) {
            (Some(present), None) => Ok(TestSpec::Present(present)),
            (None, Some(regex)) => Ok(TestSpec::Regex(regex)),
            _ => Err(A::Error::custom("a test is either `{ present: ... }` or `{ regex: ... }`")),
        }
    }
}

impl JsonSchema for TestSpec {
    fn schema_name() -> Cow<'static, str> {
        "Test".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = generator.subschema_for::<TestForms>();
        json_schema!({ "anyOf": [{ "type": "string", "description": "The exact value." }, forms] })
    }
}

/// A service and its share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitSpec {
    /// The service.
    pub(crate) service: Spanned<String>,
    /// Its share relative to the others, 0 to 1000000.
    #[schemars(range(max = 1_000_000))]
    pub(crate) weight: Spanned<u32>,
}

/// A redirect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectSpec {
    /// The new location; `{name}` is a parameter of the path, `{query}` the query without `?` and
    /// `{host}` the host that was asked for, without port.
    pub(crate) to: Spanned<String>,
    /// 301, 302, 303, 307 or 308. Default: 308.
    #[schemars(range(min = 301, max = 308))]
    pub(crate) status: Option<Spanned<u16>>,
}

/// A reply from the gateway itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplySpec {
    /// Status code, 200 to 599. Default: 200; of a `fallback`, 503.
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: Option<Spanned<u16>>,
    /// Header fields.
    #[serde(default)]
    pub(crate) headers: Entries<Spanned<String>>,
    /// The content. Default: empty.
    pub(crate) body: Option<Spanned<String>>,
    /// Path of a file with the content, read when the configuration is; not with `body`.
    pub(crate) file: Option<Spanned<String>>,
}

/// What changes in a request on its way to the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewriteSpec {
    /// The new path, in which `{name}` is a parameter of the path; the query is kept.
    pub(crate) path: Option<Spanned<String>>,
    /// Takes this prefix off the path, by whole segments; not with `path`.
    pub(crate) strip_prefix: Option<Spanned<String>>,
    /// The new `Host`.
    pub(crate) host: Option<Spanned<String>>,
}

/// Limits of a route.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteLimitsSpec {
    /// Largest request body, or `unlimited`; more is 413. Default: the listener's.
    pub(crate) body: Option<Limit>,
}

/// Timeouts of a route; each defaults to the service's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTimeoutsSpec {
    /// To open a connection; then 504.
    pub(crate) connect: Option<Spanned<Time>>,
    /// From the request's last byte to the reply's first; then 504.
    pub(crate) first_byte: Option<Spanned<Time>>,
    /// Without any progress in either direction.
    pub(crate) stall: Option<Spanned<Time>>,
    /// Without any byte through a tunnel (WebSocket and other upgrades). Default: the service's.
    pub(crate) tunnel: Option<Spanned<Time>>,
    /// For the whole exchange, or `off`; then 504.
    pub(crate) total: Option<Spanned<OffOr<Time>>>,
}
