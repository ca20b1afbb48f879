//! gRPC between the libraries that most people use: grpc-go, grpc-js and tonic, each as a client
//! and as a server, in the clear and within TLS. `grpc_go` says what their programs do.

use std::path::Path;
use std::process::Command;
use std::thread;

use portcullis_testkit::{Authority, Gateway, TempDir, eventually};

use super::programs::{built, node_with, packages, script};
use portcullis_testkit::process::{Process, run};

#[derive(Debug, Clone, Copy)]
enum Library {
    Go,
    /// As a server it wants no connection for longer than a fifth of a second.
    FickleGo,
    Node,
    Tonic,
}

use Library::{FickleGo, Go, Node, Tonic};

const LIBRARIES: [Library; 3] = [Go, Node, Tonic];

impl Library {
    fn server(self, dir: &Path) -> Option<Command> {
        let mut command = self.program("grpc_server.mjs")?;
        if !matches!(self, Node) {
            command.arg("server");
        }
        command.arg(dir);
        if matches!(self, FickleGo) {
            command.arg("200ms");
        }
        Some(command)
    }

    fn client(self, base: &str, ca: &Path, scenario: &[&str]) -> Command {
        let mut command = self.program("grpc_client.mjs").expect("a library with a server");
        command.arg(base).arg(ca).args(scenario);
        command
    }

    fn program(self, name: &str) -> Option<Command> {
        Some(match self {
            Go | FickleGo => Command::new(built("grpc_go")?),
            Tonic => Command::new(built("grpc_tonic")?),
            Node => {
                let mut command = Command::new(node_with("@grpc/grpc-js")?);
                command.arg(script(name)).arg(packages());
                command
            }
        })
    }
}

/// A server with a plain and a TLS port. Fields are dropped in order.
struct Server {
    process: Process,
    plain: u16,
    secure: u16,
    _dir: TempDir,
}

impl Server {
    fn start(library: Library, authority: &Authority) -> Option<Server> {
        let dir = TempDir::new();
        authority.issue(&["localhost"]).write(&dir, "server");
        let process = Process::start(&library.server(dir.path())?, dir.path());
        let plain = process.number_behind("plain on port ");
        let secure = process.number_behind("secure on port ");
        Some(Server { process, plain, secure, _dir: dir })
    }
}

/// Servers behind a gateway.
struct Stand {
    gateway: Gateway,
    servers: Vec<Server>,
    dir: TempDir,
}

impl Stand {
    /// None where one of the libraries is missing.
    fn new(clients: &[Library], servers: &[Library]) -> Option<Stand> {
        let all_there = clients.iter().all(|client| client.program("").is_some());
        let (dir, authority) = (TempDir::new(), Authority::new());
        let ca = dir.write("ca.pem", authority.pem());
        let (cert, key) = authority.issue(&["localhost"]).write(&dir, "gateway");
        let servers = servers.iter().map(|library| Server::start(*library, &authority));
        let servers: Vec<Server> = servers.collect::<Option<_>>().filter(|_| all_there)?;
        let endpoints = |port: fn(&Server) -> u16| {
            let endpoints = servers.iter().map(|server| format!("127.0.0.1:{}", port(server)));
            endpoints.collect::<Vec<_>>()
        };
        let (plain, secure) = (endpoints(|server| server.plain), endpoints(|server| server.secure));
        let gateway = Gateway::start(&format!(
            r#"
listeners:
  web: {{ address: "127.0.0.1:0" }}
  secure:
    address: "127.0.0.1:0"
    tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}
services:
  plain: {{ endpoints: {plain:?}, protocol: http2 }}
  secure: {{ endpoints: {secure:?}, protocol: http2, tls: {{ ca: {ca:?}, server_name: localhost }} }}
  down: {{ endpoints: ["127.0.0.1:1"], protocol: http2 }}
routes:
  plain: {{ match: {{ listener: web, path: {{ prefix: /peers.Echo }} }}, service: plain }}
  secure: {{ match: {{ listener: secure, path: {{ prefix: /peers.Echo }} }}, service: secure }}
  down: {{ match: {{ path: {{ prefix: /peers.Down }} }}, service: down }}
"#
        ));
        Some(Stand { gateway, servers, dir })
    }

    /// Two names of the two ways to the servers, and where clients begin each.
    fn ways(&self) -> [(&'static str, String); 2] {
        let port = |listener| self.gateway.address_of(listener).port();
        let plain = format!("http://127.0.0.1:{}", port("web"));
        [("plain", plain), ("secure", format!("https://localhost:{}", port("secure")))]
    }

    /// Runs a client's scenario and gives what it wrote.
    fn run(&self, client: Library, base: &str, scenario: &[&str]) -> String {
        let command = client.client(base, &self.dir.join("ca.pem"), scenario);
        let arguments: Vec<_> = command.get_args().collect();
        run(Path::new(command.get_program()), &arguments, &[])
    }

    /// Starts a client's scenario.
    fn start(&self, client: Library, base: &str, scenario: &[&str]) -> Running {
        let dir = TempDir::new();
        let command = client.client(base, &self.dir.join("ca.pem"), scenario);
        Running { process: Process::start(&command, dir.path()), _dir: dir }
    }

    /// Starts a scenario that goes on until [`Stand::end`].
    fn start_long(&self, client: Library, base: &str, scenario: &str) -> Running {
        self.start(client, base, &[scenario, self.dir.join("stop").to_str().unwrap()])
    }

    /// Ends the long scenarios and looks at what became of them.
    fn end(&self, running: Vec<Running>) {
        self.dir.write("stop", "");
        for Running { process, _dir } in running {
            let output = process.ends_well();
            assert!(!output.contains("failed"), "{output}");
        }
    }
}

