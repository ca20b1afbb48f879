//! The gateway as a client of OAuth, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Spanned;

/// What the gateway is to a provider of OAuth 2.0 or OpenID Connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientSpec {
    /// What the provider knows the gateway by.
    pub(crate) id: Spanned<String>,
    /// The secret that both know, best as `${NAME}` or `file:PATH`. Default: none.
    pub(crate) secret: Option<Spanned<String>>,
    /// How the gateway proves who it is: `client_secret_basic`, `client_secret_post`,
    /// `private_key_jwt`, or `none` (a public client). Default: `client_secret_basic` with a
    /// `secret`, `private_key_jwt` with a `private_key`, else `none`.
    pub(crate) auth: Option<Spanned<ClientProofSpec>>,
    /// The private key in PEM (PKCS#8), best as `file:PATH`. Default: none.
    pub(crate) private_key: Option<Spanned<String>>,
    /// The algorithm that the key signs with. Default: `RS256`.
    pub(crate) algorithm: Option<Spanned<String>>,
    /// What the provider knows the key by (`kid`). Default: none.
    pub(crate) key_id: Option<Spanned<String>>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientProofSpec {
    /// The secret in `Authorization` (RFC 6749, 2.3.1).
    ClientSecretBasic,
    /// The secret in the form (RFC 6749, 2.3.1).
    ClientSecretPost,
    /// A token that the private key signs (RFC 7523, 2.2).
    PrivateKeyJwt,
    /// Nothing.
    None,
}
