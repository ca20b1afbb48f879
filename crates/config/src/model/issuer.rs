//! Issuers of tokens: whose tokens are believed, and where their keys come from.

use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::Algorithms;

use super::{Name, Secret, StoreTls, Url};

/// Somebody whose tokens may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name in the configuration.
    pub name: Name,
    /// What its tokens say in `iss`, compared exactly.
    pub issuer: Name,
    /// Where its keys come from.
    pub keys: KeyOrigin,
    /// The algorithms that its tokens may be signed with; at least one.
    pub algorithms: Algorithms,
    /// How often keys from an address are fetched anew.
    pub refresh: Duration,
    /// The longest that one fetch takes.
    pub timeout: Duration,
    /// The largest document that is read, in bytes.
    pub max_size: usize,
    /// Most keys of a set.
    pub max_keys: usize,
    /// How TLS towards it is verified, where it is spoken.
    pub tls: StoreTls,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Its metadata (OpenID Connect Discovery, RFC 8414), which names the address.
    Discovery(Url),
    /// An address.
    Address(Url),
    /// A JWK set that stands in the configuration, or in a file that it names; keys can be made of
    /// it.
    Set(Arc<[u8]>),
    /// Public keys or certificates in PEM; keys can be made of them.
    Pem(Arc<[u8]>),
    /// A shared secret, whose bytes are long enough for every algorithm of the issuer.
    Secret(Secret),
}

impl KeyOrigin {
    /// The address that is called, if keys are fetched.
    #[must_use]
    pub fn address(&self) -> Option<&Url> {
        match self {
            KeyOrigin::Discovery(url) | KeyOrigin::Address(url) => Some(url),
            KeyOrigin::Set(_) | KeyOrigin::Pem(_) | KeyOrigin::Secret(_) => None,
        }
    }
}
