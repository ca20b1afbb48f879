//! Logins of browsers, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ClientSpec, OneOrMany, Spanned, Time};

/// A login with a provider of OpenID Connect: authorization code with PKCE. Browsers that go
/// somewhere are sent to log in; whoever else has no session gets 401.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcSpec {
    /// The provider, of `issuers`; its metadata name the addresses of logins.
    pub(crate) issuer: Spanned<String>,
    /// What the gateway is to the provider.
    pub(crate) client: Spanned<ClientSpec>,
    /// What is asked of the provider. Default: `openid`, which is always among them.
    pub(crate) scopes: Option<OneOrMany<Spanned<String>>>,
    /// Further parameters of the login, such as `prompt`, `acr_values` or `audience`. Default: none.
    pub(crate) parameters: Option<BTreeMap<String, Spanned<String>>>,
    /// The path that the provider sends browsers back to, on every host of the routes; the provider
    /// must know it. Default: `/.portcullis/callback`.
    pub(crate) callback: Option<Spanned<String>>,
    /// Scheme, host and port that browsers see the gateway at, such as `https://shop.example.com`.
    /// Default: those that a request asks for.
    pub(crate) origin: Option<Spanned<String>>,
    /// How long a login may take, `1s` to `1h`. Default: `10m`.
    pub(crate) login_timeout: Option<Spanned<Time>>,
    /// How sessions are kept.
    pub(crate) session: Spanned<SessionSpec>,
    /// How users log out.
    pub(crate) logout: Option<LogoutSpec>,
    /// How long before the tokens expire they are renewed, if there is a refresh token, up to `1h`.
    /// Default: `1m`.
    pub(crate) refresh_ahead: Option<Spanned<Time>>,
    /// Whether the provider is asked for more claims (user info) with every login and renewal.
    /// Default: false.
    pub(crate) user_info: Option<bool>,
    /// The header field that the service gets the access token in; in `Authorization` it stands
    /// behind `Bearer`. What a client sends under this name is taken out. Default: none.
    pub(crate) access_token_header: Option<Spanned<String>>,
    /// Whether logins work over plain HTTP as well, with cookies that are no `__Host-` ones: anybody
    /// on the way can take them. For tests on one machine. Default: false.
    pub(crate) plain_http: Option<bool>,
    /// Where roles are: a claim, or several. Default: `roles`.
    pub(crate) roles: Option<OneOrMany<Spanned<String>>>,
    /// The claim that names the consumer. Default: none; the session is nobody's in particular.
    pub(crate) consumer: Option<Spanned<String>>,
    /// Whether a session whose consumer is not known is refused. Default: true, with `consumer`.
    pub(crate) require_consumer: Option<Spanned<bool>>,
    /// Header fields that the service is given, by name: the claim that each is filled with. What a
    /// client sends under these names is taken out.
    pub(crate) claims_to_headers: Option<BTreeMap<String, Spanned<String>>>,
    /// The `realm` of the challenge. Default: `portcullis`.
    pub(crate) realm: Option<Spanned<String>>,
}

/// How sessions are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionSpec {
    /// What sessions are sealed with: at least 32 bytes, the same on every gateway, best as
    /// `${NAME}` or `file:PATH`. Of several the first seals and all open, so that it can be changed
    /// without anybody having to log in anew.
    pub(crate) secret: Spanned<OneOrMany<Spanned<String>>>,
    /// The store, of `stores`, that sessions are kept in; then cookies have a random name of the
    /// session alone. Default: none; cookies have the whole session.
    pub(crate) store: Option<Spanned<String>>,
    /// The name of the cookie, without `__Host-`. Default: `portcullis-` and eight digits that
    /// follow from issuer and client.
    pub(crate) cookie: Option<Spanned<String>>,
    /// How long a session lasts that nobody uses, `1s` to `30d`. Default: `30m`.
    pub(crate) idle: Option<Spanned<Time>>,
    /// How long a session lasts at most, `1s` to `365d`. Default: `12h`.
    pub(crate) lifetime: Option<Spanned<Time>>,
}

/// How users log out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogoutSpec {
    /// The path that ends the session, on every host of the routes; a provider that is to send
    /// browsers back must know it. Default: `/.portcullis/logout`.
    pub(crate) path: Option<Spanned<String>>,
    /// Where browsers go after it: a path, or an absolute URL. Default: `/`.
    pub(crate) then: Option<Spanned<String>>,
    /// Whether the session with the provider ends too, where its metadata say how. Default: true.
    pub(crate) end_session: Option<bool>,
}
