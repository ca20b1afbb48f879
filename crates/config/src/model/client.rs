//! The gateway as a client of OAuth.

use portcullis_jose::Algorithm;

use super::{Name, Secret};

/// What the gateway is to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// What the provider knows it by.
    pub id: Name,
    /// How it proves who it is.
    pub proof: ClientProof,
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientProof {
    /// Not at all: a public client.
    None,
    /// The secret in `Authorization` (RFC 6749, 2.3.1).
    Basic(Secret),
    /// The secret in the form (RFC 6749, 2.3.1).
    Post(Secret),
    /// A token that a private key signs (RFC 7523, 2.2).
    Key {
        /// PEM; a signer can be made of it.
        pem: Secret,
        /// What it signs with; not a symmetric one.
        algorithm: Algorithm,
        /// What the provider knows the key by.
        kid: Option<Name>,
    },
}
