//! h2spec, which asks a server for what the standard has, row by row. It was written for RFC 7540,
//! and without this project in mind.

use std::process::Command;

use portcullis_testkit::{Authority, Gateway, TempDir};

use super::programs::built;

/// A gateway that answers with a file, which some of the questions need.
fn gateway(dir: &TempDir, listener: &str) -> Gateway {
    let file = dir.write("answer.txt", "x".repeat(100_000));
    Gateway::start(&format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\"{listener} }}\n\
         routes:\n  all: {{ reply: {{ status: 200, file: {file:?} }} }}\n"
    ))
}

/// Asks, and gives what was not as it should be.
fn failures(gateway: &Gateway, more: &[&str]) -> Option<Vec<String>> {
    let program = built("h2spec")?;
    let (host, port) = (gateway.address().ip().to_string(), gateway.address().port().to_string());
    let asked = Command::new(program)
        .args(["--host", &host, "--port", &port, "--timeout", "10", "--strict"])
        .args(more)
        .output()
        .expect("its process");
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (passed, last) = text.split_once("Failures:").unwrap_or((&text, ""));
    // A run that could not even connect must not look like one without failures.
    assert!(passed.contains("HPACK: Header Compression"), "{text}");
    let failed = last.lines().map(str::trim).filter(|line| line.starts_with('×'));
    Some(failed.map(|line| line.trim_start_matches('×').trim().to_owned()).collect())
}

#[test]
fn h2spec_has_nothing_against_us() {
    let (authority, dir) = (Authority::new(), TempDir::new());
    let (cert, key) = authority.issue(&["localhost"]).write(&dir, "localhost");
    let tls = format!(", tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}");
    let Some(failed) = failures(&gateway(&dir, &tls), &["--tls", "--insecure"]) else { return };
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn h2spec_has_little_against_us_without_tls() {
    let dir = TempDir::new();
    let Some(failed) = failures(&gateway(&dir, ""), &[]) else { return };
    // A port without TLS takes it for HTTP/1.1, and answers in that.
    assert_eq!(failed, ["2: Sends invalid connection preface"]);
}
