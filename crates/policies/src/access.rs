//! Rules of who may do what, asked once it is known who calls. A request passes if every one lets it;
//! what cannot be decided does not pass.

mod conditions;
mod describe;
mod rego;

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_cel::{BUDGET, Source};
use portcullis_config::model::{Access, Conditions, Name, Rule};
use portcullis_core::CredentialKind;

use crate::Identity;
use crate::ext_authz::ExtAuthz;
use crate::registry::Judged;

/// A rule as it runs.
#[derive(Debug)]
pub struct RunningRule {
    /// As configured.
    pub rule: Rule,
    /// What is counted of it.
    pub judged: Arc<Judged>,
    /// Who is asked, where it is not the gateway that decides.
    pub external: Option<Arc<ExtAuthz>>,
}

/// What rules can ask about a request, beyond what expressions name.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// The client's address.
    pub client: Option<std::net::IpAddr>,
    /// The method.
    pub method: &'a [u8],
    /// The time. Asked for only where it matters.
    pub now: fn() -> Timestamp,
}

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// In words, for the log alone.
    pub why: String,
    /// Scopes of which a token would need one to pass (RFC 6750, 3.1).
    pub scopes: Vec<Name>,
}

impl RunningRule {
    /// Whether it takes the place of `other` of a wider scope.
    #[must_use]
    pub fn replaces(&self, other: &RunningRule) -> bool {
        (self.rule.kind(), self.rule.name()) == (other.rule.kind(), other.rule.name())
    }

    /// Whether a request passes. `worker` counts.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge<'a>(
        &'a self,
        asker: &Asker<'_>,
        source: &dyn Source<'a>,
        worker: usize,
    ) -> Result<(), Forbidden> {
        let result = self.decide(asker, source);
        self.count(result.is_ok(), worker);
        result
    }

    /// Counts a request. `worker` counts.
    pub fn count(&self, passes: bool, worker: usize) {
        let series = self.judged.metrics.shard(worker);
        if passes { &series.allowed } else { &series.refused }.add(1);
    }

    /// The same, without counting.
    ///
    /// # Errors
    /// Why it does not pass.
    pub fn decide<'a>(
        &'a self,
        asker: &Asker<'_>,
        source: &dyn Source<'a>,
    ) -> Result<(), Forbidden> {
        match &self.rule {
            Rule::Access(rule) => access(rule, asker),
            // Whoever asks only here has not asked those who know.
            Rule::ExtAuthz(_) => {
                Err(Forbidden { why: "nobody was asked".to_owned(), scopes: Vec::new() })
            }
            Rule::Cel(rule) => {
                let why = match rule.program.holds(source, BUDGET) {
                    Ok(true) => return Ok(()),
                    Ok(false) => "it does not hold".to_owned(),
                    Err(error) => error.to_string(),
                };
                Err(Forbidden { why, scopes: Vec::new() })
            }
            Rule::Rego(rule) => {
                rego::decide(rule, source).map_err(|why| Forbidden { why, scopes: Vec::new() })
            }
        }
    }
}

fn access(rule: &Access, asker: &Asker<'_>) -> Result<(), Forbidden> {
    let met = |list: &[Conditions]| list.iter().position(|one| conditions::are_met(one, asker));
    if let Some(place) = met(&rule.deny) {
        return Err(Forbidden { why: format!("deny {}", place + 1), scopes: Vec::new() });
    }
    match &rule.allow {
        Some(allow) if met(allow).is_none() => {
            Err(Forbidden { why: "no allow".to_owned(), scopes: missing_scopes(allow, asker) })
        }
        _ => Ok(()),
    }
}

/// The scopes of which one would be enough, if that is all that a token lacks.
fn missing_scopes(allow: &[Conditions], asker: &Asker<'_>) -> Vec<Name> {
    let bears =
        matches!(asker.identity.kind, Some(CredentialKind::Jwt | CredentialKind::Introspection));
    let lacking = allow.iter().find(|one| {
        let others = Conditions { scopes: Vec::new(), ..(*one).clone() };
        !one.scopes.is_empty() && conditions::are_met(&others, asker)
    });
    lacking.filter(|_| bears).map(|one| one.scopes.clone()).unwrap_or_default()
}
