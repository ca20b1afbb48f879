//! One exchange with an endpoint over an open connection: content flows both ways at once, and
//! the reply's head goes through in between.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use portcullis_core::{Failure, Reason};
use portcullis_wire::{BodyLength, ReadError, Stream, Upstream, tls};

use super::content::{Download, Pace, Side, Upload};
use super::shed::LetThrough;
use super::steer::Cookie;
use super::{Exchange, Scratch, grpc, head, tunnel, upgrade};
use crate::client::Client;
use crate::upstream::acquire::Acquired;
use crate::worker::Worker;

/// Most interim replies to one request.
const MAX_INTERIM: usize = 32;
/// From when on an exchange watches for the client's going away.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// What an exchange may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'s> {
    /// When the connection was at hand: what came before is not the endpoint's first byte's fault.
    pub(crate) begun: Instant,
    pub(crate) total: Option<Instant>,
    pub(crate) first_byte: Duration,
    /// Without progress of the request's content before there is a reply.
    pub(crate) upload_stall: Duration,
    pub(crate) stall: Duration,
    pub(crate) tunnel: Duration,
    /// What becomes of the client's cookie with the reply.
    pub(crate) cookie: Option<Cookie<'s>>,
}

/// Sends what waits in the endpoint's connection, and the content behind it, until the head of a
/// final reply, or of a switch of protocols, is here.
///
/// # Errors
/// Whatever came in between. Nothing but interim replies has gone to the client.
pub(crate) async fn reach_head(
    exchange: &mut Exchange<'_, '_>,
    way: &mut Acquired,
    upload: &mut Upload,
    through: &mut Option<LetThrough>,
    watch: &mut Watch<'_>,
) -> Result<(), Failure> {
    let Exchange { serving, client, scratch, record, rules, .. } = exchange;
    let up = &mut way.up;
    let mut interim = 0;
    loop {
        let reached = poll_fn(|cx| poll_head(cx, client, up, scratch, upload, watch)).await;
        record.bytes_in = upload.bytes;
        if let (Some(through), Err(failure)) = (&mut *through, &reached)
            && failure.reason == Reason::FirstByteTimeout
        {
            through.timed_out();
        }
        reached?;
        let status = scratch.response.status;
        if status == 101 || status >= 200 {
            if let Some(through) = through {
                through.answered(status);
            }
            return Ok(());
        }
        interim += 1;
        if interim > MAX_INTERIM {
            return Err(Failure::new(Reason::UpstreamMalformed, "too many interim replies"));
        }
        if status == 100 {
            upload.release();
            watch.now = Instant::now();
        }
        if client.down.takes_interim() {
            // The client has seen something of this endpoint, and will see nothing of another.
            upload.forget();
            record.interim = true;
            head::write_reply(&mut client.down, scratch, rules, serving.worker);
        }
    }
}

/// Relays the reply whose head is here, the content behind it, and what is left of the request's.
///
/// # Errors
/// Whatever ended the exchange. If [`Record::status`] is set by then, the client has seen the
/// head of a reply and can be told only by closing.
pub(crate) async fn relay(
    exchange: &mut Exchange<'_, '_>,
    way: &mut Acquired,
    upload: &mut Upload,
    watch: &mut Watch<'_>,
) -> Result<(), Failure> {
    let Exchange { serving, client, scratch, record, rules, .. } = exchange;
    let up = &mut way.up;
    upload.forget();
    let status = scratch.response.status;
    if status == 101 {
        upgrade::check(up, scratch)?;
        record.status = 101;
        if let Some(cookie) = &watch.bounds.cookie {
            cookie.settle(serving.worker, scratch);
        }
        upgrade::write_switch(&mut client.down, scratch);
        // A tunnel may last for days, and is no exchange that others should wait for.
        way.seat = None;
        client.place = None;
        let idle = watch.bounds.tunnel;
        // Boxed: tunnels are rare, and idle connections would all carry their state.
        return Box::pin(tunnel::run(serving.worker, client, up, record, idle)).await;
    }
    if (200..300).contains(&status) && upgrade::is_connect(&scratch.request) {
        let detail = "it answers a switch of protocols with an ordinary success";
        return Err(Failure::new(Reason::UpstreamMalformed, detail));
    }
    if serving.worker.is_logging() {
        record.first_byte = Some(record.started.elapsed());
    }

    if !upload.is_done() {
        // The reply came before the request was whole. What is left of it may never come, so the
        // connection cannot be used again, and the client is told so now.
        client.down.close_after();
    }
    client.end_if_asked(serving.worker);
    if let Some(cookie) = &watch.bounds.cookie {
        cookie.settle(serving.worker, scratch);
    }
    head::write_reply(&mut client.down, scratch, rules, serving.worker);
    record.status = scratch.response.status;

    let mut download = Download::default();
    let relayed = poll_fn(|cx| poll_relay(cx, client, up, upload, &mut download, watch)).await;
    record.bytes_in = upload.bytes;
    record.bytes_out = download.bytes;
    record.cancelled = up.is_cancelled();
    relayed
}

/// The deadlines of an exchange.
pub(crate) struct Watch<'s> {
    worker: &'s Worker,
    /// Time as of the last move.
    now: Instant,
    /// When the current phase is too long.
    phase: Instant,
    pace: Option<Pace>,
    client_stall: Duration,
    /// The request did not leave at once, so the clock of the phase was set anew.
    uploading: bool,
    relaying: bool,
    /// When to begin watching for the client's going away: most replies are there long before, and
    /// are spared the cost. None once it is watched for.
    look: Option<Instant>,
    bounds: Bounds<'s>,
}

