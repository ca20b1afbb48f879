//! A new configuration in the place of the old, without a request noticing.

use std::io::Write;
use std::thread;
use std::time::Duration;

use portcullis_testkit::{
    Client, Config, Gate, Gateway, Load, LoadReport, Origin, eventually, run_command,
};

/// One more route than before, which answers with its number.
fn numbered(origin: &Origin, number: usize) -> String {
    let config = Config::before(origin).also("workers: 2").to_string();
    let route = format!(
        "routes:\n  number: {{ match: {{ path: \"/number\" }}, reply: {{ status: 200, body: \"{number}\" }} }}"
    );
    config.replace("routes:", &route)
}

fn number(gateway: &Gateway) -> String {
    gateway.get("/number").text()
}

/// Twenty reloads, made by `reload`, under load.
fn under_load(reload: impl Fn(&Gateway)) -> LoadReport {
    let origin = Origin::echo();
    let gateway = Gateway::start(&numbered(&origin, 0));
    let load = Load::start(gateway.address(), "/", 6);
    load.wait_for_more(50);
    for i in 1..=20 {
        gateway.write_config(&numbered(&origin, i));
        reload(&gateway);
        assert!(eventually(|| number(&gateway) == i.to_string()), "{}", number(&gateway));
        load.wait_for_more(20);
    }
    let report = load.stop();
    gateway.stop();
    report
}

fn assert_unnoticed(report: &LoadReport) {
    assert!(report.failed.is_empty(), "{:#?} of {}", report.failed, report.answered);
    assert_eq!(report.refused, 0);
}

#[test]
fn a_hang_up_under_load_fails_no_request() {
    assert_unnoticed(&under_load(|gateway| gateway.signal("HUP")));
}

#[test]
fn a_changed_file_under_load_fails_no_request() {
    assert_unnoticed(&under_load(|_| {}));
}

#[test]
fn the_command_under_load_fails_no_request() {
    assert_unnoticed(&under_load(|gateway| {
        let admin = gateway.admin_address().to_string();
        let output = run_command(&["reload", "--admin", &admin], gateway.dir().path());
        assert!(output.status.success(), "{output:?}");
    }));
}

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_serves() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let reloads = |outcome: &str| gateway.metric("portcullis_config_reloads_total", outcome);
    assert_eq!((reloads("applied"), reloads("refused")), (0.0, 0.0));
    let bad = Config::before(&origin).to_string().replace("endpoints:", "endpoint:");
    gateway.write_config(&bad);

    let reply = gateway.reload();
    assert_eq!(reply.status, 422);
    let report = reply.text();
    assert!(report.contains("gateway.yaml:4:") && report.contains("endpoints"), "{report}");
    let admin = gateway.admin_address().to_string();
    let output = run_command(&["reload", "--admin", &admin], gateway.dir().path());
    assert_eq!(output.status.code(), Some(1));
    let told = [output.stdout, output.stderr].concat();
    assert!(
        String::from_utf8_lossy(&told).contains("endpoints"),
        "the command tells what is wrong"
    );
    gateway.signal("HUP");

    gateway.wait_for_log("refused");
    assert!(eventually(|| reloads("refused") >= 3.0));
    assert_eq!(gateway.metric("portcullis_config_last_reload_successful", ""), 0.0);
    assert_eq!(gateway.get("/").status, 200);

    gateway.write_config(&Config::before(&origin).route("match: { path: \"/new\" }"));
    assert_eq!(gateway.reload().status, 200);
    assert!(reloads("applied") >= 1.0);
    assert_eq!(gateway.metric("portcullis_config_last_reload_successful", ""), 1.0);
    assert_eq!((gateway.get("/").status, gateway.get("/new").status), (404, 200));
}

#[test]
fn an_address_that_is_taken_refuses_the_whole_configuration() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let second = format!("  second: {{ address: \"{}\" }}\nservices:", taken.local_addr().unwrap());
    let config = Config::before(&origin).route("match: { path: \"/new\" }").to_string();
    gateway.write_config(&config.replace("services:", &second));
    let reply = gateway.reload();
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(reply.text().contains("second"), "{}", reply.text());
    assert_eq!((gateway.get("/").status, gateway.get("/new").status), (200, 200));
}

#[test]
fn a_listener_comes_and_goes() {
    let origin = Origin::echo();
    let plain = Config::before(&origin).to_string();
    let gateway = Gateway::start(&plain);
    let mut old = gateway.client();
    assert_eq!(old.get("/").status, 200);

    gateway.write_config(
        &plain.replace("services:", "  second: { address: \"127.0.0.1:0\" }\nservices:"),
    );
    assert_eq!(gateway.reload().status, 200);
    let second = gateway.address_of("second");
    let mut client = Client::connect(second);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(old.get("/").status, 200, "the first listener's connections go on");

    gateway.write_config(&plain);
    assert_eq!(gateway.reload().status, 200);
    assert!(eventually(|| Client::try_connect(second).is_err()), "the listener is gone");
    // A connection that came through it is served once more at most, and told to go.
    if client.try_send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").is_ok()
        && let Ok(reply) = client.try_reply("GET")
    {
        assert!(reply.status == 200 && reply.closes(), "{reply:?}");
    }
    assert!(client.is_closed());
    assert_eq!(old.get("/").status, 200);
    assert_eq!(gateway.get("/").status, 200, "the port of the first listener is still the same");
}

