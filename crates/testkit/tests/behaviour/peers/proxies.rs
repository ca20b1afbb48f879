//! Programs that speak the PROXY protocol or TLS past the gateway: HAProxy, nginx, curl, openssl.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use portcullis_testkit::{Authority, Client, Config, Gateway, Origin, TempDir, eventually, until};

use super::programs::{program, script};
use super::servers;
use portcullis_testkit::process::{Process, run};

/// A running HAProxy that passes connections on. Fields are dropped in order.
struct Front {
    address: SocketAddr,
    _process: Process,
    _dir: TempDir,
}

/// HAProxy in front of `upstream`, with these options of a server line.
fn haproxy(upstream: SocketAddr, send: &str) -> Option<Front> {
    let haproxy = program("haproxy")?;
    let template = fs::read_to_string(script("haproxy.cfg")).unwrap();
    for _ in 0..5 {
        let dir = TempDir::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = template
            .replace("@PORT@", &port.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@SEND@", send);
        let config = dir.write("haproxy.cfg", config);
        let mut command = Command::new(&haproxy);
        command.arg("-db").arg("-f").arg(config);
        let mut process = Process::start(&command, dir.path());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let serves = until(|| {
            let listens = TcpStream::connect(address).is_ok();
            (listens || process.has_ended()).then_some(listens)
        });
        if serves == Some(true) {
            return Some(Front { address, _process: process, _dir: dir });
        }
    }
    panic!("no port for the proxy");
}

fn trusting(origin: &Origin) -> Gateway {
    let proxies = "proxy_protocol: { trusted: [\"127.0.0.1\"] }";
    Gateway::start(&Config::before(origin).listener(proxies))
}

#[test]
fn haproxy_tells_its_clients_addresses() {
    for send in ["send-proxy", "send-proxy-v2"] {
        let origin = Origin::echo();
        let gateway = trusting(&origin);
        let Some(front) = haproxy(gateway.address(), send) else { return };
        for _ in 0..3 {
            let reply = Client::connect(front.address).get("/x");
            assert_eq!(reply.status, 200, "{send}: {}", reply.text());
            let port = front.address.port().to_string();
            assert_eq!(origin.last_request().field("x-forwarded-port"), Some(port.as_str()));
        }
    }
}

#[test]
fn haproxys_extensions_and_checksum_are_understood() {
    let origin = Origin::echo();
    let gateway = trusting(&origin);
    // Its health checks begin with LOCAL.
    let options = "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 10ms";
    let Some(front) = haproxy(gateway.address(), options) else { return };
    assert_eq!(Client::connect(front.address).get("/x").status, 200);
    assert!(eventually(|| gateway.metric("portcullis_connections_total", "") >= 5.0));
    let malformed = |reason| {
        gateway.metric("portcullis_proxy_protocol_refused_total", &format!("reason=\"{reason}\""))
    };
    assert_eq!(malformed("malformed") + malformed("absent"), 0.0);
}

#[test]
fn haproxy_that_says_nothing_is_refused() {
    let origin = Origin::echo();
    let gateway = trusting(&origin);
    let Some(front) = haproxy(gateway.address(), "") else { return };
    let mut client = Client::connect(front.address);
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(client.is_closed());
    assert_eq!(origin.connections(), 0);
}

#[test]
fn curl_tells_an_address() {
    let Some(curl) = program("curl") else { return };
    let origin = Origin::echo();
    let gateway = trusting(&origin);
    let url = format!("http://{}/x", gateway.address());
    run(&curl, &["-sS", "--fail", "--haproxy-protocol", &url], &[]);
    assert_eq!(origin.last_request().field("x-forwarded-for"), Some("127.0.0.1"));
    // Newer ones can say whose.
    let help = run(&curl, &["--help", "all"], &[]);
    if help.contains("--haproxy-clientip") {
        run(&curl, &["-sS", "--fail", "--haproxy-clientip", "203.0.113.7", &url], &[]);
        assert_eq!(origin.last_request().field("x-forwarded-for"), Some("203.0.113.7"));
    }
}

/// A listener of bytes before `upstream`, passing TLS through by the name `localhost`.
fn passing(upstream: &str, service: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\", protocol: tls_passthrough }}\n\
         services:\n  origin: {{ endpoints: [{upstream:?}], {service} }}\n\
         tcp_routes:\n  local: {{ listener: web, service: origin, sni: localhost }}\n"
    ))
}

#[test]
fn openssl_and_curl_meet_through_a_passthrough() {
    let (Some(openssl), Some(curl)) = (program("openssl"), program("curl")) else { return };
    let dir = TempDir::new();
    let authority = Authority::new();
    let ca = dir.write("ca.pem", authority.pem());
    let (cert, key) = authority.issue(&["localhost"]).write(&dir, "localhost");
    for versions in ["-tls1_2", "-tls1_3"] {
        let mut command = Command::new(&openssl);
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www", versions, "-cert"]);
        command.arg(&cert).arg("-key").arg(&key);
        let server = Process::start(&command, dir.path());
        let port = server.number_behind("ACCEPT 127.0.0.1:");
        let gateway = passing(&format!("127.0.0.1:{port}"), "");
        let url = format!("https://localhost:{}/", gateway.address().port());
        let ca = ca.to_str().unwrap();
        let text = run(&curl, &["-sS", "--fail", "--cacert", ca, &url], &[]);
        let version = versions.replace("-tls1_", "TLSv1.");
        assert!(text.contains(&version), "{text}");
        // Another name is refused with its alert.
        let other = format!("https://127.0.0.1:{}/", gateway.address().port());
        let output = Command::new(&curl).args(["-sSk", &other]).output().unwrap();
        assert!(!output.status.success());
    }
}

#[test]
fn nginx_learns_the_client_behind_a_passthrough() {
    let (Some(nginx), Some(curl)) = (program("nginx"), program("curl")) else { return };
    let dir = TempDir::new();
    let authority = Authority::new();
    let ca = dir.write("ca.pem", authority.pem());
    authority.issue(&["localhost"]).write(&dir, "localhost");
    let server = servers::configured(dir, "nginx_tls.conf", &[], |config| {
        let mut command = Command::new(&nginx);
        command.arg("-c").arg(config);
        command
    });
    for version in ["v1", "v2"] {
        let gateway = passing(&server.address, &format!("proxy_protocol: {version}"));
        let url = format!("https://localhost:{}/", gateway.address().port());
        let ca = ca.to_str().unwrap();
        let text = run(&curl, &["-sS", "--fail", "--http2", "--cacert", ca, &url], &[]);
        let port = gateway.address().port();
        assert_eq!(text, format!("127.0.0.1 to 127.0.0.1 {port} over HTTP/2.0"), "{version}");
    }
}
