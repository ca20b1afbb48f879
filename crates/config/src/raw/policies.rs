//! Policies as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{
    AccessSpec, ApiKeySpec, BasicSpec, CelSpec, CorsSpec, CsrfSpec, ExtAuthzSpec,
    IntrospectionSpec, JwtSpec, MethodSpec, MtlsSpec, OffOr, OidcSpec, OneOrMany, RegoSpec,
    SecurityHeadersSpec, SharingModeSpec, Spanned, Switch, Time,
};

/// A policy: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySpec {
    /// Pages of other origins that may call, or `off`.
    pub(crate) cors: Option<Spanned<OffOr<CorsSpec>>>,
    /// `on`, `off` or a map: refuses what pages of other sites make users' browsers send.
    pub(crate) csrf: Option<Spanned<Switch<CsrfSpec>>>,
    /// `on`, `off` or a map: fields that tell browsers what pages may do.
    pub(crate) security_headers: Option<Spanned<Switch<SecurityHeadersSpec>>>,
    /// Who may and who may not.
    pub(crate) access: Option<Spanned<AccessSpec>>,
    /// An expression of CEL that a request must meet.
    pub(crate) cel: Option<Spanned<CelSpec>>,
    /// A policy in Rego.
    pub(crate) rego: Option<Spanned<RegoSpec>>,
    /// A service of one's own that is asked whether requests may pass.
    pub(crate) ext_authz: Option<Box<Spanned<ExtAuthzSpec>>>,
    /// So many requests in a stretch of time.
    pub(crate) rate_limit: Option<Spanned<RateLimitSpec>>,
    /// So many requests in an hour, a day or a month of the calendar. Survives a restart.
    pub(crate) quota: Option<Spanned<QuotaSpec>>,
    /// So many requests at once.
    pub(crate) concurrency: Option<Spanned<ConcurrencySpec>>,
    /// Who calls must show an API key.
    pub(crate) api_key: Option<Spanned<ApiKeySpec>>,
    /// Who calls must show a name and a password (RFC 7617).
    pub(crate) basic: Option<Spanned<BasicSpec>>,
    /// Who calls must show a certificate.
    pub(crate) mtls: Option<Spanned<MtlsSpec>>,
    /// Who calls must show a JSON Web Token.
    pub(crate) jwt: Option<Box<Spanned<JwtSpec>>>,
    /// Who calls must show a token that its issuer is asked about (RFC 7662).
    pub(crate) introspection: Option<Box<Spanned<IntrospectionSpec>>>,
    /// Who calls must have logged in with a browser (OpenID Connect).
    pub(crate) oidc: Option<Box<Spanned<OidcSpec>>>,
    /// Who calls must show one of these: the first that is shown and good counts.
    pub(crate) any_of: Option<Spanned<Vec<Spanned<MethodSpec>>>>,
    /// Who calls must show all of these, for the same consumer.
    pub(crate) all_of: Option<Spanned<Vec<Spanned<MethodSpec>>>>,
    /// The consumer that a request without any credentials is from. Without another policy that
    /// tells who calls, everybody is this consumer.
    pub(crate) anonymous: Option<Spanned<String>>,
}

impl PolicySpec {
    /// Whether it is one that counts.
    pub(crate) fn is_limit(&self) -> bool {
        self.rate_limit.is_some() || self.quota.is_some() || self.concurrency.is_some()
    }
}

