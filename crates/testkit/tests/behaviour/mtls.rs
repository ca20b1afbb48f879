//! Certificates of clients: who is let in, what services are told, what a reload changes, and that
//! nobody can pretend to have one.

use std::io;

use of_rustls::{BOTH, HandshakeKind, TLS12, TLS13};
use portcullis_testkit::{
    Authority, Client, Config, Gateway, Issued, Origin, TempDir, TlsClient, eventually, run_command,
};
use serde_json::Value;

/// What the tests need of rustls, under names that say it.
mod of_rustls {
    pub(super) use rustls::HandshakeKind;
    use rustls::SupportedProtocolVersion;
    use rustls::version;

    pub(super) type Versions = &'static [&'static SupportedProtocolVersion];
    pub(super) const TLS12: Versions = &[&version::TLS12];
    pub(super) const TLS13: Versions = &[&version::TLS13];
    pub(super) const BOTH: [Versions; 2] = [TLS12, TLS13];
}

const LATE: i32 = 4000;
const METRIC: &str = "portcullis_tls_handshake_failures_total";

/// A gateway's authority, its clients', and their files.
struct Setting {
    dir: TempDir,
    origin: Origin,
    servers: Authority,
    clients: Authority,
}

impl Setting {
    fn new() -> Setting {
        let (servers, clients) = (Authority::new(), Authority::new());
        let dir = TempDir::new();
        servers.issue(&["a.example"]).write(&dir, "own");
        dir.write("clients.pem", clients.pem());
        Setting { dir, origin: Origin::echo(), servers, clients }
    }

    fn path(&self, name: &str) -> String {
        format!("{:?}", self.dir.join(name))
    }

    /// TLS that asks for certificates.
    fn tls(&self, auth: &str) -> String {
        let (cert, key, ca) =
            (self.path("own.crt"), self.path("own.key"), self.path("clients.pem"));
        format!(
            "tls: {{ certificates: [{{ cert: {cert}, key: {key} }}], client_auth: {{ ca: {ca}, {auth} }} }}"
        )
    }

    fn config(&self, auth: &str) -> Config {
        Config::before(&self.origin).listener(&self.tls(auth))
    }

    fn client(&self, own: &Issued) -> TlsClient {
        self.servers.client_showing("a.example", TLS13, own)
    }
}

/// Asks for a path on a new connection. TLS 1.3 tells a client that it is refused only when it
/// wants to read.
fn ask(gateway: &Gateway, tls: &TlsClient, path: &str) -> io::Result<HandshakeKind> {
    let mut client = Client::tls(gateway.address(), tls)?;
    client.try_send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"))?;
    let reply = client.try_reply("GET")?;
    assert_eq!(reply.status, 200);
    client.tls_session().handshake_kind().ok_or_else(|| io::Error::other("no handshake"))
}

fn failures(gateway: &Gateway, reason: &str) -> f64 {
    gateway.metric(METRIC, &format!("reason=\"{reason}\""))
}

