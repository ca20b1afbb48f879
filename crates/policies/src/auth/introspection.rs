//! Tokens that their issuer is asked about (RFC 7662). A worker remembers those that are good, as it
//! does those that it has verified itself; behind that, all workers share what was answered, by the
//! digest of the token, so that an issuer is asked once however many requests wait for its answer.

mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_config::model::{self, Url};
use portcullis_core::CredentialKind;
use portcullis_jose::{Claims, TokenError, Value};
use portcullis_wire::{Fields, RequestHead};

use super::jwt::{Jwt, Shown, Tokens};
use super::{Answer, Answers, Around, Asking, Attempt, Denied, Refused, Waiting};
use crate::calls::Answered;
use crate::identity::Identity;
use crate::issuers::{IntrospectionResult, Issuer, View};
use crate::key::Facts;
use crate::oauth::Client;
pub(super) use verdicts::Verdict;
use verdicts::{Pilot, Turn, Verdicts, told};

const KIND: CredentialKind = CredentialKind::Introspection;
/// Answers do not depend on keys.
const GENERATION: u64 = 0;

/// A token that its issuer is asked about.
#[derive(Debug)]
pub(crate) struct Introspection {
    number: usize,
    /// Where it stands, and what is expected of it.
    rules: Jwt,
    asked: Arc<Asked>,
}

/// Who is asked, and what was answered: the same for all workers.
#[derive(Debug)]
struct Asked {
    written: model::Introspection,
    /// It is there: the configuration was checked.
    issuer: Option<Arc<Issuer>>,
    client: Client,
    verdicts: Verdicts,
}

impl Introspection {
    pub(super) fn new(
        written: &model::Introspection,
        number: usize,
        around: &Around<'_>,
    ) -> Introspection {
        Introspection {
            number,
            rules: Jwt::of(KIND, &written.token, number, around.issuers),
            asked: Arc::new(Asked {
                issuer: around.issuers.find(&written.issuer),
                client: Client::new(&written.client),
                written: written.clone(),
                verdicts: Verdicts::default(),
            }),
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
        match self.rules.shown(facts, &mut tokens.shown) {
            Shown::Nothing => return Attempt::Nothing,
            Shown::Bad(why) => return Attempt::Refused(Refused::new(KIND, why)),
            Shown::Token => {}
        }
        let now = i64::try_from(asking.now).unwrap_or(i64::MAX);
        let Tokens { shown, slots, .. } = tokens;
        let slot = self.rules.slot(slots);
        if let Some(accepted) = slot.cache.get(shown, GENERATION, now) {
            return self.rules.settle(accepted, asking, identity);
        }
        let verdict = match answers.of(self.number) {
            Some(Answer::Introspected(verdict)) => verdict,
            Some(_) => Verdict::Unavailable("nobody answered"),
            None => match self.look(shown, now) {
                Ok(verdict) => verdict,
                Err(waiting) => return Attempt::Wait(waiting),
            },
        };
        let (claims, until) = match verdict {
            Verdict::Active { claims, until } => (claims, until),
            Verdict::Inactive(why) => {
                let mut refused = Refused::new(KIND, why);
                refused.said = Some("the token is not active");
                return Attempt::Refused(refused);
            }
            Verdict::Unavailable(why) => return Attempt::Unavailable(KIND, why),
        };
        match self.asked.written.token.expected.check_claims(&claims, now) {
            Ok(()) => {}
            Err(TokenError::Scope) => return Attempt::Insufficient(KIND),
            Err(error) => {
                return Attempt::Refused(Refused { kind: KIND, ..Refused::token(&error) });
            }
        }
        let accepted = self.rules.accept(claims);
        let attempt = self.rules.settle(&accepted, asking, identity);
        if until > now {
            slot.cache.insert(shown, GENERATION, until, accepted.memory(), accepted);
        }
        attempt
    }

    /// What is known of a token, or what to wait for until it is.
    fn look(&self, token: &[u8], now: i64) -> Result<Verdict, Waiting> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token).as_ref());
        let waits = match self.asked.verdicts.turn(key, now) {
            Turn::Known(verdict) => return Ok(verdict),
            Turn::Full => return Ok(Verdict::Unavailable("too many tokens are asked about")),
            Turn::Running(waits) => waits,
            Turn::Mine(pilot) => {
                let (waits, asked) = (pilot.listen(), Arc::clone(&self.asked));
                let token = zeroize::Zeroizing::new(token.to_vec());
                // A task of its own: others may wait for the answer when this client has gone.
                tokio::task::spawn_local(async move { asked.find_out(pilot, &token).await });
                waits
            }
        };
        let answer = Box::pin(async move { Answer::Introspected(told(waits).await) });
        Err(Waiting { method: self.number, answer })
    }

    pub(super) fn is_shown(&self, facts: &impl Facts) -> bool {
        self.rules.is_shown(facts)
    }

    pub(super) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        self.rules.hide(request, text);
    }

    pub(super) fn tell(&self, request: &mut RequestHead, text: &mut Vec<u8>, identity: &Identity) {
        self.rules.tell(request, text, identity);
    }

    pub(super) fn challenge(&self, denied: &Denied, out: &mut Fields) {
        self.rules.challenge(denied, out);
    }
}

