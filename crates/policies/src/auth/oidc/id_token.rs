//! ID tokens (OpenID Connect Core 1.0, 3.1.3.7): signed by the issuer, for this client, for this
//! login.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_jose::{
    Algorithm, Algorithms, Claims, Expectations, KeySet, Scopes, Token, TokenError, Typ, Value,
    Verified,
};

/// The longest token of any kind that is taken from a provider, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;
/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// What an ID token must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    /// The access token that came with it.
    pub(super) access_token: &'a str,
    /// Seconds since 1970.
    pub(super) now: u64,
    /// Which login it must be for.
    pub(super) about: About<'a>,
}

/// Which login an ID token must be for.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    /// The one whose nonce this takes.
    Nonce(&'a dyn Fn(&str) -> bool),
    /// That of this person, renewed (OpenID Connect Core 1.0, 12.2).
    Person(&'a str),
}

impl std::fmt::Debug for About<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            About::Nonce(_) => "Nonce",
            About::Person(_) => "Person",
        })
    }
}

/// Why an ID token is not good.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdTokenError {
    /// It is not good whoever it is for.
    #[error("the ID token is not good: {0}")]
    Token(#[from] TokenError),
    /// It has no subject.
    #[error("the ID token is about nobody")]
    Nobody,
    /// It is for several, and not issued to this client.
    #[error("the ID token was issued to another client")]
    Party,
    /// It belongs to another login.
    #[error("the ID token is for another login")]
    Nonce,
    /// It is about somebody else than before.
    #[error("the ID token is about somebody else")]
    Person,
    /// The access token is another one.
    #[error("the ID token is for another access token")]
    AccessToken,
}

impl IdTokenError {
    /// Whether newer keys might verify it.
    pub(super) fn may_need_newer_keys(&self) -> bool {
        matches!(self, IdTokenError::Token(error) if error.may_need_newer_keys())
    }
}

/// Verifies an ID token.
pub(super) fn verify(
    text: &str,
    keys: &KeySet,
    allowed: Algorithms,
    wanted: &Wanted<'_>,
) -> Result<Claims, IdTokenError> {
    let verified = Token::parse(text.as_bytes(), LONGEST)?.verify(keys, allowed)?;
    let expectations = Expectations {
        issuers: Some(vec![wanted.issuer.into()]),
        audiences: Some(vec![wanted.client.into()]),
        expiry_required: true,
        leeway: LEEWAY,
        max_age: None,
        // An access token is none, though the same issuer has signed it for the same audience.
        typ: if verified.header.typ.is_none() { Typ::Any } else { Typ::OneOf(vec!["JWT".into()]) },
        required: Vec::new(),
        scopes: Scopes::None,
    };
    expectations.check(&verified, i64::try_from(wanted.now).unwrap_or(i64::MAX))?;
    let Verified { header, claims } = verified;
    if claims.issued()?.is_none() {
        return Err(TokenError::MissingClaim { claim: "iat" }.into());
    }
    let subject = claims.subject().filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(IdTokenError::Nobody)?;
    check_party(&claims, wanted.client)?;
    let nonce = claims.get("nonce").and_then(Value::as_str);
    match wanted.about {
        About::Nonce(is) if nonce.is_some_and(is) => {}
        About::Nonce(_) => return Err(IdTokenError::Nonce),
        About::Person(person) if person == subject => {}
        About::Person(_) => return Err(IdTokenError::Person),
    }
    match claims.get("at_hash") {
        None => {}
        Some(Value::Text(hash)) if is_hash(hash, header.algorithm, wanted.access_token) => {}
        Some(_) => return Err(IdTokenError::AccessToken),
    }
    Ok(claims)
}

/// Who is named as the one that it was issued to must be this client, and must be named where there
/// are several that it is for.
fn check_party(claims: &Claims, client: &str) -> Result<(), IdTokenError> {
    let several = claims.audiences()?.nth(1).is_some();
    match claims.get("azp") {
        None if !several => Ok(()),
        Some(Value::Text(party)) if party == client => Ok(()),
        _ => Err(IdTokenError::Party),
    }
}

/// Whether this is the left half of the token's digest, by the digest of the signature.
fn is_hash(hash: &str, algorithm: Algorithm, token: &str) -> bool {
    let by = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Hs256 => &SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 | Algorithm::Hs384 => &SHA384,
        Algorithm::Rs512
        | Algorithm::Ps512
        | Algorithm::Es512
        | Algorithm::Hs512
        | Algorithm::EdDsa => &SHA512,
    };
    let whole = digest::digest(by, token.as_bytes());
    let half = &whole.as_ref()[..whole.as_ref().len() / 2];
    let expected = URL_SAFE_NO_PAD.encode(half);
    verify_slices_are_equal(expected.as_bytes(), hash.as_bytes()).is_ok()
}
