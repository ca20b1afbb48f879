//! Replies of the gateway's own: the only place where failures become answers.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use portcullis_config::model::{Reply, Template};
use portcullis_core::{Failure, Reason, RequestId};
use portcullis_policies::browser::Kept;
use portcullis_policies::ext_authz::Denial;
use portcullis_wire::{
    Abort, BodyLength, Fields, Known, ReplyLine, RequestHead, Stream, reason_phrase,
};

use super::browser::ReplyRules;
use super::{Exchange, Scratch, Skipped, grpc, head, skip_content};
use crate::client::Client;
use crate::path::Normal;
use crate::router;
use crate::worker::Worker;

/// Methods that are passed on; all that RFC 9110 and RFC 5789 define but `CONNECT`.
const METHODS: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";

/// What may be asked for instead of another version of WebSocket (RFC 6455, 4.2.2; RFC 9110, 7.8).
const WEBSOCKETS: [(&[u8], &[u8]); 3] =
    [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13")];

/// Most content of a request answered here that is read only to keep the connection, in bytes.
const MAX_DISCARDED: u64 = 64 * 1024;

/// Whether the request may travel no further (RFC 9110, 7.6.2).
pub(crate) fn is_last_hop(request: &RequestHead) -> bool {
    matches!(request.method(), b"OPTIONS" | b"TRACE")
        && request
            .fields
            .all(b"max-forwards")
            .any(|hops| !hops.is_empty() && hops.iter().all(|&b| b == b'0'))
}

/// Answers a request that is meant for the gateway itself.
pub(crate) async fn options(exchange: &mut Exchange<'_, '_>) -> Result<(), Failure> {
    if exchange.scratch.request.method() != b"OPTIONS" {
        exchange.record.allow = Some(String::from_utf8_lossy(METHODS).into_owned());
        return Err(Reason::MethodNotAllowed.into());
    }
    let fields: &[(&[u8], &[u8])] = &[(b"Allow", METHODS)];
    send(exchange, 204, fields, b"").await
}

/// Answers that everything is fine, and no more.
pub(crate) async fn no_content(exchange: &mut Exchange<'_, '_>) -> Result<(), Failure> {
    send(exchange, 204, &[], b"").await
}

/// Answers with a configured reply.
pub(crate) async fn reply(exchange: &mut Exchange<'_, '_>, reply: &Reply) -> Result<(), Failure> {
    let fields: Vec<(&[u8], &[u8])> =
        reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    send(exchange, reply.status, &fields, &reply.body).await
}

/// Answers with what whoever was asked about the request has the client told.
pub(crate) async fn denied(
    exchange: &mut Exchange<'_, '_>,
    denial: &Denial,
) -> Result<(), Failure> {
    let fields: Vec<(&[u8], &[u8])> =
        denial.fields.iter().map(|field| (field.name, field.value)).collect();
    send(exchange, denial.status, &fields, &denial.content).await
}

/// Sends the client elsewhere.
pub(crate) async fn redirect(
    exchange: &mut Exchange<'_, '_>,
    normal: Normal,
    to: &Template,
    status: u16,
) -> Result<(), Failure> {
    let mut location = std::mem::take(&mut exchange.scratch.rewritten);
    let Scratch { request, path, params, .. } = &*exchange.scratch;
    let path = match normal {
        Normal::AsIs => request.path(),
        Normal::Rewritten => path,
    };
    location.clear();
    router::expand(to, params, path, super::around(request), &mut location);
    let sent = send(exchange, status, &[(b"Location", &location)], b"").await;
    exchange.scratch.rewritten = location;
    sent
}

/// Sends a browser elsewhere, which it asks by `GET`.
pub(crate) async fn see_other(
    exchange: &mut Exchange<'_, '_>,
    location: &[u8],
) -> Result<(), Failure> {
    send(exchange, 303, &[(b"Location", location)], b"").await
}

/// Turns a failure into an answer where one can still be given, and else into a cut connection.
pub(crate) async fn fail(exchange: &mut Exchange<'_, '_>, failure: Failure) {
    let Exchange { client, scratch, record, .. } = &mut *exchange;
    let failure = client.explained(failure);
    let reason = failure.reason;
    record.failure = Some(failure);
    if record.status != 0 || matches!(reason, Reason::ClientGone | Reason::ClientStalled) {
        // The client has seen the head of another reply, or is not there to see one.
        client.cut(match reason {
            Reason::BadBody => Abort::Malformed,
            _ if record.cancelled => Abort::Cancelled,
            Reason::ClientGone | Reason::ClientStalled => Abort::Cancelled,
            _ => Abort::Broken,
        });
        if record.status == 0 {
            record.status = reason.status();
        }
        return;
    }
    if ends_connection(reason) {
        client.down.close_after();
    }
    let said = scratch.added.all(b"retry-after").next().is_some();
    if let Some(seconds) = retry_after(reason, record.retry_after).filter(|_| !said) {
        scratch.added.push(b"Retry-After", itoa::Buffer::new().format(seconds).as_bytes());
    }
    if grpc::is_grpc(&scratch.request) {
        let fields: &[(&[u8], &[u8])] = &[
            (b"Content-Type", b"application/grpc"),
            (b"grpc-status", grpc::status(reason).as_bytes()),
            (b"grpc-message", reason.outside().as_bytes()),
        ];
        if send(exchange, 200, fields, b"").await.is_err() {
            exchange.client.cut(Abort::Cancelled);
        }
        return;
    }
    let status = record.refusal.unwrap_or(reason.status());
    let fallback = record.route.and_then(|route| route.route.fallback.as_deref());
    if let Some(fallback) = fallback.filter(|_| matches!(status, 502..=504)) {
        record.fallback = true;
        if reply(exchange, fallback).await.is_err() {
            exchange.client.cut(Abort::Cancelled);
        }
        return;
    }
    let problem = problem(reason, status, record.id.to_string().as_str());
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b"Content-Type", b"application/problem+json")];
    let allow = record.allow.take();
    if let Some(allow) = &allow {
        fields.push((b"Allow", allow.as_bytes()));
    }
    if reason == Reason::WebSocketVersion {
        fields.extend(WEBSOCKETS);
    }
    if send(exchange, status, &fields, problem.as_bytes()).await.is_err() {
        exchange.client.cut(Abort::Cancelled);
    }
}

