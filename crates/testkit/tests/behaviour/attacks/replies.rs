//! The vectors that an origin sends.

use std::io;
use std::sync::{Arc, Mutex};

use portcullis_testkit::{Client, Gateway, Origin, Reply, Served};

use super::vectors::{REPLIES, ReplyCase, ReplyExpect};
use super::{guarded, tell, text};

/// What the origin answers to the case's request, and whether it ends its side then.
type Script = Arc<Mutex<(&'static [u8], bool)>>;

#[test]
fn replies_that_have_fooled_others_do_not_fool_us() {
    let script: Script = Arc::default();
    let origin = Origin::with({
        let script = script.clone();
        move |served| answer(served, &script)
    });
    let gateway = Gateway::start(&guarded(&origin));
    let mut failures = Vec::new();
    for case in REPLIES {
        // Left open where it may be, so that what is left on the connection could do harm.
        let ends = !matches!(case.expect, ReplyExpect::Passed { .. });
        *script.lock().unwrap() = (case.reply, ends);
        let outcome = match case.expect {
            ReplyExpect::BadGateway => bad_gateway(gateway.client(), case),
            ReplyExpect::Cut => cut(gateway.client(), case),
            ReplyExpect::Passed { status, must_contain, must_not_contain } => {
                passed(&gateway, case, status, must_contain, must_not_contain)
            }
        };
        if let Err(what) = outcome {
            let (request, reply) = (text(case.request), text(case.reply));
            failures.push(format!(
                "{} ({})\n  sent {request:?}\n  answered {reply:?}\n  {what}",
                case.name, case.cve
            ));
        }
    }
    tell(failures, REPLIES.len());
}

fn answer(served: &mut Served, script: &Script) {
    while let Some(request) = served.head() {
        if request.target == "/public/next" {
            served.reply("next");
            continue;
        }
        let (reply, ends) = *script.lock().unwrap();
        served.send(reply);
        if ends {
            served.end();
            return served.wait_for_end();
        }
    }
}

fn bad_gateway(mut client: Client, case: &ReplyCase) -> Result<(), String> {
    client.send(case.request);
    let reply = final_reply(&mut client, "GET").map_err(|e| format!("expected 502, got {e}"))?;
    if reply.status != 502 || reply.text().contains("smuggled") {
        return Err(format!("expected our 502, got {} with {:?}", reply.status, reply.text()));
    }
    if reply.field("content-type") != Some("application/problem+json") {
        return Err(format!("a 502 that is not ours: {:?}", reply.fields));
    }
    Ok(())
}

fn cut(mut client: Client, case: &ReplyCase) -> Result<(), String> {
    client.reader().record();
    client.send(case.request);
    let reply = client.try_reply("GET");
    let read = text(client.reader().transcript());
    match reply {
        Ok(reply) if reply.status == 502 && !read.contains("smuggled") => Ok(()),
        Ok(_) => Err(format!("a whole reply: {read:?}")),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(format!("{error}: {read:?}"))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(format!("hangs: {read:?}")),
        Err(_) if read.contains("smuggled") => Err(format!("passed on: {read:?}")),
        Err(_) => Ok(()),
    }
}

fn passed(
    gateway: &Gateway,
    case: &ReplyCase,
    status: u16,
    must_contain: &[&str],
    must_not_contain: &[&str],
) -> Result<(), String> {
    let method = if case.request.starts_with(b"HEAD") { "HEAD" } else { "GET" };
    let mut client = gateway.client();
    client.reader().record();
    client.send(case.request);
    let reply =
        final_reply(&mut client, method).map_err(|e| format!("expected {status}, got {e}"))?;
    let read = String::from_utf8_lossy(client.reader().transcript()).to_ascii_lowercase();
    // Where the request's content is still owed, the connection has no place for a next request.
    let owed = case.request.starts_with(b"POST");
    if reply.closes() || owed || case.request.ends_with(b"HTTP/1.0\r\nHost: a.example\r\n\r\n") {
        let second = gateway.get("/public/next").text();
        check_next(&second)?;
    } else {
        check_next(&client.get("/public/next").text())?;
    }
    if reply.status != status {
        return Err(format!("expected {status}, got {read:?}"));
    }
    let missing: Vec<_> = must_contain.iter().filter(|part| !read.contains(**part)).collect();
    let unwanted: Vec<_> = must_not_contain.iter().filter(|part| read.contains(**part)).collect();
    if missing.is_empty() && unwanted.is_empty() && !read.contains("smuggled") {
        return Ok(());
    }
    Err(format!("missing {missing:?}, unwanted {unwanted:?}; the client got {read:?}"))
}

/// The reply behind interim ones; those a proxy passes on (RFC 9110 section 15.2).
fn final_reply(client: &mut Client, method: &str) -> io::Result<Reply> {
    loop {
        let reply = client.try_reply(method)?;
        if reply.status >= 200 || reply.status == 101 {
            return Ok(reply);
        }
    }
}

fn check_next(text: &str) -> Result<(), String> {
    if text == "next" { Ok(()) } else { Err(format!("the next request got {text:?}")) }
}
