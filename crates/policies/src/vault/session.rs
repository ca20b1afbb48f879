//! A token of Vault, renewed ahead of its end, and what is read with it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portcullis_config::model::Url;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::settings::{self, Login, Settings};
use crate::calls::Call;

/// The longest that one call takes.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The largest reply: what Vault stores at most by default.
const LARGEST: usize = 1 << 20;
/// The soonest that a token is renewed again.
const SOONEST: Duration = Duration::from_secs(1);

/// The fields of a secret.
pub(super) type Fields = HashMap<String, Zeroizing<String>>;

/// Why there is no secret.
#[derive(Debug)]
pub(super) enum Fault {
    /// Vault does not answer, or not now.
    Down(String),
    /// It answered, and not with the secret.
    Refused(String),
    /// It takes the token for none.
    Token,
}

/// Whoever asks Vault.
pub(super) struct Session {
    settings: Settings,
    token: Option<Token>,
}

struct Token {
    text: Zeroizing<String>,
    /// When it has to be renewed; never if it has no end.
    renew: Option<Instant>,
    ends: Option<Instant>,
    renewable: bool,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct About {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct Secret {
    data: Option<HashMap<String, serde_json::Value>>,
}

impl Token {
    fn new(text: Zeroizing<String>, seconds: u64, renewable: bool) -> Token {
        let mut token = Token { text, renew: None, ends: None, renewable };
        token.lasts(seconds);
        token
    }

    /// It lasts this long from now on; for ever with 0.
    fn lasts(&mut self, seconds: u64) {
        let lasts = Duration::from_secs(seconds);
        let after = |time: Duration| Instant::now().checked_add(time).filter(|_| seconds > 0);
        (self.ends, self.renew) = (after(lasts), after(lasts / 2));
    }
}

impl Session {
    pub(super) fn new(settings: Settings) -> Session {
        Session { settings, token: None }
    }

    /// How often it is looked whether secrets have changed.
    pub(super) fn interval(&self) -> Duration {
        self.settings.interval
    }

    /// When the token has to be renewed, if ever.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.token.as_ref().and_then(|token| token.renew)
    }

    /// Reads all fields of a secret; with a new token where the old one is taken for none.
    pub(super) async fn read(&mut self, secret: &str) -> Result<Fields, Fault> {
        match self.read_once(secret).await {
            Err(Fault::Token) => {
                self.token = None;
                match self.read_once(secret).await {
                    Err(Fault::Token) => Err(Fault::Refused(format!(
                        "Vault refuses {secret}: the token is none, or its policies do not let it"
                    ))),
                    done => done,
                }
            }
            done => done,
        }
    }

    async fn read_once(&mut self, secret: &str) -> Result<Fields, Fault> {
        self.log_in().await?;
        let answer: Answer<Secret> = self.ask("GET", secret, None).await?;
        // A version that was deleted has metadata and no data.
        let data = answer.data.and_then(|secret| secret.data);
        let data = data.ok_or_else(|| Fault::Refused(format!("Vault has no {secret}")))?;
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(value) => Some(value.to_string()),
            _ => None,
        };
        let fields = data.into_iter();
        Ok(fields.filter_map(|(name, value)| Some((name, Zeroizing::new(text(value)?)))).collect())
    }

    /// Renews the token, or gets another one in its place.
    pub(super) async fn renew(&mut self) -> Result<(), Fault> {
        let Some(token) = &mut self.token else { return Ok(()) };
        let now = Instant::now();
        // If it does not come to anything, the next try is before the end.
        let left = token.ends.map_or(Duration::ZERO, |ends| ends.saturating_duration_since(now));
        token.renew = now.checked_add((left / 4).max(SOONEST));
        let renewed: Option<Auth> = if token.renewable {
            match self.ask::<About>("POST", "auth/token/renew-self", Some("{}")).await {
                Ok(answer) => answer.auth,
                Err(Fault::Down(why)) => return Err(Fault::Down(why)),
                Err(Fault::Refused(_) | Fault::Token) => None,
            }
        } else {
            None
        };
        let lasts = renewed.map(|auth| auth.lease_duration).filter(|lasts| *lasts > left.as_secs());
        if let (Some(lasts), Some(token)) = (lasts, &mut self.token) {
            token.lasts(lasts);
            return Ok(());
        }
        // It has come to the end of what it can be renewed to.
        let old = self.token.take();
        let done = self.log_in().await;
        if done.is_err() {
            self.token = old;
        }
        done
    }

