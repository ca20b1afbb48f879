//! JSON Web Tokens (RFC 7519): verified with the keys of their issuer, and remembered by the worker
//! for as long as they hold and the keys stay.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use portcullis_config::model;
use portcullis_core::CredentialKind;
use portcullis_jose::{Claims, Scopes, Token, TokenError, Value, Verified, VerifiedCache};
use portcullis_wire::{Fields, RequestHead};

use super::oidc::Sessions;
use super::place::{Place, places};
use super::{Answer, Answers, Asking, Attempt, Denied, Refused, Waiting, challenge, claims};
use crate::identity::{Granted, Identity};
use crate::issuers::{Issuer, Issuers, View};
use crate::key::Facts;

/// Tokens that a worker remembers for one place of the configuration, and their memory.
const MOST_REMEMBERED: usize = 10_000;
const MOST_MEMORY: usize = 32 << 20;
/// What is added to the time that a fetch of keys may take.
const GRACE: Duration = Duration::from_millis(100);

/// A JSON Web Token.
#[derive(Debug)]
pub(crate) struct Jwt {
    id: u64,
    number: usize,
    kind: CredentialKind,
    written: Box<model::Jwt>,
    from: Box<[Place]>,
    issuers: Box<[Arc<Issuer>]>,
    challenge: Box<[u8]>,
    /// Held for as long as this method is in use.
    here: Arc<()>,
}

/// What a worker remembers of tokens.
#[derive(Debug, Default)]
pub struct Tokens {
    /// The token of the request that is looked at, in memory that is used again.
    pub(super) shown: Vec<u8>,
    pub(super) slots: Vec<Slot>,
    /// What it remembers of sessions.
    pub(super) sessions: Sessions,
}

/// What is remembered for one method.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    method: Weak<()>,
    pub(super) cache: VerifiedCache<Accepted>,
    /// The issuers as they were when last looked at.
    views: Vec<Arc<View>>,
}

/// A token that was good.
#[derive(Debug)]
pub(super) struct Accepted {
    claims: Claims,
    granted: Arc<Granted>,
    subject: Box<str>,
    consumer: Option<Box<str>>,
}

impl Accepted {
    /// The memory that it takes beside its own size, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.claims.memory() + self.granted.memory()
    }
}

/// What a request shows.
pub(super) enum Shown {
    Nothing,
    Token,
    Bad(&'static str),
}

impl Jwt {
    pub(super) fn new(written: &model::Jwt, number: usize, issuers: &Issuers) -> Jwt {
        Jwt::of(CredentialKind::Jwt, written, number, issuers)
    }

    /// The same rules for tokens of another kind.
    pub(super) fn of(
        kind: CredentialKind,
        written: &model::Jwt,
        number: usize,
        issuers: &Issuers,
    ) -> Jwt {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Jwt {
            id: IDS.fetch_add(1, Relaxed),
            number,
            kind,
            from: places(&written.from),
            // All that are named are there: the configuration was checked.
            issuers: written.issuers.iter().filter_map(|name| issuers.find(name)).collect(),
            challenge: challenge("Bearer", &written.realm, ""),
            here: Arc::default(),
            written: Box::new(written.clone()),
        }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        answers: &Answers,
        identity: &mut Identity,
    ) -> Attempt {
        let tokens = &mut *asking.tokens.borrow_mut();
        match self.shown(facts, &mut tokens.shown) {
            Shown::Nothing => return Attempt::Nothing,
            Shown::Bad(why) => return Attempt::Refused(Refused::new(self.kind, why)),
            Shown::Token => {}
        }
        let now = i64::try_from(asking.now).unwrap_or(i64::MAX);
        let Tokens { shown, slots, .. } = tokens;
        let slot = self.slot(slots);
        // Generations only grow, so that no two sums of different ones are the same.
        let generation =
            self.issuers.iter().fold(0, |sum: u64, issuer| sum.wrapping_add(issuer.generation()));
        if let Some(accepted) = slot.cache.get(shown, generation, now) {
            return self.settle(accepted, asking, identity);
        }
        let (verified, until) = match self.verify(shown, &mut slot.views, answers, now) {
            Ok(good) => good,
            Err(attempt) => return attempt,
        };
        let accepted = self.accept(verified.claims);
        let attempt = self.settle(&accepted, asking, identity);
        let memory = accepted.memory();
        slot.cache.insert(shown, generation, until, memory, accepted);
        attempt
    }

