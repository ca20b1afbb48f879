//! `openssl s_client` and `curl` as clients that choose versions, suites and curves, show
//! certificates and resume sessions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis_testkit::{Authority, Config, Gateway, Issued, Origin, TempDir, eventually};

use super::programs::program;

/// A gateway that clients of OpenSSL come to.
struct Door {
    openssl: PathBuf,
    dir: TempDir,
    origin: Origin,
    servers: Authority,
    clients: Authority,
}

impl Door {
    fn new() -> Option<Door> {
        let openssl = program("openssl")?;
        let (dir, servers, clients) = (TempDir::new(), Authority::new(), Authority::new());
        servers.issue(&["a.example"]).write(&dir, "own");
        dir.write("servers.pem", servers.pem());
        dir.write("clients.pem", clients.pem());
        Some(Door { openssl, dir, origin: Origin::echo(), servers, clients })
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn config(&self, more: &str) -> Config {
        let (cert, key) = (self.path("own.crt"), self.path("own.key"));
        let tls = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}], {more} }}");
        Config::before(&self.origin).listener(&tls)
    }

    fn gateway(&self, more: &str) -> Gateway {
        Gateway::start(&self.config(more))
    }

    fn client_auth(&self, more: &str) -> String {
        format!("client_auth: {{ ca: {:?}, headers: [subject], {more} }}", self.path("clients.pem"))
    }

    /// Asks for `/` and gives all that OpenSSL and the gateway say.
    fn ask(&self, gateway: &Gateway, arguments: &[&str]) -> String {
        let address = gateway.address().to_string();
        let ca = self.path("servers.pem");
        let mut client = Command::new(&self.openssl)
            .args(["s_client", "-connect", &address, "-servername", "a.example"])
            .args(["-CAfile", &ca, "-verify_return_error", "-ign_eof"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl");
        let mut input = client.stdin.take().expect("its input");
        // It may have ended already, refused.
        let _ = input.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        drop(input);
        let output = client.wait_with_output().expect("openssl's output");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// What it says when it shows this certificate.
    fn showing(&self, gateway: &Gateway, own: &Issued, arguments: &[&str]) -> String {
        let (cert, key) = own.write(&self.dir, "client");
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        self.ask(gateway, &[&["-cert", &cert, "-key", &key], arguments].concat())
    }
}

fn is_answered(said: &str) -> bool {
    said.contains("HTTP/1.1 200 OK")
}

#[test]
fn openssl_speaks_the_versions_that_are_let_in() {
    let Some(door) = Door::new() else { return };
    for (more, in_12, in_13) in
        [("", true, true), ("min_version: 1.3", false, true), ("max_version: 1.2", true, false)]
    {
        let gateway = door.gateway(more);
        for (version, let_in) in [("-tls1_2", in_12), ("-tls1_3", in_13), ("-tls1_1", false)] {
            let said = door.ask(&gateway, &[version]);
            assert_eq!(is_answered(&said), let_in, "{more} {version}: {said}");
        }
    }
}

#[test]
fn openssl_gets_the_suites_and_curves_that_are_chosen() {
    let Some(door) = Door::new() else { return };
    let gateway = door.gateway(
        "ciphers: [TLS_CHACHA20_POLY1305_SHA256, ECDHE-ECDSA-AES256-GCM-SHA384], curves: [P-384]",
    );
    let said = door.ask(&gateway, &["-tls1_3"]);
    assert!(said.contains("Cipher is TLS_CHACHA20_POLY1305_SHA256"), "{said}");
    assert!(said.contains("secp384r1"), "{said}");
    let said = door.ask(&gateway, &["-tls1_2"]);
    assert!(said.contains("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"), "{said}");
    for refused in [
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"][..],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_3", "-groups", "X25519"],
        &["-tls1_2", "-groups", "P-256"],
    ] {
        let said = door.ask(&gateway, refused);
        assert!(!is_answered(&said), "{refused:?}: {said}");
    }
    let name = "portcullis_tls_handshake_failures_total";
    assert!(eventually(|| gateway.metric(name, "reason=\"nothing_in_common\"") == 4.0));
    // By default, what is cheap for both.
    let said = door.ask(&door.gateway(""), &["-tls1_3"]);
    assert!(said.contains("Cipher is TLS_AES_128_GCM_SHA256"), "{said}");
    assert!(said.contains("Server Temp Key: X25519"), "{said}");
}

#[test]
fn openssl_shows_certificates() {
    let Some(door) = Door::new() else { return };
    let list = door.dir.write("l.pem", door.clients.revoking(&[2], 4000));
    let auth = door.client_auth(&format!("crl: {list:?}"));
    let gateway = door.gateway(&auth);
    let self_signed = door.dir.join("self");
    let made = Command::new(&door.openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=self"])
        .args([Path::new("-keyout"), &self_signed.with_extension("key")])
        .args([Path::new("-out"), &self_signed.with_extension("crt")])
        .output();
    assert!(made.is_ok_and(|made| made.status.success()));
    for version in ["-tls1_2", "-tls1_3"] {
        let said = door.showing(&gateway, &door.clients.issue_client("good", 1, 4000), &[version]);
        assert!(is_answered(&said), "{said}");
        let request = door.origin.last_request();
        assert_eq!(request.field("client-cert-subject"), Some("CN=good"));
        for (refused, alert) in [
            (door.clients.issue_client("revoked", 2, 4000), "certificate revoked"),
            (door.clients.issue_client("expired", 3, 2001), "certificate expired"),
            (door.servers.issue_client("stranger", 4, 4000), "alert"),
        ] {
            let said = door.showing(&gateway, &refused, &[version]);
            assert!(!is_answered(&said) && said.contains(alert), "{alert}: {said}");
        }
        let (cert, key) = (door.path("self.crt"), door.path("self.key"));
        let said = door.ask(&gateway, &[version, "-cert", &cert, "-key", &key]);
        assert!(!is_answered(&said), "{said}");
        let said = door.ask(&gateway, &[version]);
        assert!(!is_answered(&said) && said.contains("alert"), "{said}");
    }
    let optional = door.gateway(&door.client_auth("mode: optional"));
    assert!(is_answered(&door.ask(&optional, &[])));
}

#[test]
fn openssl_resumes_on_any_worker_and_across_a_reload() {
    let Some(door) = Door::new() else { return };
    let with = |more: &str| door.config(more).also("workers: 2");
    let gateway = Gateway::start(&with(""));
    let session = door.path("session");
    for version in ["-tls1_2", "-tls1_3"] {
        let said = door.ask(&gateway, &[version, "-sess_out", &session]);
        assert!(said.contains("New, TLS"), "{said}");
        for _ in 0..4 {
            let said = door.ask(&gateway, &[version, "-sess_in", &session]);
            assert!(said.contains("Reused, TLS") && is_answered(&said), "{said}");
        }
        gateway.write_config(&with("require_sni: true"));
        assert_eq!(gateway.reload().status, 200);
        let said = door.ask(&gateway, &[version, "-sess_in", &session]);
        assert!(said.contains("Reused, TLS") && is_answered(&said), "{said}");
        // Who is asked for a certificate now has to shake hands anew.
        gateway.write_config(&with(&door.client_auth("mode: optional")));
        assert_eq!(gateway.reload().status, 200);
        let said = door.ask(&gateway, &[version, "-sess_in", &session]);
        assert!(said.contains("New, TLS") && is_answered(&said), "{said}");
        gateway.write_config(&with(""));
        assert_eq!(gateway.reload().status, 200);
    }
}

#[test]
fn openssl_finds_the_stapled_response() {
    let Some(door) = Door::new() else { return };
    let response = |name: &str, revoked: bool| {
        let state = if revoked { "R\t400101000000Z\t250101000000Z" } else { "V\t400101000000Z\t" };
        let index = door.dir.write("index", format!("{state}\t07\tunknown\t/CN=a.example\n"));
        let (file, own) = (door.dir.join(name), door.dir.join("stapled.crt"));
        let made = Command::new(&door.openssl)
            .arg("ocsp")
            .args([Path::new("-index"), &index, Path::new("-CA"), &door.dir.join("ca.pem")])
            .args([Path::new("-rsigner"), &door.dir.join("ca.pem")])
            .args([Path::new("-rkey"), &door.dir.join("ca.key")])
            .args([Path::new("-issuer"), &door.dir.join("ca.pem"), Path::new("-cert"), &own])
            .args([Path::new("-respout"), &file])
            .args(["-ndays", "2", "-noverify"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        file
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Authority");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    door.dir.write("ca.pem", authority.self_signed(&key).unwrap().pem());
    door.dir.write("ca.key", key.serialize_pem());
    let issuer = rcgen::Issuer::new(authority, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut own = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    own.serial_number = Some(rcgen::SerialNumber::from(7));
    door.dir.write("stapled.crt", own.signed_by(&key, &issuer).unwrap().pem());
    door.dir.write("stapled.key", key.serialize_pem());
    door.dir.write("servers.pem", std::fs::read(door.dir.join("ca.pem")).unwrap());

    let good = response("good.der", false);
    let config = |ocsp: &Path| {
        let (cert, key) = (door.path("stapled.crt"), door.path("stapled.key"));
        Config::before(&door.origin).listener(&format!(
            "tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?}, ocsp: {ocsp:?} }}] }}"
        ))
    };
    let gateway = Gateway::start(&config(&good));
    let said = door.ask(&gateway, &["-status"]);
    assert!(said.contains("OCSP Response Status: successful"), "{said}");
    assert!(said.contains("Cert Status: good") && is_answered(&said), "{said}");

    // What is no good response is never stapled; the old configuration goes on.
    let bad = response("bad.der", true);
    let junk = door.dir.write("junk.der", "no DER");
    for file in [bad, junk] {
        gateway.write_config(&config(&file));
        let reply = gateway.reload();
        assert_eq!(reply.status, 422);
        assert!(reply.text().contains("OCSP response cannot be used"), "{}", reply.text());
    }
}

#[test]
fn curl_shows_a_certificate() {
    let (Some(curl), Some(door)) = (program("curl"), Door::new()) else { return };
    let gateway = door.gateway(&door.client_auth("mode: required"));
    let (cert, key) = door.clients.issue_client("curl", 1, 4000).write(&door.dir, "client");
    let port = gateway.address().port();
    let ask = |more: &[&str]| {
        let output = Command::new(&curl)
            .args(["--silent", "--show-error", "--fail", "--cacert", &door.path("servers.pem")])
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .args(more)
            .arg(format!("https://a.example:{port}/x"))
            .output();
        output.unwrap().status.success()
    };
    assert!(!ask(&[]));
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    assert!(ask(&["--cert", &cert, "--key", &key]));
    assert_eq!(door.origin.last_request().field("client-cert-subject"), Some("CN=curl"));
}
