//! Under a service manager that speaks as systemd does: the test is the manager.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use portcullis_testkit::{
    Client, Config, Gateway, Load, Origin, PATIENCE, Starting, WebSocket, eventually, signal,
};

/// Starts the gateway with its standard input as the first passed socket, as a manager would: the
/// number of the process is known only once it runs.
const PASSING: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";

/// The manager's side.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Starts a gateway that it hears.
    fn start(starting: Starting) -> (Manager, Gateway) {
        let path = starting.dir().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        (Manager { socket }, starting.variable("NOTIFY_SOCKET", path).start())
    }

    /// The next message.
    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("a message");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message with this line; those before are passed over.
    fn hears_of(&self, line: &str) -> String {
        loop {
            let message = self.hears();
            if message.lines().any(|found| found == line || found.starts_with(line)) {
                return message;
            }
        }
    }

    /// Forgets what waits.
    fn forget(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let mut message = [0; 4096];
        while self.socket.recv(&mut message).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }
}

fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
    })
}

fn starting(origin: &Origin, more: &str) -> Starting {
    Starting::new(&Config::before(origin).also(more)).replaceable()
}

#[test]
fn it_is_told_of_start_reload_and_end() {
    let origin = Origin::echo();
    let (manager, gateway) = Manager::start(starting(&origin, ""));
    assert!(manager.hears().starts_with("READY=1\nSTATUS=serving"));
    assert_eq!(gateway.get("/").status, 200);

    gateway.write_config(&Config::before(&origin).route("rewrite: { path: /other }"));
    gateway.signal("HUP");
    let reloading = manager.hears_of("RELOADING=1");
    let micros = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!(micros.parse::<f64>().unwrap() / 1e6 <= uptime + 1.0);
    manager.hears_of("READY=1");

    gateway.write_config(&"listeners: {}\n");
    gateway.signal("HUP");
    manager.hears_of("RELOADING=1");
    assert!(manager.hears_of("READY=1").contains("refused"), "it serves all the same");

    gateway.signal("TERM");
    manager.hears_of("STOPPING=1");
    assert_eq!(gateway.exited().code, Some(0));
}

#[test]
fn an_upgrade_hands_over_its_place() {
    let origin = Origin::echo();
    let (manager, gateway) = Manager::start(starting(&origin, ""));
    manager.hears_of("READY=1");
    let mut last = gateway.pid();
    for _ in 0..3 {
        let next = gateway.upgrade();
        // Only the main process is listened to: so the old one speaks before the new one does.
        let message = manager.hears_of("MAINPID=");
        assert!(message.starts_with(&format!("MAINPID={next}\n")), "{message}");
        manager.hears_of("READY=1");
        last = next;
    }
    assert!(eventually(|| gateway.stopped() == 3));
    signal(last, "TERM");
    // Those that gave way said nothing of an end.
    assert!(manager.hears().starts_with("STOPPING=1"));
}

#[test]
fn a_failed_upgrade_changes_nothing() {
    let origin = Origin::echo();
    let (manager, gateway) = Manager::start(starting(&origin, ""));
    manager.hears_of("READY=1");
    gateway.replace_program("#!/bin/sh\nexit 1\n");
    let _ = gateway.failed_upgrade();
    manager.hears_of("STATUS=serving; the last upgrade failed");
    gateway.signal("TERM");
    manager.hears_of("STOPPING=1");
}

#[test]
fn its_watchdog_is_kept_quiet_by_whoever_serves() {
    let origin = Origin::echo();
    let starting = starting(&origin, "workers: 2").variable("WATCHDOG_USEC", "200000");
    let (manager, gateway) = Manager::start(starting);
    let begun = Instant::now();
    manager.forget();
    for _ in 0..5 {
        manager.hears_of("WATCHDOG=1");
    }
    // After half of the time each, as far as answers of workers take equally long.
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    let next = gateway.upgrade();
    assert!(eventually(|| gateway.stopped() == 1));
    manager.forget();
    for _ in 0..3 {
        manager.hears_of("WATCHDOG=1");
    }
    // A process that does nothing any more says nothing either.
    signal(next, "STOP");
    assert!(eventually(|| is_stopped(next)));
    manager.forget();
    manager.socket.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    assert!(manager.socket.recv(&mut [0; 100]).is_err());
    signal(next, "CONT");
}

#[test]
fn a_watchdog_of_another_process_is_left_alone() {
    let origin = Origin::echo();
    let starting =
        starting(&origin, "").variable("WATCHDOG_USEC", "100000").variable("WATCHDOG_PID", "1");
    let (manager, _gateway) = Manager::start(starting);
    manager.hears_of("READY=1");
    manager.socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    assert!(manager.socket.recv(&mut [0; 100]).is_err());
}