impl<'s> Watch<'s> {
    /// Of the request in hand, from now on.
    pub(crate) fn begin(exchange: &Exchange<'s, '_>, bounds: Bounds<'s>) -> Watch<'s> {
        let Exchange { serving, client, scratch, .. } = exchange;
        let timeouts = &serving.settings.listener.timeouts;
        Watch {
            worker: serving.worker,
            now: bounds.begun,
            phase: bounds.begun + bounds.first_byte,
            pace: (scratch.request.length != BodyLength::Empty && !grpc::is_grpc(&scratch.request))
                .then(|| Pace::new(bounds.begun, timeouts.min_rate, timeouts.min_rate_grace)),
            client_stall: timeouts.stall,
            uploading: false,
            relaying: false,
            look: (!client.down.tells_when_gone()).then(|| bounds.begun + LOOK_AFTER),
            bounds,
        }
    }

    /// Sets the connection's deadline for what is waited for, and looks whether it has passed, or
    /// the client has gone.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        upload: &Upload,
        late: Reason,
    ) -> Poll<Failure> {
        if self.worker.is_cut() {
            return Poll::Ready(Reason::Shutdown.into());
        }
        loop {
            if upload.is_over()
                && self.look.is_none()
                && let Poll::Ready(error) = client.down.poll_gone(cx)
            {
                return Poll::Ready(Failure::new(Reason::ClientGone, error));
            }
            let pace = match &mut self.pace {
                Some(pace) if !upload.is_over() => {
                    pace.due(upload.bytes, upload.waits_for, self.now)
                }
                _ => None,
            };
            let others = [self.bounds.total, pace, self.look].into_iter().flatten();
            let due = others.fold(self.phase, Instant::min);
            client.deadline.set(due);
            if client.deadline.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.look == Some(due) {
                self.look = None;
                continue;
            }
            return Poll::Ready(if self.bounds.total == Some(due) {
                Reason::TotalTimeout.into()
            } else if pace == Some(due) {
                Reason::BodyTimeout.into()
            } else {
                late.into()
            });
        }
    }
}

/// Sends the request until the head of a reply is here.
fn poll_head(
    cx: &mut Context<'_>,
    client: &mut Client,
    up: &mut Upstream,
    scratch: &mut Scratch,
    upload: &mut Upload,
    watch: &mut Watch<'_>,
) -> Poll<Result<(), Failure>> {
    let was_over = upload.is_over();
    upload.advance(cx, &mut client.down, up)?;
    match up.poll_response(cx, &mut scratch.response) {
        Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
        Poll::Ready(Err(ReadError::Malformed(malformed))) => {
            return Poll::Ready(Err(Failure::new(Reason::UpstreamMalformed, malformed)));
        }
        Poll::Ready(Err(ReadError::Io(error))) if tls::is_refusal(&error) => {
            return Poll::Ready(Err(Failure::new(Reason::UpstreamTls, error)));
        }
        Poll::Ready(Err(error)) => {
            return Poll::Ready(Err(Failure::new(Reason::UpstreamReset, error)));
        }
        Poll::Pending => {}
    }
    // An interim reply may still wait to go to the client.
    if let Poll::Ready(Err(error)) = client.down.poll_flush(cx) {
        return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
    }
    let late = if upload.is_over() {
        if !was_over && watch.uploading {
            watch.now = Instant::now();
            watch.phase = watch.now + watch.bounds.first_byte;
        }
        Reason::FirstByteTimeout
    } else if upload.is_held() {
        // The client rightly waits for a 100, which is the endpoint's to give.
        Reason::FirstByteTimeout
    } else {
        watch.uploading = true;
        if upload.moved() {
            watch.now = Instant::now();
        }
        watch.phase = watch.now
            + match upload.waits_for {
                Side::Client => watch.client_stall,
                Side::Endpoint => watch.bounds.upload_stall,
            };
        match upload.waits_for {
            Side::Client => Reason::BodyTimeout,
            Side::Endpoint => Reason::UpstreamStalled,
        }
    };
    watch.poll(cx, client, upload, late).map(Err)
}

/// Relays the reply's content, and what is left of the request's beside it.
fn poll_relay(
    cx: &mut Context<'_>,
    client: &mut Client,
    up: &mut Upstream,
    upload: &mut Upload,
    download: &mut Download,
    watch: &mut Watch<'_>,
) -> Poll<Result<(), Failure>> {
    if !upload.is_over() {
        upload.advance(cx, &mut client.down, up)?;
    }
    let mut waits_for = Side::Endpoint;
    if let Poll::Ready(done) = download.poll(cx, &mut client.down, up, &mut waits_for) {
        return Poll::Ready(done);
    }
    // The clock is looked at only when there is something to wait for.
    if download.moved() | upload.moved() || !watch.relaying {
        watch.relaying = true;
        watch.now = Instant::now();
    }
    let (stall, late) = match waits_for {
        Side::Client => (watch.client_stall, Reason::ClientStalled),
        Side::Endpoint => (watch.bounds.stall, Reason::UpstreamStalled),
    };
    watch.phase = watch.now + stall;
    watch.poll(cx, client, upload, late).map(Err)
}
