//! Tokens that their issuer is asked about.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use portcullis_jose::{Algorithm, Signer};
use portcullis_testkit::{Config, Gate, Gateway, Origin, eventually};
use serde_json::{Value, json};

use super::ask;

/// An issuer that says the same of every token; where it is held, it waits to be let go for each.
struct Issuer {
    origin: Origin,
    says: Arc<Mutex<(u16, Value)>>,
    asked: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    held: Arc<AtomicBool>,
    gate: Gate,
}

impl Issuer {
    fn start() -> Issuer {
        let says = Arc::new(Mutex::new((200, json!({"active": false}))));
        let (asked, heads) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (gate, held) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let key = Signer::generate(Algorithm::Es256).unwrap().public_jwk().unwrap();
        let (told, counted, kept) = (Arc::clone(&says), Arc::clone(&asked), Arc::clone(&heads));
        let (waits, is_held) = (gate.clone(), Arc::clone(&held));
        let origin = Origin::with(move |served| {
            while let Some(request) = served.request() {
                let host = request.field("host").unwrap_or_default().to_owned();
                let head = String::from_utf8_lossy(&request.head).into_owned();
                let content = if head.contains("/.well-known/") {
                    json!({"issuer": format!("http://{host}"),
                        "jwks_uri": format!("http://{host}/keys"),
                        "introspection_endpoint": format!("http://{host}/introspect")})
                } else if head.contains("/introspect") {
                    counted.fetch_add(1, SeqCst);
                    let body = String::from_utf8_lossy(&request.body).into_owned();
                    let kept: &Mutex<Vec<String>> = &kept;
                    kept.lock().unwrap().push(format!("{head}{body}"));
                    if is_held.load(SeqCst) {
                        waits.pass();
                    }
                    let (status, says) = told.lock().unwrap().clone();
                    let says = says.to_string();
                    let length = says.len();
                    served.send(format!(
                        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{says}"
                    ));
                    continue;
                } else {
                    json!({"keys": [key]})
                };
                served.reply(&content.to_string());
            }
        });
        Issuer { origin, says, asked, heads, held, gate }
    }

    fn says(&self, status: u16, answer: Value) {
        *self.says.lock().unwrap() = (status, answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn gateway(&self, origin: &Origin, more: &str) -> Gateway {
        let client = "client: { id: \"gate way\", secret: \"s:1\" }";
        let policy = format!("policies: [introspection: {{ issuer: main, {client}{more} }}]");
        let name = format!("http://{}", self.origin.address());
        let issuers = format!("issuers: {{ main: {{ issuer: \"{name}\", timeout: 2s }} }}");
        let config = Config::before(origin).route(&policy).also(&issuers).also("workers: 2");
        let gateway = Gateway::start(&config);
        // By then it is known whom to ask.
        assert!(eventually(|| gateway.admin("GET", "/readyz").status == 200));
        gateway
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_token_is_what_its_issuer_says() {
    let (origin, issuer) = (Origin::echo(), Issuer::start());
    let gateway = issuer.gateway(&origin, ", scopes: read, claims_to_headers: { x-user: sub }");
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "").status, 401);
    assert_eq!(issuer.asked(), 0);

    issuer.says(200, json!({"active": true, "sub": "anna", "scope": "read write"}));
    assert!(eventually(|| ask(&mut client, &bearer("a")).status == 200));
    for _ in 0..3 {
        assert_eq!(ask(&mut client, &format!("{}X-User: root\r\n", bearer("a"))).status, 200);
        assert_eq!(origin.last_request().field("x-user"), Some("anna"));
    }
    let head = issuer.heads.lock().unwrap().last().unwrap().clone();
    // `gate%20way:s%3A1` as RFC 6749, 2.3.1 has it.
    assert!(head.contains("Z2F0ZSUyMHdheTpzJTNBMQ=="), "{head}");
    assert!(head.ends_with("token=a&token_type_hint=access_token"), "{head}");

    let before = issuer.asked();
    for (token, answer, status, said) in [
        ("b", json!({"active": false}), 401, "not active"),
        ("c", json!({"active": true, "scope": "write"}), 403, "insufficient_scope"),
        ("d", json!({"active": true, "scope": "read", "exp": 1}), 401, "expired"),
        ("e", json!({"active": true, "scope": "read", "iss": "http://other"}), 401, "not active"),
        ("f", json!({"active": true, "scope": "read", "cnf": {"jkt": "x"}}), 401, "not active"),
    ] {
        issuer.says(200, answer);
        let refused = ask(&mut client, &bearer(token));
        let told = refused.field("www-authenticate").unwrap_or_default().to_owned();
        assert_eq!(refused.status, status, "{token} {told}");
        assert!(told.contains(said), "{told}");
    }
    // What is remembered is not asked again, good or bad.
    issuer.says(200, json!({"active": true, "scope": "read"}));
    assert_eq!(ask(&mut client, &bearer("b")).status, 401);
    assert_eq!(issuer.asked(), before + 5);
    assert!(gateway.metric("portcullis_issuer_introspections_total", "result=\"inactive\"") >= 3.0);
}

#[test]
fn one_call_is_made_for_all_that_wait() {
    let (origin, issuer) = (Origin::echo(), Issuer::start());
    let gateway = Arc::new(issuer.gateway(&origin, ""));
    issuer.says(200, json!({"active": true, "sub": "anna"}));
    issuer.held.store(true, SeqCst);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            thread::spawn(move || ask(&mut gateway.client(), &bearer("same")).status)
        })
        .collect();
    assert!(eventually(|| issuer.asked() >= 1));
    issuer.gate.open();
    let statuses: Vec<u16> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
    assert_eq!(statuses, [200; 8]);
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn without_an_answer_nobody_passes() {
    let (origin, issuer) = (Origin::echo(), Issuer::start());
    let gateway = issuer.gateway(&origin, ", cache: 0s");
    let mut client = gateway.client();
    for (status, answer) in [
        (500, json!({"active": true})),
        (401, json!({"error": "invalid_client"})),
        (200, json!({"active": "true"})),
        (200, json!(["active"])),
        (302, json!({"active": true})),
    ] {
        issuer.says(status, answer);
        assert_eq!(ask(&mut client, &bearer(&format!("t{status}"))).status, 503, "{status}");
    }
    assert!(origin.requests().is_empty());
    issuer.says(200, json!({"active": true}));
    assert!(eventually(|| ask(&mut client, &bearer("t500")).status == 200));
    // Nothing is remembered with `0s`: it is seen at once that a token is not good any more.
    issuer.says(200, json!({"active": false}));
    assert_eq!(ask(&mut client, &bearer("t500")).status, 401);
}