#[test]
fn only_clients_with_a_certificate_of_the_authority_come_in() {
    let setting = Setting::new();
    let gateway = Gateway::start(&setting.config("mode: required"));
    let good = setting.clients.issue_client("good", 1, LATE);
    let expired = setting.clients.issue_client("expired", 2, 2001);
    let stranger = setting.servers.issue_client("stranger", 3, LATE);
    let mut count = 0.0;
    for versions in BOTH {
        let showing = |own| setting.servers.client_showing("a.example", versions, own);
        assert!(ask(&gateway, &showing(&good), "/").is_ok());
        let none = setting.servers.client_with("a.example", versions);
        assert!(ask(&gateway, &none, "/").is_err());
        assert!(ask(&gateway, &showing(&expired), "/").is_err());
        assert!(ask(&gateway, &showing(&stranger), "/").is_err());
        count += 1.0;
    }
    let reasons = [
        ("no_client_certificate", None),
        ("client_certificate_expired", Some("CN=expired")),
        ("bad_client_certificate", Some("CN=stranger")),
    ];
    for (reason, expected) in reasons {
        assert!(eventually(|| failures(&gateway, reason) == count), "{reason}");
        let logged = || gateway.logged_requests().into_iter().find(|line| line["reason"] == reason);
        assert!(eventually(|| logged().is_some()), "{reason}");
        let line = logged().unwrap();
        assert_eq!((&line["error"], &line["listener"]), (&"tls_handshake".into(), &"web".into()));
        assert_eq!((&line["client"], &line["sni"]), (&"127.0.0.1".into(), &"a.example".into()));
        let whose = line.get("client_cert").and_then(Value::as_str);
        assert_eq!(whose, expected, "{line}");
        assert!(line["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{line}");
    }
    assert_eq!(gateway.metric(METRIC, ""), 3.0 * count);
    assert_eq!(setting.origin.requests().len(), 2);
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_bad() {
    let setting = Setting::new();
    let gateway = Gateway::start(&setting.config("mode: optional, headers: [subject]"));
    let stranger = setting.servers.issue_client("stranger", 3, LATE);
    assert!(ask(&gateway, &setting.client(&stranger), "/").is_err());
    assert!(setting.origin.requests().is_empty());
    assert!(ask(&gateway, &setting.servers.client("a.example"), "/none").is_ok());
    assert_eq!(setting.origin.last_request().field("client-cert-subject"), None);
    assert!(gateway.logged_request("/none").get("client_cert").is_none());
    let good = setting.clients.issue_client("good", 1, LATE);
    assert!(ask(&gateway, &setting.client(&good), "/good").is_ok());
    assert_eq!(setting.origin.last_request().field("client-cert-subject"), Some("CN=good"));
    assert_eq!(gateway.logged_request("/good")["client_cert"], "CN=good");
}

#[test]
fn services_are_told_of_the_certificate_and_never_what_the_client_says() {
    let setting = Setting::new();
    let own = setting.clients.issue_as(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "A, B\r\nEvil: 1");
        params.serial_number = Some(rcgen::SerialNumber::from(0x1f2e));
        params.subject_alt_names = vec![
            rcgen::SanType::DnsName("c.example".try_into().unwrap()),
            rcgen::SanType::URI("spiffe://example/c".try_into().unwrap()),
            rcgen::SanType::Rfc822Name("c@example.org".try_into().unwrap()),
            rcgen::SanType::IpAddress("192.0.2.7".parse().unwrap()),
        ];
    });
    let all = "client_cert, client_cert_chain, subject, dns, uri, email, ip, serial, fingerprint";
    let gateway = Gateway::start(&setting.config(&format!("headers: [{all}]")));
    let mut client = Client::tls(gateway.address(), &setting.client(&own)).unwrap();
    for _ in 0..2 {
        let reply = client.ask(
            "GET /x HTTP/1.1\r\nHost: a.example\r\nClient-Cert: :spoofed:\r\n\
             client-cert-subject: CN=admin\r\nClient_Cert_Dns: admin\r\nCLIENT-CERT-ROLE: admin\r\n\
             Connection: client-cert-ip\r\n\r\n",
        );
        assert_eq!(reply.status, 200);
        let request = setting.origin.last_request();
        let one = |name: &str| request.fields.one(name).map(str::to_owned);
        assert_eq!(one("client-cert-subject").as_deref(), Some("O=A\\, B\\0d\\0aEvil: 1"));
        assert_eq!(one("client-cert-dns").as_deref(), Some("c.example"));
        assert_eq!(one("client-cert-uri").as_deref(), Some("spiffe://example/c"));
        assert_eq!(one("client-cert-email").as_deref(), Some("c@example.org"));
        assert_eq!(one("client-cert-ip").as_deref(), Some("192.0.2.7"));
        assert_eq!(one("client-cert-serial").as_deref(), Some("1F2E"));
        assert_eq!(one("client-cert-sha256").map(|digits| digits.len()), Some(64));
        assert_eq!(one("client-cert-chain"), None, "the client sent no other certificate");
        let encoded = one("client-cert").unwrap();
        let inner: String = own.cert.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(encoded, format!(":{inner}:"));
        for name in ["client-cert-role", "client_cert_dns", "evil"] {
            assert!(!request.fields.has(name), "{name}");
        }
    }
}

