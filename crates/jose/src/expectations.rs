//! What is expected of a token that has been verified: whose it is, whom it is for, when it holds,
//! and what it must say besides.

use std::time::Duration;

use crate::claims::Claims;
use crate::error::TokenError;
use crate::json::{Number, Value};
use crate::path::ClaimPath;
use crate::token::Verified;

/// What a configuration expects of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectations {
    /// Those who may have issued it, compared exactly with `iss`. `None` does not look, and
    /// `Some` of nothing refuses every token.
    pub issuers: Option<Vec<Box<str>>>,
    /// Those one of whom must be among its `aud`, compared exactly. As with issuers.
    pub audiences: Option<Vec<Box<str>>>,
    /// Whether it must say when it expires (`exp`). If it says so, it holds in any case.
    pub expiry_required: bool,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How long ago it may have been issued; then it must have `iat`.
    pub max_age: Option<Duration>,
    /// Which kinds of token are accepted.
    pub typ: Typ,
    /// What other claims must be.
    pub required: Vec<Requirement>,
    /// What it must allow.
    pub scopes: Scopes,
}

/// Which `typ` a header may have. Compared without case and without `application/` in front
/// (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Typ {
    /// None, `JWT` or `at+jwt`: what access tokens are written with. What is typed explicitly as
    /// something else (a logout token, a proof of possession, a client's assertion) is not one
    /// (RFC 8725 section 3.11).
    #[default]
    Usual,
    /// Only `at+jwt` (RFC 9068 section 4).
    AccessToken,
    /// One of these.
    OneOf(Vec<Box<str>>),
    /// Whatever it says.
    Any,
}

/// What one claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Which claim.
    pub path: ClaimPath,
    /// What is asked of it.
    pub test: Test,
}

/// What may be asked of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is there, and not `null`.
    Present,
    /// It is exactly this.
    Equals(Expected),
    /// It is one of these.
    OneOf(Vec<Expected>),
    /// It is a list that has all of these, or a text whose words (between spaces) are.
    Contains(Vec<Expected>),
    /// The same with any one of these.
    ContainsAny(Vec<Expected>),
}

/// A value that a claim is compared with. Types are compared too: `"1"` is not `1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A text, compared byte by byte.
    Text(Box<str>),
    /// A whole number.
    Whole(i64),
    /// A truth value.
    Bool(bool),
}

/// Which scopes must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scopes {
    /// None in particular.
    #[default]
    None,
    /// Every one of these.
    All(Vec<Box<str>>),
    /// At least one of these.
    Any(Vec<Box<str>>),
}

impl Expectations {
    /// What is expected where nothing else is said: one of these issuers and audiences, an expiry,
    /// 30 seconds of leeway, the usual types.
    #[must_use]
    pub fn new(issuers: Vec<Box<str>>, audiences: Vec<Box<str>>) -> Expectations {
        Expectations {
            issuers: Some(issuers),
            audiences: Some(audiences),
            expiry_required: true,
            leeway: Duration::from_secs(30),
            max_age: None,
            typ: Typ::default(),
            required: Vec::new(),
            scopes: Scopes::default(),
        }
    }

    /// Checks a verified token at `now`, in whole seconds since 1970. Scopes come last, so that a
    /// lack of them is only told of a token that is good otherwise.
    ///
    /// # Errors
    /// With the first expectation that does not hold.
    pub fn check(&self, token: &Verified, now: i64) -> Result<(), TokenError> {
        if !self.typ.accepts(token.header.typ.as_deref()) {
            return Err(TokenError::Typ);
        }
        self.check_claims(&token.claims, now)
    }

    /// The same for claims that came without a header, as an answer of introspection does.
    ///
    /// # Errors
    /// With the first expectation that does not hold.
    pub fn check_claims(&self, claims: &Claims, now: i64) -> Result<(), TokenError> {
        self.check_origin(claims)?;
        self.check_times(claims, now)?;
        for requirement in &self.required {
            if !requirement.holds(claims) {
                return Err(TokenError::Requirement { path: requirement.path.as_str().into() });
            }
        }
        if self.scopes.satisfied(claims) { Ok(()) } else { Err(TokenError::Scope) }
    }

