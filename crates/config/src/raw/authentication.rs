//! Authentication as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{IntrospectionSpec, JwtSpec, OidcSpec, OneOrMany, Size, Spanned};

/// A way to tell who calls: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodSpec {
    /// An API key.
    pub(crate) api_key: Option<Spanned<ApiKeySpec>>,
    /// A name and a password (RFC 7617).
    pub(crate) basic: Option<Spanned<BasicSpec>>,
    /// A client's certificate.
    pub(crate) mtls: Option<Spanned<MtlsSpec>>,
    /// A JSON Web Token.
    pub(crate) jwt: Option<Box<Spanned<JwtSpec>>>,
    /// A token that its issuer is asked about (RFC 7662).
    pub(crate) introspection: Option<Box<Spanned<IntrospectionSpec>>>,
    /// A login of a browser.
    pub(crate) oidc: Option<Box<Spanned<OidcSpec>>>,
    /// The first of these that is shown and good.
    pub(crate) any_of: Option<Spanned<Vec<Spanned<MethodSpec>>>>,
    /// Every one of these, for the same consumer.
    pub(crate) all_of: Option<Spanned<Vec<Spanned<MethodSpec>>>>,
}

/// An API key, looked for in all of these places; where nothing is said, in the field `X-API-Key`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeySpec {
    /// The header field, or several. Default: `X-API-Key`, if neither `query` nor `cookie` is there.
    pub(crate) header: Option<OneOrMany<Spanned<String>>>,
    /// What stands before the key in `Authorization`, such as `Bearer`. Default: nothing.
    pub(crate) scheme: Option<Spanned<String>>,
    /// The query parameter, or several. Keys in URLs end up in logs of others. Default: none.
    pub(crate) query: Option<OneOrMany<Spanned<String>>>,
    /// The cookie, or several. Default: none.
    pub(crate) cookie: Option<OneOrMany<Spanned<String>>>,
    /// Whether the service sees the key. Default: false.
    pub(crate) forward: Option<bool>,
    /// The longest key that is looked at, up to `64KiB`. Default: `8KiB`.
    pub(crate) max_size: Option<Spanned<Size>>,
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicSpec {
    /// Whether the service sees them. Default: false.
    pub(crate) forward: Option<bool>,
    /// The longest field that is looked at, up to `64KiB`. Default: `8KiB`.
    pub(crate) max_size: Option<Spanned<Size>>,
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}

/// A client's certificate, which the listener asks for (`tls.client_auth`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MtlsSpec {
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}
