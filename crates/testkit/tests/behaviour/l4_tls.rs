//! TLS at listeners of bytes: passed through by the server name, ended here, or begun here.

use std::io::Cursor;
use std::sync::Arc;

use portcullis_testkit::{
    Authority, Client, Gateway, Origin, Place, Served, TempDir, TlsClient, eventually,
};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;

use super::l4::{logged, mirror, tcp};

/// A listener `web` that passes TLS through to these: service, its address, server names.
fn passing(routes: &[(&str, &str, &str)], listener: &str) -> String {
    let mut text = format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\", protocol: tls_passthrough, {listener} }}\nservices:\n"
    );
    for (name, address, _) in routes {
        text += &format!("  {name}: {{ endpoints: [{address:?}] }}\n");
    }
    text += "tcp_routes:\n";
    for (name, _, sni) in routes {
        let sni = if sni.is_empty() { String::new() } else { format!(", sni: {sni}") };
        text += &format!("  {name}: {{ listener: web, service: {name}{sni} }}\n");
    }
    text
}

/// An origin that ends TLS for this name.
fn secure(authority: &Authority, name: &str, story: fn(&mut Served)) -> Origin {
    Origin::at(&Place::tls(authority.issue(&[name]).server()), story)
}

/// The first bytes of a client that asks for this name.
fn hello(name: &str) -> Vec<u8> {
    let client = Authority::new().client(name);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(client.config, name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut Cursor::new(&mut bytes)).unwrap();
    bytes
}

/// The same in records of this size.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let records = hello[5..].chunks(size).map(|part| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    });
    records.collect::<Vec<_>>().concat()
}

fn failures(gateway: &Gateway, reason: &str) -> f64 {
    gateway.metric("portcullis_failures_total", &format!("reason=\"{reason}\""))
}

#[test]
fn the_name_that_is_asked_for_chooses() {
    let authority = Authority::new();
    let mail = secure(&authority, "mail.example.com", Served::echo);
    let wild = secure(&authority, "a.b.example.org", Served::echo);
    let other = secure(&authority, "other.example", Served::echo);
    let gateway = Gateway::start(&passing(
        &[
            ("mail", &mail.address(), "[MAIL.example.com]"),
            ("wild", &wild.address(), "\"*.example.org\""),
            ("other", &other.address(), ""),
        ],
        "",
    ));
    for (name, origin) in
        [("mail.example.com", &mail), ("a.b.example.org", &wild), ("other.example", &other)]
    {
        // The certificate is the endpoint's, and so is the session.
        let mut client = Client::tls(gateway.address(), &authority.client(name)).unwrap();
        assert_eq!(client.get("/").status, 200, "{name}");
        assert_eq!(origin.connections(), 1, "{name}");
        assert!(!origin.last_request().fields.has("x-forwarded-for"));
    }
    assert!(eventually(|| gateway.logged_requests().len() == 3));
    let line = logged(&gateway);
    assert_eq!(line["sni"], "mail.example.com");
    assert_eq!(
        (&line["tcp_route"], &line["protocol"]),
        (&"mail".into(), &"tls_passthrough".into())
    );
}

#[test]
fn an_unknown_name_is_told_so() {
    let authority = Authority::new();
    let mail = secure(&authority, "mail.example.com", mirror);
    let gateway = Gateway::start(&passing(&[("mail", &mail.address(), "mail.example.com")], ""));
    let error = Client::tls(gateway.address(), &authority.client("else.example.com")).unwrap_err();
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    // Without a name as well.
    assert!(Client::tls(gateway.address(), &authority.client("127.0.0.1")).is_err());
    assert!(eventually(|| failures(&gateway, "no_route") == 2.0));
    assert_eq!(mail.connections(), 0);
    let line = logged(&gateway);
    assert_eq!((&line["sni"], &line["error"]), (&"else.example.com".into(), &"no_route".into()));
}

#[test]
fn without_a_name_the_route_for_all_others_takes_it() {
    let authority = Authority::new();
    let any = secure(&authority, "127.0.0.1", mirror);
    let gateway = Gateway::start(&passing(&[("any", &any.address(), "")], ""));
    let mut client = Client::tls(gateway.address(), &authority.client("127.0.0.1")).unwrap();
    client.send("x");
    assert_eq!(client.exactly(1).unwrap(), b"x");
}

