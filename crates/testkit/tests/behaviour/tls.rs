//! TLS towards clients: which certificate, which versions, sessions, and files that change.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use of_rustls::{HandshakeKind, TLS12, TLS13, version};
use portcullis_testkit::{
    Authority, Client, Config, Gateway, Issued, Origin, TempDir, TlsClient, eventually,
};

/// What the tests need of rustls, under names that say it.
mod of_rustls {
    pub(super) use rustls::HandshakeKind;
    use rustls::{ProtocolVersion, SupportedProtocolVersion};

    pub(super) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    pub(super) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

    pub(super) fn version(session: &rustls::ClientConnection) -> &'static str {
        match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "another",
        }
    }
}

/// A gateway with these certificates, written into `dir`.
fn secured(dir: &TempDir, origin: &Origin, certificates: &[&Issued], more: &str) -> Gateway {
    Gateway::start(&config(dir, origin, certificates, more))
}

fn config(dir: &TempDir, origin: &Origin, certificates: &[&Issued], more: &str) -> Config {
    let list: Vec<String> = certificates
        .iter()
        .enumerate()
        .map(|(i, issued)| {
            let (cert, key) = issued.write(dir, &format!("c{i}"));
            format!("{{ cert: {cert:?}, key: {key:?} }}")
        })
        .collect();
    let tls = format!("tls: {{ certificates: [{}] {more} }}", list.join(", "));
    Config::before(origin).listener(&tls)
}

fn shown(gateway: &Gateway, client: &TlsClient) -> Option<Vec<u8>> {
    let mut client = Client::tls(gateway.address(), client).ok()?;
    let shown = client.tls_session().peer_certificates()?.first()?.to_vec();
    assert_eq!(client.get("/").status, 200);
    Some(shown)
}

#[test]
fn requests_come_over_tls_and_the_origin_is_told() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let mut client = Client::tls(gateway.address(), &authority.client("a.example")).unwrap();
    for _ in 0..10 {
        assert_eq!(client.get("/x").status, 200);
    }
    assert_eq!(version(client.tls_session()), "1.3");
    let request = origin.last_request();
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn large_content_passes_over_tls() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let mut client = Client::tls(gateway.address(), &authority.client("a.example")).unwrap();
    let content: Vec<u8> = (0..1_000_000).map(|i| (i * 31 % 251) as u8).collect();
    let head =
        format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", content.len());
    client.send(head);
    client.send(&content);
    assert!(client.reply().body.ends_with(&content));
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let first = authority.issue(&["a.example", "b.example"]);
    let wild = authority.issue_rsa(&["*.c.example"]);
    let exact = authority.issue(&["x.c.example"]);
    let gateway = secured(&dir, &origin, &[&first, &wild, &exact], "");
    for (name, expected) in [
        ("a.example", &first),
        ("b.example", &first),
        ("y.c.example", &wild),
        ("x.c.example", &exact),
        ("B.Example", &first),
    ] {
        let seen = shown(&gateway, &authority.client(name)).unwrap_or_else(|| panic!("{name}"));
        assert!(seen == expected.der.as_ref(), "{name}");
    }
    // Nothing fits: the first is shown, and this client does not believe it.
    assert!(Client::tls(gateway.address(), &authority.client("d.example")).is_err());
    assert!(Client::tls(gateway.address(), &authority.client("x.y.c.example")).is_err());
}

#[test]
fn ecdsa_and_rsa_serve_either_version() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    for issued in [authority.issue(&["a.example"]), authority.issue_rsa(&["a.example"])] {
        let gateway = secured(&dir, &origin, &[&issued], "");
        for (versions, expected) in [(TLS12, "1.2"), (TLS13, "1.3")] {
            let tls = authority.client_with("a.example", versions);
            let mut client = Client::tls(gateway.address(), &tls).unwrap();
            assert_eq!(version(client.tls_session()), expected);
            assert_eq!(client.get("/").status, 200);
        }
    }
}

