//! Every vector of `vectors` against the gateway. All failures are told at once.

mod replies;
mod vectors;

use std::fmt::Write as _;
use std::io::ErrorKind;

use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, Request};

use vectors::{Case, Expect, HTTP2_PREFACE, REQUESTS};

/// What a case is told apart from its successor by: a request that ends the connection.
const PROBE: &[u8] = b"GET /public/probe HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

/// The routes that the vectors speak of.
fn guarded(origin: &Origin) -> String {
    let config = Config::before(origin).to_string();
    let routes = r#"routes:
  all: { match: { path: "/{*rest}" }, service: origin }
  public: { match: { path: "/public/{*rest}" }, service: origin }
  admin: { match: { path: "/admin/{*rest}" }, reply: { status: 403, body: "no\n" } }
  private: { match: { host: private.example }, priority: 1, reply: { status: 403, body: "no\n" } }
"#;
    config.split("routes:").next().unwrap().to_owned() + routes
}

/// Panics with all of them when there are any.
fn tell(failures: Vec<String>, cases: usize) {
    let told = failures.iter().fold(String::new(), |mut told, failure| {
        let _ = writeln!(told, "- {failure}");
        told
    });
    assert!(failures.is_empty(), "{} of {cases} failed:\n{told}", failures.len());
}

#[test]
fn requests_that_have_fooled_others_do_not_fool_us() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&guarded(&origin));
    let mut failures = Vec::new();
    let mut count = 0;
    for case in REQUESTS.iter().filter(|case| !matches!(case.expect, Expect::Cut(_))) {
        let outcome = match case.expect {
            Expect::Refused(status) => refused(&gateway, &origin, case, status),
            Expect::Answered(status) => answered(&gateway, &origin, case, status),
            Expect::Closed => closed(&gateway, &origin, case),
            Expect::Forwarded { must_contain, must_not_contain } => {
                passed_on(&gateway, &origin, case, must_contain, must_not_contain)
            }
            Expect::Cut(_) => unreachable!("filtered out"),
        };
        count += 1;
        if let Err(what) = outcome {
            failures.push(describe(case, &what));
        }
    }
    gateway.kill();
    assert_eq!(text(&origin.take_bytes()), "", "came late");
    tell(failures, count);
}

#[test]
fn bodies_that_have_fooled_others_reach_no_origin_whole() {
    let mut failures = Vec::new();
    let mut count = 0;
    for case in REQUESTS {
        let Expect::Cut(status) = case.expect else { continue };
        count += 1;
        // A gateway for each: when it is gone, so is every byte that was on its way to the origin.
        let origin = Origin::echo();
        let gateway = Gateway::start(&guarded(&origin));
        let outcome = only_reply(gateway.client(), case.bytes, status);
        gateway.kill();
        let seen = text(&origin.bytes_at_the_end());
        let whole: Vec<Request> = origin.requests();
        if let Err(what) = outcome {
            failures.push(describe(case, &what));
        } else if !whole.is_empty() {
            failures.push(describe(case, &format!("the origin got whole requests: {whole:?}")));
        } else if seen.contains("smuggled") {
            failures.push(describe(case, &format!("the origin got {seen:?}")));
        }
    }
    tell(failures, count);
}

#[test]
fn refusals_do_not_depend_on_how_the_bytes_arrive() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&guarded(&origin));
    let mut failures = Vec::new();
    let mut count = 0;
    let whole = |case: &&Case| matches!(case.expect, Expect::Refused(_) | Expect::Closed);
    for case in REQUESTS.iter().filter(whole) {
        count += 1;
        let mut client = gateway.client();
        // The answer may come before the last byte was sent, and the connection be gone.
        let _ = case.bytes.iter().try_for_each(|byte| client.try_send([*byte]));
        let outcome = match case.expect {
            Expect::Refused(status) => only_reply(client, b"", status),
            _ => no_reply(client, b""),
        };
        if let Err(what) = outcome {
            failures.push(describe(case, &what));
        }
    }
    gateway.kill();
    assert_eq!(text(&origin.take_bytes()), "");
    tell(failures, count);
}

#[test]
fn the_preface_of_another_version_is_refused_where_that_is_off() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).listener("http2: off").to_string());
    only_reply(gateway.client(), HTTP2_PREFACE, 505).unwrap();
    gateway.kill();
    assert_eq!(text(&origin.take_bytes()), "");
}

