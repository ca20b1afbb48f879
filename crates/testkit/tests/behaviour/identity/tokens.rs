//! JSON Web Tokens of an issuer whose keys the gateway fetches.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_jose::{Algorithm, Signer};
use portcullis_testkit::{Config, Gateway, Origin, eventually};
use serde_json::{Value, json};

use super::ask;

/// An issuer: what it says of itself and its keys, and the key that it signs with.
struct Issuer {
    origin: Origin,
    keys: Arc<Mutex<Option<Value>>>,
}

impl Issuer {
    fn start() -> Issuer {
        let keys = Arc::new(Mutex::new(None::<Value>));
        let told = Arc::clone(&keys);
        let origin = Origin::with(move |served| {
            while let Some(request) = served.request() {
                let host = request.field("host").unwrap_or_default().to_owned();
                let head = String::from_utf8_lossy(&request.head).into_owned();
                let keys = told.lock().unwrap().clone();
                let content = match keys {
                    None => return,
                    Some(_) if head.contains("/.well-known/") => {
                        json!({"issuer": format!("http://{host}"),
                            "jwks_uri": format!("http://{host}/keys")})
                    }
                    Some(keys) => keys,
                };
                served.reply(&content.to_string());
            }
        });
        Issuer { origin, keys }
    }

    fn name(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// Says these keys from now on; nothing at all without any.
    fn says(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().filter_map(|signer| signer.public_jwk()).collect();
        *self.keys.lock().unwrap() = (!keys.is_empty()).then(|| json!({ "keys": keys }));
    }

    fn token(&self, signer: &Signer, changes: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"iss": self.name(), "aud": "api", "sub": "anna", "exp": now + 300,
            "scope": "read", "realm_access": {"roles": ["user"]}});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        format!("Authorization: Bearer {}\r\n", signer.sign("at+jwt", &claims).unwrap())
    }

    fn gateway(&self, origin: &Origin, more: &str) -> Gateway {
        let policy = format!("policies: [jwt: {{ issuers: main, audiences: api{more} }}]");
        let issuers = format!("issuers: {{ main: {{ issuer: \"{}\" }} }}", self.name());
        Gateway::start(&Config::before(origin).route(&policy).also(&issuers))
    }
}

fn signer() -> Signer {
    Signer::generate(Algorithm::Es256).unwrap()
}

#[test]
fn a_token_is_good_with_the_keys_that_its_issuer_publishes() {
    let (origin, issuer, key) = (Origin::echo(), Issuer::start(), signer());
    issuer.says(&[&key]);
    let gateway = issuer.gateway(&origin, ", claims_to_headers: { x-user: sub }, scopes: read");
    let mut client = gateway.client();

    let refused = ask(&mut client, "X-User: root\r\n");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.field("www-authenticate"), Some("Bearer realm=\"portcullis\""));
    assert!(origin.requests().is_empty());

    let fields = format!("{}X-User: root\r\nx_user: root\r\n", issuer.token(&key, &json!({})));
    for _ in 0..2 {
        assert_eq!(ask(&mut client, &fields).status, 200);
        let seen = origin.last_request();
        assert_eq!((seen.field("x-user"), seen.field("x_user")), (Some("anna"), None));
    }
    for (changes, status, said) in [
        (json!({"exp": 1}), 401, "expired"),
        (json!({"aud": "other"}), 401, "audience"),
        (json!({"iss": "http://other"}), 401, "issuer"),
        (json!({"scope": "write"}), 403, "scope=\"read\""),
    ] {
        let refused = ask(&mut client, &issuer.token(&key, &changes));
        let told = refused.field("www-authenticate").unwrap_or_default().to_owned();
        assert_eq!(refused.status, status, "{told}");
        assert!(told.contains(said), "{told}");
    }
    let forged = ask(&mut client, &issuer.token(&signer(), &json!({"sub": "root"})));
    assert_eq!(forged.status, 401);
    let odd = ["a.b.c", "a.b.c.d.e", "eyJhbGciOiJub25lIn0.e30.", "\u{7f}", "=", &"x".repeat(9000)]
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .map(|field| ask(&mut gateway.client(), &field).status);
    assert!(odd.iter().all(|status| (400..432).contains(status)), "{odd:?}");
}

