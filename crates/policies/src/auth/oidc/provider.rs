//! What is asked of the provider: codes and refresh tokens become tokens, tokens become claims.

use std::sync::Arc;

use portcullis_config::model::{self, Url};
use portcullis_jose::Claims;

use super::flights::{Lost, Renewed};
use super::id_token::{self, About, LONGEST, Wanted};
use super::login::Login;
use super::party::RelyingParty;
use super::session::{Session, payload};
use crate::calls::Call;
use crate::issuers::{Issuer, View};
use crate::oauth::{Client, TokenFault, TokenReply};

/// What may be asked of a provider.
#[derive(Debug)]
pub(super) struct Provider {
    issuer: Arc<Issuer>,
    client: Client,
}

/// Why the provider gave no session.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It does not want to, or says what cannot be believed.
    Refused(String),
    /// It does not answer.
    Unavailable(String),
}

impl From<TokenFault> for Refusal {
    fn from(fault: TokenFault) -> Refusal {
        match fault {
            TokenFault::Refused(code) => Refusal::Refused(format!("the provider says {code}")),
            TokenFault::Unavailable(why) => Refusal::Unavailable(why),
        }
    }
}

impl Provider {
    pub(super) fn new(written: &model::Oidc, issuer: &Arc<Issuer>) -> Provider {
        Provider { issuer: Arc::clone(issuer), client: Client::new(&written.client) }
    }

    /// Where browsers log in.
    pub(super) fn authorization_endpoint(&self) -> Result<String, String> {
        let view = self.issuer.view();
        let endpoint = view.metadata.as_ref().and_then(|metadata| metadata.authorization.as_ref());
        let endpoint = endpoint.map(|url| url.as_str().to_owned());
        endpoint.ok_or_else(|| "the provider's metadata name no address to log in at".into())
    }

    /// Where browsers log out.
    pub(super) fn end_session_endpoint(&self) -> Option<String> {
        let view = self.issuer.view();
        Some(view.metadata.as_ref()?.end_session.as_ref()?.as_str().to_owned())
    }

    /// Whether its answers say who gives them (RFC 9207, 3).
    pub(super) fn names_itself(&self) -> bool {
        self.issuer.view().metadata.as_ref().is_some_and(|metadata| metadata.names_itself)
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<TokenReply, Refusal> {
        let view = self.issuer.view();
        let endpoint = view.metadata.as_ref().and_then(|metadata| metadata.token.as_ref());
        let none = || Refusal::Unavailable("the provider's metadata name no token endpoint".into());
        let endpoint = endpoint.ok_or_else(none)?;
        Ok(self.client.token(&view, endpoint, form).await?)
    }

    /// Verifies an ID token, with newer keys if there must be some.
    async fn verify(
        &self,
        text: &str,
        client: &str,
        access_token: &str,
        about: About<'_>,
        now: u64,
    ) -> Result<Claims, Refusal> {
        let mut waited = false;
        loop {
            let view = self.issuer.view();
            let spec = &view.spec;
            let wanted = Wanted { issuer: &spec.issuer, client, access_token, now, about };
            let verified = match &view.set {
                None => Err(None),
                Some(keys) => id_token::verify(text, keys, spec.algorithms, &wanted).map_err(Some),
            };
            let error = match verified {
                Ok(claims) => return Ok(claims),
                Err(error) => error,
            };
            let newer = error.as_ref().is_none_or(id_token::IdTokenError::may_need_newer_keys);
            match (newer && !waited).then(|| self.issuer.ask()).flatten() {
                Some(round) => round.ended(spec.timeout * 2).await,
                None => {
                    let none = || Refusal::Unavailable("the provider's keys are not there".into());
                    return Err(
                        error.map_or_else(none, |error| Refusal::Refused(error.to_string()))
                    );
                }
            }
            waited = true;
        }
    }

    /// Asks for more claims about somebody (OpenID Connect Core 1.0, 5.3). Gives one object that has
    /// those of the ID token and these.
    async fn user_info(
        &self,
        access_token: &str,
        id_token: &str,
        claims: &Claims,
    ) -> Result<String, Refusal> {
        let view = self.issuer.view();
        let endpoint = view.metadata.as_ref().and_then(|metadata| metadata.user_info.as_ref());
        let none = || Refusal::Unavailable("the provider's metadata name no user info".into());
        let content = fetch(&view, endpoint.ok_or_else(none)?, access_token).await?;
        let told = Claims::from_json(&content);
        let told = told.map_err(|error| Refusal::Refused(format!("the user info {error}")))?;
        // Whoever it is about must be who has logged in (5.3.2).
        if told.subject().is_none() || told.subject() != claims.subject() {
            return Err(Refusal::Refused("the user info is about somebody else".into()));
        }
        let known = payload(id_token).unwrap_or_default();
        merged(&known, &content)
            .ok_or_else(|| Refusal::Refused("the user info is no object".into()))
    }
}

async fn fetch(view: &View, endpoint: &Url, access_token: &str) -> Result<Vec<u8>, Refusal> {
    let unavailable = |why: String| Refusal::Unavailable(format!("{endpoint}: {why}"));
    let bearer = format!("Bearer {access_token}");
    let call = Call {
        method: "GET",
        url: endpoint,
        fields: &[("accept", "application/json"), ("authorization", &bearer)],
        content: None,
        most: LONGEST,
        timeout: view.spec.timeout,
    };
    let caller = view.caller.as_ref().ok_or_else(|| unavailable("it cannot be called".into()))?;
    let answered = caller.call(&call).await.map_err(|error| unavailable(error.to_string()))?;
    match answered.status {
        200 => Ok(answered.content),
        status @ 500.. => Err(unavailable(format!("status {status}"))),
        status => Err(Refusal::Refused(format!("the user info has status {status}"))),
    }
}

/// One object of both; what the first says holds.
fn merged(first: &[u8], second: &[u8]) -> Option<String> {
    let mut all: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(second).ok()?;
    let first: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(first).ok()?;
    all.extend(first);
    serde_json::to_string(&all).ok()
}

impl RelyingParty {
    /// Makes a session of a code.
    pub(super) async fn redeem(
        &self,
        code: &str,
        login: &Login,
        back: &str,
        now: u64,
    ) -> Result<Session, Refusal> {
        let verifier = login.verifier();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", &verifier),
        ];
        let reply = self.provider.token(&form).await?;
        let none = || Refusal::Unavailable("no randomness".into());
        let session = RelyingParty::fresh(now).ok_or_else(none)?;
        let is = |nonce: &str| login.has_nonce(nonce);
        self.adopt(session, reply, About::Nonce(&is), now).await
    }

