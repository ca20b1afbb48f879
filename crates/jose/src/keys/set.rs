//! Sets of keys, and which of them may be a token's.

use super::{Key, KeyError, jwk, pem};
use crate::algorithm::Algorithm;
use crate::error::TokenError;
use crate::json::{Document, Object, Value};
use crate::token;

/// Keys that are tried for one token: a signature costs tens of microseconds, and a stranger
/// chooses which token is sent.
const MOST_TRIES: usize = 8;

/// What a set of keys may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySetLimits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Keys in it, those that cannot be used included.
    pub keys: usize,
    /// Whether it may have shared secrets. Never for what comes from an issuer's public address.
    pub symmetric: bool,
}

impl Default for KeySetLimits {
    /// 256 KiB, 100 keys, public keys only.
    fn default() -> KeySetLimits {
        KeySetLimits { bytes: 256 * 1024, keys: 100, symmetric: false }
    }
}

/// Keys of an issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<Skipped>,
}

/// A key of a document that is not used, since others may know more kinds of keys than are known
/// here (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the document, counted from 0.
    pub index: usize,
    /// Its name, escaped and cut.
    pub kid: Option<Box<str>>,
    /// Why it cannot be used.
    pub why: KeyError,
}

impl KeySet {
    /// Reads a JWK set, or a single JWK. Keys that cannot be used are skipped, and noted; private
    /// parts are not read, and what was read of the document is overwritten.
    ///
    /// # Errors
    /// When the document is too long, is not a set of keys, or has too many.
    pub fn from_jwks(text: &[u8], limits: KeySetLimits) -> Result<KeySet, KeyError> {
        if text.len() > limits.bytes {
            return Err(KeyError::TooLong { bytes: text.len(), limit: limits.bytes });
        }
        let mut document = Document::read(text)?;
        let set = KeySet::from_document(document.root(), limits);
        document.wipe();
        set
    }

    fn from_document(root: Object<'_>, limits: KeySetLimits) -> Result<KeySet, KeyError> {
        let mut set = KeySet::default();
        match (root.get("keys"), root.get("kty")) {
            (Some(Value::List(keys)), None) => {
                if keys.len() > limits.keys {
                    return Err(KeyError::TooMany { limit: limits.keys });
                }
                for (index, key) in keys.iter().enumerate() {
                    let key = key.as_object().ok_or(KeyError::NotASet)?;
                    set.read(index, key, limits.symmetric);
                }
            }
            (None, Some(_)) => set.read(0, root, limits.symmetric),
            _ => return Err(KeyError::NotASet),
        }
        Ok(set)
    }

    fn read(&mut self, index: usize, key: Object<'_>, symmetric: bool) {
        match jwk::read(key, symmetric) {
            Ok(key) => self.keys.push(key),
            Err(why) => {
                let kid = key.get("kid").and_then(Value::as_str).map(token::shown);
                self.skipped.push(Skipped { index, kid, why });
            }
        }
    }

    /// Keys from PEM: public keys and certificates, as many as there are. They have no names, so
    /// that they are tried for every token of a fitting algorithm.
    ///
    /// # Errors
    /// When the text is not PEM, or anything in it is not a public key that can be used.
    pub fn from_pem(text: &[u8]) -> Result<KeySet, KeyError> {
        Ok(KeySet { keys: pem::read(text)?, skipped: Vec::new() })
    }

    /// One shared secret, for HMAC; `only` is the algorithm that it is for. Whoever has it can sign
    /// as well. The caller's copy is the caller's to overwrite.
    ///
    /// # Errors
    /// When it is shorter than the digest (RFC 7518 section 3.2), or `only` is not HMAC.
    pub fn from_secret(secret: &[u8], only: Option<Algorithm>) -> Result<KeySet, KeyError> {
        Ok(KeySet { keys: vec![Key::shared(secret, only)?], skipped: Vec::new() })
    }

    /// The keys of both.
    #[must_use]
    pub fn and(mut self, other: KeySet) -> KeySet {
        self.keys.extend(other.keys);
        self.skipped.extend(other.skipped);
        self
    }

    /// The keys that can be used.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The keys that were skipped, and why.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key may be tried for a token.
    pub(crate) fn has(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let tried = |key: &&Key| kid.is_none() || key.kid().is_none() || key.kid() == kid;
        self.keys.iter().filter(tried).any(|key| key.algorithms().contains(algorithm))
    }

    /// Whether a key that may be tried is the one that the token names.
    pub(crate) fn names(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let named = self.keys.iter().filter(|key| kid.is_some() && key.kid() == kid);
        named.map(Key::algorithms).any(|algorithms| algorithms.contains(algorithm))
    }

    /// Verifies a signature. Where the token names a key, keys with that name and keys without one
    /// are tried; where it names none, all that fit.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let named = self.keys.iter().filter(|key| kid.is_some() && key.kid() == kid);
        let others = self.keys.iter().filter(|key| kid.is_none() || key.kid().is_none());
        let mut identified = false;
        let mut tries = 0;
        for key in named.chain(others) {
            match key.verify(algorithm, signed, signature) {
                None => continue,
                Some(true) => return Ok(()),
                Some(false) => identified |= kid.is_some() && key.kid() == kid,
            }
            tries += 1;
            if tries == MOST_TRIES {
                break;
            }
        }
        match tries {
            0 => Err(TokenError::UnknownKey { algorithm, kid: kid.map(token::shown) }),
            _ => Err(TokenError::Signature { identified }),
        }
    }
}

#[cfg(test)]
mod tests;
