//! A new binary takes over on the same sockets, and nobody notices.

mod failures;
mod health;
mod sockets;
mod web_sockets;

use std::path::Path;

use portcullis_testkit::{
    Client, Config, Gate, Gateway, Load, Origin, Starting, eventually, run_command, signal,
};

const TUNNEL: &str =
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

/// In front of an origin that answers at once.
fn started(more: &str) -> (Gateway, Origin) {
    let origin = Origin::echo();
    let gateway = Starting::new(&Config::before(&origin).also(more)).replaceable().start();
    (gateway, origin)
}

/// Nothing failed, and nobody was turned away.
fn assert_whole(load: Load) {
    let report = load.stop();
    assert!(report.failed.is_empty(), "{:#?} of {}", report.failed, report.answered);
    assert_eq!(report.refused, 0, "of {}", report.answered);
}

/// An origin that switches protocols and sends back what it gets.
fn tunnel_origin() -> Origin {
    Origin::with(|served| {
        if served.head().is_none() {
            return;
        }
        served
            .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        loop {
            let bytes = served.some();
            if bytes.is_empty() || !served.send(bytes) {
                return;
            }
        }
    })
}

#[test]
fn ten_upgrades_in_a_row_fail_no_request() {
    let (gateway, _origin) = started("workers: 2");
    let kept = Load::start(gateway.address(), "/", 4);
    let anew = Load::start_anew(gateway.address(), "/", 4);
    let mut last = gateway.pid();
    for _ in 0..10 {
        kept.wait_for_more(40);
        anew.wait_for_more(40);
        let pid = gateway.upgrade();
        assert_ne!(pid, last);
        last = pid;
    }
    kept.wait_for_more(40);
    assert_whole(kept);
    assert_whole(anew);
    assert!(eventually(|| gateway.stopped() == 10), "the old ones end");
    signal(last, "TERM");
    assert!(eventually(|| gateway.stopped() == 11));
}

#[test]
fn ten_upgrades_in_a_row_fail_no_request_over_http2() {
    let (gateway, _origin) = started("workers: 2");
    let load = Load::http2(gateway.address(), "/", 4, 8);
    for _ in 0..10 {
        load.wait_for_more(200);
        gateway.upgrade();
    }
    load.wait_for_more(200);
    assert_whole(load);
    assert!(eventually(|| gateway.stopped() == 10), "the old ones end");
}

#[test]
fn a_chain_of_twenty_leaves_one_process_with_the_same_sockets() {
    let (gateway, _origin) = started("workers: 3");
    let descriptors = |pid| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let mut last = 0;
    for _ in 0..20 {
        last = gateway.upgrade();
    }
    assert!(eventually(|| gateway.stopped() == 20));
    let many = descriptors(last);
    assert!(many < 60, "{many} open files");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_download_and_a_tunnel_live_on_in_the_old_process() {
    let finish = Gate::new();
    let download = Origin::with({
        let finish = finish.clone();
        move |served| {
            served.request();
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
            finish.pass();
            served.send("half");
        }
    });
    let tunnels = tunnel_origin();
    let origin = Origin::echo();
    let config = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
         services:\n  d: {{ endpoints: [{:?}] }}\n  t: {{ endpoints: [{:?}] }}\n  e: {{ endpoints: [{:?}] }}\n\
         routes:\n  d: {{ match: {{ path: /d }}, service: d }}\n  t: {{ match: {{ path: / }}, service: t }}\n  \
         e: {{ match: {{ path: /e }}, service: e }}\n",
        download.address(),
        tunnels.address(),
        origin.address()
    );
    let gateway = Starting::new(&config).replaceable().start();
    let mut tunnel = gateway.client();
    assert_eq!(tunnel.ask(TUNNEL).status, 101);
    let mut client = gateway.client();
    client.send("GET /d HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = download.first_request();
    for round in 0..3 {
        gateway.upgrade();
        tunnel.send(format!("round {round}"));
        assert_eq!(tunnel.exactly(7).unwrap(), format!("round {round}").as_bytes());
        assert_eq!(gateway.get("/e").status, 200);
    }
    finish.open();
    let reply = client.reply();
    assert_eq!(reply.text(), "halfhalf");
    assert!(client.is_closed(), "its process is on its way out");
    assert!(eventually(|| gateway.stopped() == 2), "all but the first and the last have ended");
    tunnel.end();
    assert!(tunnel.is_closed());
    assert!(eventually(|| gateway.stopped() == 3));
}

#[test]
fn a_stream_of_http2_lives_on_in_the_old_process() {
    let finish = Gate::new();
    let origin = Origin::with({
        let finish = finish.clone();
        move |served| {
            served.request();
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
            finish.pass();
            served.send("half");
        }
    });
    let gateway = Starting::new(&Config::before(&origin)).replaceable().start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get("http://a.example/").body(()).unwrap();
        let (reply, _) = sender.send_request(request, true).unwrap();
        let mut content = reply.await.unwrap().into_body();
        assert_eq!(content.data().await.unwrap().unwrap(), "half");
        let upgrading = tokio::task::spawn_blocking(move || {
            gateway.upgrade();
            gateway
        });
        let gateway = upgrading.await.unwrap();
        assert_eq!(gateway.stopped(), 0);
        finish.open();
        assert_eq!(content.data().await.unwrap().unwrap(), "half");
        assert!(content.data().await.is_none());
        // The connection ends in order, as soon as nothing is under way on it.
        drop((sender, content));
        connection.await.unwrap().unwrap();
        assert!(eventually(|| gateway.stopped() == 1));
    });
}

