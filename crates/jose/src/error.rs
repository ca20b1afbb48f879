//! Why a token is refused: one text for whoever sent it, another for the log.
//!
//! Until the signature has been verified, a sender learns no more than whether what it sent can be
//! read: not which keys there are, nor which algorithms would do. What is told after that goes to
//! those who hold a token that the issuer signed.

use crate::algorithm::Algorithm;
use crate::json::JsonError;

/// The codes of RFC 6750 section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is wrong: more than one token, or in more than one way.
    InvalidRequest,
    /// The token is malformed, expired, not meant for here or not to be trusted.
    InvalidToken,
    /// The token is good, and its scopes do not suffice.
    InsufficientScope,
}

impl ErrorCode {
    /// The code as it is written in `WWW-Authenticate`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidRequest => "invalid_request",
            ErrorCode::InvalidToken => "invalid_token",
            ErrorCode::InsufficientScope => "insufficient_scope",
        }
    }
}

/// Why a token is refused. `Display` is the inside text, for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than the caller's limit.
    #[error("the token has {bytes} bytes, which is more than the limit of {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// It has five parts: JWE (RFC 7516).
    #[error("the token is encrypted (five parts, JWE), and only signed ones are read")]
    Encrypted,
    /// It has not three parts.
    #[error("the token has {parts} parts instead of three")]
    Parts {
        /// How many it has.
        parts: usize,
    },
    /// A part is not strictly base64url.
    #[error("the token's {part} is not base64url without padding")]
    Base64 {
        /// `header`, `payload` or `signature`.
        part: &'static str,
    },
    /// A part is not the JSON that it must be.
    #[error("the token's {part} {fault}")]
    Json {
        /// `header` or `payload`.
        part: &'static str,
        /// What is wrong with it.
        fault: JsonError,
    },
    /// A member of the header is missing, or of another type than the RFC says.
    #[error("the header's `{member}` is missing or of the wrong type")]
    HeaderMember {
        /// Its name.
        member: &'static str,
    },
    /// `alg` is `none`, in whatever spelling.
    #[error("the token is not signed (`alg` is none)")]
    Unsigned,
    /// `alg` is nothing that is known.
    #[error("the header's `alg` is not known")]
    UnknownAlgorithm,
    /// `alg` is known, and not among those that are accepted.
    #[error("{algorithm} is not among the algorithms that are accepted")]
    AlgorithmNotAllowed {
        /// What the token is signed with.
        algorithm: Algorithm,
    },
    /// The header demands extensions, none of which is known (RFC 7515 section 4.1.11).
    #[error("the header's `crit` demands extensions that are not known")]
    Critical,
    /// The payload is not encoded (RFC 7797), which no JWT may have.
    #[error("the payload is not encoded (`b64`)")]
    Unencoded,
    /// No key of the set can be the one.
    #[error("no key for {algorithm}{}", key_id(kid.as_deref()))]
    UnknownKey {
        /// What the token is signed with.
        algorithm: Algorithm,
        /// The key's name in the header: a stranger's word, escaped and cut.
        kid: Option<Box<str>>,
    },
    /// The signature is not that of the key.
    #[error("the signature is wrong{}", if *.identified { "" } else { " for every key that fits" })]
    Signature {
        /// Whether the header had named the key.
        identified: bool,
    },
    /// A claim that must be there is not.
    #[error("the claim `{claim}` is missing")]
    MissingClaim {
        /// Its name.
        claim: &'static str,
    },
    /// A claim is of another type than RFC 7519 says.
    #[error("the claim `{claim}` is of the wrong type")]
    MalformedClaim {
        /// Its name.
        claim: &'static str,
    },
    /// `exp` has passed.
    #[error("the token expired {seconds} s ago")]
    Expired {
        /// How long ago, leeway not counted.
        seconds: i64,
    },
    /// `nbf` has not come yet.
    #[error("the token is not valid before {seconds} s from now")]
    NotYetValid {
        /// How long that is, leeway not counted.
        seconds: i64,
    },
    /// `iat` has not come yet.
    #[error("the token says that it will be issued {seconds} s from now")]
    IssuedInFuture {
        /// How long that is, leeway not counted.
        seconds: i64,
    },
    /// `iat` is longer ago than tokens may be old.
    #[error("the token was issued {seconds} s ago, which is longer than is accepted")]
    TooOld {
        /// How long ago, leeway not counted.
        seconds: i64,
    },
    /// `iss` is not an issuer that is accepted.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// `aud` has nobody who is meant.
    #[error("the token is for another audience")]
    Audience,
    /// `typ` says that it is another kind of token.
    #[error("the token's `typ` is not accepted")]
    Typ,
    /// A claim is not as the configuration demands.
    #[error("the claim `{path}` is not as it must be")]
    Requirement {
        /// Its path, as configured.
        path: Box<str>,
    },
    /// The scopes do not suffice.
    #[error("the token lacks scopes")]
    Scope,
}

