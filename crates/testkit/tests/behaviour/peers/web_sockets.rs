//! WebSockets between real clients and real servers: many messages, large ones, compressed ones,
//! pings, and the code that the connection is closed with.

use std::path::Path;

use super::process::run;
use super::programs::{node_with, packages, python_with, script};
use super::servers::{self, Server};

fn python_echoes(server: &Server) {
    let Some(python) = python_with("websockets") else { return };
    echoes(server, &python, "client_web_socket.py");
}

fn node_echoes(server: &Server) {
    let Some(node) = node_with("ws") else { return };
    echoes(server, &node, "client_web_socket.mjs");
}

/// Runs the client against the echo behind the gateway, plainly and within TLS.
fn echoes(server: &Server, client: &Path, name: &str) {
    let gateway = server.secure_gateway();
    let (script, ca, packages) = (script(name), server.ca(), packages());
    let plain = format!("ws://{}/socket", gateway.address());
    let secure = format!("wss://localhost:{}/socket", gateway.address_of("secure").port());
    for url in [plain, secure] {
        let arguments = [script.as_os_str(), url.as_ref(), ca.as_ref(), packages.as_ref()];
        run(client, &arguments, &[("NODE_EXTRA_CA_CERTS", ca.as_ref())]);
    }
}

#[test]
fn websockets_for_python_to_node() {
    if let (Some(_), Some(server)) = (node_with("ws"), servers::node_server()) {
        python_echoes(&server);
    }
}

#[test]
fn ws_for_node_to_node() {
    if let (Some(_), Some(server)) = (node_with("ws"), servers::node_server()) {
        node_echoes(&server);
    }
}

#[test]
fn websockets_for_python_to_uvicorn() {
    if let (Some(_), Some(server)) = (python_with("websockets"), servers::uvicorn()) {
        python_echoes(&server);
    }
}

#[test]
fn ws_for_node_to_uvicorn() {
    if let (Some(_), Some(server)) = (python_with("websockets"), servers::uvicorn()) {
        node_echoes(&server);
    }
}