#[test]
fn only_a_new_process_that_fails_is_an_error() {
    let origin = tunnel_origin();
    let gateway = Starting::new(&Config::before(&origin)).replaceable().start();
    let mut tunnel = gateway.client();
    assert_eq!(tunnel.ask(TUNNEL).status, 101);
    gateway.upgrade();
    let mut second = gateway.client();
    assert_eq!(second.ask(TUNNEL).status, 101);
    let last = gateway.upgrade();
    // The one in between ends because it gave way, and the first one, its parent, still lives.
    second.end();
    gateway.wait_for_log("the process that took over has ended as it should");
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
    tunnel.end();
    assert!(eventually(|| gateway.stopped() == 2));

    let mut tunnel = gateway.client();
    assert_eq!(tunnel.ask(TUNNEL).status, 101);
    let next = gateway.upgrade();
    assert_ne!(next, last);
    signal(next, "KILL");
    let told = gateway.wait_for_log("the process that took over has failed");
    assert!(told.contains("ERROR"), "{told}");
}

#[test]
fn the_old_process_is_cut_off_at_its_own_deadline() {
    let origin = tunnel_origin();
    let config =
        Config::before(&origin).also("shutdown: { deadline: 1h }\nupgrade: { deadline: 300ms }");
    let gateway = Starting::new(&config).replaceable().start();
    let mut tunnel = gateway.client();
    assert_eq!(tunnel.ask(TUNNEL).status, 101);
    gateway.upgrade();
    assert!(tunnel.is_closed());
    assert!(eventually(|| gateway.stopped() == 1));
}

#[test]
fn a_termination_shortens_the_wait_of_the_old_process() {
    let origin = tunnel_origin();
    let config =
        Config::before(&origin).also("shutdown: { deadline: 300ms }\nupgrade: { deadline: 1h }");
    let gateway = Starting::new(&config).replaceable().start();
    let mut tunnel = gateway.client();
    assert_eq!(tunnel.ask(TUNNEL).status, 101);
    gateway.upgrade();
    gateway.signal("TERM");
    assert!(tunnel.is_closed());
    assert_eq!(gateway.client().ask(TUNNEL).status, 101, "the new one goes on");
}

#[test]
fn a_signal_upgrades_too() {
    let (gateway, _origin) = started("");
    gateway.signal("USR2");
    gateway.wait_for_log("another process serves from now on");
    assert_eq!(gateway.get("/").status, 200);
    assert!(eventually(|| gateway.stopped() == 1));
}

#[test]
fn the_command_waits_and_tells() {
    let (gateway, _origin) = started("");
    let admin = gateway.admin_address().to_string();
    let upgrade = || run_command(&["upgrade", "--admin", &admin], Path::new("."));
    let output = upgrade();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["version"], env!("CARGO_PKG_VERSION"));
    gateway.replace_program("#!/bin/sh\nexit 7\n");
    let output = upgrade();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("exit status: 7") && told.contains("not upgraded"), "{told}");
}

#[test]
fn the_configuration_is_read_anew() {
    let (gateway, origin) = started("");
    gateway.write_config(&Config::before(&origin).route("rewrite: { path: /other }"));
    gateway.upgrade();
    // For a moment both accept.
    assert!(eventually(|| gateway.get("/x").text().starts_with("GET /other ")));
}

