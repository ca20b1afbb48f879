//! Issuers of tokens, and tokens as credentials, as written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::{OneOrMany, Size, Spanned, StoreTlsSpec, Time};

/// Somebody whose tokens may be believed. Keys come from at most one of `discovery`, `jwks_url`,
/// `jwks`, `public_key` and `secret`. Default: discovery at the usual place of the issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerSpec {
    /// What its tokens say in `iss`, compared byte by byte.
    pub(crate) issuer: Spanned<String>,
    /// The URL of its metadata, which name the URL of its keys and must name the same `issuer`.
    /// Default: `issuer` with `/.well-known/openid-configuration` behind it.
    pub(crate) discovery: Option<Spanned<String>>,
    /// The URL of its key set (RFC 7517).
    pub(crate) jwks_url: Option<Spanned<String>>,
    /// Its key set itself, best as `file:PATH`.
    pub(crate) jwks: Option<Spanned<String>>,
    /// Its public keys or certificates in PEM, best as `file:PATH`.
    pub(crate) public_key: Option<Spanned<String>>,
    /// The secret that it shares with the gateway, best as `${NAME}` or `file:PATH`: at least 32
    /// bytes, 48 for HS384, 64 for HS512. Whoever has it can issue tokens.
    pub(crate) secret: Option<Spanned<String>>,
    /// The algorithms that its tokens may be signed with: `RS256`, `RS384`, `RS512`, `PS256`,
    /// `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`, and with shared secrets `HS256`,
    /// `HS384`, `HS512`. Default: all with a public key; `HS256` for a `secret`.
    pub(crate) algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    /// How often keys are fetched anew, `10s` to `7d`. A token that names a key that is not known
    /// brings that forward, at most every 30 seconds. Default: `15m`.
    pub(crate) refresh: Option<Spanned<Time>>,
    /// The longest that one fetch takes, up to `1m`. Default: `5s`.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// The largest document that is read, `1KiB` to `16MiB`. Default: `256KiB`.
    pub(crate) max_size: Option<Spanned<Size>>,
    /// Most keys of a set, 1 to 1000; a set with more is not used. Default: 100.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_keys: Option<Spanned<u32>>,
    /// How TLS towards the issuer is verified. Default: by the system's authorities.
    pub(crate) tls: Option<StoreTlsSpec>,
}

/// A JSON Web Token (RFC 7519), looked for in all of these places; where nothing is said, in
/// `Authorization` as `Bearer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtSpec {
    /// The issuers, of `issuers`, whose tokens are good.
    pub(crate) issuers: Spanned<OneOrMany<Spanned<String>>>,
    /// Who must be meant: one of these must be among the token's `aud`. Needed unless
    /// `check_audience` is false.
    pub(crate) audiences: Option<Spanned<OneOrMany<Spanned<String>>>>,
    /// Whether `aud` is looked at. Default: true.
    pub(crate) check_audience: Option<Spanned<bool>>,
    /// The header field, or several. Default: `Authorization`, if neither `query` nor `cookie` is
    /// there.
    pub(crate) header: Option<OneOrMany<Spanned<String>>>,
    /// What stands before the token in `Authorization`. Default: `Bearer`.
    pub(crate) scheme: Option<Spanned<String>>,
    /// The query parameter, or several. Tokens in URLs end up in logs of others. Default: none.
    pub(crate) query: Option<OneOrMany<Spanned<String>>>,
    /// The cookie, or several. Default: none.
    pub(crate) cookie: Option<OneOrMany<Spanned<String>>>,
    /// Whether the service sees the token. Default: true.
    pub(crate) forward: Option<bool>,
    /// The longest token that is looked at, up to `64KiB`. Default: `8KiB`.
    pub(crate) max_size: Option<Spanned<Size>>,
    /// Whether a token must say when it expires (`exp`). Default: true.
    pub(crate) require_expiry: Option<bool>,
    /// How far clocks may differ, up to `10m`. Default: `30s`.
    pub(crate) leeway: Option<Spanned<Time>>,
    /// The longest ago that a token may have been issued (`iat`). Default: any time.
    pub(crate) max_age: Option<Spanned<Time>>,
    /// The `typ` that a token may have, or several; `any` does not look. Default: none, `JWT` or
    /// `at+jwt`.
    pub(crate) typ: Option<OneOrMany<Spanned<String>>>,
    /// What other claims must be.
    pub(crate) require: Option<Vec<Spanned<RequireSpec>>>,
    /// Scopes that the token must all grant (403 if not). Default: none.
    pub(crate) scopes: Option<OneOrMany<Spanned<String>>>,
    /// Scopes of which the token must grant one (403 if not). Default: none.
    pub(crate) any_scope: Option<OneOrMany<Spanned<String>>>,
    /// Where roles are: a claim, or several. Default: `roles`.
    pub(crate) roles: Option<OneOrMany<Spanned<String>>>,
    /// The claim that names the consumer. Default: none; the token is nobody's in particular.
    pub(crate) consumer: Option<Spanned<String>>,
    /// Whether a token whose consumer is not known is refused. Default: true, with `consumer`.
    pub(crate) require_consumer: Option<Spanned<bool>>,
    /// Header fields that the service is given, by name: the claim that each is filled with. What a
    /// client sends under these names is taken out.
    pub(crate) claims_to_headers: Option<BTreeMap<String, Spanned<String>>>,
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}

/// What a claim must be. With nothing but `claim` it must be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequireSpec {
    /// The claim: names joined by dots (`realm_access.roles`; a dot within a name is `\.`), or a
    /// JSON pointer (`/https:~1~1example.com~1roles`).
    pub(crate) claim: Spanned<String>,
    /// It is this.
    pub(crate) equals: Option<Spanned<ScalarSpec>>,
    /// It is one of these.
    pub(crate) one_of: Option<Spanned<Vec<Spanned<ScalarSpec>>>>,
    /// It is a list that has all of these, or a text whose words they are.
    pub(crate) contains: Option<Spanned<OneOrMany<Spanned<ScalarSpec>>>>,
    /// It is a list that has one of these, or a text of whose words it is one.
    pub(crate) contains_any: Option<Spanned<OneOrMany<Spanned<ScalarSpec>>>>,
}

/// A text, a whole number or a truth value.
#[derive(Debug, Clone)]
pub(crate) enum ScalarSpec {
    Text(String),
    Whole(i64),
    Bool(bool),
}

impl<'de> Deserialize<'de> for ScalarSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = ScalarSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, `true` or `false`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ScalarSpec, E> {
        Ok(ScalarSpec::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ScalarSpec, E> {
        i64::try_from(number).map(ScalarSpec::Whole).map_err(|_| E::custom("too large a number"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ScalarSpec, E> {
        Ok(ScalarSpec::Whole(number))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ScalarSpec, E> {
        Ok(ScalarSpec::Bool(value))
    }
}

impl JsonSchema for ScalarSpec {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}
