//! WebSockets between real clients and real servers, over HTTP/1.1 and HTTP/2 on each side: many
//! messages, large, compressed and fragmented ones, pings, subprotocols, and the code that the
//! connection is closed with.

use std::ffi::OsStr;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_testkit::{Gateway, TempDir, eventually};

use super::programs::{node_with, packages, python_with, script};
use super::servers::{self, Server};
use portcullis_testkit::process::{Process, run};

/// A client: how it is started, and with what more than every client is told.
type Client = (fn() -> Option<PathBuf>, &'static str, &'static [&'static str]);

const PYTHON: Client = (|| python_with("websockets"), "client_web_socket.py", &[]);
const NODE: Client = (|| node_with("ws"), "client_web_socket.mjs", &[]);
const NODE_OVER_HTTP2: Client = (|| node_with("ws"), "client_web_socket.mjs", &["http2"]);

macro_rules! echoes {
    ($($test:ident: $client:ident, $server:ident, $package:ident;)*) => {$(
        #[test]
        fn $test() {
            if let (Some(_), Some(server)) = ($package(), servers::$server()) {
                echoes(&server, $client);
            }
        }
    )*};
}

echoes! {
    python_to_node: PYTHON, node_server, node_ws;
    python_to_node_over_http2: PYTHON, node_http2, node_ws;
    python_to_uvicorn: PYTHON, uvicorn, uvicorn_web_sockets;
    node_to_node: NODE, node_server, node_ws;
    node_to_node_over_http2: NODE, node_http2, node_ws;
    node_to_node_over_either: NODE, node_secure, node_ws;
    node_to_uvicorn: NODE, uvicorn, uvicorn_web_sockets;
    node_over_http2_to_node: NODE_OVER_HTTP2, node_server, node_ws;
    node_over_http2_to_node_over_http2: NODE_OVER_HTTP2, node_http2, node_ws;
    node_over_http2_to_uvicorn: NODE_OVER_HTTP2, uvicorn, uvicorn_web_sockets;
}

fn node_ws() -> Option<PathBuf> {
    node_with("ws")
}

fn uvicorn_web_sockets() -> Option<PathBuf> {
    python_with("websockets")
}

/// Runs the client against the echo behind the gateway, plainly and within TLS.
fn echoes(server: &Server, (program, name, more): Client) {
    let Some(program) = program() else { return };
    let gateway = server.secure_gateway();
    let (script, ca, packages) = (script(name), server.ca(), packages());
    for url in urls(&gateway) {
        let mut arguments = vec![script.as_os_str(), url.as_ref(), ca.as_ref(), packages.as_ref()];
        arguments.extend(more.iter().map(OsStr::new));
        run(&program, &arguments, &[("NODE_EXTRA_CA_CERTS", ca.as_ref())]);
    }
}

fn urls(gateway: &Gateway) -> [String; 2] {
    let plain = format!("ws://{}/socket", gateway.address());
    [plain, format!("wss://localhost:{}/socket", gateway.address_of("secure").port())]
}

macro_rules! thousands {
    ($($test:ident: $server:ident, $version:literal;)*) => {$(
        #[test]
        fn $test() {
            if let (Some(node), Some(server)) = (node_ws(), servers::$server()) {
                thousand(&node, &server, $version);
            }
        }
    )*};
}

thousands! {
    a_thousand_sockets: node_server, "http1";
    a_thousand_sockets_to_http2: node_http2, "http1";
    a_thousand_sockets_over_http2: node_server, "http2";
    a_thousand_sockets_over_http2_to_http2: node_http2, "http2";
}

/// All are used when nothing new is taken any more, and the gateway ends behind the last.
fn thousand(node: &Path, server: &Server, version: &str) {
    let gateway = server.secure_gateway();
    let [plain, _] = urls(&gateway);
    let dir = TempDir::new();
    let mut command = Command::new(node);
    command.arg(script("many_web_sockets.mjs")).arg(plain).arg(packages()).arg(version);
    let process = Process::start(command.arg(dir.path()), dir.path());
    process.writes("1000 are open");
    gateway.signal("TERM");
    assert!(eventually(|| TcpStream::connect(gateway.address()).is_err()), "it still listens");
    dir.write("go-on", "");
    let output = process.ends_well();
    assert!(output.contains("1000 are closed"), "{output}");
    assert_eq!(gateway.exited().code, Some(0));
}
