//! Tokens as credentials: which ones are good, and what is taken from them.

use portcullis_jose::{ClaimPath, Expectations};

use super::{KeyPlace, Name};

/// A JSON Web Token (RFC 7519).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// Where it is looked for, in order; at least one place.
    pub from: Vec<KeyPlace>,
    /// The longest that is looked at, in bytes.
    pub longest: usize,
    /// The service sees it.
    pub forward: bool,
    /// What clients are told to be asked by.
    pub realm: Name,
    /// The issuers whose tokens are good; they exist, and there is at least one.
    pub issuers: Vec<Name>,
    /// What is expected of a token beside its issuer.
    pub expected: Expectations,
    /// Where roles are.
    pub roles: Vec<ClaimPath>,
    /// The claim that names the consumer, and whether it must be a known one.
    pub consumer: Option<(ClaimPath, bool)>,
    /// Fields that the service is given, in lower case, and what they are filled with.
    pub headers: Vec<(Name, ClaimPath)>,
}
