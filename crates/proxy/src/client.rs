//! A client's connection from its first byte to its last.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use portcullis_core::{Failure, Reason};
use portcullis_wire::h2::Prelude;
use portcullis_wire::{Abort, Downstream, Malformed, Opening, ReadError, Stream};

use crate::accept::{Accepted, Counted};
use crate::admit::{Admitted, admit};
use crate::deadline::Deadline;
use crate::forwarding::Peer;
use crate::multiplex::{self, Carrier};
use crate::pipeline::{self, Scratch, Serving, Skipped};
use crate::snapshot::ListenerSettings;
use crate::worker::{LocalListener, Place, Worker};

/// How long a connection that is draining may stay idle: long enough for a request that is on its
/// way already, so that none meets a closed door.
pub(crate) const DRAIN_IDLE: Duration = Duration::from_millis(1000);
/// How long what a client still sends is read after our last reply, so that the reply is not lost
/// to a reset.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// Most bytes that are read then, in buffers.
const LINGER_READS: usize = 256;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) down: Downstream,
    pub(crate) deadline: Deadline,
    pub(crate) peer: Rc<Peer>,
    pub(crate) listener: Rc<LocalListener>,
    /// Its place among the exchanges over HTTP/2; none over other versions, and none for tunnels.
    pub(crate) place: Option<Place>,
    /// The connection that it shares with others over HTTP/2; none over other versions.
    pub(crate) carrier: Option<Carrier>,
    /// The connection must not be used again, not even to end it politely.
    cut: bool,
}

impl Client {
    pub(crate) fn new(down: Downstream, peer: Rc<Peer>, listener: Rc<LocalListener>) -> Client {
        let (place, carrier) = (None, None);
        Client { down, deadline: Deadline::default(), peer, listener, place, carrier, cut: false }
    }

    /// Makes the exchange under way the last one if the worker or the listener is to end.
    pub(crate) fn end_if_asked(&mut self, worker: &Worker) {
        if worker.is_draining() || self.listener.is_closed() {
            self.down.close_after();
        }
    }

    /// Reads what the client still sends of a request that was answered early: some clients lose
    /// the answer when they are told to stop at once.
    pub(crate) async fn let_finish(&mut self) {
        if !self.cut && !self.down.is_read() {
            discard_content(self).await;
        }
    }

    /// A failure, with the cause known better: where the gateway has dropped a connection that its
    /// client did not read, each exchange on it sees no more than that it is gone.
    pub(crate) fn explained(&self, failure: Failure) -> Failure {
        let gone = failure.reason == Reason::ClientGone;
        if gone && self.carrier.as_ref().is_some_and(Carrier::has_stalled) {
            return Reason::ClientStalled.into();
        }
        failure
    }

    /// Ends the exchange and what carries it at once, as the only way left to tell that something
    /// went wrong.
    pub(crate) fn cut(&mut self, why: Abort) {
        self.cut = true;
        self.down.abort(why);
    }
}

/// Serves a connection that was just accepted.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    accepted: Accepted,
    _counted: Counted,
) {
    let Some(Admitted { io, peer, http2 }) = admit(&worker, &listener, accepted).await else {
        return;
    };
    if http2 {
        // Boxed, here and below: connections of the other kind would all carry its state.
        return Box::pin(multiplex::serve(&worker, &listener, peer, Prelude::new(io))).await;
    }
    let mut client = Client::new(Downstream::over(io), peer, listener);
    if exchanges(&worker, &mut client).await == Ended::IsHttp2 {
        let Client { down, peer, listener, .. } = client;
        if let Some(prelude) = down.into_http2() {
            Box::pin(multiplex::serve(&worker, &listener, peer, prelude)).await;
        }
        return;
    }
    if !client.cut {
        linger(&mut client).await;
    }
}

/// Why a connection carries no more exchanges of HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    /// It began with the preface of HTTP/2.
    IsHttp2,
}

/// One exchange after the other until the connection cannot carry another.
async fn exchanges(worker: &Rc<Worker>, client: &mut Client) -> Ended {
    let waker = worker.register_waker().await;
    let mut first = true;
    while wait(worker, client).await {
        if std::mem::take(&mut first) && begins_http2(client).await {
            return Ended::IsHttp2;
        }
        exchange(worker, client).await;
        if client.down.persists() {
            client.let_finish().await;
        }
        if client.cut || !client.down.is_reusable() {
            break;
        }
    }
    drop(waker);
    Ended::Done
}

/// Serves one request.
pub(crate) async fn exchange(worker: &Rc<Worker>, client: &mut Client) {
    let mut scratch = worker.scratch();
    // Both at once, so that a request never sees two configurations.
    let (settings, snapshot) = (client.listener.settings(), worker.snapshot());
    match read_head(client, &settings, &mut scratch).await {
        Ok(()) => {
            let serving = Serving { worker, snapshot: &snapshot, settings: &settings };
            pipeline::serve(serving, client, &mut scratch).await;
        }
        Err(failure) => refuse(worker, client, &failure).await,
    }
    worker.give_back(scratch);
}