impl Asked {
    /// Asks, and lets all know who wait for it.
    async fn find_out(&self, pilot: Pilot, token: &[u8]) {
        let verdict = self.ask(token).await;
        let now = unix_now();
        let (verdict, stays) = match verdict {
            Ok(Some(claims)) => match self.holds(&claims, now) {
                Ok(until) => (Verdict::Active { claims, until }, until),
                Err(why) => (Verdict::Inactive(why), now + seconds(self.written.refused_cache)),
            },
            Ok(None) => {
                let why = "its issuer says that it is not active";
                (Verdict::Inactive(why), now + seconds(self.written.refused_cache))
            }
            Err(why) => {
                tracing::warn!(issuer = &*self.written.issuer, "no introspection: {why}");
                // Whoever waited is told; the next one asks again.
                // Not every request is to try what has just failed.
                (Verdict::Unavailable("the issuer gives no answer about the token"), now + 1)
            }
        };
        if let Some(issuer) = &self.issuer {
            issuer.introspected(match &verdict {
                Verdict::Active { .. } => IntrospectionResult::Active,
                Verdict::Inactive(_) => IntrospectionResult::Inactive,
                Verdict::Unavailable(_) => IntrospectionResult::Failed,
            });
        }
        pilot.end(verdict, stays);
    }

    /// Until when an answer may be remembered, in seconds since 1970: no longer than the token holds.
    fn holds(&self, claims: &Claims, now: i64) -> Result<i64, &'static str> {
        let wrong = |_| "the answer has a date that is none";
        let until = self.written.token.expected.holds_until(claims).map_err(wrong)?;
        let issuer = self.issuer.as_ref().map(|issuer| issuer.view());
        if let (Some(named), Some(view)) = (claims.issuer(), &issuer)
            && *named != *view.spec.issuer
        {
            return Err("the token is of another issuer");
        }
        // Whoever may use it has to show a key as well (RFC 9449), which nobody looks at here.
        let kind = claims.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
        if kind.eq_ignore_ascii_case("DPoP") || claims.get("cnf").is_some() {
            return Err("the token is bound to a key");
        }
        Ok(until.min(now + seconds(self.written.cache)))
    }

    /// The claims of a token; none if it is not active.
    async fn ask(&self, token: &[u8]) -> Result<Option<Claims>, String> {
        // Tokens are visible ASCII (RFC 6749, appendix A.12).
        let text = std::str::from_utf8(token)
            .ok()
            .filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let Some(text) = text else { return Ok(None) };
        let view = self.issuer.as_ref().ok_or("its issuer is not there")?.view();
        let endpoint =
            self.endpoint(&view).ok_or("the issuer's metadata name no address to ask")?;
        let form = [("token", text), ("token_type_hint", "access_token")];
        let answered = self.client.post(&view, endpoint, &form).await;
        read(&answered.map_err(|fault| fault.to_string())?)
    }

    fn endpoint<'a>(&'a self, view: &'a View) -> Option<&'a Url> {
        let metadata = view.metadata.as_ref();
        self.written.endpoint.as_ref().or_else(|| metadata?.introspection.as_ref())
    }
}

/// Reads an answer (RFC 7662, 2.2).
fn read(answered: &Answered) -> Result<Option<Claims>, String> {
    if answered.status != 200 {
        return Err(format!("it answers with status {}", answered.status));
    }
    let claims = Claims::from_json(&answered.content).map_err(|error| error.to_string())?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Some(claims)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err("it does not say whether the token is `active`".to_owned()),
    }
}

fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    seconds(since.unwrap_or_default())
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_whether_a_token_is_active() {
        let read = |status, content: &str| {
            read(&Answered { status, content: content.as_bytes().to_vec() })
        };
        assert!(read(200, r#"{"active":true,"sub":"a"}"#).unwrap().is_some());
        assert!(read(200, r#"{"active":false}"#).unwrap().is_none());
        for (status, content) in [
            (401, r#"{"active":true}"#),
            (200, r#"{"active":"true"}"#),
            (200, r#"{"active":false,"active":true}"#),
            (200, r#"{"sub":"a"}"#),
            (200, "[]"),
            (200, ""),
        ] {
            assert!(read(status, content).is_err(), "{status} {content}");
        }
    }
}
