//! HTTP/1.0 on either side, close-delimited replies, and the forms of a request's target.

use portcullis_testkit::{Framing, Gateway, Origin};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n";

#[test]
fn an_http_1_0_client_gets_no_chunks() {
    let origin = Origin::replying(CHUNKED);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask("GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((reply.framing, reply.text().as_str()), (Framing::UntilClose, "hello"));
    // The origin is asked in our version, whatever the client's.
    assert_eq!(origin.last_request().version, "HTTP/1.1");
}

#[test]
fn an_http_1_0_client_without_keep_alive_is_disconnected() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask("GET /x HTTP/1.0\r\nHost: a.example\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert!(client.is_closed());
}

#[test]
fn an_http_1_0_client_with_keep_alive_keeps_its_connection() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let reply =
            client.ask("GET /x HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.field("connection").map(str::to_ascii_lowercase).as_deref(),
            Some("keep-alive")
        );
    }
}

#[test]
fn a_close_delimited_reply_reaches_an_http_1_1_client_framed() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let origin =
            Origin::replying_once(format!("{version} 200 OK\r\nX-A: b\r\n\r\nuntil the end"));
        let gateway = Gateway::before(&origin);
        let mut client = gateway.client();
        for _ in 0..2 {
            let reply = client.get("/");
            assert_eq!((reply.framing, reply.text().as_str()), (Framing::Chunked, "until the end"));
            assert_eq!(reply.version, "HTTP/1.1");
        }
        assert_eq!(origin.connections(), 2);
    }
}

#[test]
fn a_close_delimited_reply_reaches_an_http_1_0_client_as_it_came() {
    let origin = Origin::replying_once("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((reply.framing, reply.text().as_str()), (Framing::UntilClose, "until the end"));
}

#[test]
fn an_http_1_0_origin_may_keep_its_connection() {
    let origin = Origin::replying(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_http_1_0_origin_with_a_length_is_not_asked_twice_on_one_connection() {
    let origin = Origin::replying_once("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn absolute_form_names_the_host_and_reaches_the_origin_as_a_path() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let reply = gateway.ask("GET http://b.example:8080/x?y=1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(reply.status, 200);
    let request = origin.last_request();
    assert_eq!(
        (request.target.as_str(), request.field("host")),
        ("/x?y=1", Some("b.example:8080"))
    );
}

#[test]
fn options_for_the_server_as_a_whole_is_answered_by_the_gateway() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for request in [
        "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "OPTIONS /x HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n",
    ] {
        let reply = client.ask(request);
        assert_eq!(reply.status, 204, "{}", reply.text());
        assert!(reply.field("allow").unwrap().contains("GET"));
    }
    assert_eq!(origin.connections(), 0);
    assert_eq!(client.ask("OPTIONS /x HTTP/1.1\r\nHost: a.example\r\n\r\n").status, 200);
    assert_eq!(origin.last_request().method, "OPTIONS");
}

#[test]
fn connect_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let reply = client.ask("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    assert_eq!(reply.status, 405);
    assert!(reply.fields.has("allow"));
    assert!(client.is_closed());
    assert_eq!(origin.connections(), 0);
}

#[test]
fn unknown_methods_are_passed_on() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    for method in ["PROPFIND", "PATCH", "M-SEARCH", "brew", "QUERY"] {
        let reply = gateway.ask(format!("{method} / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        assert_eq!(reply.status, 200, "{method}");
        assert_eq!(origin.last_request().method, method);
    }
}