#[test]
fn an_old_version_may_be_refused() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway =
        secured(&dir, &origin, &[&authority.issue(&["a.example"])], ", min_version: \"1.3\"");
    let connect =
        |versions| Client::tls(gateway.address(), &authority.client_with("a.example", versions));
    assert!(connect(TLS12).is_err());
    assert!(connect(TLS13).is_ok());
    assert!(eventually(|| gateway.metric("portcullis_tls_handshake_failures_total", "") >= 1.0));
    let told = || gateway.logged_requests().into_iter().find(|line| !line["reason"].is_null());
    assert!(eventually(|| told().is_some()));
    assert_eq!(told().unwrap()["sni"], "a.example");
}

#[test]
fn a_name_that_no_certificate_has_may_be_refused() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let issued = authority.issue(&["a.example", "127.0.0.1"]);
    let connect =
        |gateway: &Gateway, name: &str| Client::tls(gateway.address(), &authority.client(name));
    let strict = secured(&dir, &origin, &[&issued], ", require_sni: true");
    assert!(connect(&strict, "a.example").is_ok());
    // An address is no SNI name: a client that asks for one sends none.
    assert!(connect(&strict, "127.0.0.1").is_err());
    let lenient = secured(&dir, &origin, &[&issued], "");
    assert!(connect(&lenient, "127.0.0.1").is_ok());
}

#[test]
fn sessions_are_resumed() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let config = config(&dir, &origin, &[&authority.issue(&["a.example"])], "").also("workers: 2");
    let gateway = Gateway::start(&config);
    for versions in [TLS12, TLS13] {
        let tls = authority.client_with("a.example", versions);
        let mut kinds = Vec::new();
        for _ in 0..6 {
            let mut client = Client::tls(gateway.address(), &tls).unwrap();
            // Tickets come with the first reply.
            assert_eq!(client.get("/").status, 200);
            kinds.push(client.tls_session().handshake_kind().unwrap());
        }
        assert_eq!(kinds.remove(0), HandshakeKind::Full);
        // Whichever worker takes the connection.
        assert!(kinds.iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
    }
}

#[test]
fn plain_http_on_a_tls_listener_does_no_harm() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let mut plain = gateway.client();
    plain.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(plain.try_reply("GET").is_err());
    assert_eq!(origin.connections(), 0);
    assert!(shown(&gateway, &authority.client("a.example")).is_some());
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let config = config(&dir, &origin, &[&authority.issue(&["a.example"])], "")
        .listener("timeouts: { head: 300ms, idle: 300ms }");
    let gateway = Gateway::start(&config);
    let mut silent = gateway.client();
    assert!(silent.is_closed());
    let mut half = gateway.client();
    half.send(b"\x16\x03\x01\x02\x00\x01\x00");
    assert!(half.is_closed());
}

#[test]
fn certificates_are_read_again_when_their_files_change() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let tls = authority.client("a.example");
    let mut before = Client::tls(gateway.address(), &tls).unwrap();
    assert_eq!(before.get("/").status, 200);

    let renewed = authority.issue(&["a.example"]);
    renewed.write(&dir, "c0");
    // No signal, no command. A client with no session to resume sees what is shown now.
    let fresh = || shown(&gateway, &authority.client("a.example"));
    assert!(eventually(|| fresh().is_some_and(|shown| shown == renewed.der.as_ref())));
    assert_eq!(before.get("/").status, 200, "connections go on");
}

#[test]
fn a_broken_certificate_does_not_replace_a_good_one() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let issued = authority.issue(&["a.example"]);
    let gateway = secured(&dir, &origin, &[&issued], "");
    dir.write("c0.crt", "not a certificate");
    assert_eq!(gateway.reload().status, 422);
    // A key that belongs to another certificate.
    dir.write("c0.crt", &issued.cert);
    dir.write("c0.key", authority.issue(&["a.example"]).key);
    assert_eq!(gateway.reload().status, 422);
    let seen = shown(&gateway, &authority.client("a.example"));
    assert!(seen.is_some_and(|seen| seen == issued.der.as_ref()));
}

