//! Logins of browsers with a provider of OpenID Connect, and the sessions that they begin.

use std::time::Duration;

use portcullis_jose::ClaimPath;

use super::{Name, OauthClient, Secret};

/// A login of browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The provider; it exists.
    pub issuer: Name,
    /// What the gateway is to it.
    pub client: OauthClient,
    /// The words of `scope`; `openid` is among them.
    pub scopes: Name,
    /// Further parameters of the login, none of which the protocol needs itself.
    pub parameters: Vec<(Name, Name)>,
    /// The path that the provider sends browsers back to.
    pub callback: Name,
    /// Scheme and host that browsers see; `None` takes those that they ask for.
    pub origin: Option<Name>,
    /// How long a login may take.
    pub login_timeout: Duration,
    /// How sessions are kept.
    pub session: Session,
    /// How users log out.
    pub logout: Logout,
    /// How long before tokens expire they are renewed.
    pub refresh_ahead: Duration,
    /// Whether the provider is asked for more claims.
    pub user_info: bool,
    /// The field that the service gets the access token in, in lower case.
    pub access_token: Option<Name>,
    /// Whether it works over plain HTTP.
    pub plain_http: bool,
    /// Where roles are.
    pub roles: Vec<ClaimPath>,
    /// The claim that names the consumer, and whether it must be a known one.
    pub consumer: Option<(ClaimPath, bool)>,
    /// Fields that the service is given, in lower case, and what they are filled with.
    pub headers: Vec<(Name, ClaimPath)>,
    /// What clients are told to be asked by.
    pub realm: Name,
}

/// How sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What they are sealed with: the first seals, all open. At least one, each of at least
    /// [`Session::SHORTEST_SECRET`] bytes.
    pub secrets: Vec<Secret>,
    /// The store that they are kept in; it exists. `None` keeps them in cookies.
    pub store: Option<Name>,
    /// The name of the cookie, without `__Host-`.
    pub cookie: Name,
    /// How long one lasts that nobody uses.
    pub idle: Duration,
    /// How long one lasts at most.
    pub lifetime: Duration,
}

impl Session {
    /// Bytes of the shortest secret.
    pub const SHORTEST_SECRET: usize = 32;
}

/// How users log out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    /// The path that ends the session.
    pub path: Name,
    /// Where browsers go after it: a path, or an absolute URL.
    pub then: Name,
    /// Whether the session with the provider ends too.
    pub end_session: bool,
}
