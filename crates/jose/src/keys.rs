//! Keys that verify, and sets of them (RFC 7517).
//!
//! A key is made ready when it is read: once for every algorithm that it fits, and it is used for no
//! other. Private parts of a key are never read.

mod jwk;
mod key;
mod pem;
mod set;
#[cfg(test)]
mod wycheproof;

pub use key::Key;
pub(crate) use key::hmac_algorithm;
pub use set::{KeySet, KeySetLimits, Skipped};

use crate::algorithm::Algorithm;
use crate::json::JsonError;

/// Why a key, or a document with keys, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The document is longer than the caller's limit.
    #[error("it has {bytes} bytes, which is more than the limit of {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The document has more keys than the caller's limit.
    #[error("it has more than {limit} keys")]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// The document is not JSON that is accepted.
    #[error("it {0}")]
    Json(#[from] JsonError),
    /// The document has no list of keys.
    #[error("it is no set of keys: its `keys` is not a list of objects")]
    NotASet,
    /// The text is not PEM, or has nothing in it that is a key.
    #[error("it is not a public key or certificate in PEM")]
    Pem,
    /// The text has a private key, and a gateway that verifies has no business with one.
    #[error("it holds a private key, where the public key or certificate belongs")]
    Private,
    /// A certificate or public key whose insides make no sense.
    #[error("its DER is malformed")]
    Der,
    /// A kind of key that is not known (`kty`), or none at all.
    #[error("its kind (`kty`) is not supported")]
    Kind,
    /// A curve that is not known (`crv`).
    #[error("its curve is not supported")]
    Curve,
    /// A member is missing, or not what it must be.
    #[error("its `{member}` is missing or malformed")]
    Member {
        /// Its name.
        member: &'static str,
    },
    /// It is for encryption (`use`).
    #[error("its `use` is not `sig`")]
    Use,
    /// It is not for verifying (`key_ops`).
    #[error("its `key_ops` has no `verify`")]
    Operations,
    /// It is for an algorithm (`alg`) that is not known, or does not go with its kind.
    #[error("its `alg` is not supported for a key of its kind")]
    Algorithm,
    /// An RSA key that is too small, or too large.
    #[error("its modulus has {bits} bits, and only 2048 to 8192 are accepted")]
    RsaSize {
        /// How many bits its modulus has.
        bits: usize,
    },
    /// An RSA key that cannot be one.
    #[error("its modulus or exponent is no RSA key's")]
    RsaNumbers,
    /// A shared secret, where only public keys are accepted.
    #[error("it is a shared secret, which is not accepted here")]
    Symmetric,
    /// A shared secret that can be guessed (RFC 7518 section 3.2).
    #[error("its {bytes} bytes are too few: {algorithm} needs {least}")]
    SecretTooShort {
        /// How long it is.
        bytes: usize,
        /// For which algorithm it is too short.
        algorithm: Algorithm,
        /// How long it must be.
        least: usize,
    },
    /// The numbers are no key: a point that is not on its curve.
    #[error("it is not a point of its curve")]
    Rejected,
}