#[test]
fn a_hello_may_come_in_any_pieces() {
    let origin = Origin::with(mirror);
    let gateway = Gateway::start(&passing(
        &[("mail", &origin.address(), "mail.example.com")],
        "timeouts: { head: 20s }",
    ));
    let whole = hello("mail.example.com");
    for bytes in [whole.clone(), in_records(&whole, 10), in_records(&whole, whole.len() - 6)] {
        let mut client = gateway.client();
        for byte in &bytes {
            client.send([*byte]);
        }
        assert!(client.exactly(bytes.len()).unwrap() == bytes, "it goes on as it came");
    }
    // What follows in the same segment goes on behind it.
    let with_more = [&whole[..], b"\x14\x03\x03\0\x01\x01and more"].concat();
    let mut client = gateway.client();
    client.send(&with_more);
    assert!(client.exactly(with_more.len()).unwrap() == with_more);
}

#[test]
fn a_huge_hello_passes_up_to_its_bound() {
    let origin = Origin::with(mirror);
    let gateway = Gateway::start(&passing(&[("mail", &origin.address(), "mail.example.com")], ""));
    let message = hello("mail.example.com")[5..].to_vec();
    // Another extension (padding, RFC 7685) at the end, in a message of just this size.
    let padded = |size: usize| {
        let mut message = message.clone();
        let padding = size - message.len() - 4;
        let at = message.len();
        message.extend([0, 21]);
        message.extend(u16::try_from(padding).unwrap().to_be_bytes());
        message.resize(at + 4 + padding, 0);
        // The lengths of the message and, behind suites and compressions, of the extensions.
        message[1..4].copy_from_slice(&u32::try_from(size - 4).unwrap().to_be_bytes()[1..]);
        let session = 38 + 1 + usize::from(message[38]);
        let suites =
            session + 2 + usize::from(u16::from_be_bytes([message[session], message[session + 1]]));
        let extensions = suites + 1 + usize::from(message[suites]);
        let length = u16::try_from(size - extensions - 2).unwrap().to_be_bytes();
        message[extensions..extensions + 2].copy_from_slice(&length);
        in_records(&[&[0; 5], &message[..]].concat(), 5000)
    };
    let largest = padded(16 * 1024);
    let mut client = gateway.client();
    let sending = client.send_aside(largest.clone());
    assert!(client.exactly(largest.len()).unwrap() == largest);
    sending.join().unwrap().unwrap();

    let mut client = gateway.client();
    let _ = client.try_send(padded(16 * 1024 + 1));
    assert!(client.is_closed());
    assert!(eventually(|| failures(&gateway, "bad_client_hello") == 1.0));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_is_no_hello_is_refused_and_harms_nobody_else() {
    let authority = Authority::new();
    let origin = secure(&authority, "mail.example.com", mirror);
    let gateway =
        Gateway::start(&passing(&[("mail", &origin.address(), "")], "timeouts: { head: 500ms }"));
    let mut other = Client::tls(gateway.address(), &authority.client("mail.example.com")).unwrap();
    let mut bad_name = hello("mail.example.com");
    let at = bad_name.windows(4).position(|part| part == b"mail").unwrap();
    bad_name[at] = b' ';
    let bad = [
        b"GET / HTTP/1.1\r\nHost: mail.example.com\r\n\r\n".to_vec(),
        b"SSH-2.0-x\r\n".to_vec(),
        vec![0; 100],
        vec![22, 3, 1, 0, 0],
        vec![22, 3, 1, 0xff, 0xff],
        in_records(&hello("mail.example.com"), 1),
        bad_name,
    ];
    for bytes in &bad {
        let mut client = gateway.client();
        let _ = client.try_send(bytes);
        assert!(client.is_closed(), "{bytes:?}");
    }
    assert!(eventually(|| failures(&gateway, "bad_client_hello") == bad.len() as f64));
    let mut slow = gateway.client();
    slow.send(&hello("mail.example.com")[..50]);
    assert!(slow.is_closed());
    assert!(eventually(|| failures(&gateway, "head_timeout") == 1.0));
    let mut gone = gateway.client();
    gone.send([22, 3]);
    drop(gone);
    assert!(eventually(|| failures(&gateway, "client_gone") == 1.0));
    other.send("still");
    assert_eq!(other.exactly(5).unwrap(), b"still");
    assert_eq!(origin.connections(), 1, "nothing of it reached the endpoint");
}

#[test]
fn an_endpoint_that_is_not_there_is_told_as_an_alert() {
    let authority = Authority::new();
    let gone = Origin::with(mirror);
    let dead = gone.address();
    drop(gone);
    let gateway = Gateway::start(&passing(&[("mail", &dead, "")], ""));
    let error = Client::tls(gateway.address(), &authority.client("a.example")).unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    assert_eq!(logged(&gateway)["error"], "connect_failed");
}

#[test]
fn tls_passes_behind_a_proxy_header() {
    let authority = Authority::new();
    let origin = secure(&authority, "a.example", mirror);
    let gateway = Gateway::start(&passing(
        &[("a", &origin.address(), "a.example")],
        "proxy_protocol: { trusted: [\"127.0.0.1\"] }",
    ));
    let header = b"PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\r\n";
    let tls = authority.client("a.example");
    let mut client = Client::tls_behind(gateway.address(), header, &tls).unwrap();
    client.send("x");
    assert_eq!(client.exactly(1).unwrap(), b"x");
    drop(client);
    assert_eq!(logged(&gateway)["client"], "203.0.113.7");
}

#[test]
fn names_change_with_a_reload() {
    let authority = Authority::new();
    let (one, two) =
        (secure(&authority, "a.example", mirror), secure(&authority, "a.example", mirror));
    let config = |of_a: &Origin, of_b: &Origin| {
        passing(&[("a", &of_a.address(), "a.example"), ("b", &of_b.address(), "b.example")], "")
    };
    let gateway = Gateway::start(&config(&one, &two));
    let tls = authority.client("a.example");
    let mut before = Client::tls(gateway.address(), &tls).unwrap();
    // The names change places: neither route may be in the other's way.
    let swapped = config(&one, &two)
        .replace("sni: a.example", "sni: x")
        .replace("sni: b.example", "sni: a.example");
    gateway.write_config(&swapped.replace("sni: x", "sni: b.example"));
    assert_eq!(gateway.reload().status, 200);
    let mut after = Client::tls(gateway.address(), &tls).unwrap();
    for client in [&mut before, &mut after] {
        client.send("x");
        assert_eq!(client.exactly(1).unwrap(), b"x");
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[test]
fn tls_may_be_ended_at_a_listener_of_bytes() {
    let authority = Authority::new();
    let dir = TempDir::new();
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let origin = Origin::with(|served| {
        let all = served.exactly(3);
        served.send(all);
        served.end();
        served.wait_for_end();
    });
    let listener = format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let gateway = Gateway::start(&tcp(&[&origin.address()], &listener, "", ""));
    let TlsClient { config, name } = authority.client("a.example");
    // A protocol that we have never heard of.
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    let tls = TlsClient { config: Arc::new(config), name };
    let mut client = Client::tls(gateway.address(), &tls).unwrap();
    client.send("abc");
    assert_eq!(client.reader().rest().unwrap(), b"abc", "with an end that TLS knows");
    client.send("d");
    client.end();
    assert!(eventually(|| origin.bytes() == b"abcd"));
}

#[test]
fn tls_may_be_begun_at_a_listener_of_bytes() {
    let authority = Authority::new();
    let dir = TempDir::new();
    let ca = dir.write("ca.pem", authority.pem());
    let origin = secure(&authority, "a.example", mirror);
    let service = format!("tls: {{ ca: {ca:?}, server_name: a.example }}");
    let gateway = Gateway::start(&tcp(&[&origin.address()], "", &service, ""));
    let mut client = gateway.client();
    for size in [1, 1000, 300_000] {
        let bytes = vec![b'x'; size];
        let sending = client.send_aside(bytes.clone());
        assert!(client.exactly(size).unwrap() == bytes, "{size}");
        sending.join().unwrap().unwrap();
    }
    client.end();
    assert!(client.is_closed());
}