    /// Verifies a token with the keys of the issuer that it names, and says until when it holds.
    fn verify(
        &self,
        shown: &[u8],
        views: &mut Vec<Arc<View>>,
        answers: &Answers,
        now: i64,
    ) -> Result<(Verified, i64), Attempt> {
        let refused = |error: TokenError| Attempt::Refused(Refused::token(&error));
        let token = Token::parse(shown, self.written.longest).map_err(refused)?;
        let named = token.unverified_issuer().map_err(refused)?;
        let (issuer, view) =
            self.issuer(&named, views).ok_or_else(|| refused(TokenError::Issuer))?;
        let Some(set) = &view.set else {
            return Err(match self.wait(issuer, view, answers) {
                Some(waiting) => Attempt::Wait(waiting),
                None => Attempt::Unavailable(self.kind, "the keys of the issuer are not there"),
            });
        };
        let verified = match token.verify(set, view.spec.algorithms) {
            Ok(verified) => verified,
            Err(error) => {
                let newer = error.may_need_newer_keys();
                let waiting = newer.then(|| self.wait(issuer, view, answers)).flatten();
                return Err(waiting.map_or_else(|| refused(error), Attempt::Wait));
            }
        };
        // The very same payload said so before, when nobody could trust it.
        if verified.claims.issuer() != Some(&*view.spec.issuer) {
            return Err(refused(TokenError::Issuer));
        }
        let expected = &self.written.expected;
        match expected.check(&verified, now) {
            Ok(()) => {}
            Err(TokenError::Scope) => return Err(Attempt::Insufficient(self.kind)),
            Err(error) => return Err(refused(error)),
        }
        let until = expected.holds_until(&verified.claims).map_err(refused)?;
        Ok((verified, until))
    }

    /// The issuer of this name, as it is now.
    fn issuer<'v>(
        &self,
        named: &str,
        views: &'v mut Vec<Arc<View>>,
    ) -> Option<(&Arc<Issuer>, &'v View)> {
        if views.len() != self.issuers.len() {
            *views = self.issuers.iter().map(|issuer| issuer.view()).collect();
        }
        for (view, issuer) in views.iter_mut().zip(&self.issuers) {
            if view.generation != issuer.generation() {
                *view = issuer.view();
            }
        }
        let at = views.iter().position(|view| *view.spec.issuer == *named)?;
        Some((&self.issuers[at], &views[at]))
    }

    /// Newer keys, if they have not been waited for and may come soon.
    fn wait(&self, issuer: &Arc<Issuer>, view: &View, answers: &Answers) -> Option<Waiting> {
        if answers.of(self.number).is_some() {
            return None;
        }
        let round = issuer.ask()?;
        // Metadata and keys, one after the other.
        let longest = view.spec.timeout * 2 + GRACE;
        let answer = Box::pin(async move {
            round.ended(longest).await;
            Answer::Good
        });
        Some(Waiting { method: self.number, answer })
    }

    pub(super) fn accept(&self, claims: Claims) -> Accepted {
        let consumer = self.written.consumer.as_ref().and_then(|(path, _)| claims.at(path));
        Accepted {
            subject: claims::subject(&claims),
            consumer: consumer.and_then(Value::as_str).map(Box::from),
            granted: Arc::new(claims::granted(&claims, &self.written.roles)),
            claims,
        }
    }

