//! What a token says (RFC 7519 section 4): kept flat, shared without a copy.

use std::sync::Arc;

use crate::error::TokenError;
use crate::json::{Document, JsonError, List, Object, Value};
use crate::path::ClaimPath;

/// The claims of a token. A clone is another handle of the same.
#[derive(Debug, Clone)]
pub struct Claims(Arc<Document>);

impl Claims {
    pub(crate) fn new(mut document: Document) -> Claims {
        document.shrink();
        Claims(Arc::new(document))
    }

    /// Reads claims that did not come in a token: an answer of introspection or of user info. The
    /// same strictness holds for them.
    ///
    /// # Errors
    /// When the text is not one object of JSON, has doubled members or is nested too deeply.
    pub fn from_json(text: &[u8]) -> Result<Claims, JsonError> {
        Document::read(text).map(Claims::new)
    }

    /// All claims as one object.
    #[must_use]
    pub fn root(&self) -> Object<'_> {
        self.0.root()
    }

    /// The claim with exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.root().get(name)
    }

    /// The value at a path, when there is one.
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<Value<'_>> {
        path.find(Value::Object(self.root()))
    }

    /// Who issued the token: `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// Whom it is about: `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.get("sub").and_then(Value::as_str)
    }

    /// Which client it was issued to: `client_id` (RFC 9068), or `azp` as OpenID Connect has it.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.get("client_id").or_else(|| self.get("azp")).and_then(Value::as_str)
    }

    /// Whom it is for: `aud`, which is a text or a list of texts.
    ///
    /// # Errors
    /// When the claim is anything else.
    pub fn audiences(&self) -> Result<impl Iterator<Item = &str> + Clone, TokenError> {
        let claim = self.get("aud");
        let well_formed = match claim {
            None | Some(Value::Text(_)) => true,
            Some(Value::List(list)) => list.iter().all(|value| value.as_str().is_some()),
            Some(_) => false,
        };
        let audiences = claim.and_then(Value::as_str).into_iter().chain(listed(claim));
        well_formed.then_some(audiences).ok_or(TokenError::MalformedClaim { claim: "aud" })
    }

    /// What it allows: the words of `scope` (RFC 8693 section 4.2) and of `scp`, each a text with
    /// spaces or a list. Anything else in them grants nothing.
    pub fn scopes(&self) -> impl Iterator<Item = &str> + Clone {
        ["scope", "scp"].into_iter().flat_map(|name| {
            let claim = self.get(name);
            let words = claim.and_then(Value::as_str).unwrap_or_default().split(' ');
            words.filter(|word| !word.is_empty()).chain(listed(claim))
        })
    }

    /// When it expires: `exp` in whole seconds since 1970, rounded down.
    ///
    /// # Errors
    /// When the claim is no number.
    pub fn expires(&self) -> Result<Option<i64>, TokenError> {
        self.date("exp", f64::floor)
    }

    /// From when on it holds: `nbf` in whole seconds since 1970, rounded up.
    ///
    /// # Errors
    /// When the claim is no number.
    pub fn not_before(&self) -> Result<Option<i64>, TokenError> {
        self.date("nbf", f64::ceil)
    }

    /// When it was issued: `iat` in whole seconds since 1970, rounded down.
    ///
    /// # Errors
    /// When the claim is no number.
    pub fn issued(&self) -> Result<Option<i64>, TokenError> {
        self.date("iat", f64::floor)
    }

    /// Bytes of memory that the claims take, for caches that are bounded by memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// A date, which may have a fraction (RFC 7519 section 2) and may be absurd: far ones end at
    /// the ends of 64 bits.
    fn date(&self, claim: &'static str, round: fn(f64) -> f64) -> Result<Option<i64>, TokenError> {
        let Some(value) = self.get(claim) else { return Ok(None) };
        // The cast ends at the ends of the type.
        let seconds = value.as_i64().or_else(|| value.as_f64().map(|date| round(date) as i64));
        seconds.map(Some).ok_or(TokenError::MalformedClaim { claim })
    }
}

/// The texts of a list, none of any other value.
fn listed(value: Option<Value<'_>>) -> impl Iterator<Item = &str> + Clone {
    let values = value.and_then(Value::as_list).into_iter().flat_map(List::iter);
    values.filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