/// A rate limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitSpec {
    /// Its name in fields, metrics and logs. A route's replaces its service's of the same name, and
    /// that a global one. Default: `rate_limit`.
    pub(crate) name: Option<Spanned<String>>,
    /// Whom it counts for: a part or a list of parts of the key. Default: everybody together.
    pub(crate) by: Option<OneOrMany<Spanned<KeyPartSpec>>>,
    /// What becomes of a request that lacks a part of the key, or has it more than once: counted
    /// with all others like it (`own_bucket`), refused with 400 (`refuse`), or not limited by this
    /// policy (`unlimited`). Default: `own_bucket`.
    pub(crate) missing: Option<MissingSpec>,
    /// Most keys that are remembered, 1 to 50,000,000; beyond, those go that have used least. A key
    /// takes 48 bytes. Default: 100,000.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) keys: Option<Spanned<u32>>,
    /// Requests in `per`, 1 to 16,000,000.
    #[schemars(range(min = 1, max = 16_000_000))]
    pub(crate) limit: Spanned<u32>,
    /// The stretch of time, `1ms` to `31d`.
    pub(crate) per: Spanned<Time>,
    /// Requests that may come at once, for `token_bucket`. Default: the `limit`.
    #[schemars(range(min = 1, max = 16_000_000))]
    pub(crate) burst: Option<Spanned<u32>>,
    /// `token_bucket` (fills evenly) or `sliding_window` (the last `per`, weighed from two windows).
    /// Default: `token_bucket`.
    pub(crate) algorithm: Option<AlgorithmSpec>,
    /// What a request costs: a number, or `{ header: NAME, default: 1, max: 10 }`. Default: 1.
    pub(crate) cost: Option<Spanned<CostSpec>>,
    /// What becomes of a request that is too much: `refuse` (429) or `delay` (it waits for its
    /// turn; only for `token_bucket`). Default: `refuse`.
    pub(crate) on_limit: Option<Spanned<OnLimitSpec>>,
    /// The longest wait with `delay`; a request that would wait longer is refused. Default: `1s`.
    pub(crate) max_delay: Option<Spanned<Time>>,
    /// Most requests that wait at once with `delay`; others are refused. Default: 1000.
    pub(crate) waiters: Option<Spanned<u32>>,
    /// The store that it counts in together with other gateways. Default: none; every gateway counts
    /// for itself.
    pub(crate) store: Option<Spanned<String>>,
    /// How it counts there: every request asks the store (`exact`), or the gateway takes shares ahead
    /// (`leased`). Default: `exact`.
    pub(crate) mode: Option<Spanned<SharingModeSpec>>,
    /// Which fields of every reply tell of it: `standard` (`RateLimit`, `RateLimit-Policy`), `x`
    /// (`X-RateLimit-Limit`, `-Remaining`, `-Reset`), `both` or `off`. Default: `standard`.
    pub(crate) headers: Option<ReplyFieldsSpec>,
}

/// A quota.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaSpec {
    /// Its name in fields, metrics and logs. Default: `quota`.
    pub(crate) name: Option<Spanned<String>>,
    /// Whom it counts for: a part or a list of parts of the key. Default: everybody together.
    pub(crate) by: Option<OneOrMany<Spanned<KeyPartSpec>>>,
    /// What becomes of a request that lacks a part of the key: `own_bucket`, `refuse` or
    /// `unlimited`, as for a rate limit. Default: `own_bucket`.
    pub(crate) missing: Option<MissingSpec>,
    /// Most keys that are remembered, 1 to 50,000,000. Default: 100,000.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) keys: Option<Spanned<u32>>,
    /// Requests in a period, 1 to 1,000,000,000,000.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(crate) limit: Spanned<u64>,
    /// The period: `hour`, `day` or `month`.
    pub(crate) per: Spanned<PeriodSpec>,
    /// The time zone whose calendar counts, by its IANA name such as `Europe/Berlin`. Default: `UTC`.
    pub(crate) time_zone: Option<Spanned<String>>,
    /// What a request costs, as for a rate limit. Default: 1.
    pub(crate) cost: Option<Spanned<CostSpec>>,
    /// The store that it counts in together with other gateways. Default: none; every gateway counts
    /// for itself.
    pub(crate) store: Option<Spanned<String>>,
    /// How it counts there: every request asks the store (`exact`), or the gateway takes shares ahead
    /// (`leased`). Default: `exact`.
    pub(crate) mode: Option<Spanned<SharingModeSpec>>,
    /// Which fields of every reply tell of it, as for a rate limit. Default: `standard`.
    pub(crate) headers: Option<ReplyFieldsSpec>,
}

/// A limit of requests at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConcurrencySpec {
    /// Its name in fields, metrics and logs. Default: `concurrency`.
    pub(crate) name: Option<Spanned<String>>,
    /// Whom it counts for: a part or a list of parts of the key. Default: everybody together.
    pub(crate) by: Option<OneOrMany<Spanned<KeyPartSpec>>>,
    /// What becomes of a request that lacks a part of the key: `own_bucket`, `refuse` or
    /// `unlimited`, as for a rate limit. Default: `own_bucket`.
    pub(crate) missing: Option<MissingSpec>,
    /// Most keys with requests under way, 1 to 50,000,000. Default: 100,000.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) keys: Option<Spanned<u32>>,
    /// Requests at once, 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) limit: Spanned<u32>,
    /// Most requests of a key that wait for a place, up to 100,000; others are refused. Default: 0.
    #[schemars(range(max = 100_000))]
    pub(crate) queue: Option<Spanned<u32>>,
    /// The longest wait for a place; then the request is refused. Default: `1s`.
    pub(crate) wait: Option<Spanned<Time>>,
    /// Which fields of every reply tell of it, as for a rate limit. Default: `standard`.
    pub(crate) headers: Option<ReplyFieldsSpec>,
}

