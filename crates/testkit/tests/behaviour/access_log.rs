//! The access log: one line of JSON a request, whatever the request holds.

use portcullis_testkit::{Config, Gateway, Origin, TempDir, eventually, until};

#[test]
fn a_line_tells_who_asked_what_and_what_became_of_it() {
    let origin = Origin::replying("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
    let gateway = Gateway::before(&origin);
    let reply = gateway
        .ask("POST /orders/7?secret=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(reply.status, 201);
    let line = gateway.logged_request("/orders/7");
    for (name, value) in [
        ("listener", "web"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("host", "a.example"),
        ("version", "1.1"),
        ("route", "all"),
        ("service", "origin"),
        ("endpoint", &origin.address()),
    ] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!(
        (&line["status"], &line["bytes_in"], &line["bytes_out"]),
        (&201.into(), &3.into(), &5.into())
    );
    assert!(
        line["duration_us"].is_u64() && line["first_byte_us"].is_u64() && line["id"].is_string()
    );
    assert!(line.get("error").is_none());
    assert!(!line.to_string().contains("secret"), "queries hold secrets");
}

#[test]
fn hostile_text_stays_inside_its_string() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let reply = gateway.ask(b"GET /\"},{%0a\"status\":\"200 HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(reply.status, 200);
    // Parsing the line is the test.
    assert_eq!(gateway.logged_request("/\"},{%0a\"status\":\"200")["status"], 200);
}

#[test]
fn every_request_has_its_line_when_the_gateway_ends() {
    let origin = Origin::echo();
    let dir = TempDir::new();
    let path = dir.join("access.log");
    let config = Config::before(&origin).also(&format!("access_log: {{ to: {path:?} }}"));
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    for i in 0..500 {
        assert_eq!(client.get(&format!("/{i}")).status, 200);
    }
    drop(client);
    gateway.stop();
    let log = std::fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().count(), 500);
}

#[test]
fn a_refused_request_has_a_line_too() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status, 400);
    let line = until(|| gateway.logged_requests().into_iter().find(|line| line["status"] == 400));
    assert_eq!(line.expect("a line")["error"], "bad_request");
}

#[test]
fn it_may_be_off() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("access_log: off"));
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 200);
    }
    gateway.signal("TERM");
    let exited = gateway.exited();
    assert_eq!((exited.code, exited.access_log.as_str()), (Some(0), ""));
}

#[test]
fn a_log_beside_the_configuration_does_not_make_it_load_again() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("access_log: { to: access.log }"));
    for i in 0..20 {
        assert_eq!(gateway.get(&format!("/{i}")).status, 200);
    }
    let path = gateway.dir().join("access.log");
    let written = || std::fs::read_to_string(&path).is_ok_and(|log| log.lines().count() == 20);
    assert!(eventually(written));
    // The last of them has settled for longer than a watcher waits.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(gateway.metric("portcullis_config_reloads_total", ""), 0.0);
}

#[test]
fn a_file_that_was_moved_away_is_opened_again_on_a_hang_up() {
    let origin = Origin::echo();
    let dir = TempDir::new();
    let path = dir.join("access.log");
    let config = Config::before(&origin).also(&format!("access_log: {{ to: {path:?} }}"));
    let gateway = Gateway::start(&config);
    let written = |file: &str, line: &str| {
        let file = dir.join(file);
        eventually(|| std::fs::read_to_string(&file).is_ok_and(|log| log.contains(line)))
    };
    assert_eq!(gateway.get("/before").status, 200);
    assert!(written("access.log", "/before"));
    std::fs::rename(&path, dir.join("access.log.1")).unwrap();
    gateway.signal("HUP");
    assert!(eventually(|| path.exists()), "a new file");
    assert_eq!(gateway.get("/after").status, 200);
    assert!(written("access.log", "/after"));
    assert!(written("access.log.1", "/before"));
}

#[test]
fn a_fixed_reply_to_head_sends_no_content_and_counts_none() {
    let gateway = Gateway::start(
        &"listeners:\n  web: { address: \"127.0.0.1:0\" }\n\
          routes:\n  fixed: { reply: { status: 200, body: hello } }\n",
    );
    let mut client = gateway.client();
    client.send("HEAD /head HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.try_reply("HEAD").unwrap().status, 200);
    assert_eq!(client.get("/get").text(), "hello");
    assert_eq!(gateway.logged_request("/head")["bytes_out"], 0);
    assert_eq!(gateway.logged_request("/get")["bytes_out"], 5);
}
