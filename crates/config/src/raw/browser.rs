//! Policies for the sake of browsers, as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{OffOr, OneOrMany, Spanned, Time};

/// Pages of other origins that may call, and what they may send and read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsSpec {
    /// The origins: `https://app.example.com`, `https://*.example.com` (every subdomain),
    /// `http://localhost:*` (every port), `{ regex: "https://[a-z]+\\.example" }` (the whole origin),
    /// `"null"`, or `"*"` for any, which excludes `credentials`.
    pub(crate) origins: OneOrMany<Spanned<OriginSpec>>,
    /// The methods that pages may use. Default: all that a route takes.
    pub(crate) methods: Option<Vec<Spanned<String>>>,
    /// The request fields that pages may set, beyond those that browsers allow anyway. Default: any.
    pub(crate) headers: Option<Vec<Spanned<String>>>,
    /// The reply fields that pages may read, beyond those that browsers allow anyway. Default: none.
    #[serde(default)]
    pub(crate) expose: Vec<Spanned<String>>,
    /// Whether cookies and logins may go along. Default: false.
    pub(crate) credentials: Option<Spanned<bool>>,
    /// How long browsers remember what is allowed, up to `1d`. Default: `10m`.
    pub(crate) max_age: Option<Spanned<Time>>,
    /// Whether pages of the public internet may call, though the gateway is in a private network.
    /// Default: false.
    #[serde(default)]
    pub(crate) private_network: bool,
}

/// An origin, or a family of them.
#[derive(Debug)]
pub(crate) enum OriginSpec {
    Text(String),
    Regex(Spanned<String>),
}

/// Refuses requests that pages of other sites make users' browsers send.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsrfSpec {
    /// Other origins whose pages may, written as for `cors`, but never all of them. Default: none.
    pub(crate) origins: Option<OneOrMany<Spanned<OriginSpec>>>,
    /// What becomes of a request that has neither `Sec-Fetch-Site` nor `Origin`: no browser of the
    /// last years sends such a one. Default: `pass`.
    pub(crate) unknown: Option<UnknownSpec>,
}

/// What becomes of a request that does not say where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownSpec {
    /// It passes.
    Pass,
    /// It is refused.
    Refuse,
}

/// Fields that tell browsers what pages may do, each kept as the service sends it unless `replace`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecurityHeadersSpec {
    /// `Strict-Transport-Security`, only to clients that speak TLS. Default: `max_age: 365d` alone.
    pub(crate) hsts: Option<Spanned<OffOr<HstsSpec>>>,
    /// `X-Content-Type-Options: nosniff`. Default: true.
    pub(crate) nosniff: Option<bool>,
    /// Who may show pages in a frame, as `X-Frame-Options` and as `frame-ancestors`: `deny`,
    /// `same_origin` or `off`. Default: `deny`, or what `content_security_policy` says.
    pub(crate) frame: Option<Spanned<FrameSpec>>,
    /// `Referrer-Policy`. Default: `strict-origin-when-cross-origin`.
    pub(crate) referrer_policy: Option<Spanned<OffOr<String>>>,
    /// `Permissions-Policy`, such as `geolocation=(), camera=()`. Default: none.
    pub(crate) permissions_policy: Option<Spanned<String>>,
    /// `Content-Security-Policy`. Default: none beyond what `frame` says.
    pub(crate) content_security_policy: Option<Spanned<String>>,
    /// `Content-Security-Policy-Report-Only`. Default: none.
    pub(crate) content_security_policy_report_only: Option<Spanned<String>>,
    /// `Cross-Origin-Opener-Policy`. Default: none.
    pub(crate) cross_origin_opener_policy: Option<Spanned<String>>,
    /// `Cross-Origin-Resource-Policy`. Default: none.
    pub(crate) cross_origin_resource_policy: Option<Spanned<String>>,
    /// `Cross-Origin-Embedder-Policy`. Default: none.
    pub(crate) cross_origin_embedder_policy: Option<Spanned<String>>,
    /// Fields of the service that are taken out. Default: `[server, x-powered-by,
    /// x-aspnet-version, x-aspnetmvc-version]`.
    pub(crate) remove: Option<Vec<Spanned<String>>>,
    /// Whether these replace what the service sends. Default: false.
    #[serde(default)]
    pub(crate) replace: bool,
}

/// What browsers remember of a host that is to be reached by TLS alone (RFC 6797).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HstsSpec {
    /// For how long. Default: `365d`.
    pub(crate) max_age: Option<Spanned<Time>>,
    /// Of its subdomains too. Default: false.
    #[serde(default)]
    pub(crate) include_subdomains: bool,
    /// The host asks for a place in the lists that browsers bring along; needs
    /// `include_subdomains` and a year. Default: false.
    pub(crate) preload: Option<Spanned<bool>>,
}

/// Who may show pages in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FrameSpec {
    /// Nobody.
    Deny,
    /// Pages of the same origin.
    SameOrigin,
    /// Anybody: nothing is said.
    Off,
}

/// A form of an origin that needs more than a string.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OriginForm {
    /// A regular expression that the whole origin must match.
    regex: Spanned<String>,
}

impl<'de> Deserialize<'de> for OriginSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OriginVisitor)
    }
}

struct OriginVisitor;

impl<'de> Visitor<'de> for OriginVisitor {
    type Value = OriginSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin such as `https://app.example.com`, or `{ regex: \"...\" }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OriginSpec, E> {
        Ok(OriginSpec::Text(text.to_owned()))
    }

    /// YAML's own `null`, which means the origin that is written so.
    fn visit_unit<E: Error>(self) -> Result<OriginSpec, E> {
        Ok(OriginSpec::Text("null".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OriginSpec, A::Error> {
        let form = OriginForm::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OriginSpec::Regex(form.regex))
    }
}

impl JsonSchema for OriginSpec {
    fn schema_name() -> Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let form = generator.subschema_for::<OriginForm>();
        json_schema!({ "anyOf": [{ "type": "string" }, form] })
    }
}