/// A client that runs.
struct Running {
    process: Process,
    _dir: TempDir,
}

impl Running {
    /// Waits until the last number behind `mark` has grown by this much.
    fn goes_on(&self, mark: &str, by: u64) {
        let count = || {
            let output = self.process.output();
            let digits = output.rsplit_once(mark).and_then(|(_, rest)| rest.split_once('.'));
            digits.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0_u64)
        };
        let before = count();
        assert!(eventually(|| count() >= before + by), "{}", self.process.output());
    }
}

/// Sends the client on its tour, plainly and within TLS.
fn tour(client: Library, server: Library) {
    let Some(stand) = Stand::new(&[client], &[server]) else { return };
    for (name, base) in stand.ways() {
        stand.run(client, &base, &["tour", name]);
        // The gateway tells the server that nobody waits any more.
        for ending in ["deadline", "cancel"] {
            stand.servers[0].process.writes(&format!("cancelled {name}-{ending}."));
        }
    }
    // Of 16 MiB that a client did not take only little was in the gateway.
    let resident = stand.gateway.resident();
    assert!(resident < 64 << 20, "{resident} bytes");
}

macro_rules! tours {
    ($($test:ident: $client:ident, $server:ident;)*) => {$(
        #[test]
        fn $test() {
            tour($client, $server);
        }
    )*};
}

tours! {
    go_to_go: Go, Go;
    go_to_node: Go, Node;
    go_to_tonic: Go, Tonic;
    node_to_go: Node, Go;
    node_to_node: Node, Node;
    node_to_tonic: Node, Tonic;
    tonic_to_go: Tonic, Go;
    tonic_to_node: Tonic, Node;
    tonic_to_tonic: Tonic, Tonic;
}

#[test]
fn failures_of_the_gateway_have_a_status_and_a_message() {
    let Some(stand) = Stand::new(&LIBRARIES, &[Go]) else { return };
    for client in LIBRARIES {
        for (_, base) in stand.ways() {
            for (path, code) in [("/peers.Down/Unary", "14 "), ("/peers.Other/Unary", "12 ")] {
                let shown = stand.run(client, &base, &["ask", path]);
                let message = shown.strip_prefix(code).unwrap_or_default();
                // A message of the gateway's, not one that the library makes of a plain failure.
                let is_ours = !message.is_empty() && !message.contains("HTTP");
                assert!(is_ours, "{client:?} {path}: {shown}");
            }
        }
    }
}

#[test]
fn a_server_that_dies_ends_the_call() {
    for client in LIBRARIES {
        let Some(stand) = Stand::new(&[client], &[Go]) else { return };
        let [plain, secure] = stand.ways().map(|(name, base)| {
            let call = stand.start(client, &base, &["wait", name]);
            call.process.writes("waiting.");
            call
        });
        stand.servers[0].process.signal("KILL");
        for call in [plain, secure] {
            let output = call.process.ends_well();
            let code = output.split_once("ended ").unwrap().1;
            assert!(["13.", "14."].contains(&code.trim()), "{client:?}: {output}");
        }
    }
}

#[test]
fn a_client_that_dies_ends_the_call() {
    for server in LIBRARIES {
        let Some(stand) = Stand::new(&[Go], &[server]) else { return };
        for (name, base) in stand.ways() {
            let call = stand.start(Go, &base, &["wait", name]);
            call.process.writes("waiting.");
            call.process.signal("KILL");
            stand.servers[0].process.writes(&format!("cancelled {name}."));
        }
    }
}

/// Neither many pings nor a long silence of both sides is a reason to end a call.
#[test]
fn clients_may_ping_and_be_silent() {
    let Some(stand) = Stand::new(&LIBRARIES, &[Go]) else { return };
    thread::scope(|scope| {
        for client in LIBRARIES {
            for (_, base) in stand.ways() {
                let stand = &stand;
                scope.spawn(move || stand.run(client, &base, &["ping"]));
            }
        }
    });
}

