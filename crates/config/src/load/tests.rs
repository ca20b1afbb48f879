//! Loading from outside: what is read, what is reported where, what changes, and that a reload gives
//! what a first load gives.

mod access;
mod balance;
mod browser;
mod faults;
mod health;
mod mutation;
mod oidc;
mod policies;
mod reload;
mod retries;
mod stores;
mod tcp;
mod tls;
mod upstream_tokens;

use super::*;
use crate::report::Fault;

/// A valid configuration that uses most of the format.
pub(super) const FULL: &str = r#"# A gateway
listeners:
  web:
    address: "127.0.0.1:8000"
    forwarded: { trusted: ["10.0.0.0/8", "::1"], via: off, rfc7239: true }
    path: { merge_slashes: false, encoded_slash: decode }
    limits: { uri: 4KiB, fields: 50, head: 16KiB, body: 1MiB, connections: 10 }
    timeouts:
      head: 5s
      idle: 1m
      min_rate: 0
  local:
    address: unix:/tmp/portcullis.sock
    proxy_protocol: { trusted: [unix] }
  edge:
    address: "127.0.0.1:8443"
    protocol: tls_passthrough
    proxy_protocol: { trusted: ["10.0.0.0/8", "::1"] }
services:
  users:
    endpoints:
      - "10.0.0.1:8080"
      - { address: "users.internal:8080", weight: 3 }
    balance: least_requests
    host: { set: users.example.com }
    tls: { server_name: users.example.com, verify: false, min_version: 1.2, ciphers: [ECDHE-RSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256], curves: [P-256] }
    pool: { idle: 8, idle_timeout: 30s }
    timeouts: { connect: 1s, total: 2m }
  # the newer one
  users-v2:
    endpoints: { static: ["[::1]:80"] }
    host: endpoint
  mail:
    endpoints: ["10.0.0.9:993"]
routes:
  user-info:
    match:
      listener: [web, local]
      host: [API.example.com., "*.example.org"]
      path: "/user/%7e{/{id}/x"
      methods: [GET, PURGE]
      headers: { X-Env: canary, x-a: { present: true }, x-b: { regex: "a|b" } }
      query: { debug: "1" }
      cookies: { tier: gold }
      client: ["10.0.0.0/8", 192.168.1.1]
    priority: 3
    split: [{ service: users, weight: 90 }, { service: users-v2, weight: 10 }]
    rewrite: { path: "/v2/{id}", host: "x:80" }
    limits: { body: unlimited }
    timeouts: { first_byte: 5s, total: off }
    upgrade: false
  old:
    match: { path: ["/old/{*rest}", { prefix: "/older/" }] }
    redirect: { to: "https://x.example/{query}", status: 301 }
  hello:
    match: { path: { regex: "/v(?P<n>[0-9]+)" } }
    reply: { status: 201, headers: { Content-Type: text/plain }, body: "hi" }
  everything:
    service: users
tcp_routes:
  mail:
    listener: edge
    sni: [Mail.example.com, "*.mail.example"]
    service: mail
    timeouts: { connect: 1s, idle: 10m }
  other: { listener: edge, split: [{ service: mail, weight: 1 }, { service: users-v2, weight: 2 }] }
admin: { address: "127.0.0.1:9902" }
access_log:
  to: off
metrics: false
workers: 2
zone: eu-1a
shutdown: { deadline: 5s, delay: 1s }
upgrade: { timeout: 10s, deadline: 1h }
overload: { lag: 2s }
"#;

/// [`FULL`] without the one thing that is wrong in it on purpose.
pub(super) fn full() -> String {
    FULL.replace("%7e{/", "%7e/")
}

pub(super) fn yaml(text: &str) -> Loader {
    Loader::from_text("gate.yaml", text, Format::Yaml)
}

