//! Secrets that the configuration refers to and that stand in Vault. The Vault is a strict fake after
//! the documentation of its HTTP API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use portcullis_testkit::{Config, Gateway, Origin, Starting, eventually};
use serde_json::{Value, json};

const ROLE: &str = "portcullis-role";
const ROLE_SECRET: &str = "role-secret-5711";

struct Vault {
    origin: Origin,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    down: bool,
    /// What is in `secret/data/shop`, by version.
    versions: Vec<Value>,
    /// The token that is good.
    token: String,
    /// Seconds that tokens last; 0 is for ever.
    ttl: u64,
    calls: HashMap<String, usize>,
}

impl State {
    fn answer(&mut self, method: &str, target: &str, token: &str, body: &[u8]) -> (u16, Value) {
        *self.calls.entry(target.to_owned()).or_default() += 1;
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let refused = (403, json!({"errors": ["permission denied"]}));
        match (method, path) {
            ("POST", "/v1/auth/approle/login") => {
                if asked != json!({"role_id": ROLE, "secret_id": ROLE_SECRET}) {
                    return (400, json!({"errors": ["invalid role or secret ID"]}));
                }
                let auth = json!({"client_token": self.token, "lease_duration": self.ttl,
                    "renewable": self.ttl > 0});
                (200, json!({"auth": auth, "data": null}))
            }
            _ if token != self.token => refused,
            ("GET", "/v1/auth/token/lookup-self") => {
                (200, json!({"data": {"ttl": self.ttl, "renewable": self.ttl > 0}}))
            }
            ("POST", "/v1/auth/token/renew-self") => {
                let auth = json!({"client_token": self.token, "lease_duration": self.ttl,
                    "renewable": true});
                (200, json!({"auth": auth}))
            }
            ("GET", "/v1/secret/data/shop") => {
                let version = query.strip_prefix("version=").map(|version| version.parse());
                let version = version.transpose().unwrap().unwrap_or(self.versions.len());
                match self.versions.get(version - 1) {
                    Some(data) => {
                        (200, json!({"data": {"data": data, "metadata": {"version": version}}}))
                    }
                    None => (404, json!({"errors": []})),
                }
            }
            ("GET", path) if path.contains("/data/") => (404, json!({"errors": []})),
            _ => refused,
        }
    }
}

impl Vault {
    fn start(value: &str) -> Vault {
        let state = State {
            versions: vec![json!({ "greeting": value, "list": [1] })],
            token: "hvs.token-of-ours".to_owned(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let told = Arc::clone(&state);
        let origin = Origin::with(move |served| {
            while let Some(request) = served.request() {
                let mut state = told.lock().unwrap();
                let field = |name| request.field(name).unwrap_or_default();
                if state.down
                    || field("x-vault-request") != "true"
                    || field("x-vault-namespace") != "team"
                {
                    return;
                }
                let (status, content) = state.answer(
                    &request.method,
                    &request.target,
                    field("x-vault-token"),
                    &request.body,
                );
                let text = content.to_string();
                served.send(format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{text}",
                    text.len()
                ));
            }
        });
        Vault { origin, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn says(&self, value: &str) {
        self.state().versions.push(json!({ "greeting": value }));
    }

    fn calls(&self, target: &str) -> usize {
        self.state().calls.get(target).copied().unwrap_or_default()
    }

    fn starting(&self, reference: &str) -> Starting {
        let origin = Origin::echo();
        let text = Config::before(&origin).to_string();
        let reply = format!("reply: {{ body: \"vault:{reference}\" }}");
        let text = text.replace(
            "routes:",
            &format!("routes:\n  told: {{ match: {{ path: /told }}, {reply} }}"),
        );
        Starting::new(&text)
            .variable("VAULT_ADDR", format!("http://{}", self.origin.address()))
            .variable("VAULT_NAMESPACE", "team")
            .variable("PORTCULLIS_VAULT_INTERVAL", "1s")
    }

    /// A gateway that logs in for a role.
    fn gateway(&self) -> Gateway {
        let starting = self.starting("secret/data/shop#greeting");
        starting.variable("VAULT_ROLE_ID", ROLE).variable("VAULT_SECRET_ID", ROLE_SECRET).start()
    }
}

fn told(gateway: &Gateway) -> String {
    gateway.get("/told").text()
}

#[test]
fn a_secret_is_taken_over_when_it_changes_and_kept_while_vault_is_down() {
    let vault = Vault::start("first-4217");
    let gateway = vault.gateway();
    assert_eq!(told(&gateway), "first-4217");
    // Nobody asks for a reload.
    vault.says("second-4217");
    assert!(eventually(|| told(&gateway) == "second-4217"), "{}", gateway.log());

    vault.state().down = true;
    gateway.wait_for_log("Vault does not answer, the last values stay in use");
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(told(&gateway), "second-4217");
    vault.says("third-4217");
    vault.state().down = false;
    assert!(eventually(|| told(&gateway) == "third-4217"), "{}", gateway.log());
    gateway.wait_for_log("Vault answers again");

    let log = gateway.log();
    for secret in ["-4217", ROLE_SECRET, "hvs."] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_token_is_renewed_and_one_that_was_revoked_is_followed_by_another() {
    let vault = Vault::start("one");
    vault.state().ttl = 4;
    let gateway = vault.gateway();
    assert!(eventually(|| vault.calls("/v1/auth/token/renew-self") >= 2), "{}", gateway.log());
    assert_eq!(vault.calls("/v1/auth/approle/login"), 1);

    vault.state().token = "hvs.another".to_owned();
    vault.says("two");
    assert!(eventually(|| told(&gateway) == "two"), "{}", gateway.log());
    assert_eq!(vault.calls("/v1/auth/approle/login"), 2);
}

#[test]
fn a_version_stays_what_it_is_and_a_token_may_be_in_a_file() {
    let vault = Vault::start("old");
    vault.says("new");
    let starting = vault.starting("secret/data/shop?version=1#greeting");
    starting.dir().write("token", "hvs.token-of-ours\n");
    let file = starting.dir().join("token");
    let gateway = starting.variable("VAULT_TOKEN_FILE", file).start();
    assert_eq!(told(&gateway), "old");
}

#[test]
fn without_its_secrets_a_gateway_does_not_start() {
    let vault = Vault::start("text-4217");
    for (reference, token, said) in [
        ("secret/data/shop#nothing", "hvs.token-of-ours", "has no `nothing`"),
        ("secret/data/shop#list", "hvs.token-of-ours", "has no `list`"),
        ("secret/data/nobody#x", "hvs.token-of-ours", "Vault has no secret/data/nobody"),
        ("secret/shop#x", "hvs.token-of-ours", "expected `vault:MOUNT/data/PATH#FIELD`"),
        ("secret/data/shop#greeting", "hvs.wrong", "Vault refuses secret/data/shop"),
        ("secret/data/shop#greeting", "", "Vault needs to know who asks"),
    ] {
        let gateway = vault.starting(reference).variable("VAULT_TOKEN", token).spawn();
        let log = gateway.wait_for_log(said);
        assert!(!log.contains("4217") && !log.contains("hvs."), "{log}");
        assert_eq!(gateway.exited().code, Some(1));
    }
    vault.state().down = true;
    let down = vault.starting("secret/data/shop#greeting").variable("VAULT_TOKEN", "x").spawn();
    down.wait_for_log("this secret cannot be had: Vault does not answer");
    assert_eq!(down.exited().code, Some(1));
}
