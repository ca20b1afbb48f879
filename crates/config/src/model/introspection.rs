//! Tokens that their issuer is asked about.

use std::time::Duration;

use super::{Jwt, Name, OauthClient, Url};

/// A token that its issuer is asked about (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// Where it stands, and what is expected of the answer. It names the one issuer.
    pub token: Jwt,
    /// Who is asked; it exists.
    pub issuer: Name,
    /// The address that is asked; `None` is that of the issuer's metadata.
    pub endpoint: Option<Url>,
    /// What the issuer knows the gateway by.
    pub client: OauthClient,
    /// How long an answer is remembered at most.
    pub cache: Duration,
    /// How long it is remembered that a token is not good.
    pub refused_cache: Duration,
}