pub(super) fn good(text: &str) -> Loaded {
    match yaml(text).load() {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

/// Everything that is wrong, as `line:column message`.
pub(super) fn bad(text: &str) -> Vec<String> {
    let report = match yaml(text).load() {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    lines(&report)
}

/// The faults of a report, each with the place that comes first.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let line = |fault: &Fault| match fault.places.first() {
        Some(place) => format!("{}:{} {}", place.line, place.column, fault.message),
        None => fault.message.clone(),
    };
    report.faults().iter().map(line).collect()
}

/// A folder that is removed when the test ends.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("portcullis-config-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_full_configuration_means_what_it_says() {
    use crate::model::*;
    use std::time::Duration;

    let loaded = good(&full());
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let Config { listeners, services, routes, tcp_routes, process, stores, .. } = &*loaded.config;
    let Config { consumers, groups, plans, .. } = &*loaded.config;
    assert!(stores.is_empty() && consumers.is_empty() && groups.is_empty() && plans.is_empty());
    let web = &listeners["web"];
    assert_eq!(web.bind, Bind::Tcp("127.0.0.1:8000".parse().unwrap()));
    assert_eq!(web.forwarded.via, None);
    assert!(matches!(&web.forwarded.trust, Trust::Networks(n) if n.len() == 2));
    assert_eq!((web.limits.uri, web.limits.body), (4096, Some(1 << 20)));
    assert_eq!(web.timeouts.idle, Duration::from_secs(60));
    assert_eq!(web.path.encoded_slash, EncodedSlash::Decode);
    let local = &listeners["local"];
    assert_eq!(local.bind, Bind::Unix("/tmp/portcullis.sock".into()));
    assert_eq!(local.limits.head, 32 << 10);
    assert_eq!(local.timeouts.head, Duration::from_secs(10));
    assert_eq!(local.forwarded.via.as_deref(), Some("portcullis"));

    assert_eq!(local.proxy_protocol, Some(ProxySenders::Unix));
    assert_eq!((local.protocol, web.proxy_protocol.as_ref()), (ListenerProtocol::Http, None));
    let edge = &listeners["edge"];
    assert_eq!(edge.protocol, ListenerProtocol::TlsPassthrough);
    assert!(matches!(&edge.proxy_protocol, Some(ProxySenders::Networks(n)) if n.len() == 2));

    let mail = &tcp_routes["mail"];
    let wanted = [
        HostPattern::Exact("mail.example.com".into()),
        HostPattern::Suffix(".mail.example".into()),
    ];
    assert_eq!((&*mail.listener, &mail.sni[..]), ("edge", &wanted[..]));
    assert_eq!(mail.connect, Some(Duration::from_secs(1)));
    assert_eq!(mail.idle, Some(Duration::from_secs(600)));
    let other = &tcp_routes["other"];
    assert_eq!((other.sni.len(), other.services[1].weight, other.idle), (0, 2, None));

    let users = &services["users"];
    assert_eq!(users.endpoints[1].address.to_string(), "users.internal:8080");
    assert_eq!(users.endpoints[1].weight, 3);
    assert_eq!(users.host, HostPolicy::Set("users.example.com".into()));
    assert_eq!(users.timeouts.total, Some(Duration::from_secs(120)));
    assert_eq!(users.timeouts.stall, Duration::from_secs(60));
    assert!(!users.tls.as_ref().unwrap().verify);
    assert_eq!(services["users-v2"].host, HostPolicy::Endpoint);

    let info = &routes["user-info"];
    let wanted =
        [HostPattern::Exact("api.example.com".into()), HostPattern::Suffix(".example.org".into())];
    assert_eq!(info.matches.hosts, wanted);
    let PathPattern::Segments(segments) = &info.matches.paths[0] else { panic!("not segments") };
    let literal = |text: &str| Segment::Literal(text.into());
    assert_eq!(
        **segments,
        [literal("user"), literal("~"), Segment::Param("id".into()), literal("x")]
    );
    assert_eq!(info.matches.methods, ["GET".into(), "PURGE".into(), "HEAD".into()]);
    assert_eq!(&*info.matches.headers[0].name, "x-env");
    assert!(
        matches!(&info.matches.headers[2].test, ValueTest::Regex(r) if r.is_match(b"b") && !r.is_match(b"ab"))
    );
    assert_eq!(info.matches.clients.len(), 2);
    assert_eq!(info.matches.listeners, [Name::from("web"), Name::from("local")]);
    assert_eq!((info.priority, info.upgrade, info.body_limit), (3, false, Some(None)));
    assert_eq!(info.timeouts.total, Some(None));
    let Action::Forward { services, rewrite, .. } = &info.action else { panic!("not forward") };
    assert_eq!(services[1].weight, 10);
    let RewritePath::Template(template) = &rewrite.path else { panic!("not a template") };
    assert_eq!(template.pieces, [Piece::Text("/v2/".into()), Piece::Param("id".into())]);
    let PathPattern::Prefix(prefix) = &routes["old"].matches.paths[1] else {
        panic!("not a prefix")
    };
    assert_eq!(**prefix, [literal("older")]);
    assert!(
        matches!(&routes["everything"].matches.paths[..], [PathPattern::Prefix(p)] if p.is_empty())
    );
    let Action::Reply(reply) = &routes["hello"].action else { panic!("not a reply") };
    assert_eq!((reply.status, &*reply.body), (201, b"hi".as_slice()));
    assert_eq!(&*reply.headers[0].0, "content-type");

    let Process {
        admin,
        access_log,
        logged_claims,
        metrics,
        workers,
        zone,
        shutdown,
        upgrade,
        policies,
        credentials,
        state,
        lag,
    } = process;
    assert_eq!(**credentials, Credentials::default());
    assert_eq!((policies.limits.len(), state), (0, &State::Default));
    assert_eq!(*admin, Some("127.0.0.1:9902".parse().unwrap()));
    assert_eq!(zone.as_deref(), Some("eu-1a"));
    assert!(logged_claims.is_empty());
    assert_eq!((access_log, *metrics, *workers), (&AccessLog::Off, false, 2));
    let seconds = Duration::from_secs;
    assert_eq!((shutdown.deadline, shutdown.delay), (seconds(5), seconds(1)));
    assert_eq!((upgrade.timeout, upgrade.deadline), (seconds(10), Some(seconds(3600))));
    assert_eq!(*lag, Some(seconds(2)));
}