#[test]
fn certificates_in_a_folder_that_a_reload_brought_in_are_watched_too() {
    let (dir, elsewhere) = (TempDir::new(), TempDir::new());
    let (origin, authority) = (Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let second = authority.issue(&["a.example"]);
    gateway.write_config(&config(&elsewhere, &origin, &[&second], ""));
    let showing = |expected: &Issued| {
        let expected = expected.der.as_ref();
        eventually(|| {
            shown(&gateway, &authority.client("a.example")).is_some_and(|shown| shown == expected)
        })
    };
    assert!(showing(&second));
    let third = authority.issue(&["a.example"]);
    third.write(&elsewhere, "c0");
    assert!(showing(&third));
}

#[test]
fn a_client_that_has_ended_its_direction_still_gets_its_reply() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let mut client = Client::tls(gateway.address(), &authority.client("a.example")).unwrap();
    client.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    client.end();
    assert_eq!(client.reply().status, 200);
}

#[test]
fn a_reply_over_tls_ends_with_the_closing_alert() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let origin = Origin::replying_once("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    let gateway = secured(&dir, &origin, &[&authority.issue(&["a.example"])], "");
    let mut client = Client::tls(gateway.address(), &authority.client("a.example")).unwrap();
    // The kit's reader takes an end without the alert for an error.
    let reply = client.ask("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    assert_eq!(reply.text(), "until the end");
}

/// Six clients that ask over TLS until they are refused or told to stop.
#[derive(Default)]
struct TlsLoad {
    answered: AtomicUsize,
    stop: AtomicBool,
}

impl TlsLoad {
    /// What went wrong for them while `during` ran.
    fn run(gateway: &Gateway, tls: &TlsClient, during: impl FnOnce(&TlsLoad)) -> Vec<String> {
        let (load, address) = (TlsLoad::default(), gateway.address());
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..6).map(|_| scope.spawn(|| load.ask_on(address, tls))).collect();
            let during = catch_unwind(AssertUnwindSafe(|| during(&load)));
            if let Err(panic) = during {
                load.stop.store(true, Ordering::SeqCst);
                resume_unwind(panic);
            }
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        })
    }

    fn wait_for_more(&self, count: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        assert!(eventually(|| self.answered.load(Ordering::SeqCst) >= goal), "no more answers");
    }

    fn ask_on(&self, address: SocketAddr, tls: &TlsClient) -> Vec<String> {
        let mut failed = Vec::new();
        while !self.stop.load(Ordering::SeqCst) && failed.len() < 10 {
            match Client::tls(address, tls).map(|client| self.ask_until_told(client)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(format!("request: {error}")),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                Err(error) => failed.push(format!("handshake: {error}")),
            }
        }
        failed
    }

    /// Until the gateway says that it closes the connection.
    fn ask_until_told(&self, mut client: Client) -> io::Result<()> {
        while !self.stop.load(Ordering::SeqCst) {
            client.try_send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")?;
            let reply = client.try_reply("GET")?;
            if reply.status != 200 {
                return Err(io::Error::other(format!("{reply:?}")));
            }
            self.answered.fetch_add(1, Ordering::SeqCst);
            if reply.closes() {
                break;
            }
        }
        Ok(())
    }
}

#[test]
fn a_reload_under_tls_load_fails_no_request() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let issued = authority.issue(&["a.example"]);
    let with = |more: &str| config(&dir, &origin, &[&issued], "").route(more).also("workers: 2");
    let gateway = Gateway::start(&with("priority: 0"));
    let failed = TlsLoad::run(&gateway, &authority.client("a.example"), |load| {
        load.wait_for_more(60);
        for i in 1..=5 {
            authority.issue(&["a.example"]).write(&dir, "c0");
            gateway.write_config(&with(&format!("priority: {i}")));
            assert_eq!(gateway.reload().status, 200);
            load.wait_for_more(60);
        }
        load.stop.store(true, Ordering::SeqCst);
    });
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_termination_under_tls_load_fails_no_request() {
    let (dir, origin, authority) = (TempDir::new(), Origin::echo(), Authority::new());
    let issued = authority.issue(&["a.example"]);
    let gateway = Gateway::start(&config(&dir, &origin, &[&issued], "").also("workers: 2"));
    let failed = TlsLoad::run(&gateway, &authority.client("a.example"), |load| {
        load.wait_for_more(120);
        gateway.signal("TERM");
    });
    let exited = gateway.exited();
    assert_eq!(exited.code, Some(0), "{}", exited.log);
    assert!(failed.is_empty(), "{failed:#?}");
}