#[test]
fn a_drain_keeps_the_watchdog_quiet() {
    let origin = Origin::with(|served| {
        served.request();
        served.wait_for_end();
    });
    let starting =
        starting(&origin, "shutdown: { deadline: 700ms }").variable("WATCHDOG_USEC", "200000");
    let (manager, gateway) = Manager::start(starting);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let _ = origin.first_request();
    gateway.signal("TERM");
    manager.hears_of("STOPPING=1");
    for _ in 0..4 {
        manager.hears_of("WATCHDOG=1");
    }
    assert_eq!(gateway.exited().code, Some(0));
}

/// A gateway that gets a socket passed.
fn passed(config: &str, socket: OwnedFd, name: &str) -> Gateway {
    Starting::new(&config)
        .replaceable()
        .through(["sh", "-c", PASSING])
        .variable("LISTEN_FDNAMES", name)
        .stdin(socket)
        .start()
}

#[test]
fn a_passed_socket_is_used_for_the_listener_with_its_address() {
    let origin = Origin::echo();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config =
        Config::before(&origin).address(&address.to_string()).also("workers: 3").to_string();
    let gateway = passed(&config, socket.try_clone().unwrap().into(), "unknown");
    assert_eq!(gateway.address(), address);
    let load = Load::start_anew(address, "/", 4);
    load.wait_for_more(40);
    let mut last = 0;
    for _ in 0..3 {
        last = gateway.upgrade();
        load.wait_for_more(40);
    }
    let report = load.stop();
    assert!(report.failed.is_empty() && report.refused == 0, "{report:#?}");
    assert!(eventually(|| gateway.stopped() == 3));
    // The socket stays with the manager, and whoever comes now waits for the next gateway.
    signal(last, "TERM");
    assert!(eventually(|| gateway.stopped() == 4));
    let mut waiting = Client::connect(address);
    waiting.send("GET /waiting HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let next = passed(&config, socket.into(), "unknown");
    assert_eq!(waiting.reply().status, 200);
    next.stop();
}

#[test]
fn a_passed_socket_loses_no_web_socket_over_http2() {
    let origin = Origin::web_sockets();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config =
        Config::before(&origin).address(&address.to_string()).also("workers: 2").to_string();
    let gateway = passed(&config, socket.into(), "unknown");
    let load = Load::web_sockets(address, 2, 4);
    let mut staying = WebSocket::open(address);
    for _ in 0..3 {
        load.wait_for_more(20);
        gateway.upgrade();
        staying.echoes();
    }
    load.wait_for_more(20);
    let report = load.stop();
    assert!(report.failed.is_empty() && report.refused == 0, "{report:#?}");
    assert!(eventually(|| gateway.stopped() == 2), "all but the first and the last have ended");
    staying.end();
    assert!(eventually(|| gateway.stopped() == 3));
}

#[test]
fn a_passed_socket_is_used_for_the_listener_with_its_name() {
    let origin = Origin::echo();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config = Config::before(&origin).to_string();
    let gateway = passed(&config, socket.into(), "web");
    assert_eq!(gateway.address(), address);
    assert_eq!(gateway.get("/").status, 200);
    gateway.stop();
}

#[test]
fn a_passed_unix_socket_is_used_and_its_path_is_left() {
    let origin = Origin::echo();
    let dir = portcullis_testkit::TempDir::new();
    let path = dir.join("passed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let config = Config::before(&origin)
        .address(&format!("unix:{}", path.display()))
        .also("workers: 2")
        .to_string();
    let gateway = passed(&config, socket.into(), "unknown");
    for _ in 0..4 {
        let mut client = Client::unix(&path);
        assert_eq!(client.get("/").status, 200);
    }
    gateway.stop();
    assert!(path.exists());
}

#[test]
fn a_passed_socket_that_nobody_wants_is_told_of() {
    let origin = Origin::echo();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = passed(&Config::before(&origin).to_string(), socket.into(), "other");
    gateway.wait_for_log("no listener uses this passed socket");
    assert_eq!(gateway.get("/").status, 200);
    gateway.stop();
}

#[test]
fn the_admin_listener_may_be_passed_too() {
    let origin = Origin::echo();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config = Config::before(&origin).also(&format!("admin: {{ address: \"{address}\" }}"));
    let gateway = passed(&config.to_string(), socket.into(), "unknown");
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    gateway.upgrade();
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
}

#[test]
fn systemd_itself_passes_sockets() {
    let program = "/usr/bin/systemd-socket-activate";
    if !std::path::Path::new(program).exists() {
        return;
    }
    let origin = Origin::echo();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let starting = Starting::new(&Config::before(&origin).also("workers: 2"));
    let path = starting.dir().join("web.sock");
    let gateway = starting
        .replaceable()
        .through([program, "-l", &format!("127.0.0.1:{port}"), "-l", path.to_str().unwrap()])
        .spawn();
    // The first client starts the gateway.
    let address = ([127, 0, 0, 1], port).into();
    assert!(eventually(|| Client::try_connect(address).is_ok()));
    gateway.wait_for_log("no listener uses this passed socket");
    gateway.wait_for_log(" ready");
}
