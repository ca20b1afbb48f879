//! PROXY headers to endpoints: each connection begins with its client's, and serves nobody else.

use portcullis_testkit::{Authority, Client, Config, Gateway, Origin, Served, TempDir, eventually};

use super::l4::{mirror, tcp};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a PROXY line, and then HTTP.
fn behind_a_line(served: &mut Served) {
    served.line();
    served.echo();
}

/// The PROXY lines that an origin saw.
fn lines(origin: &Origin) -> Vec<String> {
    let text = String::from_utf8_lossy(&origin.bytes()).into_owned();
    text.split("\r\n").filter(|line| line.starts_with("PROXY ")).map(str::to_owned).collect()
}

#[test]
fn every_request_has_a_connection_that_begins_with_its_client() {
    let origin = Origin::with(behind_a_line);
    let gateway = Gateway::start(&Config::before(&origin).service("proxy_protocol: v1"));
    let mut clients = [gateway.client(), gateway.client()];
    for _ in 0..3 {
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }
    assert_eq!(origin.connections(), 6);
    let expected: Vec<String> = (0..6)
        .map(|i| {
            let (from, to) = (clients[i % 2].local_address(), gateway.address());
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}", from.port(), to.port())
        })
        .collect();
    assert_eq!(lines(&origin), expected);
    assert_eq!(gateway.metric("portcullis_upstream_connections_idle", ""), 0.0);
    assert_eq!(gateway.metric("portcullis_upstream_reuses_total", ""), 0.0);
}

#[test]
fn the_client_that_a_header_told_is_told_on() {
    let inner_origin = Origin::echo();
    let inner = Gateway::start(
        &Config::before(&inner_origin).listener("proxy_protocol: { trusted: [\"127.0.0.1\"] }"),
    );
    for version in ["v1", "v2"] {
        let outer = Gateway::start(
            &Config::before_address(&inner.address().to_string())
                .listener("proxy_protocol: { trusted: [\"127.0.0.1\"] }")
                .service(&format!("proxy_protocol: {version}")),
        );
        for (family, client) in [("TCP4", "203.0.113.7"), ("TCP6", "2001:db8::7")] {
            let other = if family == "TCP4" { "198.51.100.2" } else { "::1" };
            let header = format!("PROXY {family} {client} {other} 1 443\r\n");
            let request = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
            assert_eq!(outer.ask(format!("{header}{request}")).status, 200);
            let seen = inner_origin.last_request();
            assert_eq!(seen.field("x-forwarded-for"), Some(client));
        }
    }
}

#[test]
fn who_has_no_address_is_told_as_unknown() {
    let dir = TempDir::new();
    let path = dir.join("web.sock");
    for (version, header) in
        [("v1", b"PROXY UNKNOWN\r\n".to_vec()), ("v2", [SIGNATURE, &[0x20, 0, 0, 0]].concat())]
    {
        let origin = Origin::with(|served| served.wait_for_end());
        let config = Config::before(&origin)
            .address(&format!("unix:{}", path.display()))
            .service(&format!("proxy_protocol: {version}"));
        let gateway = Gateway::start(&config);
        assert!(eventually(|| path.exists()));
        let mut client = Client::unix(&path);
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let begin = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        assert!(eventually(|| origin.bytes().starts_with(&begin)), "{version}");
        gateway.kill();
    }
}

#[test]
fn bytes_follow_their_header() {
    for version in ["v1", "v2"] {
        let origin = Origin::with(mirror);
        let service = format!("proxy_protocol: {version}");
        let gateway = Gateway::start(&tcp(&[&origin.address()], "", &service, ""));
        let mut client = gateway.client();
        client.send("hello");
        let (from, to) = (client.local_address().port(), gateway.address().port());
        let header = match version {
            "v1" => format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n").into_bytes(),
            _ => [
                SIGNATURE,
                &[0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1],
                &from.to_be_bytes(),
                &to.to_be_bytes(),
            ]
            .concat(),
        };
        let expected = [&header[..], b"hello"].concat();
        assert_eq!(client.exactly(expected.len()).unwrap(), expected);
    }
}

#[test]
fn the_header_comes_before_tls() {
    let authority = Authority::new();
    let dir = TempDir::new();
    let ca = dir.write("ca.pem", authority.pem());
    let inner_origin = Origin::echo();
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let tls = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let trusting = "proxy_protocol: { trusted: [\"127.0.0.1\"] }";
    let inner = Gateway::start(&Config::before(&inner_origin).listener(trusting).listener(&tls));
    let outer = Gateway::start(
        &Config::before_address(&inner.address().to_string())
            .service("proxy_protocol: v2")
            .service(&format!("tls: {{ ca: {ca:?}, server_name: a.example }}")),
    );
    assert_eq!(outer.get("/").status, 200);
    assert_eq!(inner_origin.last_request().field("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_reload_does_not_mix_connections_with_and_without() {
    let origin = Origin::echo();
    let config = Config::before(&origin);
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    assert_eq!(client.get("/").status, 200);
    gateway.write_config(&config.clone().service("proxy_protocol: v1"));
    assert_eq!(gateway.reload().status, 200);
    client.send("GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| lines(&origin).len() == 1), "not over the connection in the pool");
}