    /// Makes a session with new tokens of one with old ones.
    pub(super) async fn renew(&self, old: &Session) -> Renewed {
        let now = super::finding::unix_now();
        match self.refresh(old, now).await {
            Ok(session) => Ok(Arc::new(session)),
            Err(Refusal::Refused(why)) => {
                tracing::info!(issuer = &*self.written.issuer, "a session is not renewed: {why}");
                Err(Lost::Gone("the provider does not renew the session"))
            }
            Err(Refusal::Unavailable(why)) => {
                tracing::warn!(issuer = &*self.written.issuer, "a session is not renewed: {why}");
                Err(Lost::Unavailable("the provider does not answer"))
            }
        }
    }

    async fn refresh(&self, old: &Session, now: u64) -> Result<Session, Refusal> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*old.refresh_token)];
        let reply = self.provider.token(&form).await?;
        let claims = old.claims();
        let person = claims.as_ref().and_then(Claims::subject).unwrap_or_default();
        self.adopt(old.clone(), reply, About::Person(person), now).await
    }

    /// Takes the tokens of an answer over into a session.
    async fn adopt(
        &self,
        mut session: Session,
        reply: TokenReply,
        about: About<'_>,
        now: u64,
    ) -> Result<Session, Refusal> {
        let is_new = session.id_token.is_empty();
        if !reply.token_type.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::Refused("the token is none of `Bearer`".into()));
        }
        let longest = [&reply.access_token, reply.refresh_token.as_deref().unwrap_or_default()];
        if longest.iter().any(|token| token.len() > LONGEST || !is_plain(token)) {
            return Err(Refusal::Refused("the tokens cannot be used".into()));
        }
        match &reply.id_token {
            Some(token) => {
                let client = &self.written.client.id;
                let access = &reply.access_token;
                self.provider.verify(token, client, access, about, now).await?;
                session.id_token.clone_from(token);
            }
            None if is_new => return Err(Refusal::Refused("there is no ID token".into())),
            // A renewal need not bring one (OpenID Connect Core 1.0, 12.2).
            None => {}
        }
        if self.written.user_info {
            let known = payload(&session.id_token).unwrap_or_default();
            let claims = Claims::from_json(&known)
                .map_err(|error| Refusal::Refused(format!("the ID token {error}")))?;
            let told =
                self.provider.user_info(&reply.access_token, &session.id_token, &claims).await;
            match told {
                Ok(text) => session.user_info = text,
                Err(refusal) if is_new => return Err(refusal),
                // What is known of them already is better than nothing.
                Err(_) => {}
            }
        }
        (session.due, session.expires) = reply.expires_in.map_or((0, 0), |seconds| {
            let expires = now.saturating_add(seconds.max(1));
            // Tokens that live shorter than that are not renewed with every request.
            let ahead = self.written.refresh_ahead.as_secs().min(seconds / 2);
            (expires - ahead, expires)
        });
        if self.written.access_token.is_some() {
            session.access_token = reply.access_token;
        }
        if let Some(token) = reply.refresh_token {
            session.refresh_token = token;
        }
        // Where nothing is said, what was asked for was granted (RFC 6749, 5.1).
        match reply.scope {
            Some(scope) => session.scope = scope,
            None if is_new => session.scope = self.written.scopes.to_string(),
            None => {}
        }
        Ok(session)
    }
}

/// Whether a token may stand in a field of a request (RFC 6750, 2.1).
fn is_plain(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use portcullis_jose::Value;

    use super::*;

    #[test]
    fn what_the_id_token_says_holds() {
        let merged = merged(br#"{"sub":"a","x":1}"#, br#"{"sub":"b","mail":"m","x":2}"#).unwrap();
        let claims = Claims::from_json(merged.as_bytes()).unwrap();
        assert_eq!(claims.subject(), Some("a"));
        assert_eq!(claims.get("mail").and_then(Value::as_str), Some("m"));
        assert_eq!(claims.get("x").and_then(Value::as_i64), Some(1));
        assert!(self::merged(b"{}", b"[]").is_none());
    }

    #[test]
    fn tokens_that_would_break_a_field_are_not_used() {
        assert!(is_plain("a.b-c_d~+/=") && !is_plain("a b") && !is_plain("a\r\nX: y"));
    }
}