fn key_id(kid: Option<&str>) -> String {
    kid.map_or_else(|| " (the header names none)".to_owned(), |kid| format!(" with the id {kid}"))
}

impl TokenError {
    /// The code for the challenge.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            TokenError::Scope => ErrorCode::InsufficientScope,
            _ => ErrorCode::InvalidToken,
        }
    }

    /// The text for whoever sent the token (`error_description`): without quotes and backslashes,
    /// and without anything from the token or the configuration.
    #[must_use]
    pub fn description(&self) -> &'static str {
        match self {
            TokenError::TooLong { .. } => "The access token is too long",
            TokenError::Encrypted => "The access token is encrypted, and only signed ones are read",
            TokenError::Parts { .. }
            | TokenError::Base64 { .. }
            | TokenError::Json { .. }
            | TokenError::HeaderMember { .. } => "The access token is malformed",
            TokenError::Unsigned
            | TokenError::UnknownAlgorithm
            | TokenError::AlgorithmNotAllowed { .. }
            | TokenError::Critical
            | TokenError::Unencoded
            | TokenError::UnknownKey { .. }
            | TokenError::Signature { .. } => "The access token cannot be trusted",
            TokenError::MissingClaim { .. }
            | TokenError::MalformedClaim { .. }
            | TokenError::Requirement { .. } => "The access token lacks a claim that is required",
            TokenError::Expired { .. } => "The access token has expired",
            TokenError::NotYetValid { .. } | TokenError::IssuedInFuture { .. } => {
                "The access token is not valid yet"
            }
            TokenError::TooOld { .. } => "The access token is too old",
            TokenError::Issuer => "The access token is from another issuer",
            TokenError::Audience => "The access token is for another audience",
            TokenError::Typ => "The access token is of another type",
            TokenError::Scope => "The access token lacks a scope that is required",
        }
    }

    /// Whether newer keys of the issuer could change the answer, so that fetching them is worth it:
    /// no key had the token's id, or none was named and none fitted.
    #[must_use]
    pub fn may_need_newer_keys(&self) -> bool {
        matches!(self, TokenError::UnknownKey { .. } | TokenError::Signature { identified: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_signature_tells_nothing_about_keys_and_algorithms() {
        let untrusted = [
            TokenError::AlgorithmNotAllowed { algorithm: Algorithm::Hs256 },
            TokenError::UnknownKey { algorithm: Algorithm::Es256, kid: Some("x".into()) },
            TokenError::Signature { identified: true },
            TokenError::Unsigned,
        ];
        for error in &untrusted {
            assert_eq!(error.description(), untrusted[0].description());
            assert_eq!(error.code().as_str(), "invalid_token");
        }
        assert_eq!(TokenError::Scope.code().as_str(), "insufficient_scope");
    }

    #[test]
    fn only_what_newer_keys_could_change_is_worth_a_fetch() {
        assert!(TokenError::Signature { identified: false }.may_need_newer_keys());
        assert!(!TokenError::Signature { identified: true }.may_need_newer_keys());
        assert!(!TokenError::Unsigned.may_need_newer_keys());
    }
}
