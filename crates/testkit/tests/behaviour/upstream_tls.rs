//! TLS towards endpoints: verified unless told otherwise.

use portcullis_testkit::{
    Authority, Config, Gateway, Issued, Origin, Place, Served, TempDir, eventually, run_command,
};

fn secured(issued: &Issued) -> Origin {
    Origin::at(&Place::tls(issued.server()), Served::echo)
}

fn status(origin: &Origin, tls: &str) -> u16 {
    let gateway = Gateway::start(&Config::before(origin).service(&format!("tls: {tls}")));
    let reply = gateway.get("/x");
    if reply.status == 502 {
        let line = gateway.logged_request("/x");
        assert_eq!(line["error"], "upstream_tls", "{line}");
    }
    reply.status
}

/// The authority's certificate as a file, and its path as YAML.
fn ca_file(dir: &TempDir, authority: &Authority) -> String {
    format!("{:?}", dir.write("ca.pem", authority.pem()))
}

#[test]
fn an_endpoint_that_a_known_authority_vouches_for_is_used() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let origin = secured(&authority.issue(&["127.0.0.1"]));
    assert_eq!(status(&origin, &format!("{{ ca: {ca} }}")), 200);
    let origin = secured(&authority.issue_rsa(&["inner.example"]));
    assert_eq!(status(&origin, &format!("{{ ca: {ca}, server_name: inner.example }}")), 200);
}

#[test]
fn an_endpoint_that_nobody_vouches_for_is_not_used() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let origin = secured(&authority.issue(&["127.0.0.1"]));
    assert_eq!(status(&origin, "{}"), 502, "the system's authorities do not know it");
    let ca = ca_file(&dir, &Authority::new());
    assert_eq!(status(&origin, &format!("{{ ca: {ca} }}")), 502, "another authority");
    assert!(origin.requests().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let origin = secured(&authority.issue(&["other.example"]));
    assert_eq!(status(&origin, &format!("{{ ca: {ca} }}")), 502);
    assert_eq!(status(&origin, &format!("{{ ca: {ca}, server_name: inner.example }}")), 502);
    assert!(origin.requests().is_empty());
}

#[test]
fn an_endpoints_own_certificate_may_be_all_that_is_believed() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let own = authority.issue(&["127.0.0.1"]);
    let ca = format!("{:?}", dir.write("own.pem", &own.cert));
    assert_eq!(status(&secured(&own), &format!("{{ ca: {ca} }}")), 200);
    let another = secured(&authority.issue(&["127.0.0.1"]));
    assert_eq!(status(&another, &format!("{{ ca: {ca} }}")), 502, "of the same authority");
    assert!(another.requests().is_empty());
}

#[test]
fn verification_may_be_switched_off() {
    let origin = secured(&Authority::new().issue(&["other.example"]));
    assert_eq!(status(&origin, "{ verify: false }"), 200);
}

#[test]
fn a_client_certificate_is_shown_when_asked_for() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let server = authority.server_asking_for_certificates(&authority.issue(&["127.0.0.1"]));
    let origin = Origin::at(&Place::tls(server), Served::echo);
    let (cert, key) = authority.issue(&["gateway.example"]).write(&dir, "own");
    let own = format!("{{ ca: {ca}, certificate: {{ cert: {cert:?}, key: {key:?} }} }}");
    assert_eq!(status(&origin, &own), 200);
    assert_eq!(status(&origin, &format!("{{ ca: {ca} }}")), 502);
}

#[test]
fn an_endpoint_that_refuses_our_certificate_after_the_handshake_is_a_fault_of_tls() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    // In TLS 1.3 the refusal comes when the handshake is over for us; in 1.2, before.
    let server = authority.server_asking_for_certificates(&authority.issue(&["127.0.0.1"]));
    let (cert, key) = Authority::new().issue(&["gateway.example"]).write(&dir, "strange");
    let strange = format!(", certificate: {{ cert: {cert:?}, key: {key:?} }}");
    for protocol in ["http1", "http2"] {
        let mut server = (*server).clone();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let origin = Origin::at(&Place::tls(server.into()), Served::echo);
        for own in ["", &strange] {
            for version in ["", ", max_version: 1.2"] {
                let tls = format!("{{ ca: {ca}{own}{version} }}, protocol: {protocol}");
                assert_eq!(status(&origin, &tls), 502, "{tls}");
            }
        }
    }
}

