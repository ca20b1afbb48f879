//! The other way: tokens that the gateway signs itself, to prove who it is (`private_key_jwt`,
//! RFC 7523 section 2.2) or as an issuer of its own.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::keys::hmac_algorithm;

/// A private key with the one algorithm that it is used for. Its memory is overwritten when it is
/// dropped.
pub struct Signer {
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Shared(Box<hmac::Key>),
}

/// Why a signer cannot be made, or cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The text is not a private key in PEM, in the form of PKCS#8.
    #[error("it is not a private key in PEM (PKCS#8: `BEGIN PRIVATE KEY`)")]
    Pem,
    /// The key does not go with the algorithm, or is too weak for it.
    #[error("the key cannot be used for {0}")]
    Key(Algorithm),
    /// No key can be made for this algorithm here.
    #[error("no key can be generated for {0}")]
    NotGenerated(Algorithm),
    /// The claims are not a JSON object, or the system gave no randomness.
    #[error("the token cannot be signed")]
    Failed,
}

impl Signer {
    /// A signer from a private key in PEM (PKCS#8).
    ///
    /// # Errors
    /// When the text is not one, or the key does not go with the algorithm.
    pub fn from_pem(
        text: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Signer, SignerError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| SignerError::Pem)?;
        Signer::from_pkcs8(der.secret_pkcs8_der(), algorithm, kid)
    }

    /// A signer from a private key in DER (PKCS#8).
    ///
    /// # Errors
    /// When the key does not go with the algorithm, or is too weak for it.
    pub fn from_pkcs8(
        der: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Signer, SignerError> {
        let rejected = |_| SignerError::Key(algorithm);
        let pair = if let Some(encoding) = rsa_encoding(algorithm) {
            Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(rejected)?), encoding)
        } else if let Some(curve) = ecdsa(algorithm) {
            Pair::Ec(EcdsaKeyPair::from_pkcs8(curve, der).map_err(rejected)?)
        } else if algorithm == Algorithm::EdDsa {
            Pair::Ed(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?)
        } else {
            return Err(SignerError::Key(algorithm));
        };
        Ok(Signer { algorithm, kid: kid.map(Into::into), pair })
    }

    /// A signer with a shared secret (`client_secret_jwt`, HMAC).
    ///
    /// # Errors
    /// When the algorithm is not HMAC, or the secret shorter than its digest.
    pub fn from_secret(
        secret: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Signer, SignerError> {
        let hmac = hmac_algorithm(algorithm).filter(|hmac| secret.len() >= hmac.tag_len());
        let hmac = hmac.ok_or(SignerError::Key(algorithm))?;
        let pair = Pair::Shared(Box::new(hmac::Key::new(hmac, secret)));
        Ok(Signer { algorithm, kid: kid.map(Into::into), pair })
    }

    /// A signer with a new key, named by its thumbprint (RFC 7638): ES256, ES384, ES512 and
    /// `EdDSA`.
    ///
    /// # Errors
    /// When keys for the algorithm are not made here, or the system gives no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Signer, SignerError> {
        let failed = |_| SignerError::Failed;
        let pair = if let Some(curve) = ecdsa(algorithm) {
            Pair::Ec(EcdsaKeyPair::generate(curve).map_err(failed)?)
        } else if algorithm == Algorithm::EdDsa {
            Pair::Ed(Ed25519KeyPair::generate().map_err(failed)?)
        } else {
            return Err(SignerError::NotGenerated(algorithm));
        };
        let mut signer = Signer { algorithm, kid: None, pair };
        signer.kid = signer.thumbprint().map(Into::into);
        Ok(signer)
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of its key.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// A token with these claims, which must serialise as a JSON object.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON, or the system gives no randomness.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignerError> {
        let header = HeaderOut { alg: self.algorithm.name(), typ, kid: self.kid.as_deref() };
        let mut token = String::new();
        for part in [serde_json::to_vec(&header), serde_json::to_vec(claims)] {
            let part = part.map_err(|_| SignerError::Failed)?;
            if part.first() != Some(&b'{') {
                return Err(SignerError::Failed);
            }
            base64url::encode_onto(&part, &mut token);
            token.push('.');
        }
        token.pop();
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        base64url::encode_onto(&signature, &mut token);
        Ok(token)
    }

    fn signature(&self, signed: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failed = |_| SignerError::Failed;
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), signed, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), signed).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed(pair) => Ok(pair.try_sign(signed).map_err(failed)?.as_ref().to_vec()),
            Pair::Shared(key) => Ok(hmac::sign(key, signed).as_ref().to_vec()),
        }
    }

    /// The public key as a JWK, for the key set of an issuer; nothing for a shared secret and for
    /// RSA, whose keys come from elsewhere.
    #[must_use]
    pub fn public_jwk(&self) -> Option<serde_json::Value> {
        let mut jwk = self.public_members()?;
        let members = jwk.as_object_mut()?;
        members.insert("use".to_owned(), "sig".into());
        members.insert("alg".to_owned(), self.algorithm.name().into());
        if let Some(kid) = &self.kid {
            members.insert("kid".to_owned(), (**kid).into());
        }
        Some(jwk)
    }

    /// The members that make the key (RFC 7638 section 3.2).
    fn public_members(&self) -> Option<serde_json::Value> {
        match &self.pair {
            Pair::Ec(pair) => {
                let (_, point) = pair.public_key().as_ref().split_first()?;
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match self.algorithm {
                    Algorithm::Es256 => "P-256",
                    Algorithm::Es384 => "P-384",
                    _ => "P-521",
                };
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                Some(serde_json::json!({"crv": curve, "kty": "EC", "x": x, "y": y}))
            }
            Pair::Ed(pair) => {
                let x = base64url::encode(pair.public_key().as_ref());
                Some(serde_json::json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
            }
            Pair::Rsa(..) | Pair::Shared(_) => None,
        }
    }

    /// The key's thumbprint (RFC 7638): members in the order of their names, without spaces, which
    /// is how `serde_json` writes its sorted map.
    fn thumbprint(&self) -> Option<String> {
        let members = serde_json::to_vec(&self.public_members()?).ok()?;
        Some(base64url::encode(digest::digest(&digest::SHA256, &members).as_ref()))
    }
}

/// The header of a token that is signed here.
#[derive(Serialize)]
struct HeaderOut<'h> {
    alg: &'static str,
    typ: &'h str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'h str>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Some(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
