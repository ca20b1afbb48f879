//! TLS towards endpoints: verified unless told otherwise.

use portcullis_testkit::{
    Authority, Config, Gateway, Issued, Origin, Place, Served, TempDir, eventually,
};

fn secured(issued: &Issued) -> Origin {
    Origin::at(&Place::tls(issued.server()), Served::echo)
}

fn status(origin: &Origin, tls: &str) -> u16 {
    let gateway = Gateway::start(&Config::before(origin).service(&format!("tls: {tls}")));
    let reply = gateway.get("/x");
    if reply.status == 502 {
        assert_eq!(gateway.logged_request("/x")["error"], "upstream_tls");
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
    let gateway = Gateway::start(&Config::before(&origin).service(&format!("tls: {{ ca: {ca} }}")));
    assert_eq!(gateway.get("/").status, 502);
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