#[test]
fn a_revoked_certificate_is_refused() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let crl = format!("{:?}", dir.write("l.pem", authority.revoking(&[], 4000)));
    let issued = authority.issue_as(|params| {
        params.serial_number = Some(rcgen::SerialNumber::from(9));
        params.subject_alt_names = vec![rcgen::SanType::IpAddress("127.0.0.1".parse().unwrap())];
    });
    let origin = secured(&issued);
    let tls = format!("tls: {{ ca: {ca}, crl: {crl} }}");
    let gateway = Gateway::start(&Config::before(&origin).service(&tls));
    assert_eq!(gateway.get("/").status, 200);
    // No signal, no command; and the connection that was kept is not used again.
    dir.write("l.pem", authority.revoking(&[9], 4000));
    assert!(eventually(|| gateway.get("/").status == 502), "{}", gateway.log());
    // Nobody knows whether it was revoked.
    dir.write("l.pem", Authority::new().revoking(&[], 2021));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 502);
}

#[test]
fn what_is_not_chosen_is_not_offered() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let issued = authority.issue(&["127.0.0.1"]);
    // Its key is ECDSA, so a suite for RSA alone has nothing to go on.
    let origin = secured(&issued);
    for (more, expected) in [
        ("min_version: 1.3", 200),
        ("max_version: 1.2", 200),
        ("min_version: 1.3, ciphers: [TLS_CHACHA20_POLY1305_SHA256]", 200),
        ("curves: [P-384]", 200),
        ("max_version: 1.2, ciphers: [ECDHE-RSA-AES128-GCM-SHA256]", 502),
    ] {
        assert_eq!(status(&origin, &format!("{{ ca: {ca}, {more} }}")), expected, "{more}");
    }
}

#[test]
fn a_name_that_no_certificate_can_bear_is_told_at_once() {
    let dir = TempDir::new();
    let text = |tls: &str| {
        format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n  s: {{ endpoints: [\"-bad-:443\"]{tls} }}\nroutes: {{ r: {{ service: s }} }}\n"
        )
    };
    for (tls, usable) in
        [("", true), (", tls: {}", false), (", tls: { server_name: a.example }", true)]
    {
        dir.write("gate.yaml", text(tls));
        let output = run_command(&["check", "--config", "gate.yaml"], dir.path());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), usable, "{told}");
        assert!(usable || told.contains("neither a DNS name nor an IP address"), "{told}");
    }
}

#[test]
fn connections_are_kept_over_tls_too() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let origin = secured(&authority.issue(&["127.0.0.1"]));
    let gateway = Gateway::start(&Config::before(&origin).service(&format!("tls: {{ ca: {ca} }}")));
    let mut client = gateway.client();
    let content = "x".repeat(200_000);
    for _ in 0..5 {
        let length = content.len();
        let head =
            format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
        let sending = client.send_aside(format!("{head}{content}").into_bytes());
        assert!(client.reply().text().ends_with(&content));
        sending.join().unwrap().unwrap();
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_endpoint_that_speaks_no_tls_is_502() {
    let origin = Origin::with(|served| {
        served.some();
        served.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    assert_eq!(status(&origin, "{ verify: false }"), 502);
}

#[test]
fn a_reply_that_ends_without_the_closing_alert_is_cut() {
    // Close-delimited content ends with an alert over TLS; without one, somebody else cut it.
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &authority);
    let issued = authority.issue(&["127.0.0.1"]);
    for politely in [true, false] {
        let origin = Origin::at(&Place::tls(issued.server()), move |served| {
            if served.request().is_some() {
                served.send("HTTP/1.1 200 OK\r\n\r\nhello");
                if politely {
                    served.end();
                    served.wait_for_end();
                }
            }
        });
        let gateway =
            Gateway::start(&Config::before(&origin).service(&format!("tls: {{ ca: {ca} }}")));
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let whole = client.try_reply("GET").is_ok_and(|reply| reply.text() == "hello");
        assert_eq!(whole, politely);
    }
}

#[test]
fn the_authority_is_read_again_when_its_file_changes() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = ca_file(&dir, &Authority::new());
    let origin = secured(&authority.issue(&["127.0.0.1"]));
    let gateway = Gateway::start(&Config::before(&origin).service(&format!("tls: {{ ca: {ca} }}")));
    assert_eq!(gateway.get("/").status, 502);
    // No signal, no command.
    ca_file(&dir, &authority);
    assert!(eventually(|| gateway.get("/").status == 200), "{}", gateway.log());
    // Whom nobody vouches for any more is not asked any more, open connection or not.
    ca_file(&dir, &Authority::new());
    assert!(eventually(|| gateway.get("/").status == 502), "{}", gateway.log());
}
