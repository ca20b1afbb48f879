//! What is too much, and how it is refused.

use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, eventually};
use serde_json::Value;

fn refused(limits: &str, request: &str) -> Reply {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener(&format!("limits: {limits}")));
    let mut client = gateway.client();
    let reply = client.ask(request);
    assert_eq!(reply.field("content-type"), Some("application/problem+json"), "{}", reply.text());
    assert!(reply.closes() && client.is_closed());
    assert_eq!(origin.connections(), 0);
    reply
}

#[test]
fn a_long_target_is_414() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("limits: { uri: 100B }"));
    let mut client = gateway.client();
    assert_eq!(client.get(&format!("/{}", "x".repeat(99))).status, 200);
    assert_eq!(client.get(&format!("/{}", "x".repeat(100))).status, 414);
    assert!(client.is_closed());
}

#[test]
fn a_target_of_eight_kibibytes_is_the_most_by_default() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.get(&format!("/{}", "x".repeat(8191))).status, 200);
    assert_eq!(client.get(&format!("/{}", "x".repeat(8192))).status, 414);
}

#[test]
fn a_target_larger_than_any_buffer_is_414_too() {
    let request = format!("GET /{} HTTP/1.1\r\nHost: a.example\r\n\r\n", "x".repeat(200_000));
    assert_eq!(refused("{ uri: 100B }", &request).status, 414);
}

#[test]
fn too_many_fields_are_431() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("limits: { fields: 10 }"));
    let request =
        |count| format!("GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n", "X-A: b\r\n".repeat(count));
    let mut client = gateway.client();
    assert_eq!(client.ask(request(9)).status, 200);
    assert_eq!(client.ask(request(10)).status, 431);
    assert!(client.is_closed());
    assert_eq!(refused("{}", &request(5000)).status, 431);
}

#[test]
fn too_large_a_head_is_431() {
    let request =
        |size| format!("GET / HTTP/1.1\r\nHost: a.example\r\nX-A: {}\r\n\r\n", "b".repeat(size));
    assert_eq!(refused("{ head: 1KiB }", &request(1024)).status, 431);
    assert_eq!(refused("{}", &request(33_000)).status, 431);
    assert_eq!(refused("{}", &request(300_000)).status, 431);
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.ask(request(30_000)).status, 200);
}

#[test]
fn a_named_length_over_the_limit_is_413_at_once() {
    let request = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 101\r\n\r\n";
    assert_eq!(refused("{ body: 100B }", request).status, 413);
}

#[test]
fn chunks_over_the_limit_are_413_when_they_come() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("limits: { body: 100B }"));
    let chunk = format!("32\r\n{}\r\n", "x".repeat(50));
    let head = "POST /x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = gateway.client();
    assert_eq!(client.ask(format!("{head}{chunk}{chunk}0\r\n\r\n")).status, 200);
    assert_eq!(client.ask(format!("{head}{chunk}{chunk}1\r\nx\r\n0\r\n\r\n")).status, 413);
    assert!(client.is_closed());
    assert_eq!(origin.requests().len(), 1, "the origin never got the second request whole");
}

#[test]
fn a_route_may_allow_more_content_or_less() {
    let origin = Origin::echo();
    let post = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    let config = Config::before(&origin).listener("limits: { body: 100B }");
    let gateway = Gateway::start(&config.clone().route("limits: { body: unlimited }"));
    assert_eq!(gateway.ask(post(5000)).status, 200);
    let gateway = Gateway::start(&config.route("limits: { body: 10B }"));
    assert_eq!(gateway.ask(post(10)).status, 200);
    assert_eq!(gateway.ask(post(11)).status, 413);
}

#[test]
fn a_client_that_sends_too_much_can_read_why() {
    // The refusal must survive what the client still has under way.
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("limits: { body: 1KiB }"));
    let length = 4 * 1024 * 1024;
    for _ in 0..5 {
        let mut client = gateway.client();
        let head =
            format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
        let sending = client.send_aside([head.as_bytes(), &vec![b'x'; length]].concat());
        assert_eq!(client.reply().status, 413);
        // The rest may or may not be taken.
        let _ = sending.join().unwrap();
    }
}