    /// Whether claims that have passed once still hold at `now`: all that time can change.
    ///
    /// # Errors
    /// When they have expired, have grown too old, or do not hold yet.
    pub fn check_times(&self, claims: &Claims, now: i64) -> Result<(), TokenError> {
        let leeway = seconds(self.leeway);
        match claims.expires()? {
            None if self.expiry_required => return Err(TokenError::MissingClaim { claim: "exp" }),
            Some(expires) if now.saturating_sub(leeway) >= expires => {
                return Err(TokenError::Expired { seconds: now.saturating_sub(expires) });
            }
            _ => {}
        }
        let latest = now.saturating_add(leeway);
        if let Some(start) = claims.not_before()?.filter(|start| *start > latest) {
            return Err(TokenError::NotYetValid { seconds: start.saturating_sub(now) });
        }
        let issued = claims.issued()?;
        if let Some(issued) = issued.filter(|issued| *issued > latest) {
            return Err(TokenError::IssuedInFuture { seconds: issued.saturating_sub(now) });
        }
        let Some(max_age) = self.max_age else { return Ok(()) };
        let issued = issued.ok_or(TokenError::MissingClaim { claim: "iat" })?;
        let age = now.saturating_sub(issued);
        if age > seconds(max_age).saturating_add(leeway) {
            return Err(TokenError::TooOld { seconds: age });
        }
        Ok(())
    }

    /// The last second in which claims that pass now can still pass; `i64::MAX` where they do not
    /// say. For caches; leeway is not counted.
    ///
    /// # Errors
    /// When a date is no number.
    pub fn holds_until(&self, claims: &Claims) -> Result<i64, TokenError> {
        let expires = claims.expires()?.map_or(i64::MAX, |expires| expires.saturating_sub(1));
        let aged = match (self.max_age, claims.issued()?) {
            (Some(max_age), Some(issued)) => issued.saturating_add(seconds(max_age)),
            _ => i64::MAX,
        };
        Ok(expires.min(aged))
    }

    fn check_origin(&self, claims: &Claims) -> Result<(), TokenError> {
        if let Some(issuers) = &self.issuers {
            let issuer = match claims.get("iss") {
                None => return Err(TokenError::MissingClaim { claim: "iss" }),
                Some(value) => value.as_str().ok_or(TokenError::MalformedClaim { claim: "iss" })?,
            };
            if !is_among(issuers, issuer) {
                return Err(TokenError::Issuer);
            }
        }
        let Some(audiences) = &self.audiences else { return Ok(()) };
        if claims.get("aud").is_none() {
            return Err(TokenError::MissingClaim { claim: "aud" });
        }
        if !claims.audiences()?.any(|audience| is_among(audiences, audience)) {
            return Err(TokenError::Audience);
        }
        Ok(())
    }
}

impl Typ {
    fn accepts(&self, typ: Option<&str>) -> bool {
        let is = |name: &str| typ.is_some_and(|typ| bare(typ).eq_ignore_ascii_case(bare(name)));
        match self {
            Typ::Usual => typ.is_none() || is("JWT") || is("at+jwt"),
            Typ::AccessToken => is("at+jwt"),
            Typ::OneOf(names) => names.iter().any(|name| is(name)),
            Typ::Any => true,
        }
    }
}

/// A media type without its `application/`, which may be left out.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

impl Requirement {
    fn holds(&self, claims: &Claims) -> bool {
        match claims.at(&self.path) {
            None | Some(Value::Null) => false,
            Some(value) => self.test.holds(value),
        }
    }
}

impl Test {
    fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Test::Present => true,
            Test::Equals(expected) => expected.is(value),
            Test::OneOf(expected) => expected.iter().any(|expected| expected.is(value)),
            Test::Contains(expected) => expected.iter().all(|expected| expected.is_in(value)),
            Test::ContainsAny(expected) => expected.iter().any(|expected| expected.is_in(value)),
        }
    }
}

impl Expected {
    fn is(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Expected::Text(expected), Value::Text(text)) => **expected == *text,
            (Expected::Bool(expected), Value::Bool(value)) => *expected == value,
            (Expected::Whole(expected), Value::Number(Number::Float(value))) => {
                *expected as f64 == value
            }
            (Expected::Whole(expected), value) => value.as_i64() == Some(*expected),
            _ => false,
        }
    }

    fn is_in(&self, value: Value<'_>) -> bool {
        match value {
            Value::List(list) => list.iter().any(|value| self.is(value)),
            Value::Text(text) => text.split(' ').any(|word| self.is(Value::Text(word))),
            _ => false,
        }
    }
}

impl Scopes {
    fn satisfied(&self, claims: &Claims) -> bool {
        let has = |scope: &str| claims.scopes().any(|granted| granted == scope);
        match self {
            Scopes::None => true,
            Scopes::All(scopes) => scopes.iter().all(|scope| has(scope)),
            Scopes::Any(scopes) => scopes.iter().any(|scope| has(scope)),
        }
    }
}

fn is_among(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|known| **known == *name)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
