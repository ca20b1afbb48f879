//! Tokens that the gateway gets for itself and shows to services.

use std::sync::{Arc, Mutex};

use portcullis_testkit::{Config, Gateway, Origin, eventually};
use serde_json::Value;

/// Whoever grants tokens: what it answers now, as a status and a document; nothing is no answer.
struct Granter {
    origin: Origin,
    says: Arc<Mutex<Option<(u16, String)>>>,
}

impl Granter {
    fn start() -> Granter {
        let says = Arc::new(Mutex::new(None::<(u16, String)>));
        let told = Arc::clone(&says);
        let origin = Origin::with(move |served| {
            while let Some(request) = served.request() {
                if request.target.starts_with("/.well-known/") {
                    let host = format!("http://{}", request.field("host").unwrap_or_default());
                    served.reply(&format!(
                        r#"{{"issuer":"{host}","jwks_uri":"{host}/keys","token_endpoint":"{host}/token"}}"#
                    ));
                    continue;
                }
                if request.target == "/keys" {
                    served.reply(KEYS);
                    continue;
                }
                let Some((status, text)) = told.lock().unwrap().clone() else { return };
                let length = text.len();
                served
                    .send(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{text}"));
            }
        });
        Granter { origin, says }
    }

    fn says(&self, status: u16, text: &str) {
        *self.says.lock().unwrap() = Some((status, text.to_owned()));
    }

    fn grants(&self, token: &str, seconds: u64) {
        let text =
            format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#);
        self.says(200, &text);
    }

    fn asked(&self) -> Vec<portcullis_testkit::Request> {
        let mut asked = self.origin.requests();
        asked.retain(|request| request.target == "/token");
        asked
    }

    fn key(&self, more: &str) -> String {
        format!(
            "upstream_token: {{ endpoint: \"http://{}/token\", client: {{ id: gw, secret: s3cret }}{more} }}",
            self.origin.address()
        )
    }
}

/// A key set of RFC 8037, A.2.
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn ready(gateway: &Gateway) -> bool {
    gateway.admin("GET", "/readyz").status == 200
}

#[test]
fn the_token_of_the_gateway_takes_the_place_of_the_clients() {
    let (origin, granter) = (Origin::echo(), Granter::start());
    granter.grants("t-1", 3600);
    let more = ", scopes: [read, write], resource: \"urn:api\", parameters: { audience: \"a b\" }";
    let gateway = Gateway::start(&Config::before(&origin).service(&granter.key(more)));
    assert!(eventually(|| ready(&gateway)));
    let asked = granter.asked();
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        form,
        "grant_type=client_credentials&scope=read%20write&resource=urn%3Aapi&audience=a%20b"
    );
    assert_eq!(asked[0].field("authorization"), Some("Basic Z3c6czNjcmV0"));
    for own in ["", "Authorization: Basic eDp5\r\n", "authorization: a\r\nAUTHORIZATION: b\r\n"] {
        let reply = gateway.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{own}\r\n"));
        assert_eq!(reply.status, 200);
        assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-1"), "{own}");
    }
    let left = gateway.metric("portcullis_upstream_token_left_seconds", "service=\"origin\"");
    assert!((3000.0..3600.0).contains(&left), "{left}");
    assert!(!gateway.log().contains("t-1") && !gateway.log().contains("s3cret"));
}

