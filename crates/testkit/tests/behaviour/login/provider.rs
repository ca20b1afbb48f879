//! A provider of OpenID Connect that does what a test wants. It checks what a real one would: the
//! client, the code, its verifier, and that refresh tokens are used once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_jose::{Algorithm, Signer};
use portcullis_testkit::{Origin, Request, Served};
use serde_json::{Value, json};

/// What it does.
#[derive(Default)]
pub(super) struct Says {
    /// Claims of ID tokens that are other than usual; null takes one out.
    pub(super) claims: Value,
    /// What answers of the token endpoint have besides, or otherwise.
    pub(super) tokens: Value,
    /// The status and content of the token endpoint instead.
    pub(super) refuses: Option<(u16, String)>,
    /// What user info says.
    pub(super) user_info: Value,
    /// What signs ID tokens, if not the published key.
    pub(super) signer: Option<Signer>,
    codes: HashMap<String, Value>,
    refresh: Vec<String>,
    /// How often each kind of grant was asked for.
    pub(super) granted: HashMap<String, usize>,
    /// Refresh tokens that came a second time.
    pub(super) reused: usize,
    drawn: usize,
}

/// A provider.
pub(super) struct Provider {
    origin: Origin,
    pub(super) says: Arc<Mutex<Says>>,
}

impl Provider {
    pub(super) fn start() -> Provider {
        let says = Arc::new(Mutex::new(Says {
            claims: json!({}),
            tokens: json!({}),
            user_info: json!({"sub": "anna", "email": "anna@example.com"}),
            ..Says::default()
        }));
        let signer = Signer::generate(Algorithm::Es256).unwrap();
        let told = Arc::clone(&says);
        let origin = Origin::with(move |served| {
            while let Some(request) = served.request() {
                answer(&request, served, &mut told.lock().unwrap(), &signer);
            }
        });
        Provider { origin, says }
    }

    pub(super) fn name(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// What a browser that has logged in with it goes back to: path and query of the callback.
    pub(super) fn answer(&self, location: &str) -> String {
        let asked = asked(location);
        let code = self.code(&asked);
        let path = path(&asked["redirect_uri"]);
        format!("{path}?code={code}&state={}&iss={}", asked["state"], escape(&self.name()))
    }

    /// A code for what was asked.
    pub(super) fn code(&self, asked: &HashMap<String, String>) -> String {
        let mut says = self.says.lock().unwrap();
        says.drawn += 1;
        let code = format!("code-{}", says.drawn);
        says.codes.insert(code.clone(), json!(asked));
        code
    }

    pub(super) fn granted(&self, kind: &str) -> usize {
        self.says.lock().unwrap().granted.get(kind).copied().unwrap_or_default()
    }
}

/// The parameters that a browser is sent with.
pub(super) fn asked(location: &str) -> HashMap<String, String> {
    form(location.split_once('?').unwrap().1)
}

/// The path of an address.
pub(super) fn path(address: &str) -> &str {
    let rest = address.split_once("://").unwrap().1;
    &rest[rest.find('/').unwrap()..]
}

pub(super) fn form(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (unescape(name), unescape(value))).collect()
}

pub(super) fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn unescape(text: &str) -> String {
    let (mut out, bytes) = (Vec::new(), text.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn answer(request: &Request, served: &mut Served, says: &mut Says, signer: &Signer) {
    let base = format!("http://{}", request.field("host").unwrap_or_default());
    let content = match request.target.as_str() {
        "/.well-known/openid-configuration" => json!({
            "issuer": base,
            "jwks_uri": format!("{base}/keys"),
            "authorization_endpoint": format!("{base}/auth?tenant=1"),
            "token_endpoint": format!("{base}/token"),
            "userinfo_endpoint": format!("{base}/me"),
            "end_session_endpoint": format!("{base}/end"),
            "authorization_response_iss_parameter_supported": true,
        }),
        "/keys" => json!({"keys": [signer.public_jwk()]}),
        "/me" => says.user_info.clone(),
        "/token" => match token(request, says, signer, &base) {
            Ok(content) => content,
            Err((status, content)) => {
                let length = content.len();
                served.send(format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{content}"
                ));
                return;
            }
        },
        _ => json!({}),
    };
    served.reply(&content.to_string());
}

fn token(
    request: &Request,
    says: &mut Says,
    signer: &Signer,
    base: &str,
) -> Result<Value, (u16, String)> {
    let refused = |code: &str| (400, json!({ "error": code }).to_string());
    let form = form(&String::from_utf8_lossy(&request.body));
    let kind = form["grant_type"].clone();
    *says.granted.entry(kind.clone()).or_default() += 1;
    if let Some(refuses) = &says.refuses {
        return Err(refuses.clone());
    }
    let basic = format!("Basic {}", STANDARD.encode("shop:s3cret"));
    if request.field("authorization") != Some(&basic) {
        return Err(refused("invalid_client"));
    }
    let nonce = if kind == "authorization_code" {
        let asked = says.codes.remove(&form["code"]).ok_or_else(|| refused("invalid_grant"))?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        if asked["code_challenge"] != challenge || asked["redirect_uri"] != form["redirect_uri"] {
            return Err(refused("invalid_grant"));
        }
        asked["nonce"].clone()
    } else {
        if says.refresh.last() != Some(&form["refresh_token"]) {
            says.reused += 1;
            return Err(refused("invalid_grant"));
        }
        Value::Null
    };
    says.drawn += 1;
    let (access, refresh) = (format!("access-{}", says.drawn), format!("refresh-{}", says.drawn));
    says.refresh.push(refresh.clone());
    let half = &digest(&SHA256, access.as_bytes()).as_ref()[..16].to_vec();
    let mut claims = json!({"iss": base, "aud": "shop", "sub": "anna", "exp": now() + 300,
        "iat": now(), "nonce": nonce, "at_hash": URL_SAFE_NO_PAD.encode(half),
        "roles": ["buyer"]});
    change(&mut claims, &says.claims);
    if claims["nonce"].is_null() {
        claims.as_object_mut().unwrap().remove("nonce");
    }
    let signer = says.signer.as_ref().unwrap_or(signer);
    let mut reply = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": refresh, "id_token": signer.sign("JWT", &claims).unwrap()});
    change(&mut reply, &says.tokens);
    Ok(reply)
}

fn change(value: &mut Value, changes: &Value) {
    let members = value.as_object_mut().unwrap();
    for (name, change) in changes.as_object().unwrap() {
        if change.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), change.clone());
        }
    }
}
