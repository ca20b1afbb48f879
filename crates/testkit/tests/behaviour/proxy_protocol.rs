//! PROXY headers: who may send one, who must, and what is believed of it.

use std::thread;
use std::time::Duration;

use portcullis_testkit::{
    Authority, Client, Config, Gateway, Origin, TempDir, TlsClient, eventually,
};

const V1: &str = "PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\r\n";
const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, block].concat()
}

/// 203.0.113.7:1 to 198.51.100.2:443, with an extension.
fn v2_tcp() -> Vec<u8> {
    v2(0x21, 0x11, &[203, 0, 113, 7, 198, 51, 100, 2, 0, 1, 1, 187, 4, 0, 1, 0])
}

const TRUSTING: &str = "proxy_protocol: { trusted: [\"127.0.0.0/8\"] }, timeouts: { head: 500ms }";

fn trusting(origin: &Origin) -> Config {
    Config::before(origin).listener(TRUSTING)
}

fn refused(gateway: &Gateway, reason: &str) -> f64 {
    gateway.metric("portcullis_proxy_protocol_refused_total", &format!("reason=\"{reason}\""))
}

#[test]
fn the_address_that_a_header_tells_is_the_clients() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&trusting(&origin));
    for (path, header) in [("/v1", V1.as_bytes().to_vec()), ("/v2", v2_tcp())] {
        let request = REQUEST.replace("/x", path);
        let mut client = gateway.client();
        assert_eq!(client.ask([&header, request.as_bytes()].concat()).status, 200);
        let request = origin.last_request();
        assert_eq!(request.field("x-forwarded-for"), Some("203.0.113.7"));
        assert_eq!(request.field("x-forwarded-port"), Some("443"));
        assert_eq!(gateway.logged_request(path)["client"], "203.0.113.7");
        // It holds for the whole connection.
        assert_eq!(client.get("/again").status, 200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.113.7"));
    }
}

#[test]
fn forwarding_fields_are_believed_by_the_address_that_the_header_tells() {
    let origin = Origin::echo();
    let config = trusting(&origin).listener("forwarded: { trusted: [\"203.0.113.0/24\"] }");
    let gateway = Gateway::start(&config);
    let request = "GET /x HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    assert_eq!(gateway.ask([V1, request].concat()).status, 200);
    let seen = origin.last_request();
    assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.9, 203.0.113.7"));
    assert_eq!(gateway.logged_request("/x")["client"], "192.0.2.9");
    // From elsewhere, through the same proxy, they are not.
    let other = V1.replace("203.0.113.7", "203.0.114.7");
    assert_eq!(gateway.ask([&other, request].concat()).status, 200);
    assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.114.7"));
}

#[test]
fn routes_see_the_address_that_the_header_tells() {
    let origin = Origin::echo();
    let config = trusting(&origin).route("match: { client: \"203.0.113.7\" }");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.ask([V1, REQUEST].concat()).status, 200);
    assert_eq!(gateway.ask([&V1.replace(".7", ".8"), REQUEST].concat()).status, 404);
}

#[test]
fn a_header_in_single_bytes_is_a_header() {
    let origin = Origin::echo();
    let gateway = Gateway::start(
        &Config::before(&origin)
            .listener("proxy_protocol: { trusted: [\"127.0.0.1\"] }, timeouts: { head: 20s }"),
    );
    for header in [V1.as_bytes().to_vec(), v2_tcp()] {
        let mut client = gateway.client();
        for byte in &header {
            client.send([*byte]);
            thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(client.ask(REQUEST).status, 200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.113.7"));
    }
}

#[test]
fn a_proxys_own_connection_has_its_own_address() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&trusting(&origin));
    for header in [
        v2(0x20, 0, b""),
        v2(0x20, 0x11, &[9; 12]),
        v2(0x21, 0, b""),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 203.0.113.7 x\r\n".to_vec(),
    ] {
        assert_eq!(gateway.ask([&header, REQUEST.as_bytes()].concat()).status, 200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("127.0.0.1"));
    }
    // A client of a Unix socket has none at all.
    assert_eq!(gateway.ask([&v2(0x21, 0x31, &[0; 216]), REQUEST.as_bytes()].concat()).status, 200);
    assert!(!origin.last_request().fields.has("x-forwarded-for"));
}

