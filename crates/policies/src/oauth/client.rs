//! Forms that are posted to a provider, by a client that proves who it is (RFC 6749, 2.3; RFC 7523,
//! 2.2).

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_config::model::{ClientProof, OauthClient, Url};
use portcullis_jose::Signer;
use serde_json::json;

use crate::calls::{Answered, Call, CallError, Caller};
use crate::issuers::View;

/// How long a proof holds, in seconds.
const PROVEN: u64 = 60;
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client of a provider.
pub(crate) struct Client {
    id: Box<str>,
    proof: Proof,
}

enum Proof {
    None,
    /// The whole value of `Authorization`.
    Basic(Box<str>),
    Post(Box<str>),
    Key(Option<Signer>),
}

/// How a provider is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) caller: &'a Caller,
    /// The largest answer that is read, in bytes.
    pub(crate) most: usize,
    /// The longest that it takes.
    pub(crate) timeout: Duration,
}

/// Why a form was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostFault {
    /// Nobody can be asked yet.
    #[error("the provider cannot be called yet")]
    NotReady,
    /// The private key is of no use.
    #[error("the client cannot prove who it is")]
    Proof,
    /// There is no answer.
    #[error("{0}: {1}")]
    Call(Url, #[source] CallError),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(written: &OauthClient) -> Client {
        let proof = match &written.proof {
            ClientProof::None => Proof::None,
            ClientProof::Basic(secret) => {
                // Both are encoded as forms are, first (RFC 6749, 2.3.1).
                let mut pair = String::new();
                encode(&written.id, &mut pair);
                pair.push(':');
                encode(secret.reveal(), &mut pair);
                Proof::Basic(format!("Basic {}", STANDARD.encode(pair)).into())
            }
            ClientProof::Post(secret) => Proof::Post(secret.reveal().into()),
            ClientProof::Key { pem, algorithm, kid } => {
                let pem = pem.reveal().as_bytes();
                Proof::Key(Signer::from_pem(pem, *algorithm, kid.as_deref()).ok())
            }
        };
        Client { id: (*written.id).into(), proof }
    }

    /// Posts a form to an address of a provider, and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn post(
        &self,
        view: &View,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answered, PostFault> {
        self.post_over(view.way().ok_or(PostFault::NotReady)?, endpoint, form).await
    }

    /// The same over any way.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn post_over(
        &self,
        way: Way<'_>,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answered, PostFault> {
        let mut body = String::new();
        form.iter().for_each(|(name, value)| add(name, value, &mut body));
        let mut fields = vec![("accept", "application/json")];
        match &self.proof {
            Proof::None => add("client_id", &self.id, &mut body),
            Proof::Basic(value) => fields.push(("authorization", value)),
            Proof::Post(secret) => {
                add("client_id", &self.id, &mut body);
                add("client_secret", secret, &mut body);
            }
            Proof::Key(signer) => {
                let signer = signer.as_ref().ok_or(PostFault::Proof)?;
                let assertion = self.assertion(signer, endpoint).ok_or(PostFault::Proof)?;
                add("client_id", &self.id, &mut body);
                add("client_assertion_type", ASSERTION, &mut body);
                add("client_assertion", &assertion, &mut body);
            }
        }
        let call = Call {
            method: "POST",
            url: endpoint,
            fields: &fields,
            content: Some(("application/x-www-form-urlencoded", body.as_bytes())),
            most: way.most,
            timeout: way.timeout,
        };
        way.caller.call(&call).await.map_err(|error| PostFault::Call(endpoint.clone(), error))
    }

    /// A token that proves who the client is, to this address alone, once and not for long.
    fn assertion(&self, signer: &Signer, endpoint: &Url) -> Option<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        let claims = json!({
            "iss": self.id,
            "sub": self.id,
            "aud": endpoint.as_str(),
            "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": now,
            "exp": now + PROVEN,
        });
        signer.sign("JWT", &claims).ok()
    }
}

fn add(name: &str, value: &str, form: &mut String) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    encode(value, form);
}

/// Everything but letters, digits and `-._~` as `%XX`, which every reader of forms understands.
pub(crate) fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::model::Secret;

    use super::*;

    #[test]
    fn secrets_are_encoded_before_they_stand_in_a_field() {
        let written =
            OauthClient { id: "a:b".into(), proof: ClientProof::Basic(Secret::new("p w/\u{e9}")) };
        let Proof::Basic(value) = Client::new(&written).proof else { panic!() };
        let pair = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab:p%20w%2F%C3%A9");
    }

    #[test]
    fn forms_are_escaped() {
        let mut form = String::new();
        add("a", "b c&d=e", &mut form);
        add("f", "", &mut form);
        assert_eq!(form, "a=b%20c%26d%3De&f=");
    }
}
