//! Names and passwords (RFC 7617). Verifying a password is slow on purpose, so others do it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_config::model;
use portcullis_core::CredentialKind;
use portcullis_wire::RequestHead;

use super::passwords::Verified;
use super::{Answer, Answers, Asking, Attempt, Refused, Waiting, after_scheme, challenge};
use crate::identity::Identity;
use crate::key::Facts;

const KIND: CredentialKind = CredentialKind::Basic;

/// A name and a password.
#[derive(Debug)]
pub(crate) struct Basic {
    longest: usize,
    forward: bool,
    number: usize,
    pub(super) challenge: Box<[u8]>,
}

/// What a request shows.
enum Shown {
    Nothing,
    Login(Vec<u8>),
    Bad(&'static str),
}

/// Whether the request shows a name and a password.
pub(super) fn is_shown(facts: &impl Facts) -> bool {
    let mut shown = false;
    facts.header("authorization", &mut |value| shown |= after_scheme(value, "Basic").is_some());
    shown
}

impl Basic {
    pub(super) fn new(written: &model::Basic, number: usize) -> Basic {
        Basic {
            longest: written.longest,
            forward: written.forward,
            number,
            challenge: challenge("Basic", &written.realm, ", charset=\"UTF-8\""),
        }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        answers: &Answers,
        identity: &mut Identity,
    ) -> Attempt {
        let refused = |detail| Attempt::Refused(Refused::new(KIND, detail));
        let login = match self.shown(facts) {
            Shown::Nothing => return Attempt::Nothing,
            Shown::Bad(why) => return refused(why),
            Shown::Login(login) => login,
        };
        let Some(colon) = memchr::memchr(b':', &login) else { return refused("no colon in it") };
        let (username, password) = (&login[..colon], &login[colon + 1..]);
        let Ok(username) = std::str::from_utf8(username) else {
            return refused("a username that is not UTF-8");
        };
        let directory = asking.directory;
        let known = directory.password(username);
        let answer = match answers.of(self.number) {
            Some(answer) => answer,
            None => {
                let hash = known.as_ref().map(|(_, hash)| hash);
                match directory.verifier().map_or(Verified::Busy, |verifier| {
                    verifier.verify(username, password, hash, asking.now)
                }) {
                    Verified::Good => Answer::Good,
                    Verified::Busy => Answer::Unavailable,
                    Verified::Later(answer) => {
                        return Attempt::Wait(Waiting { method: self.number, answer });
                    }
                    Verified::Bad => Answer::Bad,
                }
            }
        };
        match (answer, known) {
            (Answer::Good, Some((consumer, _))) => {
                identity.found(KIND, consumer, &[username]);
                Attempt::Known
            }
            (Answer::Unavailable, _) => {
                Attempt::Unavailable(KIND, "too many passwords wait to be verified")
            }
            // Nobody outside can tell which of the two is wrong.
            (_, None) => refused("no such username"),
            (_, Some(_)) => refused("not the password"),
        }
    }

    fn shown(&self, facts: &impl Facts) -> Shown {
        let mut shown = Shown::Nothing;
        facts.header("authorization", &mut |value| {
            let Some(value) = after_scheme(value, "Basic") else { return };
            shown = match &shown {
                Shown::Bad(why) => Shown::Bad(why),
                _ if value.len() > self.longest => Shown::Bad("too large"),
                Shown::Nothing => match STANDARD.decode(value) {
                    Ok(login) => Shown::Login(login),
                    Err(_) => Shown::Bad("not base64"),
                },
                Shown::Login(login) if STANDARD.decode(value).as_ref() == Ok(login) => return,
                Shown::Login(_) => Shown::Bad("two logins that are not the same"),
            };
        });
        shown
    }

    pub(super) fn hide(&self, request: &mut RequestHead) {
        if !self.forward {
            request.fields.retain(|field| {
                !field.name.eq_ignore_ascii_case(b"authorization")
                    || after_scheme(field.value, "Basic").is_none()
            });
        }
    }
}