/// When it is worth asking again, in seconds, where a service is spared.
fn retry_after(reason: Reason, known: Option<u64>) -> Option<u64> {
    match reason {
        Reason::CircuitOpen => Some(known.unwrap_or(1).max(1)),
        Reason::Overloaded | Reason::Saturated => Some(1),
        _ => None,
    }
}

/// Whether the connection is not worth keeping: what is left of the request cannot be read, or its
/// sender is up to no good.
fn ends_connection(reason: Reason) -> bool {
    matches!(reason, Reason::BadPath | Reason::BadBody | Reason::BodyTimeout | Reason::BodyTooLarge)
}

/// Answers a request whose head could not be read; the connection ends with it.
pub(crate) async fn refuse(
    worker: &Worker,
    client: &mut Client,
    id: RequestId,
    failure: &Failure,
) -> u16 {
    let reason = failure.reason;
    client.down.close_after();
    let problem = problem(reason, reason.status(), id.to_string().as_str());
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b"Content-Type", b"application/problem+json")];
    if reason == Reason::ConnectRefused {
        fields.push((b"Allow", METHODS));
    }
    let sent =
        write(worker, client, reason.status(), &fields, &Extra::default(), problem.as_bytes())
            .await;
    if sent.is_err() {
        client.cut(Abort::Cancelled);
    }
    reason.status()
}