/// The copies that a client sends, as a service sees them.
fn seen(setting: &Setting, reply_status: u16) -> Vec<String> {
    assert_eq!(reply_status, 200);
    let request = setting.origin.last_request();
    ["client-cert", "client-cert-chain", "client-cert-subject", "client_cert"]
        .iter()
        .filter(|name| request.fields.has(name))
        .map(ToString::to_string)
        .collect()
}

const SPOOFED: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nClient-Cert: :AAAA:\r\n\
                       Client-Cert-Chain: :AAAA:\r\nclient-cert-subject: CN=admin\r\n\
                       client_cert: x\r\n\r\n";

#[test]
fn nobody_can_pretend_to_have_a_certificate_on_any_listener() {
    let setting = Setting::new();
    let (cert, key) = (setting.path("own.crt"), setting.path("own.key"));
    let listeners = format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n  \
         tls: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }} }}\n  \
         optional: {{ address: \"127.0.0.1:0\", forwarded: {{ trusted: [\"127.0.0.1\"] }}, {} }}\n  \
         behind: {{ address: \"127.0.0.1:0\", forwarded: {{ trusted: [\"127.0.0.1\"] }} }}\n",
        setting.tls("mode: optional, headers: []"),
    );
    let rest = format!(
        "services:\n  origin: {{ endpoints: [{:?}] }}\nroutes:\n  all: {{ service: origin }}\n",
        setting.origin.address()
    );
    let gateway = Gateway::start(&format!("{listeners}{rest}"));
    let plain = |listener| Client::connect(gateway.address_of(listener)).ask(SPOOFED).status;
    let secure = |listener| {
        let tls = setting.servers.client("a.example");
        Client::tls(gateway.address_of(listener), &tls).unwrap().ask(SPOOFED).status
    };
    let nothing: Vec<String> = Vec::new();
    assert_eq!(seen(&setting, plain("web")), nothing);
    assert_eq!(seen(&setting, secure("tls")), nothing);
    // It asks for certificates itself, so that it alone knows; not even a trusted proxy does.
    assert_eq!(seen(&setting, secure("optional")), nothing);
    // A proxy that is trusted has seen the client's certificate.
    let passed = ["client-cert", "client-cert-chain", "client-cert-subject"];
    assert_eq!(seen(&setting, plain("behind")), passed);
    // Nor behind the content, from where an origin might take it for a header.
    let trailing = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
                    0\r\nClient-Cert-Subject: CN=admin\r\nX-Sum: 1\r\n\r\n";
    assert_eq!(Client::connect(gateway.address()).ask(trailing).status, 200);
    let bytes = String::from_utf8_lossy(&setting.origin.bytes()).to_lowercase();
    assert!(bytes.contains("x-sum") && !bytes.ends_with("admin\r\n\r\n"), "{bytes}");
    let last = bytes.rsplit("transfer-encoding").next().unwrap();
    assert!(!last.contains("admin"), "{last}");
}

#[test]
fn who_resumes_is_known_by_the_certificate_shown_first() {
    let setting = Setting::new();
    let gateway = Gateway::start(&setting.config("headers: [subject]").also("workers: 2"));
    let good = setting.clients.issue_client("good", 1, LATE);
    for versions in BOTH {
        let tls = setting.servers.client_showing("a.example", versions, &good);
        assert_eq!(ask(&gateway, &tls, "/").unwrap(), HandshakeKind::Full);
        for _ in 0..6 {
            assert_eq!(ask(&gateway, &tls, "/").unwrap(), HandshakeKind::Resumed);
            let request = setting.origin.last_request();
            assert_eq!(request.field("client-cert-subject"), Some("CN=good"));
        }
    }
}