    /// Says who calls.
    pub(super) fn settle(
        &self,
        accepted: &Accepted,
        asking: Asking<'_>,
        identity: &mut Identity,
    ) -> Attempt {
        let name = accepted.consumer.as_deref();
        let consumer = name.and_then(|name| asking.directory.find(name));
        if consumer.is_none() && matches!(self.written.consumer, Some((_, true))) {
            return Attempt::Refused(Refused::new(self.kind, "no such consumer"));
        }
        identity.consumer = consumer;
        identity.kind = Some(self.kind);
        identity.credential.clear();
        identity.credential.push_str(&accepted.subject);
        identity.granted = Some(Arc::clone(&accepted.granted));
        identity.claims = Some(accepted.claims.clone());
        Attempt::Known
    }

    pub(super) fn is_shown(&self, facts: &impl Facts) -> bool {
        !matches!(self.shown(facts, &mut Vec::new()), Shown::Nothing)
    }

    /// The one token of the request, from all places where one may be, into `token`.
    pub(super) fn shown(&self, facts: &impl Facts, token: &mut Vec<u8>) -> Shown {
        token.clear();
        let mut shown = Shown::Nothing;
        for place in &self.from {
            let mut each = |value: &[u8]| {
                let Some(value) = place.credential(value) else { return };
                shown = match &shown {
                    Shown::Bad(why) => Shown::Bad(why),
                    _ if value.is_empty() => Shown::Bad("an empty token"),
                    _ if value.len() > self.written.longest => Shown::Bad("too large"),
                    Shown::Nothing => {
                        token.extend_from_slice(value);
                        Shown::Token
                    }
                    Shown::Token if **token == *value => return,
                    Shown::Token => Shown::Bad("two tokens that are not the same"),
                };
            };
            place.each(facts, &mut each);
        }
        shown
    }

    pub(super) fn slot<'s>(&self, slots: &'s mut Vec<Slot>) -> &'s mut Slot {
        if let Some(at) = slots.iter().position(|slot| slot.id == self.id) {
            return &mut slots[at];
        }
        // What belongs to methods that are gone goes when a new one comes.
        slots.retain(|slot| slot.method.strong_count() > 0);
        slots.push(Slot {
            id: self.id,
            method: Arc::downgrade(&self.here),
            cache: VerifiedCache::new(MOST_REMEMBERED, MOST_MEMORY),
            views: Vec::new(),
        });
        let last = slots.len() - 1;
        &mut slots[last]
    }

    /// Takes the token out of the request, if the service is not to see it. What the client has sent
    /// under the names of fields that claims are written to goes in any case.
    pub(super) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        if !self.written.forward {
            self.from.iter().for_each(|place| place.hide(request, text));
        }
        claims::take_out(&self.written.headers, request);
    }

    /// Writes claims to fields.
    pub(super) fn tell(&self, request: &mut RequestHead, text: &mut Vec<u8>, identity: &Identity) {
        if let Some(found) = identity.claims.as_ref().filter(|_| identity.kind == Some(self.kind)) {
            claims::write(&self.written.headers, found, request, text);
        }
    }

    pub(super) fn challenge(&self, denied: &Denied, out: &mut Fields) {
        let challenge = match denied {
            Denied::Refused(Refused { kind, said, .. }) if *kind == self.kind => {
                let said =
                    said.map_or(String::new(), |said| format!(", error_description=\"{said}\""));
                let more = format!(", error=\"invalid_token\"{said}");
                &*challenge("Bearer", &self.written.realm, &more)
            }
            Denied::Insufficient(kind) if *kind == self.kind => {
                let scopes = match &self.written.expected.scopes {
                    Scopes::All(scopes) | Scopes::Any(scopes) => scopes.join(" "),
                    Scopes::None => String::new(),
                };
                let more = format!(", error=\"insufficient_scope\", scope=\"{scopes}\"");
                &*challenge("Bearer", &self.written.realm, &more)
            }
            _ => &*self.challenge,
        };
        if !out.all(b"www-authenticate").any(|there| there == challenge) {
            out.push(b"WWW-Authenticate", challenge);
        }
    }
}

#[cfg(test)]
mod tests;