    async fn log_in(&mut self) -> Result<(), Fault> {
        if self.token.is_some() {
            return Ok(());
        }
        let told = |content: serde_json::Value| Zeroizing::new(content.to_string());
        let (path, content) = match &self.settings.login {
            Login::Token(given) => {
                let text = given.read().map_err(Fault::Refused)?;
                return self.take(text).await;
            }
            Login::AppRole { mount, role, secret } => {
                let secret = secret.read().map_err(Fault::Refused)?;
                (mount, told(json!({ "role_id": role, "secret_id": *secret })))
            }
            Login::Kubernetes { mount, role, token } => {
                let jwt = settings::read(token).map_err(Fault::Refused)?;
                (mount, told(json!({ "role": role, "jwt": *jwt })))
            }
        };
        let path = format!("auth/{path}/login");
        let answer = match self.ask::<About>("POST", &path, Some(&content)).await {
            Err(Fault::Token) => Err(Fault::Refused(format!("Vault refuses the login at {path}"))),
            done => done,
        }?;
        let auth = answer.auth.ok_or_else(|| Fault::Refused(format!("{path} gives no token")))?;
        let text = Zeroizing::new(auth.client_token);
        self.token = Some(Token::new(text, auth.lease_duration, auth.renewable));
        Ok(())
    }

    /// Takes a token that was given, once Vault has said how long it lasts.
    async fn take(&mut self, text: Zeroizing<String>) -> Result<(), Fault> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::Refused("the token of Vault is none".to_owned()));
        }
        self.token = Some(Token::new(text, 0, false));
        match self.ask::<About>("GET", "auth/token/lookup-self", None).await {
            Ok(Answer { data: Some(about), .. }) => {
                if let Some(token) = &mut self.token {
                    token.renewable = about.renewable;
                    token.lasts(about.ttl);
                }
                Ok(())
            }
            // Not all tokens may look at themselves; reading says what they are good for.
            Ok(Answer { data: None, .. }) | Err(Fault::Token | Fault::Refused(_)) => Ok(()),
            Err(down) => {
                self.token = None;
                Err(down)
            }
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        path: &str,
        content: Option<&str>,
    ) -> Result<Answer<T>, Fault> {
        let Settings { address, namespace, caller, .. } = &self.settings;
        let url = format!("{address}/v1/{path}").parse::<Url>();
        let url = url.map_err(|error| Fault::Refused(format!("{path}: {error}")))?;
        let mut fields = vec![("accept", "application/json"), ("x-vault-request", "true")];
        fields.extend(namespace.iter().map(|namespace| ("x-vault-namespace", &**namespace)));
        fields.extend(self.token.iter().map(|token| ("x-vault-token", token.text.as_str())));
        let call = Call {
            method,
            url: &url,
            fields: &fields,
            content: content.map(|content| ("application/json", content.as_bytes())),
            most: LARGEST,
            timeout: TIMEOUT,
        };
        let answered = caller.call(&call).await;
        let answered = answered.map_err(|error| Fault::Down(format!("{address}: {error}")))?;
        let content = Zeroizing::new(answered.content);
        match answered.status {
            // What is in the content is not shown: it may be half a secret.
            200 => serde_json::from_slice(&content)
                .map_err(|_| Fault::Refused(format!("{address}: the reply cannot be read"))),
            401 | 403 => Err(Fault::Token),
            400..=499 if answered.status != 429 => Err(Fault::Refused(match answered.status {
                404 => format!("Vault has no {path}"),
                status => format!("Vault refuses {path}: status {status}"),
            })),
            status => Err(Fault::Down(format!("{address}: status {status}"))),
        }
    }
}
