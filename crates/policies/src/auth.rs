//! Authentication: finds out who calls. What a scope asks of requests is a tree of methods. Asking
//! them is synchronous: where one must wait (for a password to be verified, for an issuer), it gives
//! what to wait for, the answer is kept for the request, and all are asked once more.

mod api_key;
mod basic;
pub(crate) mod claims;
mod describe;
mod guessing;
mod introspection;
mod jwt;
mod method;
mod mtls;
mod oidc;
mod passwords;
mod place;
mod signatures;

use std::borrow::Cow;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;

use portcullis_config::model;
use portcullis_core::{AuthOutcome, CredentialKind};
use portcullis_jose::TokenError;
use portcullis_wire::{Fields, RequestHead};

use crate::consumers::Directory;
use crate::identity::Identity;
use crate::issuers::Issuers;
use crate::key::Facts;
use crate::shared::Stores;
pub use guessing::Guard;
pub use jwt::Tokens;
use method::Method;
pub(crate) use oidc::Live;
pub use oidc::{LoginFault, Logins, Redirect, RelyingParty};
pub use passwords::Verifier;

/// Most times that a request waits for something before it is known who calls.
const MOST_WAITS: usize = 8;
/// What is wrong with one credential where several are asked for.
const ALONE: &str = "another credential is missing beside it";

/// What a scope asks of requests.
#[derive(Debug)]
pub struct Authentication {
    /// As configured.
    pub written: Arc<model::Authentication>,
    method: Option<Method>,
}

/// What came of asking a method.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is known who calls: the identity says.
    Known,
    /// The request shows nothing of this kind.
    Nothing,
    /// What the request shows is not good.
    Refused(Refused),
    /// What the request shows is good, and what must be shown beside it is not there.
    Incomplete(CredentialKind),
    /// What the request shows is good, and grants too little.
    Insufficient(CredentialKind),
    /// It could not be found out now.
    Unavailable(CredentialKind, &'static str),
    /// First this must be known.
    Wait(Waiting),
}

/// A credential that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its kind.
    pub kind: CredentialKind,
    /// What precisely is wrong, for the log alone.
    pub detail: Cow<'static, str>,
    /// What whoever has sent it is told.
    pub(crate) said: Option<&'static str>,
}

impl Refused {
    fn new(kind: CredentialKind, detail: &'static str) -> Refused {
        Refused { kind, detail: detail.into(), said: None }
    }

    /// A token that is not good.
    fn token(error: &TokenError) -> Refused {
        let (detail, said) = (error.to_string().into(), Some(error.description()));
        Refused { kind: CredentialKind::Jwt, detail, said }
    }
}

/// What a request has to wait for.
pub struct Waiting {
    /// The number of the method.
    pub(crate) method: usize,
    pub(crate) answer: Pin<Box<dyn Future<Output = Answer>>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a request waited for.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The credential is good.
    Good,
    /// It is not.
    Bad,
    /// Nobody can tell now.
    Unavailable,
    /// What an issuer says of a token.
    Introspected(introspection::Verdict),
    /// What came of looking for a session.
    Session(Arc<oidc::Outcome>),
}

/// The answers that a request has waited for, by the number of the method.
#[derive(Debug, Default)]
pub struct Answers(Vec<(usize, Answer)>);

/// What a request is asked by, besides its facts.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Who there is.
    pub directory: &'a Directory,
    /// What the worker remembers of tokens.
    pub tokens: &'a RefCell<Tokens>,
    /// Seconds since 1970.
    pub now: u64,
}

/// What methods are made with, beside what is written: what outlives a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Issuers of tokens.
    pub issuers: &'a Issuers,
    /// Stores of sessions.
    pub stores: &'a Stores,
    /// Logins and their sessions.
    pub logins: &'a Arc<Logins>,
}

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It shows nothing that is asked for.
    Missing,
    /// What it shows is not good.
    Refused(Refused),
    /// What it shows is good, and grants too little.
    Insufficient(CredentialKind),
    /// Its client has shown too much that is not good; for how long it has to wait, in nanoseconds.
    Guessing(u64),
    /// Nobody can tell now.
    Unavailable(CredentialKind, &'static str),
}

/// Whether a request may pass, as far as that is known.
#[derive(Debug)]
pub enum Known {
    /// It may.
    Yes,
    /// First this must be known.
    Wait(Waiting),
}

impl Authentication {
    /// Ready to run.
    #[must_use]
    pub fn new(written: &Arc<model::Authentication>, around: &Around<'_>) -> Authentication {
        let mut count = 0;
        let method = written.method.as_ref().map(|method| Method::new(method, &mut count, around));
        Authentication { written: Arc::clone(written), method }
    }

