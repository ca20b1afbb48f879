//! Logins with a certified provider of OpenID Connect, by a real browser: npm `oidc-provider`, and
//! Chromium that `playwright-core` drives.

use std::process::Command;

use super::programs::{node_with, packages, program, script};
use portcullis_testkit::process::{Process, run};
use portcullis_testkit::redis::{Redis, redis_is_here};
use portcullis_testkit::{Authority, Config, Gateway, Origin, TempDir, eventually};

/// A provider whose access tokens live for so many seconds. Fields are dropped in order.
struct Provider {
    process: Process,
    port: u16,
    _dir: TempDir,
}

impl Provider {
    fn start(seconds: u32) -> Option<Provider> {
        let mut command = Command::new(node_with("oidc-provider")?);
        command.arg(script("oidc_provider.mjs")).arg(packages()).arg(seconds.to_string());
        let dir = TempDir::new();
        let process = Process::start(&command, dir.path());
        let port = process.number_behind("port ");
        Some(Provider { process, port, _dir: dir })
    }
}

/// A browser logs in, goes on for longer than its tokens hold, and logs out.
fn logs_in(session: &str, more: &str) {
    let (Some(node), Some(chromium)) = (node_with("playwright-core"), program("chromium")) else {
        return;
    };
    let Some(provider) = Provider::start(4) else { return };
    let origin = Origin::with(|served| {
        while served.request().is_some() {
            let page = "<!doctype html><title>here</title><p>here";
            let length = page.len();
            let head = format!("Content-Type: text/html\r\nContent-Length: {length}\r\n");
            served.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n{page}"));
        }
    });
    let (authority, dir) = (Authority::new(), TempDir::new());
    let (cert, key) = authority.issue(&["localhost", "127.0.0.1"]).write(&dir, "web");
    let policy = format!(
        "policies: [oidc: {{ issuer: main, client: {{ id: shop, secret: s3cret }}, scopes: [email], \
         user_info: true, claims_to_headers: {{ x-user: sub, x-mail: email }}, \
         access_token_header: Authorization, refresh_ahead: 1s, \
         session: {{ secret: 0123456789abcdef0123456789abcdef{session} }} }}]"
    );
    let issuer =
        format!("issuers: {{ main: {{ issuer: \"http://localhost:{}\" }} }}", provider.port);
    let tls = format!(
        "tls: {{ certificates: [{{ cert: \"{}\", key: \"{}\" }}] }}",
        cert.display(),
        key.display()
    );
    let config = Config::before(&origin).listener(&tls).route(&policy).also(&issuer).also(more);
    let gateway = Gateway::start(&config);
    assert!(eventually(|| gateway.metric("portcullis_issuer_keys", "issuer=\"main\"") > 0.0));

    let arguments = [
        script("browser_login.mjs").into_os_string(),
        packages().into(),
        chromium.into(),
        format!("https://localhost:{}", gateway.address().port()).into(),
        format!("http://localhost:{}", provider.port).into(),
    ];
    assert_eq!(run(&node, &arguments, &[]), "logged in and out.");
    let said = provider.process.output();

    let seen = origin.requests();
    let visits: Vec<_> =
        seen.iter().filter(|request| request.target.starts_with("/visit/")).collect();
    assert_eq!(visits.len(), 30);
    for visit in &visits {
        assert_eq!(visit.field("x-user"), Some("anna"));
        assert_eq!(visit.field("x-mail"), Some("anna@example.com"));
        // The provider's own cookies are there, for cookies know no ports.
        assert!(!visit.field("cookie").unwrap_or_default().contains("portcullis"));
    }
    let token = |at: usize| visits[at].field("authorization").unwrap().to_owned();
    assert_ne!(token(0), token(29), "the tokens were renewed");
    let count =
        |event: &str| gateway.metric("portcullis_logins_total", &format!("event=\"{event}\""));
    assert!(count("renewed") >= 1.0 && count("not_renewed") < 1.0, "{said}");
    assert!(count("completed") >= 2.0 && count("logged_out") >= 1.0);
    assert!(!said.contains("refused"), "{said}");
}

#[test]
fn chromium_logs_in_with_sessions_in_cookies() {
    logs_in("", "");
}

#[test]
fn chromium_logs_in_with_sessions_in_a_store() {
    if redis_is_here() {
        let redis = Redis::start();
        let store = format!(
            "stores: {{ kept: {{ redis: {{ address: \"{}\" }}, timeout: 1s }} }}",
            redis.address()
        );
        logs_in(", store: kept", &store);
    }
}
