//! Several methods together, certificates, who shows nothing, and whose policy counts.

use portcullis_testkit::{
    Authority, Client, Config, Gateway, Origin, TempDir, eventually, run_command,
};

use super::{CREDENTIALS, ask, key};

#[test]
fn any_of_takes_the_first_that_is_good() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let method = "any_of: [{ api_key: {} }, { basic: {} }]";
    let config = Config::before(&origin)
        .route(&format!("policies: [{method}, {{ anonymous: guest }}]"))
        .also(CREDENTIALS)
        .also(&format!("consumers: {{ guest: {{}}, shop: {{ keys: [{{ {kept} }}] }} }}"));
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    // What is not good does not stand in the way of what is.
    let both = format!("Authorization: Basic eDp5\r\nX-API-Key: {key}\r\n");
    assert_eq!(ask(&mut client, &both).status, 200);
    // Who shows nothing is somebody else than who shows something that is not good.
    assert_eq!(ask(&mut client, "").status, 200);
    let bad = ask(&mut client, "X-API-Key: nonsense\r\n");
    assert_eq!(bad.status, 401);
    let challenges: Vec<&str> = bad.fields.all("www-authenticate");
    let expected = ["ApiKey realm=\"portcullis\"", "Basic realm=\"portcullis\", charset=\"UTF-8\""];
    assert_eq!(challenges, expected);
    let has = |name: &str| gateway.logged_requests().iter().any(|line| line["consumer"] == name);
    assert!(eventually(|| has("shop") && has("guest")));
}

#[test]
fn the_narrowest_scope_says_what_must_be_shown() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let config = Config::before(&origin)
        .service("policies: [basic: {}]")
        .also("policies: [api_key: {}]")
        .also(CREDENTIALS)
        .also(&format!("consumers: {{ all: {{ keys: [{{ {kept} }}] }} }}"));
    let config = config.to_string().replace(
        "routes:\n",
        "routes:\n  \
         open: { match: { path: /open }, service: origin, policies: [anonymous: all] }\n  \
         here: { match: { path: /here }, reply: { status: 204 } }\n",
    );
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    assert_eq!(client.get("/open").status, 200);
    assert_eq!(client.get("/other").field("www-authenticate").unwrap()[..5], *"Basic");
    assert_eq!(client.get("/here").field("www-authenticate").unwrap()[..6], *"ApiKey");
    let good = format!("GET /here HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    assert_eq!(client.ask(good).status, 204);
}

#[test]
fn certificates_are_consumers_and_all_of_wants_one_consumer() {
    let origin = Origin::echo();
    let (servers, clients, dir) = (Authority::new(), Authority::new(), TempDir::new());
    servers.issue(&["a.example"]).write(&dir, "own");
    dir.write("clients.pem", clients.pem());
    let path = |name: &str| format!("{:?}", dir.join(name));
    let tls = format!(
        "tls: {{ certificates: [{{ cert: {}, key: {} }}], client_auth: {{ ca: {}, mode: optional }} }}",
        path("own.crt"),
        path("own.key"),
        path("clients.pem")
    );
    let ((shop_key, shop_kept), (bank_key, bank_kept)) = (key(), key());
    let config = Config::before(&origin).listener(&tls).also(CREDENTIALS).also(&format!(
        "consumers:\n  shop: {{ certificates: [{{ subject: CN=shop }}], keys: [{{ {shop_kept} }}] }}\n  \
         bank: {{ keys: [{{ {bank_kept} }}] }}"
    ));
    let config = config.to_string().replace(
        "routes:\n",
        "routes:\n  cert: { match: { path: /cert }, service: origin, policies: [mtls: {}] }\n  \
         both: { match: { path: /both }, service: origin, \
         policies: [all_of: [{ mtls: {} }, { api_key: {} }]] }\n",
    );
    let gateway = Gateway::start(&config);
    let status = |name: Option<&str>, path: &str, fields: &str| {
        let tls = match name {
            Some(name) => {
                let own = clients.issue_client(name, 1, 4000);
                servers.client_showing("a.example", &[&rustls::version::TLS13], &own)
            }
            None => servers.client("a.example"),
        };
        let mut client = Client::tls(gateway.address(), &tls).unwrap();
        client.ask(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")).status
    };
    assert_eq!(status(Some("shop"), "/cert", ""), 200);
    assert_eq!(status(Some("stranger"), "/cert", ""), 401);
    assert_eq!(status(None, "/cert", ""), 401);
    let key = |key: &str| format!("X-API-Key: {key}\r\n");
    assert_eq!(status(Some("shop"), "/both", &key(&shop_key)), 200);
    assert_eq!(status(Some("shop"), "/both", &key(&bank_key)), 401);
    assert_eq!(status(Some("shop"), "/both", ""), 401);
    assert_eq!(status(None, "/both", &key(&shop_key)), 401);
}

#[test]
fn faults_are_told_with_their_place_and_never_with_a_secret() {
    let dir = TempDir::new();
    let (_, kept) = key();
    let config = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
         consumers:\n  a: {{ plan: gold, groups: [x], keys: [{{ {kept} }}] }}\n  \
         b: {{ keys: [{{ prefix: short, hash: my-own-secret }}], basic: {{ hash: hunter2 }} }}\n  \
         c: {{ policies: [basic: {{}}] }}\n\
         routes:\n  r: {{ reply: {{ status: 204 }}, policies: [api_key: {{ scheme: Bearer }}, basic: {{}}, \
         anonymous: nobody, any_of: [{{ mtls: {{}} }}]] }}\n\
         credentials: {{ secret: too-short, guessing: {{ failures: 0 }} }}\n"
    );
    dir.write("gateway.yaml", config);
    let output = run_command(&["check", "--config", "gateway.yaml"], dir.path());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "there is no plan `gold`",
        "there is no group `x`",
        "there is no consumer `nobody`",
        "this list has two ways to tell who calls",
        "`any_of` needs several methods",
        "a scheme stands in `Authorization`",
        "this is no hash of a key",
        "`short` is no prefix of a key",
        "this is no hash of a password",
        "this secret is too short",
        "0 is out of range",
        "who calls is not known before this policy has been asked",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    // The rest of the line that they stand in is shown, as with every fault.
    let labels: Vec<&str> = told.lines().filter(|line| line.starts_with("error")).collect();
    assert!(!labels.join("\n").contains("hunter2") && !labels.join("\n").contains("my-own"));
}