#[test]
fn a_service_moves_without_a_failed_request() {
    let (old, new) = (
        Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"),
        Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"),
    );
    let gateway = Gateway::start(&Config::before(&old).also("workers: 2"));
    let load = Load::start(gateway.address(), "/", 4);
    load.wait_for_more(50);
    gateway.write_config(&Config::before(&new).also("workers: 2"));
    assert_eq!(gateway.reload().status, 200);
    load.wait_for_more(50);
    assert_eq!(gateway.get("/").text(), "new");
    assert_unnoticed(&load.stop());
    assert!(eventually(|| old.open_connections() == 0), "idle connections to it are closed");
}

#[test]
fn a_request_keeps_the_configuration_it_began_with() {
    let reloaded = Gate::new();
    let origin = Origin::with({
        let reloaded = reloaded.clone();
        move |served| {
            while served.request().is_some() {
                reloaded.pass();
                served.reply("still here");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET /kept HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.write_config(&Config::before(&origin).route("match: { path: \"/other\" }"));
    assert_eq!(gateway.reload().status, 200);
    reloaded.open();
    assert_eq!(client.reply().text(), "still here");
    assert_eq!(gateway.logged_request("/kept")["route"], "all");
    assert_eq!(client.get("/kept").status, 404);
}

#[test]
fn counters_survive_a_reload() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&numbered(&origin, 0));
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 200);
    }
    gateway.write_config(&numbered(&origin, 1));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 200);
    let counted = || gateway.metric("portcullis_requests_total", "route=\"all\"");
    assert!(eventually(|| counted() == 6.0), "{}", counted());
}

#[test]
fn a_connection_pool_survives_a_reload_that_does_not_concern_it() {
    let origin = Origin::echo();
    let config = |i| numbered(&origin, i).replace("workers: 2", "workers: 1");
    let gateway = Gateway::start(&config(0));
    for i in 1..5 {
        assert_eq!(gateway.get("/").status, 200);
        gateway.write_config(&config(i));
        assert_eq!(gateway.reload().status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn streams_and_tunnels_go_on_through_a_reload() {
    let origin = Origin::with(|served| {
        let Some(request) = served.head() else { return };
        if request.fields.has("upgrade") {
            served.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            );
        } else {
            served.send("HTTP/1.1 200 OK\r\n\r\n");
        }
        loop {
            let bytes = served.some();
            if bytes.is_empty() || !served.send(bytes) {
                return;
            }
        }
    });
    let gateway = Gateway::before(&origin);
    let mut tunnel = gateway.client();
    let upgrade = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    assert_eq!(tunnel.ask(upgrade).status, 101);
    let mut stream = gateway.client();
    stream.send("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(stream.reader().reply_head("POST").unwrap().status, 200);
    for i in 0..3 {
        gateway.write_config(&Config::before(&origin).route(&format!("priority: {i}")));
        assert_eq!(gateway.reload().status, 200);
        tunnel.send("ping");
        assert_eq!(tunnel.exactly(4).unwrap(), b"ping");
        stream.send("4\r\nping\r\n");
        assert!(stream.reader().chunk().unwrap().is_some());
    }
    // Nor does it matter that no route leads there any more.
    gateway.write_config(&Config::before(&origin).route("match: { path: \"/other\" }"));
    assert_eq!(gateway.reload().status, 200);
    tunnel.send("ping");
    assert_eq!(tunnel.exactly(4).unwrap(), b"ping");
}

#[test]
fn new_limits_hold_for_the_next_request_of_an_open_connection() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let path = format!("/{}", "x".repeat(200));
    assert_eq!(client.get(&path).status, 200);
    gateway.write_config(&Config::before(&origin).listener("limits: { uri: 100B }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get(&path).status, 414);
    assert_eq!(client.get("/").status, 200, "the connection goes on");
    assert_eq!(client.get(&path).status, 414);
}

#[test]
fn a_listener_moves_to_another_address() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).address("127.0.0.1:0"));
    let old = gateway.address();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    gateway.write_config(&Config::before(&origin).address(&free.to_string()));
    assert_eq!(gateway.reload().status, 200);
    assert!(eventually(|| Client::try_connect(free).is_ok_and(|mut c| c.get("/").status == 200)));
    assert!(eventually(|| Client::try_connect(old).is_err()));
}

#[test]
fn a_file_that_is_written_piece_by_piece_is_read_once_and_whole() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&numbered(&origin, 0));
    let reloads = || gateway.metric("portcullis_config_reloads_total", "");
    // On a busy machine the pauses may become longer than the gateway waits for more; a few tries
    // are enough for one in which they are not.
    let read_once = (1..=8).any(|round| {
        let before = reloads();
        let text = numbered(&origin, round) + "admin: { address: \"127.0.0.1:0\" }\n";
        let mut file = std::fs::File::create(gateway.config_path()).unwrap();
        for piece in text.as_bytes().chunks(text.len() / 25) {
            file.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(8));
        }
        drop(file);
        assert!(eventually(|| number(&gateway) == round.to_string()));
        assert!(eventually(|| reloads() > before));
        reloads() == before + 1.0
    });
    assert!(read_once, "{}", gateway.log());
}
