//! The end of a process: what is under way is finished, nothing new is begun.

use portcullis_testkit::{Client, Config, Gate, Gateway, Load, Origin, WebSocket, eventually};

#[test]
fn a_termination_under_load_fails_no_request() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("workers: 2"));
    let load = Load::start(gateway.address(), "/", 8);
    load.wait_for_more(200);
    gateway.signal("TERM");
    let report = load.finished();
    let exited = gateway.exited();
    assert_eq!(exited.code, Some(0), "{}", exited.log);
    assert!(report.failed.is_empty(), "{:#?} of {}", report.failed, report.answered);
    assert_eq!(
        report.refused, 8,
        "every client was told to go, and found nobody when it came back"
    );
}

#[test]
fn a_request_under_way_is_finished_and_its_connection_closed() {
    let finish = Gate::new();
    let origin = Origin::with({
        let finish = finish.clone();
        move |served| {
            while served.request().is_some() {
                finish.pass();
                served.reply("finished");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let address = gateway.address();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    assert!(eventually(|| Client::try_connect(address).is_err()), "nobody is let in any more");
    finish.open();
    let reply = client.reply();
    assert_eq!(reply.text(), "finished");
    assert!(reply.closes() && client.is_closed());
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let origin = Origin::with(|served| {
        served.request();
        served.wait_for_end();
    });
    let config = Config::before(&origin).also("shutdown: { deadline: 500ms }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    // The client is told, and so is the log.
    let reply = client.reply();
    assert!(reply.status == 503 && reply.text().contains("\"shutdown\""), "{reply:?}");
    assert_eq!(gateway.logged_request("/")["error"], "shutdown");
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut idle: Vec<Client> = (0..20).map(|_| gateway.client()).collect();
    for client in idle.iter_mut().take(10) {
        assert_eq!(client.get("/").status, 200);
    }
    gateway.stop();
    assert!(idle.iter_mut().all(Client::is_closed));
}

#[test]
fn readiness_ends_before_the_process_does() {
    let finish = Gate::new();
    let origin = Origin::with({
        let finish = finish.clone();
        move |served| {
            while served.request().is_some() {
                finish.pass();
                served.reply("ok");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    assert!(eventually(|| gateway.admin("GET", "/readyz").status == 503));
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    finish.open();
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn an_interrupt_is_a_termination_too() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/").status, 200);
    gateway.signal("INT");
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn a_tunnel_is_cut_at_the_deadline() {
    let origin = Origin::with(|served| {
        if served.head().is_some() {
            served.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            );
            served.wait_for_end();
        }
    });
    let config = Config::before(&origin).also("shutdown: { deadline: 500ms }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let upgrade = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    assert_eq!(client.ask(upgrade).status, 101);
    gateway.stop();
    assert!(client.is_closed());
    assert!(eventually(|| origin.open_connections() == 0));
}

#[test]
fn a_termination_fails_no_web_socket_over_http2() {
    let origin = Origin::web_sockets();
    let config = Config::before(&origin).also("workers: 2\nshutdown: { deadline: 1h }");
    let gateway = Gateway::start(&config);
    let load = Load::web_sockets(gateway.address(), 4, 4);
    let mut staying = WebSocket::open(gateway.address());
    load.wait_for_more(40);
    gateway.signal("TERM");
    let report = load.finished();
    assert!(report.failed.is_empty(), "{:#?} of {}", report.failed, report.answered);
    assert_eq!(report.refused, 4, "every client was told to go, and found nobody");
    staying.echoes();
    staying.end();
    let exited = gateway.exited();
    assert_eq!(exited.code, Some(0), "{}", exited.log);
}

#[test]
fn a_web_socket_over_http2_lives_until_the_deadline() {
    let origin = Origin::web_sockets();
    let config = Config::before(&origin).also("shutdown: { deadline: 2s }");
    let gateway = Gateway::start(&config);
    let mut web_socket = WebSocket::open(gateway.address());
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    web_socket.echoes();
    web_socket.is_cut();
    assert_eq!(gateway.logged_request("/socket")["error"], "shutdown");
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn an_upload_under_way_is_finished() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let address = gateway.address();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nhello");
    assert!(eventually(|| origin.bytes().ends_with(b"hello")));
    gateway.signal("TERM");
    assert!(eventually(|| Client::try_connect(address).is_err()));
    client.send("world");
    let reply = client.reply();
    assert!(reply.text().ends_with("helloworld") && reply.closes());
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn a_second_signal_ends_the_wait() {
    let origin = Origin::with(|served| {
        served.request();
        served.wait_for_end();
    });
    let config = Config::before(&origin).also("shutdown: { deadline: 1h }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    gateway.signal("TERM");
    let _ = gateway.exited();
    assert!(client.try_reply("GET").is_err());
}

#[test]
fn one_may_look_at_a_drain() {
    let finish = Gate::new();
    let origin = Origin::with({
        let finish = finish.clone();
        move |served| {
            while served.request().is_some() {
                finish.pass();
                served.reply("ok");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    for _ in 0..3 {
        assert_eq!(gateway.metric("portcullis_connections_open", ""), 1.0);
    }
    assert!(gateway.reload().status >= 400, "nothing new comes into force any more");
    finish.open();
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(gateway.exited().code, Some(0));
}
