//! A check's request and what it makes of the reply, in either version of HTTP.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use portcullis_config::model::{BodyTest, HttpCheck};
use portcullis_core::health::CheckResult;
use portcullis_wire::{BodyLength, Fields, ReadError, RequestLine, ResponseHead, Stream, Upstream};

use super::check::Fault;
use super::grpc;

/// How checks name themselves.
const USER_AGENT: &[u8] = b"portcullis-health";
/// Content that nobody asked for is read up to here, for the sake of the connection.
const MOST_IGNORED: usize = 64 * 1024;
/// Most interim replies to one request.
const MAX_INTERIM: usize = 32;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answered {
    /// What was hoped for.
    Passed,
    /// Something else.
    Failed(Fault),
    /// The connection was lost before any byte of a reply.
    Nothing(Fault),
}

impl From<Answered> for Result<(), Fault> {
    fn from(answered: Answered) -> Result<(), Fault> {
        match answered {
            Answered::Passed => Ok(()),
            Answered::Failed(fault) | Answered::Nothing(fault) => Err(fault),
        }
    }
}

/// Sends a request and judges its reply.
pub(super) async fn request(up: &mut Upstream, check: &HttpCheck, host: &str) -> Answered {
    let mut head = up.begin_request(&RequestLine {
        method: check.method.as_bytes(),
        path: check.path.as_bytes(),
        query: check.query.as_deref().map(str::as_bytes),
        authority: host.as_bytes(),
        length: BodyLength::Empty,
        declares_length: matches!(&*check.method, "POST" | "PUT" | "PATCH"),
        expects_continue: false,
        upgrade: None,
        takes_trailers: false,
    });
    if !check.headers.iter().any(|(name, _)| &**name == "user-agent") {
        head.field(b"user-agent", USER_AGENT);
    }
    for (name, value) in &check.headers {
        head.field(name.as_bytes(), value.as_bytes());
    }
    head.end();
    let most = if check.body.is_some() { check.max_body } else { MOST_IGNORED };
    match reply(up, most).await {
        Ok((head, content)) => judge(check, head.status, &content),
        Err(fault) => lost(up, fault),
    }
}

/// Calls `grpc.health.v1.Health/Check` and judges its answer.
pub(super) async fn call(up: &mut Upstream, service: &str, host: &str) -> Answered {
    let message = grpc::request(service);
    let mut head = up.begin_request(&RequestLine {
        method: b"POST",
        path: grpc::CHECK.as_bytes(),
        query: None,
        authority: host.as_bytes(),
        length: BodyLength::Unknown,
        declares_length: false,
        expects_continue: false,
        upgrade: None,
        takes_trailers: true,
    });
    head.field(b"content-type", b"application/grpc");
    head.field(b"user-agent", USER_AGENT);
    head.end();
    if let Err(error) = send(up, &message).await {
        return lost(up, Fault::new(CheckResult::Reset, error));
    }
    match reply(up, grpc::MOST_ANSWER).await {
        Ok((head, content)) => match grpc::judge(&head, &content, up.trailers()) {
            Ok(()) => Answered::Passed,
            Err(fault) => Answered::Failed(fault),
        },
        Err(fault) => lost(up, fault),
    }
}

/// What a failure is: without any byte of a reply, perhaps the connection's alone.
fn lost(up: &Upstream, fault: Fault) -> Answered {
    if fault.result == CheckResult::Reset && !up.has_begun_reply() {
        Answered::Nothing(fault)
    } else {
        Answered::Failed(fault)
    }
}

/// Sends content and its end.
async fn send(up: &mut Upstream, message: &[u8]) -> io::Result<()> {
    let mut sent = 0;
    poll_fn(|cx| {
        while sent < message.len() {
            sent += ready!(up.poll_send(cx, &message[sent..]))?;
        }
        Poll::Ready(Ok::<(), io::Error>(()))
    })
    .await?;
    up.finish(&Fields::default());
    Ok(())
}

/// Reads a final reply: its head, and up to so many bytes of content.
async fn reply(up: &mut Upstream, most: usize) -> Result<(ResponseHead, Vec<u8>), Fault> {
    let mut head = ResponseHead::default();
    let mut interim = 0;
    poll_fn(|cx| {
        loop {
            ready!(poll_head(cx, up, &mut head))?;
            if head.status >= 200 {
                return Poll::Ready(Ok(()));
            }
            interim += 1;
            if interim > MAX_INTERIM {
                let fault = Fault::new(CheckResult::Malformed, "too many interim replies");
                return Poll::Ready(Err(fault));
            }
        }
    })
    .await?;
    let mut content = Vec::new();
    poll_fn(|cx| poll_content(cx, up, most, &mut content)).await?;
    Ok((head, content))
}

/// Sends what waits and reads the next head.
fn poll_head(
    cx: &mut Context<'_>,
    up: &mut Upstream,
    head: &mut ResponseHead,
) -> Poll<Result<(), Fault>> {
    // A reply may have come although not all could be sent.
    let flushed = up.poll_flush(cx);
    match (up.poll_response(cx, head), flushed) {
        (Poll::Ready(read), _) => Poll::Ready(read.map_err(|error| broken(&error))),
        (Poll::Pending, Poll::Ready(Err(error))) => {
            Poll::Ready(Err(Fault::new(CheckResult::Reset, error)))
        }
        (Poll::Pending, _) => Poll::Pending,
    }
}

/// Reads content to its end, or as much as is looked at.
fn poll_content(
    cx: &mut Context<'_>,
    up: &mut Upstream,
    most: usize,
    content: &mut Vec<u8>,
) -> Poll<Result<(), Fault>> {
    loop {
        if !ready!(up.poll_content(cx)).map_err(|error| broken(&error))? {
            return Poll::Ready(Ok(()));
        }
        let here = up.content();
        let taken = here.len().min(most - content.len());
        content.extend_from_slice(&here[..taken]);
        if taken < here.len() {
            return Poll::Ready(Ok(()));
        }
        up.consume(taken);
    }
}

fn broken(error: &ReadError) -> Fault {
    let result = match error {
        ReadError::Malformed(_) => CheckResult::Malformed,
        _ => CheckResult::Reset,
    };
    Fault::new(result, error)
}

fn judge(check: &HttpCheck, status: u16, content: &[u8]) -> Answered {
    if !check.status.iter().any(|&(first, last)| (first..=last).contains(&status)) {
        return Answered::Failed(Fault::new(CheckResult::Status, format_args!("status {status}")));
    }
    let (holds, what) = match &check.body {
        None => return Answered::Passed,
        Some(BodyTest::Contains(text)) => {
            (memchr::memmem::find(content, text.as_bytes()).is_some(), "the text is not in it")
        }
        Some(BodyTest::Regex(regex)) => (regex.is_match(content), "nothing in it matches"),
    };
    if holds {
        return Answered::Passed;
    }
    let detail = format_args!("{what} ({} bytes of content)", content.len());
    Answered::Failed(Fault::new(CheckResult::Body, detail))
}
