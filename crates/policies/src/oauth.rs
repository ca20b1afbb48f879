//! The OAuth client.

use portcullis_config::model::{self, Url};
use portcullis_jose::{Claims, Value};
use base64::Engine;

use crate::calls::Call;
use crate::issuers::View;

#[derive(Debug)]
pub(crate) struct Client {
    written: model::OauthClient,
}

#[derive(Debug)]
pub(crate) struct TokenReply {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: Option<u64>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
    pub(crate) scope: Option<String>,
}

#[derive(Debug)]
pub(crate) enum TokenFault {
    Refused(String),
    Unavailable(String),
}

impl Client {
    pub(crate) fn new(written: &model::OauthClient) -> Client {
        Client { written: written.clone() }
    }

    pub(crate) async fn token(
        &self,
        view: &View,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<TokenReply, TokenFault> {
        let mut body = String::new();
        let mut add = |name: &str, value: &str| {
            if !body.is_empty() {
                body.push('&');
            }
            body.push_str(name);
            body.push('=');
            encode(value, &mut body);
        };
        for (name, value) in form {
            add(name, value);
        }
        let mut basic = String::new();
        match &self.written.secret {
            None => add("client_id", &self.written.id),
            Some(secret) => {
                let mut pair = String::new();
                encode(&self.written.id, &mut pair);
                pair.push(':');
                encode(secret.reveal(), &mut pair);
                basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            }
        }
        let mut fields = vec![("accept", "application/json")];
        if !basic.is_empty() {
            fields.push(("authorization", &basic));
        }
        let call = Call {
            method: "POST",
            url: endpoint,
            fields: &fields,
            content: Some(("application/x-www-form-urlencoded", body.as_bytes())),
            most: 256 * 1024,
            timeout: view.spec.timeout,
        };
        let unavailable = |why: String| TokenFault::Unavailable(format!("{endpoint}: {why}"));
        let caller = view.caller.as_ref().ok_or_else(|| unavailable("no caller".into()))?;
        let answered = caller.call(&call).await.map_err(|error| unavailable(error.to_string()))?;
        let read = Claims::from_json(&answered.content).map_err(|e| unavailable(e.to_string()));
        let text = |claims: &Claims, name: &str| {
            claims.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        match answered.status {
            200 => {
                let claims = read?;
                Ok(TokenReply {
                    access_token: text(&claims, "access_token").unwrap_or_default(),
                    token_type: text(&claims, "token_type").unwrap_or_default(),
                    expires_in: claims.get("expires_in").and_then(|v| v.as_i64()).and_then(|n| u64::try_from(n).ok()),
                    refresh_token: text(&claims, "refresh_token"),
                    id_token: text(&claims, "id_token"),
                    scope: text(&claims, "scope"),
                })
            }
            400 | 401 => Err(TokenFault::Refused(
                read.ok().and_then(|claims| text(&claims, "error")).unwrap_or_default(),
            )),
            status => Err(unavailable(format!("status {status}"))),
        }
    }
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
