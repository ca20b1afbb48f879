//! Logins of browsers with a provider of OpenID Connect: a provider that says what a test wants, and
//! a browser that keeps cookies and does what it is told, right or wrong.

mod attacks;
mod provider;
mod sessions;
mod stores;

use std::collections::BTreeMap;

use portcullis_testkit::{Config, Gateway, Origin, Reply};
use provider::Provider;

/// A secret that sessions are sealed with.
const SECRET: &str = "a secret that is long enough for sessions";
/// What browsers say that go somewhere.
const HTML: &str = "Accept: text/html,*/*;q=0.8\r\n";

/// A browser, as far as it matters here.
struct Browser<'g> {
    gateway: &'g Gateway,
    host: String,
    cookies: BTreeMap<String, String>,
    /// What every request says besides.
    says: String,
}

impl<'g> Browser<'g> {
    fn new(gateway: &'g Gateway) -> Browser<'g> {
        let says = "X-Forwarded-Proto: https\r\n".to_owned();
        Browser { gateway, host: "shop.example".to_owned(), cookies: BTreeMap::new(), says }
    }

    /// Sends a request with its cookies, and keeps what the reply sets.
    fn send(&mut self, method: &str, target: &str, fields: &str) -> Reply {
        let pairs: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let cookie = if pairs.is_empty() {
            String::new()
        } else {
            format!("Cookie: {}\r\n", pairs.join("; "))
        };
        let Browser { host, says, .. } = self;
        let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        let reply = self.gateway.ask(format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{says}{fields}{cookie}{length}\r\n"
        ));
        for line in reply.fields.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Goes somewhere.
    fn go(&mut self, target: &str) -> Reply {
        self.send("GET", target, HTML)
    }

    /// Goes somewhere and logs in there. Gives what comes back from the callback.
    fn log_in(&mut self, provider: &Provider, target: &str) -> Reply {
        let sent = self.go(target);
        assert_eq!(sent.status, 303, "{sent:?}");
        let back = provider.answer(location(&sent));
        self.go(&back)
    }

    /// The cookies whose name has this in it.
    fn named(&self, part: &str) -> Vec<(String, String)> {
        let all = self.cookies.iter().filter(|(name, _)| name.contains(part));
        all.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The cookies of its session.
    fn session(&self) -> Vec<(String, String)> {
        let all = self.named("__Host-");
        all.into_iter().filter(|(name, _)| !name.contains("-log")).collect()
    }
}

fn location(reply: &Reply) -> &str {
    reply.field("location").unwrap_or_else(|| panic!("no location in {reply:?}"))
}

/// The policy.
fn oidc(session: &str, more: &str) -> String {
    let client = "client: { id: shop, secret: s3cret }";
    let session = format!("session: {{ secret: \"{SECRET}\"{session} }}");
    format!("oidc: {{ issuer: main, {client}, {session}{more} }}")
}

/// A configuration whose one route asks for a login.
fn config(origin: &Origin, provider: &Provider, session: &str, more: &str) -> Config {
    with_policies(origin, provider, &oidc(session, more))
}

fn with_policies(origin: &Origin, provider: &Provider, policies: &str) -> Config {
    let issuers = format!("issuers: {{ main: {{ issuer: \"{}\" }} }}", provider.name());
    Config::before(origin)
        .listener("forwarded: { trusted: [\"127.0.0.1/32\"] }")
        .route(&format!("policies: [{policies}]"))
        .also(&issuers)
}

/// A gateway that has the provider's keys already.
fn gateway(origin: &Origin, provider: &Provider, session: &str, more: &str) -> Gateway {
    started(&config(origin, provider, session, more))
}

fn started(config: &Config) -> Gateway {
    started_text(&config.to_string())
}

fn started_text(config: &str) -> Gateway {
    let gateway = Gateway::start(&config);
    let keys = || gateway.metric("portcullis_issuer_keys", "issuer=\"main\"") > 0.0;
    assert!(portcullis_testkit::eventually(keys), "{}", gateway.log());
    gateway
}
