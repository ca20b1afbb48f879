//! Tokens of a certified provider, npm `oidc-provider`: one gateway gets them for itself, another one
//! before the service asks the provider about them, or verifies them with its keys.

use std::process::Command;

use super::programs::{node_with, packages, script};
use portcullis_testkit::process::Process;
use portcullis_testkit::{Config, Gateway, Origin, TempDir, eventually};

/// Fields are dropped in order.
struct Provider {
    process: Process,
    port: u16,
    dir: TempDir,
}

impl Provider {
    fn start() -> Option<Provider> {
        let dir = TempDir::new();
        let mut command = Command::new(node_with("oidc-provider")?);
        command.arg(script("oauth_provider.mjs")).arg(packages()).arg(dir.path().join("own.pem"));
        let process = Process::start(&command, dir.path());
        let port = process.number_behind("port ");
        Some(Provider { process, port, dir })
    }

    fn issuers(&self) -> String {
        format!(
            "issuers: {{ main: {{ issuer: \"http://localhost:{}\", refresh: 10s }} }}",
            self.port
        )
    }

    /// A client for each way to prove who it is.
    fn clients(&self) -> [String; 3] {
        let key = self.dir.path().join("own.pem");
        [
            "client: { id: \"basic:1\", secret: \"p w/-_%\" }".to_owned(),
            "client: { id: post, secret: \"p+w&x=y\", auth: client_secret_post }".to_owned(),
            format!(
                "client: {{ id: keyed, private_key: \"file:{}\", algorithm: ES256, key_id: own }}",
                key.display()
            ),
        ]
    }

    /// A gateway that gets a token for itself, in front of whatever is there.
    fn shows(&self, address: &str, client: &str, more: &str) -> Gateway {
        let key = format!("upstream_token: {{ issuer: main, {client}{more} }}");
        let config = Config::before_address(address).service(&key).also(&self.issuers());
        ready(&config)
    }
}

fn ready(config: &Config) -> Gateway {
    let gateway = Gateway::start(config);
    let readiness = || gateway.admin("GET", "/readyz");
    assert!(eventually(|| readiness().status == 200), "{}", readiness().text());
    gateway
}

#[test]
fn every_way_to_prove_who_asks_is_good_for_tokens_and_about_tokens() {
    let Some(provider) = Provider::start() else { return };
    let origin = Origin::echo();
    for client in provider.clients() {
        let policy = format!(
            "policies: [introspection: {{ issuer: main, {client}, scopes: read, claims_to_headers: {{ x-client: client_id }} }}]"
        );
        let config = Config::before(&origin).route(&policy).also(&provider.issuers());
        let inner = ready(&config);
        for other in provider.clients() {
            let outer = provider.shows(&inner.address().to_string(), &other, ", scopes: read");
            assert_eq!(outer.get("/").status, 200, "{client} {other}");
            let seen = origin.last_request();
            let id = seen.field("x-client").unwrap().to_owned();
            assert!(other.contains(&id), "{other} {id}");
        }
        // Without the scope it is not enough.
        let outer = provider.shows(&inner.address().to_string(), &client, "");
        assert_eq!(outer.get("/").status, 403);
        assert_eq!(inner.get("/").status, 401);
    }
    assert!(!provider.process.output().contains("refused"), "{}", provider.process.output());
}

#[test]
fn tokens_for_a_resource_are_verified_with_the_keys_of_their_issuer_whichever_these_are() {
    let Some(provider) = Provider::start() else { return };
    let origin = Origin::echo();
    let policy = "policies: [jwt: { issuers: main, audiences: \"urn:api\", scopes: read, \
                  claims_to_headers: { x-client: client_id } }]";
    let inner = ready(&Config::before(&origin).route(policy).also(&provider.issuers()));
    let [client, ..] = provider.clients();
    let more = ", scopes: read, resource: \"urn:api\"";
    let address = inner.address().to_string();
    let first = provider.shows(&address, &client, more);
    assert_eq!(first.get("/").status, 200);
    assert_eq!(origin.last_request().field("x-client"), Some("basic:1"));
    let unmeant = provider.shows(&address, &client, "");
    assert_eq!(unmeant.get("/").status, 401);
    // Keys change: they are fetched again.
    provider.process.signal("USR2");
    provider.process.writes("signs with key 2.");
    let second = provider.shows(&address, &client, more);
    assert!(eventually(|| second.get("/").status == 200), "{}", inner.log());
}
