//! How requests are spread over the endpoints of a service, as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{OneOrMany, Share, Spanned, Time};

/// How an endpoint is chosen.
#[derive(Debug)]
pub(crate) enum BalanceSpec {
    RoundRobin,
    LeastRequests,
    PeakEwma(PeakEwmaSpec),
    Hash(HashSpec),
    /// None of them, or more than one.
    NotOne,
}

const NAMES: &[&str] = &["round_robin", "least_requests", "peak_ewma", "{ hash: { by: ip } }"];

impl<'de> Deserialize<'de> for BalanceSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BalanceVisitor)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongBalance {
    /// By a hash of something of the request, so that equal ones go to the same endpoint.
    hash: Option<HashSpec>,
    /// The faster of two, where requests under way count as slowness.
    peak_ewma: Option<PeakEwmaSpec>,
}

struct BalanceVisitor;

impl<'de> Visitor<'de> for BalanceVisitor {
    type Value = BalanceSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`round_robin`, `least_requests`, `peak_ewma` or `{ hash: { by: ip } }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BalanceSpec, E> {
        match text {
            "round_robin" => Ok(BalanceSpec::RoundRobin),
            "least_requests" => Ok(BalanceSpec::LeastRequests),
            "peak_ewma" => Ok(BalanceSpec::PeakEwma(PeakEwmaSpec::default())),
            _ => Err(E::unknown_variant(text, NAMES)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BalanceSpec, A::Error> {
        let found = LongBalance::deserialize(MapAccessDeserializer::new(map))?;
        Ok(match (found.hash, found.peak_ewma) {
            (Some(hash), None) => BalanceSpec::Hash(hash),
            (None, Some(peak_ewma)) => BalanceSpec::PeakEwma(peak_ewma),
            _ => BalanceSpec::NotOne,
        })
    }
}

impl JsonSchema for BalanceSpec {
    fn schema_name() -> Cow<'static, str> {
        "Balance".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongBalance>();
        json_schema!({
            "anyOf": [{ "enum": ["round_robin", "least_requests", "peak_ewma"] }, long]
        })
    }
}

/// The faster of two endpoints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeakEwmaSpec {
    /// In how long a measured latency falls to about a third, unless new ones uphold it. Default:
    /// `10s`.
    pub(crate) decay: Option<Spanned<Time>>,
}

/// By a hash of something of the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashSpec {
    /// What is hashed: `ip`, `{ header: NAME }`, `{ cookie: NAME }`, `{ query: NAME }` or
    /// `{ param: NAME }` (a parameter of the route's path); or a list of these, all of which count.
    /// A request that lacks any of them takes its turn as with `round_robin`.
    pub(crate) by: Spanned<OneOrMany<Spanned<HashPartSpec>>>,
    /// How hashes map to endpoints: `maglev` (shares are the most even) or `ring` (the fewest
    /// change their endpoint when one comes or goes). Default: `maglev`.
    pub(crate) algorithm: Option<HashAlgorithmSpec>,
    /// The most requests under way that an endpoint may have, relative to its share of all of the
    /// service's, such as `1.25`; what would be above goes to the next one. Default: no bound.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub(crate) bounded_load: Option<Spanned<f64>>,
}

/// How hashes map to endpoints.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HashAlgorithmSpec {
    /// A table that each endpoint fills its share of.
    Maglev,
    /// Points on a ring; a hash belongs to the next one.
    Ring,
}

/// Something of a request.
#[derive(Debug)]
pub(crate) enum HashPartSpec {
    Ip,
    Header(Spanned<String>),
    Cookie(Spanned<String>),
    Query(Spanned<String>),
    Param(Spanned<String>),
    Claim(Spanned<String>),
    /// None of them, or more than one.
    NotOne,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongHashPart {
    /// The value of this header field; of several, the first.
    header: Option<Spanned<String>>,
    /// The value of this cookie.
    cookie: Option<Spanned<String>>,
    /// The value of this query parameter, as written.
    query: Option<Spanned<String>>,
    /// What this parameter of the route's path stands for, as written.
    param: Option<Spanned<String>>,
    /// The value of this claim of whoever calls: names joined by dots, or a JSON pointer.
    claim: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for HashPartSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashPartVisitor)
    }
}

struct HashPartVisitor;

impl<'de> Visitor<'de> for HashPartVisitor {
    type Value = HashPartSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`ip`, or one of `header`, `cookie`, `query`, `param` and `claim` with a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HashPartSpec, E> {
        match text {
            "ip" => Ok(HashPartSpec::Ip),
            _ => Err(E::unknown_variant(text, &["ip", "{ header: NAME }", "{ cookie: NAME }"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HashPartSpec, A::Error> {
        let LongHashPart { header, cookie, query, param, claim } =
            LongHashPart::deserialize(MapAccessDeserializer::new(map))?;
        let found = [
            header.map(HashPartSpec::Header),
            cookie.map(HashPartSpec::Cookie),
            query.map(HashPartSpec::Query),
            param.map(HashPartSpec::Param),
            claim.map(HashPartSpec::Claim),
        ];
        let mut found: Vec<HashPartSpec> = found.into_iter().flatten().collect();
        Ok(match found.pop() {
            Some(part) if found.is_empty() => part,
            _ => HashPartSpec::NotOne,
        })
    }
}

impl JsonSchema for HashPartSpec {
    fn schema_name() -> Cow<'static, str> {
        "HashPart".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongHashPart>();
        json_schema!({ "anyOf": [{ "const": "ip" }, long] })
    }
}

/// An endpoint that has become available gets its share little by little.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowStartSpec {
    /// After how long it gets its whole share.
    pub(crate) window: Spanned<Time>,
    /// What it gets of its share at once. Default: `10%`.
    pub(crate) min_share: Option<Spanned<Share>>,
}

/// How many endpoints must be available.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AvailabilitySpec {
    /// When less than this share of a priority level (or of the gateway's own zone in it) is
    /// available, the next level (or the other zones) takes a part of its requests. Default: `70%`.
    pub(crate) spill_below: Option<Share>,
    /// When less than this share of a level is available and the levels together cannot carry the
    /// service, all its endpoints get requests: what says that they are down may be wrong. `0%` is
    /// never. Default: `20%`.
    pub(crate) panic_below: Option<Share>,
}

/// A cookie of the gateway's own that brings a client back to the endpoint that it had.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StickySpec {
    /// The cookie's name. Default: `portcullis-` and eight digits made from the service's name.
    pub(crate) cookie: Option<Spanned<String>>,
    /// The cookie's `Path`. Default: `/`.
    pub(crate) path: Option<Spanned<String>>,
    /// For how long clients keep the cookie (`Max-Age`), counted from when it was set; older ones are
    /// not taken. Default: until the browser is closed.
    pub(crate) max_age: Option<Spanned<Time>>,
    /// Whether clients send the cookie over TLS only (`Secure`). Default: where the client came
    /// over TLS, to the gateway or to a proxy that it trusts.
    pub(crate) secure: Option<Spanned<bool>>,
    /// Whether scripts cannot read the cookie (`HttpOnly`). Default: true.
    pub(crate) http_only: Option<bool>,
    /// Whether requests that other sites bring about carry the cookie (`SameSite`): `strict`, `lax`
    /// or `none`, which needs `secure: true`. Default: `lax`.
    pub(crate) same_site: Option<Spanned<SameSiteSpec>>,
    /// A secret of at least 32 bytes that signs cookies; the same on every node. Default: one of
    /// this process alone, so that a restart or another node chooses anew.
    pub(crate) key: Option<Spanned<String>>,
}

/// Whether requests that other sites bring about carry a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SameSiteSpec {
    /// Never.
    Strict,
    /// When a link is followed.
    Lax,
    /// Always.
    None,
}