#[test]
fn connections_over_the_cap_are_turned_away_until_one_ends() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("limits: { connections: 2 }"));
    let ask = |client: &mut Client| {
        client.try_send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")?;
        client.try_reply("GET")
    };
    let mut first = gateway.client();
    let mut second = gateway.client();
    assert_eq!(first.get("/").status, 200);
    assert_eq!(second.get("/").status, 200);
    let third = ask(&mut gateway.client());
    assert!(third.as_ref().map_or(true, |reply| reply.status == 503), "{third:?}");
    assert_eq!(first.get("/").status, 200, "those inside are not disturbed");
    assert!(eventually(|| gateway.metric("portcullis_connections_refused_total", "") >= 1.0));
    let told = |line: &Value| {
        line["error"] == "connections_refused" && line["listener"] == "web" && line["count"] == 1
    };
    assert!(eventually(|| gateway.logged_requests().iter().any(told)));
    drop(second);
    let served = || ask(&mut gateway.client()).is_ok_and(|reply| reply.status == 200);
    assert!(eventually(served), "a place that is free again");
}

#[test]
fn connections_that_come_too_fast_are_closed_and_told_of() {
    let origin = Origin::echo();
    let limits = "limits: { connection_rate: { per_client: { limit: 2, per: 1h } } }";
    let gateway = Gateway::start(&Config::before(&origin).listener(limits).also("workers: 2"));
    let is_served = |gateway: &Gateway| {
        let mut client = gateway.client();
        let asked = client.try_send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        asked.and_then(|()| client.try_reply("GET")).is_ok_and(|reply| reply.status == 200)
    };
    let mut open = gateway.client();
    assert_eq!(open.get("/").status, 200);
    let served: Vec<bool> = (0..4).map(|_| is_served(&gateway)).collect();
    assert_eq!(served, [true, false, false, false]);
    assert_eq!(open.get("/").status, 200, "requests are no connections");
    let refused = || gateway.metric("portcullis_connections_too_fast_total", "");
    assert!(eventually(|| refused() == 3.0));
    let told = |line: &Value| line["error"] == "connections_too_fast" && line["listener"] == "web";
    assert!(eventually(|| gateway.logged_requests().iter().any(told)));

    // What has come so far outlives a reload.
    let changed = Config::before(&origin).listener(limits).route("priority: 1");
    gateway.write_config(&changed.also("workers: 2"));
    assert_eq!(gateway.reload().status, 200);
    assert!(!is_served(&gateway));
}

#[test]
fn a_flood_of_chunk_extensions_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = gateway.client();
    let _ = client.try_send(format!("{head}1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(100_000)));
    assert_eq!(client.reply().status, 400);
}

#[test]
fn a_flood_of_trailers_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for trailers in [format!("X-A: {}\r\n", "b".repeat(200_000)), "X-A: b\r\n".repeat(30_000)] {
        let mut client = gateway.client();
        let _ = client.try_send(format!("{head}{trailers}\r\n"));
        let status = client.reply().status;
        assert!(matches!(status, 400 | 431), "{status}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_reply_with_too_large_a_head_is_a_bad_gateway() {
    let origin = Origin::replying(format!(
        "HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 0\r\n\r\n",
        "b".repeat(300_000)
    ));
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/").status, 502);
}

#[test]
fn a_long_list_of_hops_is_read_in_no_time() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .listener("forwarded: { trusted: [\"127.0.0.0/8\"] }, limits: { head: 54KiB }");
    let gateway = Gateway::start(&config);
    let list = "127.0.0.1,".repeat(5000);
    let reply = gateway.ask(format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 203.0.113.9,{list}127.0.0.1\r\n\r\n"
    ));
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.logged_request("/")["client"], "203.0.113.9");
}