#[test]
fn a_new_revocation_list_keeps_out_who_was_let_in_before() {
    let setting = Setting::new();
    let list =
        |serials: &[u64]| setting.dir.write("l.pem", setting.clients.revoking(serials, LATE));
    list(&[]);
    let gateway = Gateway::start(&setting.config(&format!("crl: {}", setting.path("l.pem"))));
    let good = setting.clients.issue_client("good", 1, LATE);
    let bad = setting.clients.issue_client("bad", 2, LATE);
    let sessions = BOTH.map(|versions| {
        let tls = setting.servers.client_showing("a.example", versions, &bad);
        assert!(ask(&gateway, &tls, "/").is_ok());
        assert_eq!(ask(&gateway, &tls, "/").unwrap(), HandshakeKind::Resumed);
        tls
    });
    let mut before = Client::tls(gateway.address(), &setting.client(&bad)).unwrap();
    assert_eq!(before.get("/").status, 200);

    list(&[2]);
    // No signal, no command.
    assert!(eventually(|| ask(&gateway, &setting.client(&bad), "/").is_err()));
    for tls in sessions {
        assert!(ask(&gateway, &tls, "/").is_err(), "a session of before does not help");
    }
    assert!(failures(&gateway, "client_certificate_revoked") >= 2.0);
    assert!(ask(&gateway, &setting.client(&good), "/").is_ok());
    assert_eq!(before.get("/").status, 200, "connections go on");

    // And back again.
    list(&[]);
    assert!(eventually(|| ask(&gateway, &setting.client(&bad), "/").is_ok()));
}

#[test]
fn an_expired_or_missing_list_refuses_unless_told_otherwise() {
    let setting = Setting::new();
    setting.dir.write("old.pem", setting.clients.revoking(&[2], 2021));
    setting.dir.write("other.pem", Authority::new().revoking(&[], LATE));
    let good = setting.clients.issue_client("good", 1, LATE);
    let bad = setting.clients.issue_client("bad", 2, LATE);
    let old = format!("crl: [{}]", setting.path("old.pem"));
    let gateway = Gateway::start(&setting.config(&old));
    assert!(ask(&gateway, &setting.client(&good), "/").is_err());
    assert!(eventually(|| failures(&gateway, "revocation_unknown") == 1.0));
    assert!(gateway.log().contains("the revocation list has expired on"), "{}", gateway.log());
    gateway.write_config(&setting.config(&format!("{old}, crl_expired: accept")));
    assert_eq!(gateway.reload().status, 200);
    assert!(ask(&gateway, &setting.client(&good), "/").is_ok());
    assert!(ask(&gateway, &setting.client(&bad), "/").is_err());
}

#[test]
fn a_session_from_before_does_not_open_what_asks_for_more_now() {
    let setting = Setting::new();
    let gateway = Gateway::start(&setting.config("mode: optional"));
    let anonymous = BOTH.map(|versions| {
        let tls = setting.servers.client_with("a.example", versions);
        assert!(ask(&gateway, &tls, "/").is_ok());
        assert_eq!(ask(&gateway, &tls, "/").unwrap(), HandshakeKind::Resumed);
        tls
    });
    gateway.write_config(&setting.config("mode: required"));
    assert_eq!(gateway.reload().status, 200);
    for tls in anonymous {
        assert!(ask(&gateway, &tls, "/").is_err());
    }
    // Another authority: sessions of the old one's clients are worth nothing.
    let good = setting.clients.issue_client("good", 1, LATE);
    let sessions =
        BOTH.map(|versions| setting.servers.client_showing("a.example", versions, &good));
    for tls in &sessions {
        assert!(ask(&gateway, tls, "/").is_ok());
    }
    setting.dir.write("clients.pem", Authority::new().pem());
    assert_eq!(gateway.reload().status, 200);
    for tls in &sessions {
        assert!(ask(&gateway, tls, "/").is_err());
    }
}

