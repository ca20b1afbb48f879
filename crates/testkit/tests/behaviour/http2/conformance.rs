//! Every row of `vectors` against the gateway. All failures of a group are told at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use portcullis_testkit::h2::{Block, Frame, H2Client, Outcome, code};
use portcullis_testkit::{Gateway, Origin, eventually};

use super::vectors::{Case, Deviation, groups};

/// Errors told to clients: scope and code, and how often.
type Told = BTreeMap<(&'static str, u32), usize>;

#[test]
fn frames_have_sizes_flags_and_places() {
    run("frames");
}

#[test]
fn settings_have_bounds() {
    run("settings");
}

#[test]
fn streams_have_states_and_numbers() {
    run("streams");
}

#[test]
fn fields_are_what_http_has() {
    run("fields");
}

#[test]
fn requests_have_their_pseudo_fields() {
    run("requests");
}

#[test]
fn content_is_as_long_as_announced() {
    run("content");
}

#[test]
fn header_blocks_can_be_read() {
    run("compression");
}

fn run(group: &str) {
    let (_, cases) = groups().into_iter().find(|(name, _)| *name == group).unwrap();
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let mut bystander = super::client(&gateway);
    let mut failures = String::new();
    let mut failed = 0;
    let mut told = Told::new();
    for case in &cases {
        let outcome = observed(gateway.address(), case).and_then(|seen| {
            tally(&mut told, &seen);
            judge(case, &seen)
        });
        if let Err(what) = outcome {
            failed += 1;
            let _ = writeln!(failures, "- {} ({}): {what}", case.name, case.section);
        }
        assert_eq!(bystander.get("/bystander").status, 200, "behind {}", case.name);
    }
    let bad = origin.requests().into_iter().find(|request| request.target.contains("bad"));
    assert!(failures.is_empty(), "{failed} of {} failed:\n{failures}", cases.len());
    assert!(bad.is_none(), "the origin got {bad:?}");
    counted(&gateway, &told);
}

/// What came of a case.
enum Seen {
    Connection(u32),
    Stream(u32),
    Status(u16),
    Nothing,
}

fn observed(address: SocketAddr, case: &Case) -> Result<Seen, String> {
    let mut client = H2Client::connect(address);
    if let Some(before) = &case.before {
        client.send(before);
        client.reply(1);
    }
    let _ = client.try_send(&case.bytes);
    let expects_reply = !case.expect.status.is_empty() || !case.expect.stream.is_empty();
    if case.before.is_some() || !expects_reply || case.expect.ignored {
        if client.barrier().is_err() {
            return ended(&mut client);
        }
        goes_on(&mut client)?;
        let exchange = client.exchanges.get(&case.stream);
        let reset = exchange.and_then(|exchange| exchange.reset);
        return Ok(reset.map_or(Seen::Nothing, Seen::Stream));
    }
    let seen = match client.outcome(case.stream) {
        Outcome::Reply(reply) => Seen::Status(reply.status),
        Outcome::Reset(reset) => Seen::Stream(reset),
        Outcome::GoneAway(_) | Outcome::Closed => return ended(&mut client),
        Outcome::Failed(error) => return Err(format!("hangs, or broke the standard: {error}")),
    };
    goes_on(&mut client)?;
    Ok(seen)
}

fn ended(client: &mut H2Client) -> Result<Seen, String> {
    match client.end_of_connection() {
        Ok(Some(goaway)) => Ok(Seen::Connection(goaway.code)),
        Ok(None) => Err("the connection ended without GOAWAY".to_owned()),
        Err(error) => Err(format!("GOAWAY, and no end: {error}")),
    }
}

/// The connection serves the next request.
fn goes_on(client: &mut H2Client) -> Result<(), String> {
    let _ = client.try_send(Frame::headers(101, &Block::get("/")).ending());
    match client.outcome(101) {
        Outcome::Reply(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("and then the next request got {other}")),
    }
}

fn judge(case: &Case, seen: &Seen) -> Result<(), String> {
    let expect = &case.expect;
    let (legal, told) = match seen {
        Seen::Connection(code) => {
            (expect.connection.contains(code), format!("GOAWAY {}", code::name(*code)))
        }
        Seen::Stream(code) => {
            (expect.stream.contains(code), format!("RST_STREAM {}", code::name(*code)))
        }
        Seen::Status(status) => (expect.status.contains(status), format!("status {status}")),
        Seen::Nothing => (expect.ignored, "nothing, and the connection goes on".to_owned()),
    };
    let deviates = match (case.deviation, seen) {
        (None, _) => false,
        (Some(Deviation::Connection(code)), Seen::Connection(seen)) => code == *seen,
        (Some(Deviation::Status(status)), Seen::Status(seen)) => status == *seen,
        (Some(_), _) => false,
    };
    match (legal, case.deviation) {
        (true, None) => Ok(()),
        (true, Some(deviation)) => Err(format!("{told}, no longer {deviation:?}")),
        (false, _) if deviates => Ok(()),
        (false, _) => Err(format!("expected {}, got {told}", described(case))),
    }
}

fn described(case: &Case) -> String {
    let expect = &case.expect;
    let codes = |codes: &[u32]| codes.iter().map(|c| code::name(*c)).collect::<Vec<_>>().join("/");
    let mut all = Vec::new();
    if !expect.connection.is_empty() {
        all.push(format!("GOAWAY {}", codes(expect.connection)));
    }
    if !expect.stream.is_empty() {
        all.push(format!("RST_STREAM {}", codes(expect.stream)));
    }
    if !expect.status.is_empty() {
        all.push(format!("status {:?}", expect.status));
    }
    if expect.ignored {
        all.push("nothing".to_owned());
    }
    all.join(" or ")
}

fn tally(told: &mut Told, seen: &Seen) {
    let key = match seen {
        Seen::Connection(code) if *code != code::NO_ERROR => ("connection", *code),
        Seen::Stream(code) if *code != code::NO_ERROR => ("stream", *code),
        _ => return,
    };
    *told.entry(key).or_default() += 1;
}

/// Every error that a client was told of is counted, by scope and code.
fn counted(gateway: &Gateway, told: &Told) {
    for ((scope, number), count) in told {
        let labels = format!("scope=\"{scope}\",code=\"{}\"", code::name(*number));
        let metric = || gateway.metric("portcullis_http2_errors_total", &labels);
        let expected = *count as f64;
        assert!(eventually(|| metric() >= expected), "{labels}: {} of {expected}", metric());
    }
}