#[test]
fn the_three_languages_agree() {
    let yaml_text = "listeners: { web: { address: \"127.0.0.1:0\" } }\nservices:\n  s: { endpoints: [\"h:1\"] }\nroutes:\n  r:\n    match: { path: \"/a/{x}\" }\n    service: s\nadmin: off\n";
    let json = r#"{"listeners": {"web": {"address": "127.0.0.1:0"}}, "services": {"s": {"endpoints": ["h:1"]}},
        "routes": {"r": {"match": {"path": "/a/{x}"}, "service": "s"}}, "admin": false}"#;
    let toml = "admin = false\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[services.s]\nendpoints = [\"h:1\"]\n[routes.r]\nmatch.path = \"/a/{x}\"\nservice = \"s\"\n";
    let yaml = format!("{:?}", good(yaml_text).config);
    for (text, format) in [(json, Format::Json), (toml, Format::Toml)] {
        let loaded = Loader::from_text("x", text, format).load().unwrap();
        assert_eq!(format!("{:?}", loaded.config), yaml, "{format:?}");
        assert_eq!(loaded.config.process.admin, None);
    }
}

#[test]
fn defaults_of_the_process() {
    let loaded = good("listeners: { web: { address: \"127.0.0.1:0\" } }\n");
    assert_eq!(loaded.config.process, crate::model::Process::default());
    assert!(loaded.watch.is_empty());
}

#[test]
fn a_loader_may_go_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Loader>();
    sendable::<Report>();
}