#[test]
fn sessions_live_on_across_a_reload_that_asks_for_nothing_else() {
    let setting = Setting::new();
    let with = |headers: &str| setting.config(&format!("headers: [{headers}]")).also("workers: 2");
    let gateway = Gateway::start(&with("subject"));
    let good = setting.clients.issue_client("good", 1, LATE);
    let clients = [TLS12, TLS13].map(|versions| {
        let tls = setting.servers.client_showing("a.example", versions, &good);
        assert_eq!(ask(&gateway, &tls, "/").unwrap(), HandshakeKind::Full);
        tls
    });
    setting.servers.issue(&["a.example"]).write(&setting.dir, "own");
    gateway.write_config(&with("serial"));
    assert_eq!(gateway.reload().status, 200);
    for tls in &clients {
        assert_eq!(ask(&gateway, tls, "/").unwrap(), HandshakeKind::Resumed);
        let request = setting.origin.last_request();
        assert_eq!(request.field("client-cert-serial"), Some("01"));
        assert_eq!(request.field("client-cert-subject"), None);
    }
}

#[test]
fn failed_handshakes_are_told_apart() {
    let setting = Setting::new();
    let (cert, key) = (setting.path("own.crt"), setting.path("own.key"));
    let tls = format!(
        "tls: {{ certificates: [{{ cert: {cert}, key: {key} }}], min_version: 1.3, require_sni: true }}, timeouts: {{ head: 300ms }}"
    );
    let gateway = Gateway::start(&Config::before(&setting.origin).listener(&tls));
    let connect = |tls: &TlsClient| ask(&gateway, tls, "/");
    assert!(connect(&setting.servers.client("a.example")).is_ok());

    let mut plain = gateway.client();
    plain.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(plain.try_reply("GET").is_err());
    assert!(connect(&setting.servers.client_with("a.example", TLS12)).is_err());
    assert!(connect(&setting.servers.client("b.example")).is_err());
    assert!(connect(&Authority::new().client("a.example")).is_err());
    assert!(gateway.client().is_closed());
    drop(gateway.client());
    for reason in ["not_tls", "nothing_in_common", "unknown_server_name", "client_alert", "timeout"]
    {
        assert!(eventually(|| failures(&gateway, reason) == 1.0), "{reason}");
    }
    assert!(eventually(|| failures(&gateway, "client_gone") == 1.0));
    // Who looks whether the port is open leaves no line.
    assert!(eventually(|| {
        let lines = gateway.logged_requests();
        lines.iter().filter(|line| line["error"] == "tls_handshake").count() == 5
    }));
}