#[test]
fn no_call_fails_while_the_gateway_reloads() {
    let Some(stand) = Stand::new(&LIBRARIES, &[Go]) else { return };
    let mut running = Vec::new();
    for (client, (_, base)) in [Go, Node, Tonic, Go].into_iter().zip(stand.ways().iter().cycle()) {
        running.push((stand.start_long(client, base, "load"), "calls ", 100));
        running.push((stand.start_long(client, base, "chat"), "messages ", 10));
    }
    let config = std::fs::read_to_string(stand.gateway.config_path()).unwrap();
    for turn in 0..5 {
        for (client, mark, by) in &running {
            client.goes_on(mark, *by);
        }
        // Services and listeners change, so that no part is kept as it was.
        let timeouts = format!("http2, timeouts: {{ first_byte: {}s }} ", 30 + turn);
        let changed = config
            .replace("http2 ", &timeouts)
            .replace("http2, tls", &format!("http2, pool: {{ idle: {} }}, tls", 10 + turn));
        stand.gateway.write_config(&changed);
        assert_eq!(stand.gateway.reload().status, 200);
    }
    for (client, mark, by) in &running {
        client.goes_on(mark, *by);
    }
    stand.end(running.into_iter().map(|(client, ..)| client).collect());
}

#[test]
fn no_call_fails_when_a_server_stops_gracefully() {
    for server in LIBRARIES {
        let Some(mut stand) = Stand::new(&[Go, Tonic], &[server, Go]) else { return };
        let mut running = Vec::new();
        for (_, base) in stand.ways() {
            running.extend([Go, Tonic].map(|client| stand.start_long(client, &base, "load")));
        }
        running.iter().for_each(|client| client.goes_on("calls ", 200));
        stand.servers[0].process.signal("USR1");
        assert!(eventually(|| stand.servers[0].process.has_ended()), "{server:?} goes on");
        running.iter().for_each(|client| client.goes_on("calls ", 200));
        stand.end(running);
    }
}

/// Checks ask the library's own health service, in the clear and within TLS.
#[test]
fn a_server_that_says_that_it_does_not_serve_gets_no_calls() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = dir.write("ca.pem", authority.pem());
    let servers = [Go, Go].map(|library| Server::start(library, &authority));
    let [Some(first), Some(second)] = servers else { return };
    let often = "interval: 40ms, fast_interval: 20ms, timeout: 5s";
    let service = |port: fn(&Server) -> u16, named: &str, more: &str| {
        let [a, b] = [&first, &second].map(|server| format!("127.0.0.1:{}", port(server)));
        format!(
            "{{ endpoints: [\"{a}\", \"{b}\"], protocol: http2{more}, \
             health: {{ active: {{ grpc: {{ service: {named} }}, {often} }} }} }}"
        )
    };
    let tls = format!(", tls: {{ ca: {ca:?}, server_name: localhost }}");
    let gateway = Gateway::start(&format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\nservices:\n  plain: {}\n  secure: {}\n  \
         strange: {}\nroutes:\n  plain: {{ service: plain }}\n",
        service(|server| server.plain, "peers.Echo", ""),
        service(|server| server.secure, "peers.Echo", &tls),
        service(|server| server.plain, "peers.Other", ""),
    ));
    let verdicts = |service: &str| {
        let page: serde_json::Value =
            serde_json::from_str(&gateway.admin("GET", "/endpoints").text()).unwrap();
        let endpoints = page["services"][service]["endpoints"].as_array().unwrap().clone();
        let verdict = |endpoint: &serde_json::Value| {
            endpoint["check"]["verdict"].as_str().unwrap_or_default().to_owned()
        };
        endpoints.iter().map(verdict).collect::<Vec<_>>()
    };
    let judged = |service, wanted: [&str; 2]| {
        assert!(eventually(|| verdicts(service) == wanted), "{service}: {:?}", verdicts(service));
    };
    judged("strange", ["unhealthy"; 2]);
    for service in ["plain", "secure"] {
        judged(service, ["healthy"; 2]);
    }
    first.process.signal("USR2");
    for service in ["plain", "secure"] {
        judged(service, ["unhealthy", "healthy"]);
    }
    let log = gateway.wait_for_log("an endpoint is unhealthy");
    assert!(log.contains("grpc"), "{log}");
    first.process.signal("USR2");
    for service in ["plain", "secure"] {
        judged(service, ["healthy"; 2]);
    }
}

/// Every connection ends with a GOAWAY, behind which calls go to a new one.
#[test]
fn no_call_fails_when_a_server_wants_new_connections() {
    let Some(stand) = Stand::new(&LIBRARIES, &[FickleGo]) else { return };
    let mut running = Vec::new();
    for (_, base) in stand.ways() {
        running.extend([Go, Tonic].map(|client| stand.start_long(client, &base, "load")));
    }
    for _ in 0..5 {
        running.iter().for_each(|client| client.goes_on("calls ", 200));
    }
    stand.end(running);
    let opened = stand.gateway.metric("portcullis_upstream_connections_total", "");
    assert!(opened > 4.0, "only {opened} connections");
}

#[test]
fn a_call_goes_on_while_the_gateway_drains() {
    for client in LIBRARIES {
        let Some(stand) = Stand::new(&[client], &[Go]) else { return };
        let calls = stand.ways().map(|(_, base)| stand.start_long(client, &base, "chat"));
        calls.iter().for_each(|call| call.goes_on("messages ", 10));
        stand.gateway.signal("TERM");
        calls.iter().for_each(|call| call.goes_on("messages ", 50));
        stand.end(Vec::from(calls));
        assert_eq!(stand.gateway.exited().code, Some(0));
    }
}
