//! Logins of browsers with a provider of OpenID Connect: authorization code with PKCE, and sessions
//! that are sealed into cookies or kept in a store. What a request shows is looked at here, as with
//! every other method; [`RelyingParty`] is what answers on the paths of logins.

mod address;
mod cookies;
mod finding;
mod flights;
mod id_token;
mod live;
mod login;
mod party;
mod provider;
mod seal;
mod session;

use std::sync::Arc;

use portcullis_config::model;
use portcullis_core::CredentialKind;
use portcullis_wire::{Fields, RequestHead};

use super::{Answer, Answers, Asking, Attempt, Denied, Refused, Waiting, challenge, claims};
use crate::identity::Identity;
use crate::key::Facts;
pub(super) use address::is_navigation;
use cookies::Shown;
pub(crate) use finding::Outcome;
pub use flights::Logins;
use flights::Lost;
pub(crate) use live::{Live, Sessions};
pub use party::{LoginFault, Redirect, RelyingParty};

const KIND: CredentialKind = CredentialKind::Oidc;

/// A login of browsers.
#[derive(Debug)]
pub(crate) struct Oidc {
    number: usize,
    pub(super) party: Arc<RelyingParty>,
    challenge: Box<[u8]>,
}

impl Oidc {
    pub(super) fn new(
        written: &Arc<model::Oidc>,
        number: usize,
        around: &super::Around<'_>,
    ) -> Oidc {
        let party = Arc::new(RelyingParty::new(written, around));
        let name = format!(", cookie-name=\"{}\"", party.cookies.base());
        Oidc { number, challenge: challenge("Cookie", &written.realm, &name), party }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        answers: &Answers,
        identity: &mut Identity,
    ) -> Attempt {
        if let Some(Answer::Session(outcome)) = answers.of(self.number) {
            let Outcome { found, cookies } = &*outcome;
            return match found {
                Ok(live) => self.settle(live, cookies.clone(), asking, identity),
                Err(lost) => self::lost(*lost),
            };
        }
        let sessions = &mut asking.tokens.borrow_mut().sessions;
        let mut line = std::mem::take(&mut sessions.line);
        let shown = self.shown(facts, &mut line);
        let had = self.party.cookies.count([&*line].into_iter());
        sessions.line = line;
        let value = match shown {
            Shown::Nothing => return Attempt::Nothing,
            Shown::Bad(why) => return Attempt::Refused(Refused::new(KIND, why)),
            Shown::Value(value) => value,
        };
        let party = &self.party;
        if party.store.is_some() {
            let (party, now) = (Arc::clone(party), asking.now);
            return self.wait(async move { party.find_in_store(&value, now).await });
        }
        let live = match party.open_remembered(&value, sessions, asking.now) {
            Ok(live) => live,
            Err(lost) => return self::lost(lost),
        };
        if RelyingParty::is_due(&live.session, asking.now) {
            let (party, now) = (Arc::clone(party), asking.now);
            return self.wait(async move { party.renew_cookie(live, had, now).await });
        }
        let cookies = party.touch(&live, had, asking.now);
        self.settle(&live, cookies, asking, identity)
    }

    fn wait(&self, finding: impl Future<Output = Outcome> + 'static) -> Attempt {
        let answer = Box::pin(async move { Answer::Session(Arc::new(finding.await)) });
        Attempt::Wait(Waiting { method: self.number, answer })
    }

    /// Says who calls.
    fn settle(
        &self,
        live: &Arc<Live>,
        cookies: Vec<String>,
        asking: Asking<'_>,
        identity: &mut Identity,
    ) -> Attempt {
        let written = &self.party.written;
        let consumer = live.consumer.as_deref().and_then(|name| asking.directory.find(name));
        if consumer.is_none() && matches!(written.consumer, Some((_, true))) {
            // Whoever logs in again is still nobody.
            return Attempt::Insufficient(KIND);
        }
        identity.consumer = consumer;
        identity.kind = Some(KIND);
        identity.credential.clear();
        identity.credential.push_str(&live.subject);
        identity.granted = Some(Arc::clone(&live.granted));
        identity.claims = Some(live.claims.clone());
        identity.session = Some(Arc::clone(live));
        identity.cookies = cookies;
        Attempt::Known
    }

    pub(super) fn is_shown(&self, facts: &impl Facts) -> bool {
        !matches!(self.shown(facts, &mut Vec::new()), Shown::Nothing)
    }

    /// The session that a request shows. `line` becomes all of its cookies.
    fn shown(&self, facts: &impl Facts, line: &mut Vec<u8>) -> Shown {
        line.clear();
        facts.header("cookie", &mut |value| {
            line.extend_from_slice(value);
            line.push(b';');
        });
        self.party.cookies.shown([&**line].into_iter())
    }

    /// Takes out what only the gateway says. Cookies are taken out of every request of a host.
    pub(super) fn hide(&self, request: &mut RequestHead) {
        let written = &self.party.written;
        claims::take_out(&written.headers, request);
        if let Some(name) = &written.access_token {
            request.fields.retain(|field| !claims::is_same(field.name, name));
        }
    }

    /// Writes claims and the access token to fields.
    pub(super) fn tell(&self, request: &mut RequestHead, text: &mut Vec<u8>, identity: &Identity) {
        let Some(live) = &identity.session else { return };
        let written = &self.party.written;
        claims::write(&written.headers, &live.claims, request, text);
        let token = &live.session.access_token;
        if let Some(name) = written.access_token.as_ref().filter(|_| !token.is_empty()) {
            text.clear();
            if **name == *"authorization" {
                text.extend_from_slice(b"Bearer ");
            }
            text.extend_from_slice(token.as_bytes());
            request.fields.push(name.as_bytes(), text);
        }
    }

    pub(super) fn challenge(&self, denied: &Denied, out: &mut Fields) {
        let good = matches!(denied, Denied::Insufficient(_));
        if !good && !out.all(b"www-authenticate").any(|there| there == &*self.challenge) {
            out.push(b"WWW-Authenticate", &self.challenge);
        }
    }
}

fn lost(lost: Lost) -> Attempt {
    match lost {
        Lost::Gone(why) => Attempt::Refused(Refused::new(KIND, why)),
        Lost::Unavailable(why) => Attempt::Unavailable(KIND, why),
    }
}
