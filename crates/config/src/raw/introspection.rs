//! Tokens that their issuer is asked about, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ClientSpec, OneOrMany, RequireSpec, Size, Spanned, Time};

/// A token that its issuer is asked about (RFC 7662), looked for in all of these places; where
/// nothing is said, in `Authorization` as `Bearer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntrospectionSpec {
    /// The issuer, of `issuers`, that is asked; its `timeout`, `max_size` and `tls` hold.
    pub(crate) issuer: Spanned<String>,
    /// The URL that is asked. Default: `introspection_endpoint` of the issuer's metadata.
    pub(crate) endpoint: Option<Spanned<String>>,
    /// What the issuer knows the gateway by.
    pub(crate) client: Spanned<ClientSpec>,
    /// How long an answer is remembered, and never longer than the token holds; up to `1d`, and `0s`
    /// asks about every request. A token that is revoked is good for so long. Default: `1m`.
    pub(crate) cache: Option<Spanned<Time>>,
    /// How long it is remembered that a token is not good, up to `1h`. Default: `10s`.
    pub(crate) refused_cache: Option<Spanned<Time>>,
    /// Who must be meant: one of these must be among the `aud` of the answer. Default: the issuer is
    /// believed not to take tokens for others as good.
    pub(crate) audiences: Option<Spanned<OneOrMany<Spanned<String>>>>,
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
    /// How far clocks may differ, up to `10m`. Default: `30s`.
    pub(crate) leeway: Option<Spanned<Time>>,
    /// What other claims of the answer must be.
    pub(crate) require: Option<Vec<Spanned<RequireSpec>>>,
    /// Scopes that the token must all grant (403 if not). Default: none.
    pub(crate) scopes: Option<OneOrMany<Spanned<String>>>,
    /// Scopes of which the token must grant one (403 if not). Default: none.
    pub(crate) any_scope: Option<OneOrMany<Spanned<String>>>,
    /// Where roles are: a claim, or several. Default: `roles`.
    pub(crate) roles: Option<OneOrMany<Spanned<String>>>,
    /// The claim that names the consumer, often `client_id`, `sub` or `username`. Default: none; the
    /// token is nobody's in particular.
    pub(crate) consumer: Option<Spanned<String>>,
    /// Whether a token whose consumer is not known is refused. Default: true, with `consumer`.
    pub(crate) require_consumer: Option<Spanned<bool>>,
    /// Header fields that the service is given, by name: the claim that each is filled with. What a
    /// client sends under these names is taken out.
    pub(crate) claims_to_headers: Option<BTreeMap<String, Spanned<String>>>,
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}