#[test]
fn nobody_else_may_connect() {
    let origin = Origin::echo();
    let config = Config::before(&origin).listener("proxy_protocol: { trusted: [\"10.0.0.0/8\"] }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    // The gateway may be quicker to close than we are to write.
    let _ = client.try_send([V1, REQUEST].concat());
    assert!(client.is_closed());
    assert!(eventually(|| refused(&gateway, "untrusted") == 1.0));
    assert_eq!((origin.connections(), gateway.metric("portcullis_connections_open", "")), (0, 0.0));
}

#[test]
fn what_is_no_header_is_refused_and_harms_nobody_else() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&trusting(&origin));
    let mut other = gateway.client();
    assert_eq!(other.ask([V1, REQUEST].concat()).status, 200);

    let absent = [REQUEST.as_bytes().to_vec(), b"\x16\x03\x01\x02\0\x01".to_vec(), vec![0; 300]];
    let malformed = [
        b"PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\nGET / HTTP/1.1\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.999 198.51.100.2 56324 443\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 198.51.100.2 56324 99999\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x31, 0x11, &[0; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x11, &[&[0; 12][..], &[4, 0xff, 0xff, 1]].concat()),
        v2(0x21, 0x11, &[0; 60_000]),
        // A checksum that is another.
        v2(0x21, 0x11, &[&[0; 12][..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
    ];
    for bytes in absent.iter().chain(&malformed) {
        let mut client = gateway.client();
        let _ = client.try_send(bytes);
        assert!(client.is_closed(), "{bytes:?}");
    }
    let mut truncated = gateway.client();
    truncated.send(&v2_tcp()[..20]);
    truncated.end();
    assert!(truncated.is_closed());
    let mut silent = gateway.client();
    silent.send(&V1[..20]);
    assert!(silent.is_closed());

    for (reason, count) in
        [("absent", absent.len()), ("malformed", malformed.len()), ("closed", 1), ("timeout", 1)]
    {
        assert!(eventually(|| refused(&gateway, reason) == count as f64), "{reason}");
    }
    assert_eq!(other.get("/still").status, 200);
    assert_eq!(origin.connections(), 1, "nothing of it reached the origin");
}

#[test]
fn tls_comes_behind_the_header() {
    let origin = Origin::echo();
    let authority = Authority::new();
    let dir = TempDir::new();
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let tls = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let gateway = Gateway::start(&trusting(&origin).listener(&tls));
    for header in [V1.as_bytes().to_vec(), v2_tcp()] {
        let mut client = tls_behind(&gateway, &header, &authority.client("a.example"));
        assert_eq!(client.get("/x").status, 200);
        let seen = origin.last_request();
        assert_eq!(seen.field("x-forwarded-for"), Some("203.0.113.7"));
        assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    }
}

/// The header and the first bytes of TLS may come in one segment.
fn tls_behind(gateway: &Gateway, header: &[u8], tls: &TlsClient) -> Client {
    Client::tls_behind(gateway.address(), header, tls).expect("a handshake behind the header")
}

#[test]
fn over_a_unix_socket_whoever_may_connect_is_a_proxy() {
    let origin = Origin::echo();
    let dir = TempDir::new();
    let path = dir.join("web.sock");
    let config = Config::before(&origin)
        .address(&format!("unix:{}", path.display()))
        .listener("proxy_protocol: { trusted: [unix] }");
    let gateway = Gateway::start(&config);
    assert!(eventually(|| path.exists()));
    for header in [V1.as_bytes().to_vec(), v2_tcp()] {
        assert_eq!(Client::unix(&path).ask([&header, REQUEST.as_bytes()].concat()).status, 200);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.113.7"));
    }
    assert!({
        let mut bare = Client::unix(&path);
        bare.send(REQUEST);
        bare.is_closed()
    });
    assert!(eventually(|| refused(&gateway, "absent") == 1.0));
}

#[test]
fn a_reload_changes_who_is_believed() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&trusting(&origin));
    let mut before = gateway.client();
    assert_eq!(before.ask([V1, REQUEST].concat()).status, 200);
    gateway.write_config(&Config::before(&origin));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 200, "without a header again");
    assert_eq!(before.get("/").status, 200);
    assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.113.7"));
}
