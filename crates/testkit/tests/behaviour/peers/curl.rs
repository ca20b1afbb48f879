//! curl before the gateway, step by step, with every version of HTTP, over plain TCP and over TLS.

use std::path::PathBuf;
use std::process::Command;

use super::clients::Tour;
use super::programs::program;
use super::servers::{TEXT, sha256};
use portcullis_testkit::process::run;

/// curl on one of its ways to the gateway.
struct Curl<'a> {
    program: PathBuf,
    tour: &'a Tour,
    base: String,
    version: &'static str,
}

impl Curl<'_> {
    /// Runs it with some options and others before the URL; gives what it printed.
    fn ask(&self, options: &[&str], more: &[&str], path: &str) -> String {
        let arguments = self.arguments(options, more, path);
        run(&self.program, &arguments, &[])
    }

    /// The same, whatever it makes of the transfer.
    fn ask_in_vain(&self, options: &[&str], more: &[&str], path: &str) -> String {
        let mut command = Command::new(&self.program);
        let output = command.args(self.arguments(options, more, path)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn arguments(&self, options: &[&str], more: &[&str], path: &str) -> Vec<String> {
        let ca = self.tour.server.ca();
        let url = format!("{}{path}", self.base);
        let usual = ["-q", "-sS", self.version, "--max-time", "60", "--cacert"];
        let usual = usual.into_iter().chain([ca.to_str().unwrap()]);
        let words = usual.chain(options.iter().copied()).chain(more.iter().copied());
        words.chain([url.as_str()]).map(str::to_owned).collect()
    }

    /// Whether it speaks HTTP/1.1.
    fn is_old(&self) -> bool {
        self.version == "--http1.1"
    }

    /// Whether it can use a connection again: with prior knowledge some versions of it fail at
    /// that, whoever serves.
    fn keeps_connections(&self) -> bool {
        self.version != "--http2-prior-knowledge"
    }
}

/// Does this with every version, on both listeners, before every server.
fn each(act: impl Fn(&Curl<'_>)) {
    let Some(program) = program("curl") else { return };
    for tour in Tour::all() {
        let [plain, secure] = tour.bases();
        for (base, version) in [
            (&plain, "--http1.1"),
            (&secure, "--http1.1"),
            (&plain, "--http2-prior-knowledge"),
            (&secure, "--http2"),
        ] {
            act(&Curl { program: program.clone(), tour: &tour, base: base.clone(), version });
        }
    }
}

#[test]
fn curl_asks_and_follows() {
    each(|curl| {
        let ask = |options: &[&str], path| curl.ask(options, &[], path);
        for path in ["/length", "/chunked", "/close", "/trailers", "/hints"] {
            assert_eq!(ask(&[], path), TEXT, "{path}");
        }
        for (path, status) in [("/empty", "204"), ("/missing", "404"), ("/moved", "308")] {
            assert_eq!(ask(&["-o", "/dev/null", "-w", "%{http_code}"], path), status, "{path}");
        }
        let first = if curl.is_old() { "HTTP/1.1 200 OK" } else { "HTTP/2 200" };
        assert!(ask(&["-I"], "/length").starts_with(first));
        if curl.is_old() {
            assert_eq!(ask(&["--http1.0"], "/chunked"), TEXT);
        }
        if !curl.keeps_connections() {
            return;
        }
        for path in ["/found", "/moved"] {
            assert_eq!(ask(&["-L"], path), TEXT, "{path}");
        }
        // The number of connections that each of three transfers had to make.
        let length = format!("{}/length", curl.base);
        let shown = ask(&["-w", "=%{num_connects};", &length, &length], "/length");
        assert_eq!(shown, format!("{TEXT}=1;{TEXT}=0;{TEXT}=0;"));
    });
}

/// An `Upgrade` to HTTP/2 is not taken, so that the request is answered with HTTP/1.1.
#[test]
fn curl_offers_an_upgrade() {
    let Some(program) = program("curl") else { return };
    for tour in Tour::all() {
        let [base, _] = tour.bases();
        let curl = Curl { program: program.clone(), tour: &tour, base, version: "--http2" };
        assert_eq!(curl.ask(&["-w", "=%{http_version}"], &[], "/length"), format!("{TEXT}=1.1"));
        let sent = curl.ask(&["--data-binary", "hello"], &[], "/upload");
        let hello = tour.server.dir.write("hello", "hello");
        assert_eq!(sent, sha256(&hello));
    }
}

#[test]
fn curl_sends() {
    each(|curl| {
        let server = &curl.tour.server;
        let (big, small) = (server.big(), server.dir.write("hello", "hello"));
        let (big_hash, small_hash) = (sha256(&big), sha256(&small));
        let big = format!("@{}", big.display());
        let send =
            |options: &[&str], data: &str, path| curl.ask(options, &["--data-binary", data], path);
        assert_eq!(send(&[], "hello", "/upload"), small_hash);
        for path in ["/again", "/moved-upload"].iter().filter(|_| curl.keeps_connections()) {
            assert_eq!(send(&["-L"], "hello", path), small_hash, "{path}");
        }
        // Without a length it is sent in chunks, or just until its end.
        let chunked = ["-H", "Transfer-Encoding: chunked"];
        assert_eq!(send(&chunked, "hello", "/upload"), small_hash);
        assert_eq!(send(&chunked, &big, "/upload"), big_hash);

        // For so much content curl asks whether it may go on, and waits for a minute if need be.
        let shown = send(&["--expect100-timeout", "60", "-D", "-"], &big, "/upload");
        assert!(shown.ends_with(&big_hash), "{shown}");
        if curl.is_old() {
            assert!(shown.starts_with("HTTP/1.1 100 Continue"), "{shown}");
        }
    });
}

/// A reply that does not wait for the content must reach a client that is still sending it, be it
/// the gateway's own or the origin's.
#[test]
fn curl_is_answered_while_it_sends() {
    each(|curl| {
        let big = format!("@{}", curl.tour.server.big().display());
        for (path, status) in
            [("/moved", "308"), ("/refused", "413"), ("/refused-and-closed", "413")]
        {
            let sending = ["-H", "Expect:", "--data-binary", &big];
            // Over HTTP/2 some versions of curl end the content early when they see such a status,
            // against its length, and call it a failure of their own if that is refused: only what
            // reached it counts.
            let showing = ["-o", "/dev/null", "-w", "%{http_code}"];
            let shown = if curl.is_old() {
                curl.ask(&sending, &showing, path)
            } else {
                curl.ask_in_vain(&sending, &showing, path)
            };
            assert_eq!(shown, status, "{path} {}", curl.version);
        }
    });
}

#[test]
fn curl_receives() {
    each(|curl| {
        let expected = sha256(&curl.tour.server.big());
        let to = curl.tour.server.dir.join("received");
        for pace in [&[][..], &["--limit-rate", "20M"]] {
            curl.ask(pace, &["-o", to.to_str().unwrap()], "/big");
            assert_eq!(sha256(&to), expected);
        }
    });
}
