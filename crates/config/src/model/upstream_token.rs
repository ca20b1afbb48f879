//! The token that the gateway shows to a service.

use std::time::Duration;

use super::{Name, OauthClient, StoreTls, Url};

/// A token that the gateway gets for itself, by client credentials (RFC 6749, 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamToken {
    /// Who grants it.
    pub granter: Granter,
    /// What the gateway is there; it can prove who it is.
    pub client: OauthClient,
    /// What is asked for beside the kind of grant: scopes, resources and whatever else.
    pub parameters: Vec<(Name, Name)>,
    /// How long before it expires it is renewed. Not zero.
    pub refresh_ahead: Duration,
}

/// Who grants a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granter {
    /// An issuer, which exists.
    Issuer {
        /// Its name.
        name: Name,
        /// Where tokens are granted, unless its metadata say.
        endpoint: Option<Url>,
    },
    /// Whoever is at an address.
    Address {
        /// Where tokens are granted.
        endpoint: Url,
        /// How TLS is verified there.
        tls: StoreTls,
        /// The longest that it takes.
        timeout: Duration,
    },
}

impl UpstreamToken {
    /// The issuer that it names, if any.
    #[must_use]
    pub fn issuer(&self) -> Option<&Name> {
        match &self.granter {
            Granter::Issuer { name, .. } => Some(name),
            Granter::Address { .. } => None,
        }
    }

    /// Whether a token that was granted by the one is as good for the other: the same is asked for
    /// by the same client at the same place.
    #[must_use]
    pub fn grants_the_same(&self, other: &UpstreamToken) -> bool {
        let place = |token: &UpstreamToken| match &token.granter {
            Granter::Issuer { name, endpoint } => (Some(name.clone()), endpoint.clone()),
            Granter::Address { endpoint, .. } => (None, Some(endpoint.clone())),
        };
        place(self) == place(other)
            && self.client.id == other.client.id
            && self.parameters == other.parameters
    }
}
