//! Real clients before the gateway, over plain TCP and over TLS, with Node's server behind it. Each
//! goes on a tour of its own (see `scripts`) and fails where a reply is not what was sent.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use portcullis_testkit::Gateway;

use super::process::run;
use super::programs::{java, program, python, python_with, script};
use super::servers::{self, Server, TEXT, sha256};

/// A gateway with a plain and a TLS listener before Node.
struct Tour {
    gateway: Gateway,
    server: Server,
}

impl Tour {
    fn new() -> Option<Tour> {
        let server = servers::node_server()?;
        // The reply behind early hints need not wait.
        server.go_on(0);
        Some(Tour { gateway: server.secure_gateway(), server })
    }

    /// `http://...` and `https://...`, without a path.
    fn bases(&self) -> [String; 2] {
        let port = |listener| self.gateway.address_of(listener).port();
        let (plain, secure) = (port("web"), port("secure"));
        [format!("http://127.0.0.1:{plain}"), format!("https://localhost:{secure}")]
    }

    /// Sends a client on its tour of both listeners and gives the connections that it made to each.
    fn send(&self, program: &Path, script: &OsStr) -> [u64; 2] {
        let (ca, big) = (self.server.ca(), self.server.big());
        let sha256 = sha256(&big);
        self.bases().map(|base| {
            let before = self.connections();
            let arguments = [script, base.as_ref(), ca.as_ref(), big.as_ref(), sha256.as_ref()];
            run(program, &arguments, &[("NODE_EXTRA_CA_CERTS", ca.as_ref())]);
            self.connections() - before
        })
    }

    fn connections(&self) -> u64 {
        self.gateway.metric("portcullis_connections_total", "") as u64
    }
}

#[test]
fn http_client_of_python() {
    let (Some(python), Some(tour)) = (python(), Tour::new()) else { return };
    // It has one connection and no way to make another when that is closed.
    assert_eq!(tour.send(&python, script("client_http.py").as_ref()), [1, 1]);
}

#[test]
fn requests_for_python() {
    let (Some(python), Some(tour)) = (python_with("requests"), Tour::new()) else { return };
    // Not even for a redirect that need not wait for the content.
    assert_eq!(tour.send(&python, script("client_requests.py").as_ref()), [1, 1]);
}

#[test]
fn fetch_of_node() {
    let (Some(node), Some(tour)) = (program("node"), Tour::new()) else { return };
    // It ends with twenty requests at once.
    let connections = tour.send(&node, script("client_fetch.mjs").as_ref());
    assert!(connections.iter().all(|count| *count < 30), "{connections:?}");
}

#[test]
fn http_client_of_java() {
    let (Some(java), Some(tour)) = (java(), Tour::new()) else { return };
    let connections = tour.send(&java, script("JavaClient.java").as_ref());
    assert!(connections.iter().all(|count| *count < 10), "{connections:?}");
}

/// curl, which goes on its tour step by step.
struct Curl {
    program: PathBuf,
    tour: Tour,
}

impl Curl {
    fn new() -> Option<Curl> {
        Some(Curl { program: program("curl")?, tour: Tour::new()? })
    }

    /// Runs it with some options and others before the URL; gives what it printed.
    fn ask(&self, options: &[&str], more: &[&str], url: &str) -> String {
        let ca = self.tour.server.ca();
        let mut all = vec![OsStr::new("--cacert"), ca.as_ref()];
        let usual = ["-q", "-sS", "--http1.1", "--max-time", "60"];
        let words = usual.iter().chain(options).chain(more).chain([&url]);
        all.splice(0..0, words.map(OsStr::new));
        run(&self.program, &all, &[])
    }
}

#[test]
fn curl_asks_and_follows() {
    let Some(curl) = Curl::new() else { return };
    for base in curl.tour.bases() {
        let ask = |options: &[&str], path| curl.ask(options, &[], &format!("{base}{path}"));
        for path in ["/length", "/chunked", "/close", "/trailers", "/hints", "/found", "/moved"] {
            assert_eq!(ask(&["-L"], path), TEXT, "{path}");
        }
        for (path, status) in [("/empty", "204"), ("/missing", "404"), ("/moved", "308")] {
            assert_eq!(ask(&["-o", "/dev/null", "-w", "%{http_code}"], path), status, "{path}");
        }
        assert!(ask(&["-I"], "/length").starts_with("HTTP/1.1 200 OK"));
        assert_eq!(ask(&["--http1.0"], "/chunked"), TEXT);

        // The number of connections that each of three transfers had to make.
        let length = format!("{base}/length");
        let shown = ask(&["-w", "=%{num_connects};", &length, &length], "/length");
        assert_eq!(shown, format!("{TEXT}=1;{TEXT}=0;{TEXT}=0;"));
    }
}

#[test]
fn curl_sends() {
    let Some(curl) = Curl::new() else { return };
    let (big, small) = (curl.tour.server.big(), curl.tour.server.dir.write("hello", "hello"));
    let (big_hash, small_hash) = (sha256(&big), sha256(&small));
    let big = format!("@{}", big.display());
    for base in curl.tour.bases() {
        let send = |options: &[&str], data: &str, path| {
            curl.ask(options, &["--data-binary", data], &format!("{base}{path}"))
        };
        for path in ["/upload", "/again", "/moved-upload"] {
            assert_eq!(send(&["-L"], "hello", path), small_hash, "{path}");
        }
        let chunked = ["-H", "Transfer-Encoding: chunked"];
        assert_eq!(send(&chunked, "hello", "/upload"), small_hash);
        assert_eq!(send(&chunked, &big, "/upload"), big_hash);

        // For so much content curl asks whether it may go on, and waits for a minute if need be.
        let shown = send(&["--expect100-timeout", "60", "-D", "-"], &big, "/upload");
        assert!(shown.starts_with("HTTP/1.1 100 Continue"), "{shown}");
        assert!(shown.ends_with(&big_hash), "{shown}");
    }
}

/// A reply that does not wait for the content must reach a client that is still sending it, be it
/// the gateway's own or the origin's.
#[test]
fn curl_is_answered_while_it_sends() {
    let Some(curl) = Curl::new() else { return };
    let big = format!("@{}", curl.tour.server.big().display());
    let replies = [("/moved", "308"), ("/refused", "413"), ("/refused-and-closed", "413")];
    for base in curl.tour.bases() {
        for (path, status) in replies {
            let sending = ["-H", "Expect:", "--data-binary", &big];
            let showing = ["-o", "/dev/null", "-w", "%{http_code}"];
            assert_eq!(curl.ask(&sending, &showing, &format!("{base}{path}")), status, "{path}");
        }
    }
}

#[test]
fn curl_receives() {
    let Some(curl) = Curl::new() else { return };
    let expected = sha256(&curl.tour.server.big());
    let to = curl.tour.server.dir.join("received");
    for base in curl.tour.bases() {
        for pace in [&[][..], &["--limit-rate", "20M"]] {
            curl.ask(pace, &["-o", to.to_str().unwrap()], &format!("{base}/big"));
            assert_eq!(sha256(&to), expected);
        }
    }
}
