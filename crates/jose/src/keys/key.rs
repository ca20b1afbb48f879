//! One key, ready to verify.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use super::KeyError;
use crate::algorithm::{Algorithm, Algorithms};

const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];
const HMAC: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

/// A key that verifies signatures of the algorithms that it fits.
pub struct Key {
    kid: Option<Box<str>>,
    /// The key as each of its algorithms needs it.
    forms: Box<[(Algorithm, Form)]>,
}

enum Form {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

/// A curve of ECDSA. Each goes with one algorithm (RFC 7518 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Bytes of a coordinate.
    pub(crate) fn size(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Curve::P256 => Algorithm::Es256,
            Curve::P384 => Algorithm::Es384,
            Curve::P521 => Algorithm::Es512,
        }
    }
}

impl Key {
    /// The key's name, which a token's header may refer to.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that it may be used for.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.forms.iter().map(|(algorithm, _)| *algorithm).collect()
    }

    /// The same key under a name.
    pub(crate) fn named(mut self, kid: Option<&str>) -> Key {
        self.kid = kid.map(Into::into);
        self
    }

    /// An RSA key from its modulus and exponent, big-endian; leading zeros do not matter. `only` is
    /// the one algorithm that it is for, if its owner says so.
    pub(crate) fn rsa(n: &[u8], e: &[u8], only: Option<Algorithm>) -> Result<Key, KeyError> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize { bits });
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        // An exponent of 1 would make every text its own signature; no real one has over 32 bits,
        // and huge ones are slow to verify with.
        if !is_odd(n) || !is_odd(e) || e == [1] || e.len() > 4 {
            return Err(KeyError::RsaNumbers);
        }
        let components = RsaPublicKeyComponents { n, e };
        let form = |algorithm| {
            let parsed = components.to_parsed_public_key(rsa_parameters(algorithm)?);
            Some(parsed.map(Form::Public).map_err(|_| KeyError::RsaNumbers))
        };
        Key::of(&RSA, only, form)
    }

    /// A key of ECDSA from the coordinates of its point, each of the curve's full size.
    pub(crate) fn ec(
        curve: Curve,
        x: &[u8],
        y: &[u8],
        only: Option<Algorithm>,
    ) -> Result<Key, KeyError> {
        for (coordinate, member) in [(x, "x"), (y, "y")] {
            if coordinate.len() != curve.size() {
                return Err(KeyError::Member { member });
            }
        }
        let verification = match curve {
            Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        };
        let point = [&[4], x, y].concat();
        Key::of(&[curve.algorithm()], only, |_| {
            let parsed = ParsedPublicKey::new(verification, &point);
            Some(parsed.map(Form::Public).map_err(|_| KeyError::Rejected))
        })
    }

    /// A key of Ed25519 (RFC 8037).
    pub(crate) fn ed25519(x: &[u8], only: Option<Algorithm>) -> Result<Key, KeyError> {
        if x.len() != signature::ED25519_PUBLIC_KEY_LEN {
            return Err(KeyError::Member { member: "x" });
        }
        Key::of(&[Algorithm::EdDsa], only, |_| {
            let parsed = ParsedPublicKey::new(&signature::ED25519, x);
            Some(parsed.map(Form::Public).map_err(|_| KeyError::Rejected))
        })
    }

    /// A shared secret, for the algorithms that it is long enough for: the secret must have as many
    /// bytes as the digest (RFC 7518 section 3.2). The copy is overwritten when the key is dropped.
    pub(crate) fn shared(secret: &[u8], only: Option<Algorithm>) -> Result<Key, KeyError> {
        let asked = only.unwrap_or(Algorithm::Hs256);
        let least = hmac_algorithm(asked).ok_or(KeyError::Algorithm)?.tag_len();
        if secret.len() < least {
            return Err(KeyError::SecretTooShort { bytes: secret.len(), algorithm: asked, least });
        }
        Key::of(&HMAC, only, |algorithm| {
            let hmac = hmac_algorithm(algorithm)?;
            let long_enough = secret.len() >= hmac.tag_len();
            long_enough.then(|| Ok(Form::Shared(Box::new(hmac::Key::new(hmac, secret)))))
        })
    }

    /// A key in the form of each algorithm of its kind, or of only one.
    fn of(
        kind: &[Algorithm],
        only: Option<Algorithm>,
        form: impl Fn(Algorithm) -> Option<Result<Form, KeyError>>,
    ) -> Result<Key, KeyError> {
        let wanted = kind.iter().filter(|algorithm| only.is_none_or(|only| only == **algorithm));
        let forms = wanted.filter_map(|algorithm| Some(form(*algorithm)?.map(|f| (*algorithm, f))));
        let forms = forms.collect::<Result<Box<[_]>, _>>()?;
        if forms.is_empty() { Err(KeyError::Algorithm) } else { Ok(Key { kid: None, forms }) }
    }

    /// Whether the signature is this key's; nothing where the key is not for the algorithm.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let (_, form) = self.forms.iter().find(|(known, _)| *known == algorithm)?;
        Some(match form {
            Form::Public(key) => key.verify_sig(signed, signature).is_ok(),
            Form::Shared(key) => hmac::verify(key, signed, signature).is_ok(),
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms())
            .finish_non_exhaustive()
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

pub(crate) fn hmac_algorithm(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::Hs256 => Some(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Some(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}