/// A problem document (RFC 9457). All parts are our own constants, so nothing needs escaping.
fn problem(reason: Reason, status: u16, id: &str) -> String {
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{status},\"detail\":\"{}\",\"code\":\"{}\",\"request_id\":\"{id}\"}}\n",
        reason_phrase(status),
        reason.outside(),
        reason.code(),
    )
}

/// Sends a reply of our own and counts it.
async fn send(
    exchange: &mut Exchange<'_, '_>,
    status: u16,
    fields: &[(&[u8], &[u8])],
    body: &[u8],
) -> Result<(), Failure> {
    let Exchange { serving, client, scratch, record, rules, .. } = exchange;
    let request = &scratch.request;
    // Content that nobody wants is skipped if it is here already, and afterwards if it is small:
    // a connection is worth more. Content that may never come, or be much, is not waited for.
    let skipped = poll_fn(|cx| Poll::Ready(skip_content(client, cx))).await;
    let whole = skipped == Skipped::Whole;
    let small = matches!(request.length, BodyLength::Exact(length) if length <= MAX_DISCARDED);
    // A client that waited for a 100 may take this reply as leave to send no content at all.
    if !whole && (!small || request.expects_continue) {
        client.down.close_after();
    }
    record.status = status;
    let extra = Extra { added: Some(&scratch.added), rules: *rules };
    record.bytes_out = write(serving.worker, client, status, fields, &extra, body).await?;
    Ok(())
}

/// What steps of the pipeline and policies add to a reply.
#[derive(Default)]
struct Extra<'a> {
    added: Option<&'a Fields>,
    rules: ReplyRules<'a>,
}

/// Writes a whole reply and waits until it has left. Returns the content bytes sent.
async fn write(
    worker: &Worker,
    client: &mut Client,
    status: u16,
    fields: &[(&[u8], &[u8])],
    extra: &Extra<'_>,
    body: &[u8],
) -> Result<u64, Failure> {
    let length =
        if body.is_empty() { BodyLength::Empty } else { BodyLength::Exact(body.len() as u64) };
    client.end_if_asked(worker);
    let mut out = client.down.begin_reply(&ReplyLine { status, length, declared: None });
    let mut dated = false;
    let mut kept = Kept::default();
    for (name, value) in fields {
        dated |= Known::of(name) == Known::Date;
        if extra.rules.keeps(name, &mut kept) {
            out.field(name, value);
        }
    }
    if !dated {
        out.field(b"Date", &worker.date());
    }
    if let Some(added) = extra.added {
        head::write_added(&mut out, added);
    }
    extra.rules.write(kept, &mut out);
    out.end();
    let stall = client.listener.settings().listener.timeouts.stall;
    client.deadline.set(Instant::now() + stall);
    // A reply to HEAD sends none of it.
    let mut sent = if client.down.takes_content() { 0 } else { body.len() };
    let counted = (body.len() - sent) as u64;
    let mut finished = false;
    poll_fn(|cx| {
        while sent < body.len() {
            match client.down.poll_send(cx, &body[sent..]) {
                Poll::Ready(Ok(n)) => {
                    sent += n;
                    client.deadline.set(Instant::now() + stall);
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
                }
                Poll::Pending => return late(client, cx),
            }
        }
        if !std::mem::replace(&mut finished, true) {
            client.down.finish(&Fields::default());
        }
        match client.down.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::new(Reason::ClientGone, error))),
            Poll::Pending => late(client, cx),
        }
    })
    .await?;
    Ok(counted)
}

fn late(client: &mut Client, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Failure>> {
    client.deadline.poll(cx).map(|()| Err(Reason::ClientStalled.into()))
}

#[cfg(test)]
mod tests {
    use portcullis_core::failure::REASONS;

    use super::*;

    #[test]
    fn problems_are_one_line_and_need_no_escaping() {
        for reason in REASONS {
            let problem = problem(reason, reason.status(), "0123");
            assert_eq!(problem.matches('\n').count(), 1);
            assert!(!problem.contains('\\'));
            assert!(problem.contains(&format!("\"status\":{},", reason.status())));
        }
    }
}