#[test]
fn the_admin_listener_shows_the_new_process() {
    let (gateway, _origin) = started("");
    let mut scraper = Client::connect(gateway.admin_address());
    let scrape = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(scraper.ask(scrape).status, 200);
    for _ in 0..50 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(gateway.metric("portcullis_requests_total", "") >= 50.0);
    gateway.upgrade();
    assert!(scraper.is_closed(), "whoever scrapes comes back to the new one");
    for _ in 0..5 {
        assert_eq!(gateway.admin("GET", "/readyz").status, 200);
        assert!(gateway.metric("portcullis_requests_total", "") < 50.0);
    }
}

#[test]
fn the_file_with_the_process_number_follows() {
    let origin = Origin::echo();
    let starting = Starting::new(&Config::before(&origin)).replaceable();
    let path = starting.dir().join("pid");
    let gateway = starting.argument("--pid-file").argument(&path).start();
    let written = || std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written(), format!("{}\n", gateway.pid()));
    let next = gateway.upgrade();
    assert_eq!(written(), format!("{next}\n"));
    assert!(eventually(|| gateway.stopped() == 1));
    assert_eq!(written(), format!("{next}\n"), "the old one leaves it alone");
    signal(next, "TERM");
    assert!(eventually(|| !path.exists()));
}

#[test]
fn a_second_upgrade_and_a_reload_wait_for_the_outcome_of_the_first() {
    let (gateway, origin) = started("upgrade: { timeout: 1s }");
    gateway.replace_program("#!/bin/sh\nexec sleep 1000\n");
    gateway.signal("USR2");
    gateway.wait_for_log("a new process starts");
    assert!(gateway.failed_upgrade().contains("under way"));
    assert!(gateway.reload().text().contains("under way"));
    // What is asked for meanwhile is done afterwards.
    gateway.write_config(&Config::before(&origin).route("rewrite: { path: /other }"));
    gateway.signal("HUP");
    assert!(eventually(|| gateway.get("/x").text().starts_with("GET /other ")));
    gateway.wait_for_log("it was not ready within 1s");
}

#[test]
fn a_termination_during_an_upgrade_ends_both() {
    let (gateway, _origin) = started("upgrade: { timeout: 1h }");
    gateway.replace_program("#!/bin/sh\necho $$ > \"$(dirname \"$0\")/new\"\nexec sleep 1000\n");
    let new = gateway.dir().join("new");
    gateway.signal("USR2");
    assert!(eventually(|| std::fs::read_to_string(&new).is_ok_and(|pid| pid.ends_with('\n'))));
    let new: u32 = std::fs::read_to_string(new).unwrap().trim().parse().unwrap();
    gateway.signal("TERM");
    let exited = gateway.exited();
    assert_eq!(exited.code, Some(0), "{}", exited.log);
    assert!(eventually(|| !Path::new(&format!("/proc/{new}")).exists()));
}

#[test]
fn a_rotated_log_is_opened_anew_on_a_signal() {
    let origin = Origin::echo();
    let starting = Starting::new(&Config::before(&origin)).replaceable();
    let (log, old) = (starting.dir().join("access.log"), starting.dir().join("old.log"));
    let text = Config::before(&origin).also(&format!("access_log: {{ to: {log:?} }}"));
    starting.dir().write("gateway.yaml", format!("{text}workers: 1\nadmin: off\n"));
    let gateway = starting.start();
    assert_eq!(gateway.get("/before").status, 200);
    let holds = |path: &Path, text| std::fs::read_to_string(path).is_ok_and(|s| s.contains(text));
    assert!(eventually(|| holds(&log, "/before")));
    std::fs::rename(&log, &old).unwrap();
    gateway.signal("USR1");
    assert!(eventually(|| log.exists()), "at once, without a line");
    assert_eq!(gateway.get("/after").status, 200);
    assert!(eventually(|| holds(&log, "/after")));
    assert!(!holds(&old, "/after"));
    gateway.stop();
}

#[test]
fn a_drain_may_wait_until_load_balancers_know() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("shutdown: { delay: 1s }"));
    let load = Load::start_anew(gateway.address(), "/", 2);
    load.wait_for_more(20);
    gateway.signal("TERM");
    assert!(eventually(|| gateway.admin("GET", "/readyz").status == 503));
    let mut client = gateway.client();
    let reply = client.get("/");
    assert!(reply.status == 200 && !reply.closes(), "all goes on as before");
    load.wait_for_more(20);
    let report = load.finished();
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn a_second_signal_ends_the_delay() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("shutdown: { delay: 1h }"));
    gateway.signal("TERM");
    gateway.wait_for_log("about to drain");
    gateway.signal("TERM");
    assert_eq!(gateway.exited().code, Some(0));
}