#[test]
fn no_request_goes_without_a_token() {
    let (origin, granter) = (Origin::echo(), Granter::start());
    let gateway = Gateway::start(&Config::before(&origin).service(&granter.key("")));
    let refused = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer own\r\n\r\n");
    assert_eq!(refused.status, 503);
    let told: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(told["code"], "upstream_token");
    let unready = gateway.admin("GET", "/readyz");
    assert_eq!(unready.status, 503);
    assert!(unready.text().contains("origin"), "{}", unready.text());
    // What is no token is not shown, whatever it is called.
    for (status, odd) in [
        (200, r#"{"access_token":"a","token_type":"mac","expires_in":9}"#),
        (200, r#"{"access_token":"a\r\nX-Admin: 1","token_type":"bearer"}"#),
    ] {
        granter.says(status, odd);
        let before = granter.asked().len();
        assert!(eventually(|| granter.asked().len() > before));
        assert_eq!(gateway.get("/").status, 503, "{odd}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_service_without_a_token_gives_way_to_its_backup() {
    let (origin, other, granter) = (Origin::echo(), Origin::echo(), Granter::start());
    let key = format!("{}, backup: other", granter.key(""));
    let config = Config::before(&origin).service(&key).to_string();
    let config = config.replace(
        "services:\n",
        &format!("services:\n  other: {{ endpoints: [\"{}\"] }}\n", other.address()),
    );
    let gateway = Gateway::start(&config);
    let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n");
    assert_eq!(reply.status, 200);
    // It has no token of its own, so that it sees the client's.
    assert_eq!(other.last_request().field("authorization"), Some("Basic eDp5"));
    assert!(origin.requests().is_empty());
    granter.grants("t-1", 3600);
    assert!(eventually(|| ready(&gateway)));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-1"));
}

#[test]
fn a_token_is_renewed_ahead_and_outlives_who_grants_it() {
    let (origin, granter) = (Origin::echo(), Granter::start());
    granter.grants("t-1", 10);
    let gateway = Gateway::start(&Config::before(&origin).service(&granter.key("")));
    assert!(eventually(|| ready(&gateway)));
    granter.grants("t-2", 8);
    let shown = || {
        let status = gateway.get("/").status;
        (status == 200).then(|| origin.last_request().field("authorization").map(str::to_owned))
    };
    // Nobody was refused on the way from the one to the other.
    assert!(eventually(|| {
        let shown = shown().expect("no request is refused while tokens are granted");
        shown.as_deref() == Some("Bearer t-2")
    }));
    granter.says(500, "");
    let failed = || gateway.metric("portcullis_upstream_token_fetches_total", "result=\"failed\"");
    assert!(eventually(|| failed() > 0.0));
    assert_eq!(shown(), Some(Some("Bearer t-2".to_owned())));
    // It is not shown any more once it has expired.
    assert!(eventually(|| shown().is_none()));
    granter.grants("t-3", 3600);
    assert!(eventually(|| shown() == Some(Some("Bearer t-3".to_owned()))));
}

#[test]
fn a_token_that_the_service_would_not_have_is_renewed_once() {
    let granter = Granter::start();
    granter.grants("t-1", 3600);
    let origin = Origin::replying("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::start(&Config::before(&origin).service(&granter.key("")));
    assert!(eventually(|| ready(&gateway)));
    for _ in 0..20 {
        assert_eq!(gateway.get("/").status, 401);
    }
    let rejected = || gateway.metric("portcullis_upstream_token_rejected_total", "");
    assert!(eventually(|| rejected() > 19.0));
    // The next one follows half a minute after the last at the soonest.
    assert_eq!(granter.asked().len(), 1);
}

#[test]
fn a_token_outlives_reloads_and_a_new_one_is_there_before_it_is_needed() {
    let (origin, granter) = (Origin::echo(), Granter::start());
    let config = |key: &str| Config::before(&origin).service(key).to_string();
    granter.grants("t-1", 3600);
    let gateway = Gateway::start(&config("retries: off"));
    assert_eq!(gateway.get("/").status, 200);
    gateway.write_config(&config(&granter.key("")));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-1"));
    // The same is asked for, by the same client: the token stays, even if nobody grants one now.
    granter.says(500, "");
    for key in [granter.key(", refresh_ahead: 5m"), granter.key("").replace("s3cret", "other")] {
        gateway.write_config(&config(&key));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-1"));
    }
    // For something else it is not good.
    gateway.write_config(&config(&granter.key(", scopes: more")));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 503);
    granter.grants("t-2", 3600);
    assert!(eventually(|| gateway.get("/").status == 200));
    assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-2"));
}

#[test]
fn the_metadata_of_an_issuer_say_where_tokens_are_granted() {
    let (origin, granter) = (Origin::echo(), Granter::start());
    granter.grants("t-1", 3600);
    let issuers =
        format!("issuers: {{ main: {{ issuer: \"http://{}\" }} }}", granter.origin.address());
    let key =
        "upstream_token: { issuer: main, client: { id: gw, secret: s, auth: client_secret_post } }";
    let gateway = Gateway::start(&Config::before(&origin).service(key).also(&issuers));
    assert!(eventually(|| ready(&gateway)));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(origin.last_request().field("authorization"), Some("Bearer t-1"));
    let form = String::from_utf8(granter.asked()[0].body.clone()).unwrap();
    assert_eq!(form, "grant_type=client_credentials&client_id=gw&client_secret=s");
}

#[test]
fn copies_show_the_token_of_the_service_that_gets_them() {
    let (origin, copies, granter) = (Origin::echo(), Origin::echo(), Granter::start());
    granter.grants("t-1", 3600);
    let config = Config::before(&origin).route("mirror: { service: copies }").to_string();
    let config = config.replace(
        "services:\n",
        &format!(
            "services:\n  copies: {{ endpoints: [\"{}\"], {} }}\n",
            copies.address(),
            granter.key("")
        ),
    );
    let gateway = Gateway::start(&config);
    assert!(eventually(|| ready(&gateway)));
    let reply = gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert_eq!(origin.last_request().field("authorization"), Some("Basic eDp5"));
    assert!(eventually(|| !copies.requests().is_empty()));
    assert_eq!(copies.last_request().field("authorization"), Some("Bearer t-1"));
}