/// What becomes of a request that lacks a part of the key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissingSpec {
    /// All of them are counted together.
    OwnBucket,
    /// It is refused.
    Refuse,
    /// This policy does not limit it.
    Unlimited,
}

/// How a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlgorithmSpec {
    /// A bucket that fills evenly.
    TokenBucket,
    /// The last `per`, weighed from two windows.
    SlidingWindow,
}

/// What becomes of a request that is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnLimitSpec {
    /// It is refused.
    Refuse,
    /// It waits.
    Delay,
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodSpec {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

/// Fields that tell of a policy.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplyFieldsSpec {
    /// `RateLimit` and `RateLimit-Policy`.
    Standard,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    X,
    /// All of them.
    Both,
    /// None.
    Off,
}

/// A part of a key: a word, or one of several things that have a name.
#[derive(Debug)]
pub(crate) enum KeyPartSpec {
    Word(String),
    Named(Box<NamedPart>),
}

/// A part of a key that needs more than a word: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedPart {
    /// The client's network.
    pub(crate) ip: Option<Spanned<NetworkSpec>>,
    /// The value of this header field.
    pub(crate) header: Option<Spanned<String>>,
    /// The value of this cookie.
    pub(crate) cookie: Option<Spanned<String>>,
    /// The value of this query parameter.
    pub(crate) query: Option<Spanned<String>>,
    /// The value of this path parameter.
    pub(crate) param: Option<Spanned<String>>,
    /// The value of this claim of whoever calls: names joined by dots, or a JSON pointer.
    pub(crate) claim: Option<Spanned<String>>,
}

/// How much of an address makes the network of a client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSpec {
    /// Bits of an IPv4 address. Default: 32.
    #[schemars(range(max = 32))]
    pub(crate) prefix4: Option<Spanned<u8>>,
    /// Bits of an IPv6 address. Default: 64, for a household has as many addresses as it likes.
    #[schemars(range(max = 128))]
    pub(crate) prefix6: Option<Spanned<u8>>,
}

impl<'de> Deserialize<'de> for KeyPartSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyPartVisitor)
    }
}

struct KeyPartVisitor;

impl<'de> Visitor<'de> for KeyPartVisitor {
    type Value = KeyPartSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a key such as `ip`, `route` or `{ header: x-api-key }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeyPartSpec, E> {
        Ok(KeyPartSpec::Word(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyPartSpec, A::Error> {
        let named = NamedPart::deserialize(MapAccessDeserializer::new(map))?;
        Ok(KeyPartSpec::Named(Box::new(named)))
    }
}

impl JsonSchema for KeyPartSpec {
    fn schema_name() -> Cow<'static, str> {
        "KeyPart".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<NamedPart>();
        let words = crate::check::KEY_WORDS;
        json_schema!({ "anyOf": [{ "enum": words }, named] })
    }
}

/// What a request costs.
#[derive(Debug)]
pub(crate) enum CostSpec {
    Fixed(u64),
    Header(Box<HeaderCost>),
}

/// A cost that the request says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderCost {
    /// The field that has the cost as a whole number; `cost` with any other counts as `default`.
    pub(crate) header: Spanned<String>,
    /// The cost of a request without the field. Default: 1.
    pub(crate) default: Option<Spanned<u32>>,
    /// The highest cost; more counts as this.
    pub(crate) max: Spanned<u32>,
}

impl<'de> Deserialize<'de> for CostSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CostVisitor)
    }
}

struct CostVisitor;

impl<'de> Visitor<'de> for CostVisitor {
    type Value = CostSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or `{ header: NAME, max: 10 }`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<CostSpec, E> {
        Ok(CostSpec::Fixed(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CostSpec, A::Error> {
        let header = HeaderCost::deserialize(MapAccessDeserializer::new(map))?;
        Ok(CostSpec::Header(Box::new(header)))
    }
}

impl JsonSchema for CostSpec {
    fn schema_name() -> Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let header = generator.subschema_for::<HeaderCost>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, header] })
    }
}