#[test]
fn what_is_wrong_with_tls_files_is_told_at_their_place() {
    let setting = Setting::new();
    let dir = &setting.dir;
    setting.servers.issue_client("old", 1, 2001).write(dir, "old");
    dir.write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    dir.write("old.crl", setting.clients.revoking(&[], 2021));
    let text = "listeners:\n  web:\n    address: \"127.0.0.1:0\"\n    tls:\n      certificates:\n        - cert: CERT\n          key: old.key\n      client_auth:\n        ca: CA\n        crl: [old.crl]\nroutes:\n  r: { reply: { body: x } }\n";
    let check = |cert: &str, ca: &str| {
        dir.write("gate.yaml", text.replace("CERT", cert).replace("CA", ca));
        let output = run_command(&["check", "--config", "gate.yaml"], dir.path());
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (usable, told) = check("old.crt", "clients.pem");
    assert!(usable, "{told}");
    assert!(
        told.contains("gate.yaml:6:17") && told.contains("the certificate expired on"),
        "{told}"
    );
    assert!(told.contains("gate.yaml:10:15") && told.contains("list has expired on"), "{told}");
    assert!(told.contains("usable, 2 warnings"), "{told}");
    let (usable, told) = check("bad.pem", "clients.pem");
    assert!(!usable && told.contains("gate.yaml:6:17"), "{told}");
    let (usable, told) = check("old.crt", "bad.pem");
    assert!(!usable && told.contains("gate.yaml:9:13"), "{told}");
}

#[test]
fn what_ends_is_in_the_metrics_and_what_is_odd_in_the_log() {
    let setting = Setting::new();
    let day = 24 * 60 * 60;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let issued = setting.servers.issue_as(|params| {
        params.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(10 * day);
    });
    issued.write(&setting.dir, "own");
    setting.dir.write("crl.pem", setting.servers.revoking(&[], 2021));
    let crl = format!("crl: {}, crl_unknown: accept, crl_expired: accept", setting.path("crl.pem"));
    let gateway = Gateway::start(&setting.config(&crl));
    let ends = |kind: &str| {
        let labels = format!("listener=\"web\",kind=\"{kind}\",file=");
        gateway.metric("portcullis_tls_expiry_timestamp_seconds", &labels)
    };
    assert!(ends("certificate") - now.as_secs_f64() < 11.0 * day as f64);
    assert!(ends("ca") > now.as_secs_f64());
    assert_eq!(ends("crl"), 1_609_459_200.0);
    let log = gateway.log();
    for odd in ["ends within 14 days", "has expired on", "is of none of the authorities"] {
        assert!(log.contains(odd), "{odd}: {log}");
    }
    // A file that is good for longer is seen as soon as it is there.
    setting.servers.issue(&["a.example"]).write(&setting.dir, "own");
    assert_eq!(gateway.reload().status, 200);
    assert!(ends("certificate") - now.as_secs_f64() > 11.0 * day as f64);
}

#[test]
fn what_cannot_judge_or_sign_is_refused() {
    let setting = Setting::new();
    let check = |config: &Config| {
        setting.dir.write("gateway.yaml", format!("{config}admin: off\n"));
        let output = run_command(&["check", "--config", "gateway.yaml"], &setting.dir.join(""));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    setting.clients.issue(&["leaf.example"]).write(&setting.dir, "leaf");
    let leaf = setting.dir.join("leaf.crt");
    std::fs::rename(leaf, setting.dir.join("clients.pem")).unwrap();
    let (usable, told) = check(&setting.config("mode: required"));
    assert!(!usable && told.contains("no authority's"), "{told}");
    // One that issued itself, but is made for a client alone.
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["leaf.example".to_owned()]).unwrap();
    setting.dir.write("clients.pem", own.self_signed(&key).unwrap().pem());
    let (usable, told) = check(&setting.config("mode: required"));
    assert!(!usable && told.contains("no authority's"), "{told}");
    assert!(told.contains("gateway.yaml:") && told.contains("counts only if"), "{told}");
    setting.dir.write("clients.pem", setting.clients.pem());
    // The key is ECDSA.
    let rsa = |max: &str| {
        let tls = setting.tls("mode: required");
        let suites = "ciphers: [ECDHE-RSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256]";
        let tls = tls.replacen("client_auth", &format!("{max}{suites}, client_auth"), 1);
        check(&Config::before(&setting.origin).listener(&tls))
    };
    let (usable, told) = rsa("max_version: 1.2, ");
    assert!(!usable && told.contains("no cipher suite chosen works"), "{told}");
    let (usable, told) = rsa("");
    assert!(usable && told.contains("no cipher suite of TLS 1.2 chosen works"), "{told}");
    let explain = ["explain", "--config", "gateway.yaml", "GET", "https://a.example/"];
    let output = run_command(&explain, &setting.dir.join(""));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("client certificate: required, of the authorities in"), "{told}");
    assert!(told.contains("services are told Client-Cert\n"), "{told}");
}
