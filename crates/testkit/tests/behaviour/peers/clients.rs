//! Real clients before the gateway, over plain TCP and over TLS, with Node's servers of HTTP/1.1 and
//! HTTP/2 behind it. Each goes on a tour of its own (see `scripts`) and fails where a reply is not
//! what was sent.

use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use portcullis_testkit::{Gateway, eventually};

use super::programs::{java, program, python, python_with, script};
use super::servers::{self, Server, TEXT, sha256};
use portcullis_testkit::process::run;

/// A gateway with a plain and a TLS listener before Node.
pub(super) struct Tour {
    gateway: Gateway,
    pub(super) server: Server,
}

impl Tour {
    /// One before each server.
    pub(super) fn all() -> impl Iterator<Item = Tour> {
        let servers = [servers::node_server, servers::node_http2].into_iter();
        servers.filter_map(|start| start()).map(|server| {
            // The reply behind early hints need not wait.
            server.go_on(0);
            Tour { gateway: server.secure_gateway(), server }
        })
    }

    /// `http://...` and `https://...`, without a path.
    pub(super) fn bases(&self) -> [String; 2] {
        let port = |listener| self.gateway.address_of(listener).port();
        let (plain, secure) = (port("web"), port("secure"));
        [format!("http://127.0.0.1:{plain}"), format!("https://localhost:{secure}")]
    }

    /// Sends a client on its tour of both listeners and gives the connections that it made to each.
    fn send(&self, program: &Path, script: &OsStr) -> [u64; 2] {
        self.bases().map(|base| self.send_to(&base, program, script, &[]))
    }

    /// Sends a client on its tour of one listener and gives the connections that it made.
    fn send_to(&self, base: &str, program: &Path, script: &OsStr, more: &[&str]) -> u64 {
        let (ca, big) = (self.server.ca(), self.server.big());
        let sha256 = sha256(&big);
        let before = self.connections();
        let mut arguments = vec![script, base.as_ref(), ca.as_ref(), big.as_ref(), sha256.as_ref()];
        arguments.extend(more.iter().map(OsStr::new));
        run(program, &arguments, &[("NODE_EXTRA_CA_CERTS", ca.as_ref())]);
        self.connections() - before
    }

    fn connections(&self) -> u64 {
        self.gateway.metric("portcullis_connections_total", "") as u64
    }
}

#[test]
fn http_client_of_python() {
    let Some(python) = python() else { return };
    for tour in Tour::all() {
        // It has one connection and no way to make another when that is closed.
        assert_eq!(tour.send(&python, script("client_http.py").as_ref()), [1, 1]);
    }
}

#[test]
fn requests_for_python() {
    let Some(python) = python_with("requests") else { return };
    for tour in Tour::all() {
        // Not even for a redirect that need not wait for the content.
        assert_eq!(tour.send(&python, script("client_requests.py").as_ref()), [1, 1]);
    }
}

#[test]
fn httpx_for_python_over_http2() {
    let Some(python) = python_with("h2") else { return };
    for tour in Tour::all() {
        for base in tour.bases() {
            let script = script("client_httpx.py");
            let connections = tour.send_to(&base, &python, script.as_ref(), &["HTTP/2"]);
            assert_eq!(connections, 2, "{base}");
        }
    }
}

#[test]
fn fetch_of_node() {
    let Some(node) = program("node") else { return };
    for tour in Tour::all() {
        // It ends with twenty requests at once.
        let connections = tour.send(&node, script("client_fetch.mjs").as_ref());
        assert!(connections.iter().all(|count| *count < 30), "{connections:?}");
    }
}

#[test]
fn http2_client_of_node() {
    let Some(node) = program("node") else { return };
    for tour in Tour::all() {
        for base in tour.bases() {
            let script = script("client_http2.mjs");
            assert_eq!(tour.send_to(&base, &node, script.as_ref(), &[]), 1, "{base}");
            let told = eventually(|| tour.server.endless_is_closed());
            assert!(told, "the server goes on for nobody");
        }
    }
}

#[test]
fn http_client_of_java() {
    let Some(java) = java() else { return };
    for tour in Tour::all() {
        let connections = tour.send(&java, script("JavaClient.java").as_ref());
        assert!(connections.iter().all(|count| *count < 10), "{connections:?}");
    }
}

/// nghttp2's client, which takes single replies and shows no more than their content.
#[test]
fn nghttp_asks_and_sends() {
    let Some(nghttp) = program("nghttp") else { return };
    for tour in Tour::all() {
        let (big, expected) = (tour.server.big(), sha256(&tour.server.big()));
        let big = format!("--data={}", big.display());
        for base in tour.bases() {
            let ask = |options: &[&str], path| {
                let url = format!("{base}{path}");
                let all: Vec<&str> = [&["--timeout=60"], options, &[&url]].concat();
                run(&nghttp, &all, &[])
            };
            for path in ["/length", "/chunked", "/trailers", "/hints"] {
                assert_eq!(ask(&[], path), TEXT, "{path}");
            }
            // Fields in many frames, padded frames, and windows smaller than a frame.
            assert_eq!(ask(&["--continuation"], "/length"), TEXT);
            assert_eq!(ask(&["--padding=200"], "/length"), TEXT);
            assert_eq!(ask(&["--window-bits=3", "--connection-window-bits=16"], "/length"), TEXT);
            assert_eq!(ask(&["--multiply=50"], "/length"), TEXT.repeat(50));
            assert_eq!(ask(&[&big], "/upload"), expected);
            assert_eq!(ask(&[&big, "--padding=100"], "/upload"), expected);
            assert_eq!(ask(&[&big, "--no-content-length"], "/upload"), expected);
            assert_eq!(ask(&[&big, "--expect-continue"], "/upload"), expected);
            // HTTP/1.1 has no trailers behind a content whose length is told.
            let trailer = ["--no-content-length", "--trailer=x-end: behind"];
            let trailer = ask(&[&[big.as_str()], &trailer[..]].concat(), "/request-trailers");
            assert_eq!(trailer, r#"{"x-end":"behind"}"#);
        }
    }
}

/// nghttp2's load: every reply must be good, also while the gateway reloads.
#[test]
fn h2load_sees_no_failure() {
    let Some(h2load) = program("h2load") else { return };
    for tour in Tour::all() {
        let small = tour.server.dir.write("small", "hello");
        let data = format!("--data={}", small.display());
        for base in tour.bases() {
            let load = |options: &[&str], path| {
                let url = format!("{base}{path}");
                let all: Vec<&str> =
                    [&["--requests=2000", "--clients=8"], options, &[&url]].concat();
                let shown = run(&h2load, &all, &[]);
                assert!(shown.contains("2000 succeeded, 0 failed"), "{shown}");
                assert!(shown.contains("status codes: 2000 2xx"), "{shown}");
            };
            load(&["--max-concurrent-streams=100"], "/length");
            load(&["--max-concurrent-streams=10", &data], "/upload");
            thread::scope(|scope| {
                let loading = scope.spawn(|| load(&["--max-concurrent-streams=10"], "/chunked"));
                while !loading.is_finished() {
                    assert_eq!(tour.gateway.reload().status, 200);
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
    }
}