fn describe(case: &Case, what: &str) -> String {
    format!("{} ({})\n  sent {:?}\n  {what}", case.name, case.cve, text(case.bytes))
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// One reply with this status and the end of the connection; nothing at the origin.
fn refused(gateway: &Gateway, origin: &Origin, case: &Case, status: u16) -> Result<(), String> {
    only_reply(gateway.client(), case.bytes, status)?;
    match &origin.take_bytes()[..] {
        [] => Ok(()),
        seen => Err(format!("the origin got {:?}", text(seen))),
    }
}

fn only_reply(mut client: Client, bytes: &[u8], status: u16) -> Result<(), String> {
    let _ = client.try_send(bytes);
    let reply = client.try_reply("GET").map_err(|e| format!("expected {status}, got {e}"))?;
    expect_status(&reply, status)?;
    if !reply.closes() {
        return Err(format!("{status} without Connection: close"));
    }
    if !client.is_closed() {
        return Err(format!("the connection goes on after {status}"));
    }
    Ok(())
}

/// The end of the connection without a reply of HTTP/1.1; nothing at the origin.
fn closed(gateway: &Gateway, origin: &Origin, case: &Case) -> Result<(), String> {
    no_reply(gateway.client(), case.bytes)?;
    match &origin.take_bytes()[..] {
        [] => Ok(()),
        seen => Err(format!("the origin got {:?}", text(seen))),
    }
}

fn no_reply(mut client: Client, bytes: &[u8]) -> Result<(), String> {
    let _ = client.try_send(bytes);
    match client.reader().rest() {
        Ok(rest) if rest.windows(5).any(|part| part == b"HTTP/") => {
            Err(format!("expected no reply, got {:?}", text(&rest)))
        }
        // A reset is an end as well; a time-out is not.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err("the connection goes on".to_owned())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// One reply with this status, and at most the probe's behind it; at most the probe at the origin.
fn answered(gateway: &Gateway, origin: &Origin, case: &Case, status: u16) -> Result<(), String> {
    let mut client = gateway.client();
    let _ = client.try_send(case.bytes);
    let reply = client.try_reply("GET").map_err(|e| format!("expected {status}, got {e}"))?;
    expect_status(&reply, status)?;
    if client.try_send(PROBE).is_ok()
        && let Ok(reply) = client.try_reply("GET")
    {
        expect_status(&reply, 200).map_err(|what| format!("behind it: {what}"))?;
        if !client.is_closed() {
            return Err("a third reply".to_owned());
        }
    }
    let seen = origin.take_bytes();
    if !seen.is_empty() && !seen.starts_with(b"GET /public/probe HTTP/1.1\r\n")
        || text(&seen).contains("smuggled")
    {
        return Err(format!("the origin got {:?}", text(&seen)));
    }
    Ok(())
}

fn passed_on(
    gateway: &Gateway,
    origin: &Origin,
    case: &Case,
    must_contain: &[&str],
    must_not_contain: &[&str],
) -> Result<(), String> {
    let mut client = gateway.client();
    let _ = client.try_send(case.bytes);
    let reply = client.try_reply("GET").map_err(|e| format!("expected 200, got {e}"))?;
    let outcome = expect_status(&reply, 200);
    // When the probe's reply, or the end, has come, nothing more of this case is under way.
    let _ = client.try_send(PROBE);
    let rest = client.reader().rest();
    let seen = origin.take_bytes().to_ascii_lowercase();
    outcome?;
    if let Err(error) = rest
        && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
    {
        return Err("the connection does not end behind a closing request".to_owned());
    }
    let has = |part: &&&str| seen.windows(part.len()).any(|window| window == part.as_bytes());
    let missing: Vec<_> = must_contain.iter().filter(|part| !has(part)).collect();
    let unwanted: Vec<_> = must_not_contain.iter().filter(has).collect();
    if missing.is_empty() && unwanted.is_empty() {
        return Ok(());
    }
    Err(format!("missing {missing:?}, unwanted {unwanted:?}; the origin got {:?}", text(&seen)))
}

fn expect_status(reply: &Reply, status: u16) -> Result<(), String> {
    if reply.status == status {
        return Ok(());
    }
    Err(format!("expected {status}, got {} with {:?}", reply.status, reply.text()))
}
