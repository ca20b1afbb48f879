//! The token endpoint (RFC 6749, 5).

use std::fmt;

use portcullis_config::model::Url;
use portcullis_jose::{Claims, Value};

use super::client::PostFault;
use super::{Client, Way};
use crate::calls::Answered;
use crate::issuers::View;

/// Most of an error's code that is repeated.
const MOST_SHOWN: usize = 64;

/// What a provider grants.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenReply {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    /// How long it holds, in seconds; nothing if nobody says.
    pub(crate) expires_in: Option<u64>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
    pub(crate) scope: Option<String>,
}

impl fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TokenReply { token_type, expires_in, scope, .. } = self;
        f.debug_struct("TokenReply")
            .field("token_type", token_type)
            .field("expires_in", expires_in)
            .field("scope", scope)
            .finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    /// The provider does not grant it; its code (RFC 6749, 5.2).
    #[error("the provider says {0}")]
    Refused(String),
    /// It does not answer, not properly, or not now.
    #[error("{0}")]
    Unavailable(String),
}

impl Client {
    /// Asks for tokens.
    pub(crate) async fn token(
        &self,
        view: &View,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<TokenReply, TokenFault> {
        let answered = self.post(view, endpoint, form).await;
        answer(answered)
    }

    /// The same over any way.
    pub(crate) async fn token_over(
        &self,
        way: Way<'_>,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<TokenReply, TokenFault> {
        answer(self.post_over(way, endpoint, form).await)
    }
}

fn answer(answered: Result<Answered, PostFault>) -> Result<TokenReply, TokenFault> {
    let answered = answered.map_err(|fault| TokenFault::Unavailable(fault.to_string()))?;
    read(answered.status, &answered.content)
}

fn read(status: u16, content: &[u8]) -> Result<TokenReply, TokenFault> {
    let unavailable = |why: String| TokenFault::Unavailable(format!("the token endpoint: {why}"));
    let read = Claims::from_json(content);
    match status {
        200 => reply(&read.map_err(|error| unavailable(error.to_string()))?)
            .ok_or_else(|| unavailable("no access token".into())),
        400 | 401 | 403 => {
            let plain = |char: &char| char.is_ascii_alphanumeric() || "_-".contains(*char);
            let code = read.as_ref().ok().and_then(|claims| text(claims, "error"));
            let code: Option<String> =
                code.map(|code| code.chars().filter(plain).take(MOST_SHOWN).collect());
            match code.as_deref() {
                None => Err(unavailable(format!("status {status}"))),
                // It has nothing to do with what was asked.
                Some(code @ ("temporarily_unavailable" | "server_error" | "slow_down")) => {
                    Err(unavailable(code.to_owned()))
                }
                // Nor has who asks: that is for whoever configures it to mend.
                Some(code @ ("invalid_client" | "unauthorized_client")) => {
                    Err(unavailable(code.to_owned()))
                }
                Some(code) => Err(TokenFault::Refused(code.to_owned())),
            }
        }
        status => Err(unavailable(format!("status {status}"))),
    }
}

fn reply(claims: &Claims) -> Option<TokenReply> {
    let seconds = claims.get("expires_in").and_then(|value| match value {
        // Some write it as text.
        Value::Text(text) => text.parse().ok(),
        value => value.as_i64(),
    });
    Some(TokenReply {
        access_token: text(claims, "access_token").filter(|token| !token.is_empty())?,
        token_type: text(claims, "token_type")?,
        expires_in: seconds.and_then(|seconds| u64::try_from(seconds).ok()),
        refresh_token: text(claims, "refresh_token").filter(|token| !token.is_empty()),
        id_token: text(claims, "id_token"),
        scope: text(claims, "scope"),
    })
}

fn text(claims: &Claims, name: &str) -> Option<String> {
    claims.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_read() {
        let content =
            br#"{"access_token":"a","token_type":"Bearer","expires_in":"60","scope":"x"}"#;
        let reply = read(200, content).unwrap();
        assert_eq!((reply.expires_in, reply.scope.as_deref()), (Some(60), Some("x")));
        assert!(!format!("{reply:?}").contains("\"a\""));
        for odd in
            ["", "[]", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a"}"#, "{", "\u{0}"]
        {
            assert!(matches!(read(200, odd.as_bytes()), Err(TokenFault::Unavailable(_))), "{odd}");
        }
    }

    #[test]
    fn a_refusal_is_no_outage() {
        let refused = |status, content: &str| match read(status, content.as_bytes()) {
            Err(TokenFault::Refused(code)) => code,
            other => format!("{other:?}"),
        };
        assert_eq!(refused(400, r#"{"error":"invalid_grant"}"#), "invalid_grant");
        assert_eq!(refused(400, "{\"error\":\"a\\r\\nb<script>\"}"), "abscript");
        for (status, content) in [
            (500, r#"{"error":"invalid_grant"}"#),
            (302, ""),
            (400, "nonsense"),
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
        ] {
            let fault = read(status, content.as_bytes());
            assert!(matches!(fault, Err(TokenFault::Unavailable(_))), "{status} {content}");
        }
    }
}