    /// Asks a request who sends it. `steady` is the time in nanoseconds of a clock that only goes
    /// forward.
    ///
    /// # Errors
    /// Nobody knows, or nobody is to know for now.
    pub fn ask(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        answers: &Answers,
        steady: u64,
        identity: &mut Identity,
    ) -> Result<Known, Denied> {
        identity.clear();
        let Some(method) = &self.method else {
            return self.nobody(asking, identity).map(|()| Known::Yes);
        };
        let guard = asking.directory.guard();
        let shown = guard.is_some_and(Guard::has_any) && method.is_shown(facts);
        if let Some(wait) = guard.filter(|_| shown).and_then(|guard| guard.wait(facts, steady)) {
            return Err(Denied::Guessing(wait));
        }
        match method.attempt(facts, asking, answers, identity) {
            Attempt::Known => Ok(Known::Yes),
            Attempt::Nothing => {
                identity.forget();
                self.nobody(asking, identity).map(|()| Known::Yes)
            }
            Attempt::Refused(refused) => {
                identity.forget();
                // Nobody guesses a signature; what is refused has expired, most of the time.
                let guessed = !matches!(refused.kind, CredentialKind::Jwt | CredentialKind::Oidc);
                if let Some(guard) = guard.filter(|_| guessed) {
                    guard.count(facts, steady);
                }
                Err(Denied::Refused(refused))
            }
            // Nobody guesses what is not there.
            Attempt::Incomplete(kind) => {
                identity.forget();
                Err(Denied::Refused(Refused::new(kind, ALONE)))
            }
            Attempt::Insufficient(kind) => {
                identity.forget();
                Err(Denied::Insufficient(kind))
            }
            Attempt::Unavailable(kind, why) => {
                identity.forget();
                Err(Denied::Unavailable(kind, why))
            }
            Attempt::Wait(waiting) if answers.0.len() < MOST_WAITS => Ok(Known::Wait(waiting)),
            Attempt::Wait(_) => Err(Denied::Unavailable(CredentialKind::Basic, "waited too often")),
        }
    }

    /// A request that shows nothing.
    fn nobody(&self, asking: Asking<'_>, identity: &mut Identity) -> Result<(), Denied> {
        let name = self.written.anonymous.as_ref().ok_or(Denied::Missing)?;
        let consumer = asking.directory.find(name).ok_or(Denied::Missing)?;
        identity.found(CredentialKind::Anonymous, consumer, &[]);
        identity.tried[CredentialKind::Anonymous as usize] = Some(AuthOutcome::Accepted);
        Ok(())
    }

    /// Whoever answers on the paths of logins, if any of its methods is one.
    #[must_use]
    pub fn parties(&self) -> Vec<&Arc<RelyingParty>> {
        let mut parties = Vec::new();
        if let Some(method) = &self.method {
            method.parties(&mut parties);
        }
        parties
    }

    /// Who sends the browser to log in that is denied so, if that helps and it is one.
    #[must_use]
    pub fn login(
        &self,
        denied: &Denied,
        identity: &Identity,
        request: &RequestHead,
    ) -> Option<&Arc<RelyingParty>> {
        let lacks = matches!(
            identity.tried[CredentialKind::Oidc as usize],
            Some(AuthOutcome::Missing | AuthOutcome::Refused)
        );
        let helps = match denied {
            Denied::Missing => true,
            Denied::Refused(refused) => {
                refused.kind == CredentialKind::Oidc || *refused.detail == *ALONE
            }
            _ => false,
        };
        let party = self.parties().into_iter().next()?;
        (lacks && helps && oidc::is_navigation(request)).then_some(party)
    }

    /// What it asks of requests, in a line.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::authentication(&self.written)
    }

    /// Takes what was shown out of the request, so that the service does not see it.
    /// Adds what it is to be told instead of who calls.
    pub fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>, identity: &Identity) {
        if let Some(method) = &self.method {
            // What is taken out first cannot be what another method writes.
            method.hide(request, text);
            method.tell(request, text, identity);
        }
    }

    /// Adds to a reply what can be shown (RFC 9110, 11.6.1).
    pub fn challenge(&self, denied: &Denied, out: &mut Fields) {
        if let (Some(method), Denied::Missing | Denied::Refused(_) | Denied::Insufficient(_)) =
            (&self.method, denied)
        {
            method.challenge(denied, out);
        }
    }
}

impl Answers {
    /// Waits for an answer and keeps it.
    pub async fn wait(&mut self, waiting: Waiting) {
        let answer = waiting.answer.await;
        self.0.push((waiting.method, answer));
    }

    pub(crate) fn of(&self, method: usize) -> Option<Answer> {
        self.0.iter().find(|(of, _)| *of == method).map(|(_, answer)| answer.clone())
    }
}

/// What stands in `WWW-Authenticate`.
pub(crate) fn challenge(scheme: &str, realm: &str, more: &str) -> Box<[u8]> {
    format!("{scheme} realm=\"{realm}\"{more}").into_bytes().into()
}

/// The credentials in a value of `Authorization` that has this scheme (RFC 9110, 11.4).
pub(crate) fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    let rest = found.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)?;
    // A scheme alone shows something too: nothing, which is not good.
    if rest.is_empty() { Some(rest) } else { Some(rest.strip_prefix(b" ")?.trim_ascii()) }
}

#[cfg(test)]
mod tests;