#[test]
fn without_keys_nobody_passes() {
    let (origin, issuer, key) = (Origin::echo(), Issuer::start(), signer());
    let gateway = issuer.gateway(&origin, "");
    let mut client = gateway.client();
    let token = issuer.token(&key, &json!({}));
    assert_eq!(ask(&mut client, &token).status, 503);
    assert!(origin.requests().is_empty());
    let keys = || gateway.metric("portcullis_issuer_keys", "issuer=\"main\"");
    assert!(keys() < 1.0);
    issuer.says(&[&key]);
    assert!(eventually(|| ask(&mut client, &token).status == 200));
    assert!(keys() > 0.0);
}

#[test]
fn keys_stay_while_the_issuer_is_down() {
    let (origin, issuer, key) = (Origin::echo(), Issuer::start(), signer());
    issuer.says(&[&key]);
    let gateway = issuer.gateway(&origin, "");
    let token = issuer.token(&key, &json!({}));
    assert!(eventually(|| ask(&mut gateway.client(), &token).status == 200));
    issuer.says(&[]);
    assert_eq!(ask(&mut gateway.client(), &token).status, 200);
}

/// Clients that ask without a pause, each time with the token that is in use then.
struct Traffic {
    token: Arc<Mutex<String>>,
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Traffic {
    fn start(gateway: &Gateway, token: String) -> Traffic {
        let (token, stopping) = (Arc::new(Mutex::new(token)), Arc::<AtomicBool>::default());
        let answered = Arc::<AtomicUsize>::default();
        let client = |_| {
            let (token, stopping) = (Arc::clone(&token), Arc::clone(&stopping));
            let (answered, mut client) = (Arc::clone(&answered), gateway.client());
            thread::spawn(move || {
                let mut failed = Vec::new();
                while !stopping.load(Relaxed) {
                    let fields = token.lock().unwrap().clone();
                    let reply = ask(&mut client, &fields);
                    answered.fetch_add(1, Relaxed);
                    if reply.status != 200 {
                        failed.push(reply.text().to_owned());
                    }
                }
                failed
            })
        };
        let clients = (0..3).map(client).collect();
        Traffic { token, stopping, answered, clients }
    }

    /// From now on with this token; waits until some requests had it.
    fn has(&self, token: String) {
        *self.token.lock().unwrap() = token;
        self.goes_on();
    }

    fn goes_on(&self) {
        let goal = self.answered.load(Relaxed) + 50;
        assert!(eventually(|| self.answered.load(Relaxed) >= goal));
    }

    /// Ends it: how many were answered, and what those say that were not let in.
    fn stop(self) -> (usize, Vec<String>) {
        self.stopping.store(true, Relaxed);
        let failed = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (self.answered.load(Relaxed), failed)
    }
}

/// As issuers do it: the next key is published before it signs, the last one until its tokens have
/// expired.
#[test]
fn keys_are_rotated_while_traffic_runs_and_nothing_fails() {
    let (origin, issuer) = (Origin::echo(), Issuer::start());
    let mut keys = vec![signer()];
    issuer.says(&[&keys[0]]);
    let policy = "policies: [jwt: { issuers: main, audiences: api }]";
    let issuers = format!("issuers: {{ main: {{ issuer: \"{}\", refresh: 10s }} }}", issuer.name());
    let gateway = Gateway::start(&Config::before(&origin).route(policy).also(&issuers));
    let first = issuer.token(&keys[0], &json!({}));
    assert!(eventually(|| ask(&mut gateway.client(), &first).status == 200));
    let traffic = Traffic::start(&gateway, first.clone());
    let fetched =
        || gateway.metric("portcullis_issuer_fetches_total", "issuer=\"main\",result=\"ok\"");
    let fetches = |say: &dyn Fn()| {
        say();
        // One that is under way may have the old keys.
        for _ in 0..2 {
            let before = fetched();
            assert!(eventually(|| fetched() > before), "keys are not fetched");
        }
    };

    keys.push(signer());
    fetches(&|| issuer.says(&[&keys[0], &keys[1]]));
    traffic.goes_on();
    let second = issuer.token(&keys[1], &json!({}));
    traffic.has(second.clone());
    assert_eq!(ask(&mut gateway.client(), &first).status, 200);
    fetches(&|| issuer.says(&[&keys[1]]));
    traffic.goes_on();
    let (answered, failed) = traffic.stop();
    assert!(failed.is_empty(), "{} of {answered}: {}", failed.len(), failed[0]);

    // What was remembered as good is not, once its key is gone.
    assert_eq!(ask(&mut gateway.client(), &first).status, 401);
    assert_eq!(ask(&mut gateway.client(), &second).status, 200);
}

/// What a token says of its user counts and chooses, and nothing that a client writes beside it.
#[test]
fn claims_are_keys_of_limits_and_of_balancing() {
    let (one, other) = (Origin::echo(), Origin::echo());
    let (issuer, key) = (Issuer::start(), signer());
    issuer.says(&[&key]);
    let jwt = "jwt: { issuers: main, audiences: api }";
    let limit = "rate_limit: { by: { claim: org.id }, limit: 4, per: 1d, missing: refuse }";
    let config = Config::before(&one)
        .and(&other)
        .service("balance: { hash: { by: { claim: sub } } }")
        .route(&format!("policies: [{jwt}, {limit}]"))
        .also(&format!("issuers: {{ main: {{ issuer: \"{}\" }} }}", issuer.name()));
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let by = |user: &str, org: u32| issuer.token(&key, &json!({"sub": user, "org": {"id": org}}));
    let statuses: Vec<u16> = (0..6).map(|_| ask(&mut client, &by("anna", 1)).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(ask(&mut client, &by("bert", 1)).status, 429);
    assert_eq!(ask(&mut client, &by("bert", 2)).status, 200);
    assert_eq!(ask(&mut client, &issuer.token(&key, &json!({}))).status, 400);
    // All of one user's requests went to one endpoint.
    let of_anna = |origin: &Origin| origin.requests().len();
    assert!(of_anna(&one).max(of_anna(&other)) >= 4);
    for user in 0..16 {
        assert_eq!(ask(&mut client, &by(&format!("u{user}"), 100 + user)).status, 200);
    }
    assert!(of_anna(&one) > 0 && of_anna(&other) > 0);
}

#[test]
fn the_log_tells_the_claims_that_it_is_to_tell() {
    let (origin, issuer, key) = (Origin::echo(), Issuer::start(), signer());
    issuer.says(&[&key]);
    let issuers = format!("issuers: {{ main: {{ issuer: \"{}\" }} }}", issuer.name());
    let config = Config::before(&origin)
        .route("policies: [jwt: { issuers: main, audiences: api }]")
        .also(&issuers)
        .also("access_log: { claims: { tenant: org.id, teams: teams, none: nothing } }");
    let gateway = Gateway::start(&config);
    let claims = json!({"org": {"id": "a\"},\n"}, "teams": ["x", "y".repeat(1000)]});
    let token = issuer.token(&key, &claims);
    let ask = |path: &str, fields: &str| {
        gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"))
    };
    assert_eq!(ask("/known", &token).status, 200);
    let line = gateway.logged_request("/known");
    let teams = format!("x,{}", "y".repeat(254));
    assert_eq!(line["claims"], json!({"tenant": "a\"},\n", "teams": teams}));
    assert!(!line.to_string().contains(token.rsplit('.').next().unwrap().trim()));

    assert_eq!(ask("/unknown", "").status, 401);
    assert_eq!(gateway.logged_request("/unknown").get("claims"), None);
    let forged = issuer.token(&signer(), &claims);
    assert_eq!(ask("/forged", &forged).status, 401);
    assert_eq!(gateway.logged_request("/forged").get("claims"), None);
}