/// Whether a plain connection begins with the preface of HTTP/2, and may.
async fn begins_http2(client: &mut Client) -> bool {
    let settings = client.listener.settings();
    if settings.http2.is_none() || settings.tls.is_some() {
        return false;
    }
    let mut timed = false;
    poll_fn(|cx| {
        loop {
            match client.down.opening() {
                Opening::Http2 => return Poll::Ready(true),
                Opening::Http1 => return Poll::Ready(false),
                Opening::Unclear => {}
            }
            match client.down.poll_opening(cx) {
                Poll::Ready(Ok(true)) => {}
                // Whatever is wrong is found again when a request is read.
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => break,
            }
        }
        if !std::mem::replace(&mut timed, true) {
            client.deadline.set(Instant::now() + settings.listener.timeouts.head);
        }
        client.deadline.poll(cx).map(|()| false)
    })
    .await
}

/// Waits for the next request to begin.
async fn wait(worker: &Worker, client: &mut Client) -> bool {
    let idle = client.listener.settings().listener.timeouts.idle;
    let mut due = None;
    poll_fn(|cx| {
        match client.down.poll_ready(cx) {
            Poll::Ready(Ok(begun)) => return Poll::Ready(begun),
            Poll::Ready(Err(_)) => {
                client.cut = true;
                return Poll::Ready(false);
            }
            Poll::Pending => {}
        }
        let now = Instant::now();
        let due = due.get_or_insert(now + idle);
        if worker.is_draining() || client.listener.is_closed() {
            *due = (*due).min(now + DRAIN_IDLE);
        }
        client.deadline.set(*due);
        client.deadline.poll(cx).map(|()| false)
    })
    .await
}

/// Reads a request's head within its limits.
async fn read_head(
    client: &mut Client,
    settings: &ListenerSettings,
    scratch: &mut Scratch,
) -> Result<(), Failure> {
    let mut timed = false;
    poll_fn(|cx| {
        if let Poll::Ready(read) =
            client.down.poll_request(cx, &settings.head, &mut scratch.request)
        {
            return Poll::Ready(read.map_err(head_failure));
        }
        // A head that comes whole, as nearly all do, never looks at the clock.
        if !timed {
            timed = true;
            client.deadline.set(Instant::now() + settings.listener.timeouts.head);
        }
        client.deadline.poll(cx).map(|()| Err(Reason::HeadTimeout.into()))
    })
    .await
}

pub(crate) fn head_failure(error: ReadError) -> Failure {
    let reason = match error {
        ReadError::Malformed(Malformed::TargetTooLong) => Reason::UriTooLong,
        ReadError::Malformed(Malformed::HeadTooLarge) => Reason::HeadTooLarge,
        ReadError::Malformed(Malformed::Version) => Reason::VersionNotSupported,
        ReadError::Malformed(Malformed::Connect) => Reason::ConnectRefused,
        ReadError::Malformed(_) => Reason::BadRequest,
        ReadError::Truncated | ReadError::Io(_) => Reason::ClientGone,
    };
    Failure::new(reason, error)
}

/// Refuses a head that could not be read.
async fn refuse(worker: &Worker, client: &mut Client, failure: &Failure) {
    worker.metrics.failures[failure.reason.index()].add(1);
    let id = worker.next_id();
    let status = if failure.reason == Reason::ClientGone {
        client.cut = true;
        failure.reason.status()
    } else if failure.reason == Reason::BadRequest && client.down.resets_malformed() {
        client.cut(Abort::Malformed);
        failure.reason.status()
    } else {
        pipeline::refuse(worker, client, id, failure).await
    };
    worker.log_refusal(&client.listener.name, &client.peer, id, status, failure);
}

/// Reads the rest of content that nobody wants, so that the next request can be read.
async fn discard_content(client: &mut Client) {
    client.deadline.set(Instant::now() + LINGER);
    poll_fn(|cx| match pipeline::skip_content(client, cx) {
        Skipped::Pending => client.deadline.poll(cx),
        Skipped::Whole => Poll::Ready(()),
        Skipped::Broken => {
            client.cut = true;
            Poll::Ready(())
        }
    })
    .await;
}

/// Ends our direction and reads on for a moment: closing with unread bytes would reset the
/// connection and could take the reply with it.
async fn linger(client: &mut Client) {
    client.deadline.set(Instant::now() + LINGER);
    let mut ending = true;
    let mut reads = 0;
    poll_fn(|cx| {
        if ending {
            match client.down.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => ending = false,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return client.deadline.poll(cx),
            }
        }
        discard(client, cx, &mut reads)
    })
    .await;
}

fn discard(client: &mut Client, cx: &mut Context<'_>, reads: &mut usize) -> Poll<()> {
    while *reads < LINGER_READS {
        match client.down.poll_discard(cx) {
            Poll::Ready(Ok(true)) => *reads += 1,
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return client.deadline.poll(cx),
        }
    }
    Poll::Ready(())
}
