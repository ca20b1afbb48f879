//! A token in the compact form (RFC 7515 section 3.1): read, then verified.

use std::fmt::Write;

use crate::algorithm::{Algorithm, Algorithms};
use crate::base64url;
use crate::claims::Claims;
use crate::error::TokenError;
use crate::json::{Document, Object, Value};
use crate::keys::KeySet;

/// The longest signature: that of an RSA key of 8192 bits.
const MOST_SIGNATURE: usize = 1024;
/// How much of a stranger's key id an error repeats.
const MOST_KID_SHOWN: usize = 64;

/// A token whose header has been read, and nothing more: what it says is not to be trusted yet.
#[derive(Debug)]
pub struct Token<'t> {
    header: Header,
    /// What the signature is over: header, dot, payload.
    signed: &'t [u8],
    payload: &'t [u8],
    signature: &'t [u8],
}

/// What a header says that matters here. `jwk`, `jku`, `x5u` and `x5c` are not read: a key never
/// comes from the token that it is to verify (RFC 8725 section 3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`: how the token is signed.
    pub algorithm: Algorithm,
    /// `kid`: which key it was signed with.
    pub kid: Option<Box<str>>,
    /// `typ`: which kind of token it is.
    pub typ: Option<Box<str>>,
}

/// A token whose signature is that of a key that was given. Whether it is meant for here, and now,
/// is for [`Expectations`](crate::Expectations) to say.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its header, now to be trusted.
    pub header: Header,
    /// Its payload.
    pub claims: Claims,
}

impl<'t> Token<'t> {
    /// Reads the header of a token of at most `limit` bytes. No cryptography yet.
    ///
    /// # Errors
    /// When the token is too long, has not exactly three parts, or its header is malformed, names
    /// no algorithm known here, or demands what is not known (`crit`, `b64`).
    pub fn parse(text: &'t [u8], limit: usize) -> Result<Token<'t>, TokenError> {
        if text.len() > limit {
            return Err(TokenError::TooLong { bytes: text.len(), limit });
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(match text.split(|byte| *byte == b'.').count() {
                5 => TokenError::Encrypted,
                parts => TokenError::Parts { parts },
            });
        };
        let signed = &text[..header.len() + 1 + payload.len()];
        let header = read("header", header)?;
        Ok(Token { header: Header::read(header.root())?, signed, payload, signature })
    }

    /// What the header says. A stranger's words.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The issuer that the token names, to choose the keys by where several issuers are trusted.
    /// A stranger's word: the claim must be checked again once the token is verified.
    ///
    /// # Errors
    /// When the payload is malformed, or names no issuer.
    pub fn unverified_issuer(&self) -> Result<Box<str>, TokenError> {
        let payload = read("payload", self.payload)?;
        match payload.root().get("iss") {
            None => Err(TokenError::MissingClaim { claim: "iss" }),
            Some(Value::Text(issuer)) => Ok(issuer.into()),
            Some(_) => Err(TokenError::MalformedClaim { claim: "iss" }),
        }
    }

    /// Verifies the signature with a key of the set that fits the header, then reads the claims.
    ///
    /// `allowed` are the algorithms that the configuration accepts. A key is only ever used for
    /// algorithms of its own kind, so that no public key can serve as a shared secret.
    ///
    /// # Errors
    /// When the algorithm is not accepted, no key fits, the signature is wrong, or the payload is
    /// malformed.
    pub fn verify(&self, keys: &KeySet, allowed: Algorithms) -> Result<Verified, TokenError> {
        self.verify_signature(keys, allowed)?;
        self.trusted()
    }

    /// Reads the claims of a token whose signature [`Token::verify_signature`] has found to be good.
    ///
    /// # Errors
    /// When the payload is malformed.
    pub fn trusted(&self) -> Result<Verified, TokenError> {
        let claims = Claims::new(read("payload", self.payload)?);
        Ok(Verified { header: self.header.clone(), claims })
    }

    /// What [`Token::verify_signature`] says of a token whose signature was found to be wrong.
    #[must_use]
    pub fn forged(&self, keys: &KeySet) -> TokenError {
        let Header { algorithm, kid, .. } = &self.header;
        TokenError::Signature { identified: keys.names(*algorithm, kid.as_deref()) }
    }

    /// Whether verifying takes so long that others should not have to wait for it: with public keys
    /// it does, where there is one that fits.
    #[must_use]
    pub fn takes_long(&self, keys: &KeySet, allowed: Algorithms) -> bool {
        let Header { algorithm, kid, .. } = &self.header;
        let fits = allowed.contains(*algorithm) && keys.has(*algorithm, kid.as_deref());
        fits && !algorithm.is_symmetric()
    }

    /// Verifies the signature alone: what takes long.
    ///
    /// # Errors
    /// When the algorithm is not accepted, no key fits, or the signature is wrong.
    pub fn verify_signature(&self, keys: &KeySet, allowed: Algorithms) -> Result<(), TokenError> {
        let algorithm = self.header.algorithm;
        if !allowed.contains(algorithm) {
            return Err(TokenError::AlgorithmNotAllowed { algorithm });
        }
        let mut room = [0; MOST_SIGNATURE];
        let signature = base64url::decode_into(self.signature, &mut room)
            .ok_or(TokenError::Base64 { part: "signature" })?;
        let kid = self.header.kid.as_deref();
        keys.verify(algorithm, kid, self.signed, signature)
    }
}

/// The object that a part encodes.
fn read(part: &'static str, text: &[u8]) -> Result<Document, TokenError> {
    let json = base64url::decode(text).ok_or(TokenError::Base64 { part })?;
    Document::read(&json).map_err(|fault| TokenError::Json { part, fault })
}

impl Header {
    fn read(header: Object<'_>) -> Result<Header, TokenError> {
        let algorithm = match header.get("alg") {
            Some(Value::Text(name)) if name.eq_ignore_ascii_case("none") => {
                return Err(TokenError::Unsigned);
            }
            Some(Value::Text(name)) => name.parse().map_err(|_| TokenError::UnknownAlgorithm)?,
            _ => return Err(TokenError::HeaderMember { member: "alg" }),
        };
        // No extension is known here, so that any that must be understood is one too many.
        if header.get("crit").is_some() {
            return Err(TokenError::Critical);
        }
        if !matches!(header.get("b64"), None | Some(Value::Bool(true))) {
            return Err(TokenError::Unencoded);
        }
        Ok(Header { algorithm, kid: text(header, "kid")?, typ: text(header, "typ")? })
    }
}

fn text(header: Object<'_>, member: &'static str) -> Result<Option<Box<str>>, TokenError> {
    match header.get(member) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.into())),
        Some(_) => Err(TokenError::HeaderMember { member }),
    }
}

/// A stranger's key id as it may stand in a log: escaped, and cut.
pub(crate) fn shown(kid: &str) -> Box<str> {
    let mut shown = String::from("\"");
    for char in kid.chars().take(MOST_KID_SHOWN) {
        // Writing to a string cannot fail.
        let _ = match char {
            ' '..='~' if char != '"' && char != '\\' => write!(shown, "{char}"),
            _ => write!(shown, "{}", char.escape_unicode()),
        };
    }
    if kid.chars().nth(MOST_KID_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown.push('"');
    shown.into_boxed_str()
}

#[cfg(test)]
mod tests;
