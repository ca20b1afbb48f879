//! A client's connection that carries many exchanges at once (HTTP/2): each has a task to itself and
//! goes the same way as any other.

pub(crate) mod hands;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use portcullis_core::metrics::HTTP2_ERRORS;
use portcullis_core::{Failure, Reason};
use portcullis_wire::Downstream;
use portcullis_wire::h2::{Flood, Prelude, SentError, Server};
use tokio::time::timeout;

use hands::Hands;

use crate::client::{Client, DRAIN_IDLE, LINGER};
use crate::deadline::Deadline;
use crate::forwarding::Peer;
use crate::worker::{LocalListener, Place, Worker};

/// How long who floods us has to learn it before the connection is gone. What it still sends is left
/// in the socket.
const FLOOD_LINGER: Duration = Duration::from_millis(200);

/// Serves a connection that speaks HTTP/2 to its end.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    listener: &Rc<LocalListener>,
    peer: Rc<Peer>,
    prelude: Prelude,
) {
    let settings = listener.settings();
    let Some(http2) = &settings.http2 else { return };
    let refused = match timeout(settings.listener.timeouts.head, prelude.handshake(http2)).await {
        Ok(Ok(server)) => {
            drop(settings);
            return run(worker, listener, &peer, server).await;
        }
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => {
            Failure::new(Reason::BadRequest, error)
        }
        // As those do who only look whether somebody is there.
        Ok(Err(_)) => return,
        Err(_) => Reason::HeadTimeout.into(),
    };
    worker.refuse_connection(&listener.name, &peer, &refused);
}

async fn run(worker: &Rc<Worker>, listener: &Rc<LocalListener>, peer: &Rc<Peer>, server: Server) {
    let waker = worker.register_waker().await;
    let mut owner = Owner {
        worker,
        listener,
        peer,
        server,
        shared: Rc::default(),
        in_line: Rc::default(),
        deadline: Deadline::default(),
        watched: Watched::default(),
        ending: None,
        flood_told: false,
    };
    poll_fn(|cx| owner.poll(cx)).await;
    owner.report();
    drop(waker);
}

/// Who looks after a connection's frames, its age and its end.
struct Owner<'a> {
    worker: &'a Rc<Worker>,
    listener: &'a Rc<LocalListener>,
    peer: &'a Rc<Peer>,
    server: Server,
    shared: Rc<Shared>,
    /// The listener has no room for more of them.
    in_line: Rc<Cell<bool>>,
    deadline: Deadline,
    watched: Watched,
    /// When the connection is to be gone.
    ending: Option<Instant>,
    /// That it floods us is counted, logged and remembered.
    flood_told: bool,
}

/// Since when things are as they are; each is looked at only while it lasts, so that a busy
/// connection never looks at the clock.
#[derive(Debug, Default)]
struct Watched {
    /// No exchange is under way.
    idle: Option<Instant>,
    /// The client owes the rest of this frame or head.
    owing: Option<(u64, Instant)>,
    /// The client takes nothing; so much it has taken.
    blocked: Option<(u64, Instant)>,
    /// Requests wait for a place, and none has got one.
    waiting: Option<Instant>,
    /// The client was told to go.
    leaving: Option<Instant>,
}

impl Owner<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.server.begin_turn();
        let leaves = self.worker.is_draining() || self.listener.is_closed();
        if leaves && self.watched.leaving.is_none() {
            self.watched.leaving = Some(Instant::now());
            self.server.leave();
        }
        loop {
            // What waits costs less before it is begun.
            let polled = if self.listener.has_room(cx, &self.in_line) {
                self.server.poll_stream(cx)
            } else {
                self.server.poll_frames(cx).map(|()| None)
            };
            match polled {
                Poll::Ready(Some(Ok(stream))) => self.begin(cx, stream),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if !self.in_line.get() {
            self.listener.pass_on();
        }
        if self.server.end_turn(cx).is_err() {
            return Poll::Ready(());
        }
        self.report_errors();
        if self.ending.is_none() {
            // At once, and not at the end: it comes back as soon as it is told.
            if self.tell_flood() {
                self.ending = Some(Instant::now() + FLOOD_LINGER);
            } else if self.server.is_thrown_out() {
                self.ending = Some(Instant::now() + LINGER);
            }
        }
        while let Some(due) = self.due() {
            self.deadline.set(due);
            if self.deadline.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.overdue(cx) {
                return Poll::Ready(());
            }
            // What was just decided has to be sent.
            if self.server.poll_frames(cx).is_ready() || self.server.end_turn(cx).is_err() {
                return Poll::Ready(());
            }
            // A stream may have come with it.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn begin(&mut self, cx: &mut Context<'_>, mut stream: Downstream) {
        self.watched.idle = None;
        self.watched.waiting = None;
        if stream.poll_gone(cx).is_ready() {
            // Taken back before it was begun: no service need hear of it.
            self.worker.metrics.failures[Reason::ClientGone.index()].add(1);
            return;
        }
        let mut client = Client::new(stream, Rc::clone(self.peer), Rc::clone(self.listener));
        client.place = Some(Place::take(self.listener));
        client.carrier = Some(Carrier::take(&self.shared));
        Hands::give(self.worker, client);
    }

    /// When the connection has been as it is for too long; `None` when nothing is waited for.
    fn due(&mut self) -> Option<Instant> {
        if let Some(ending) = self.ending {
            return Some(ending);
        }
        let quiet = self.shared.open.get() == 0 && !self.in_line.get();
        // What an exchange has handed over may still be on its way out, or the client may have taken
        // the window for it back, which is no progress either.
        let leaving = quiet && self.server.has_streams();
        let idle = quiet && !leaving;
        let owing = self.server.owes();
        let blocked = self.server.blocked().or_else(|| leaving.then(|| self.server.written()));
        let waits = self.in_line.get() && self.server.has_streams();
        if !idle && owing.is_none() && blocked.is_none() && !waits {
            self.watched = Watched { leaving: self.watched.leaving, ..Watched::default() };
            return None;
        }
        let now = Instant::now();
        let timeouts = self.listener.settings().listener.timeouts;
        let watched = &mut self.watched;
        watched.owing = since(watched.owing, owing, now);
        watched.blocked = since(watched.blocked, blocked, now);
        watched.idle = idle.then(|| watched.idle.unwrap_or(now));
        watched.waiting = waits.then(|| watched.waiting.unwrap_or(now));
        let patience = if watched.leaving.is_some() { DRAIN_IDLE } else { timeouts.idle };
        let idle = watched.idle.map(|idle| idle.max(watched.leaving.unwrap_or(idle)) + patience);
        let owing = watched.owing.map(|(_, since)| since + timeouts.head);
        let blocked = watched.blocked.map(|(_, since)| since + timeouts.stall);
        let waiting = watched.waiting.map(|since| since + timeouts.head);
        [idle, owing, blocked, waiting].into_iter().flatten().min()
    }

    /// Acts on what is overdue; true when the connection is to be dropped as it is.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let timeouts = self.listener.settings().listener.timeouts;
        if self.ending.is_some() {
            return true;
        }
        if self.watched.blocked.is_some_and(|(_, since)| since + timeouts.stall <= now) {
            self.shared.stalled.set(true);
            return true;
        }
        if self.watched.waiting.is_some_and(|since| since + timeouts.head <= now) {
            return self.refuse_waiting(cx, timeouts.head);
        }
        if self.watched.owing.is_some_and(|(_, since)| since + timeouts.head <= now) {
            let late = Reason::HeadTimeout.into();
            self.worker.refuse_connection(&self.listener.name, self.peer, &late);
            self.server.end(false);
            self.ending = Some(now + LINGER);
        } else if self.watched.leaving.is_none() {
            // First the word that no more requests are taken, so that those on their way still are.
            self.server.leave();
            self.watched.leaving = Some(now);
        } else {
            self.server.end(true);
            self.ending = Some(now + LINGER);
        }
        false
    }

    /// Refuses the requests that wait for a place; true when the connection has ended.
    fn refuse_waiting(&mut self, cx: &mut Context<'_>, waited: Duration) -> bool {
        self.listener.leave_line(&self.in_line);
        self.watched.waiting = None;
        let mut refused = 0;
        let ended = loop {
            match self.server.poll_refuse(cx) {
                Poll::Ready(true) => refused += 1,
                Poll::Ready(false) => break true,
                Poll::Pending => break false,
            }
        };
        if refused > 0 {
            self.worker.metrics.failures[Reason::Saturated.index()].add(refused);
            let detail = format_args!("limits.streams: {refused} requests waited for {waited:?}");
            let why = Failure::new(Reason::Saturated, detail);
            let id = self.worker.next_id();
            self.worker.log_refusal(&self.listener.name, self.peer, id, 0, &why);
        }
        ended
    }

    fn report_errors(&mut self) {
        for error in self.server.take_errors() {
            let metrics = &self.worker.metrics;
            let (counters, code) = match error {
                SentError::Stream(code) => (&metrics.http2_stream_errors, code),
                SentError::Connection(code) => (&metrics.http2_connection_errors, code),
            };
            counters[(code as usize).min(HTTP2_ERRORS.len() - 1)].add(1);
        }
    }

    /// The last word on a connection.
    fn report(&mut self) {
        self.report_errors();
        self.tell_flood();
    }

    /// Tells once of who floods us; `false` of others.
    fn tell_flood(&mut self) -> bool {
        let Some(flood) = self.server.flood() else { return false };
        if std::mem::replace(&mut self.flood_told, true) {
            return true;
        }
        let (kind, what) = match flood {
            Flood::Resets => (0, "resets"),
            Flood::ControlFrames => (1, "control frames"),
            Flood::Continuations => (2, "continuations"),
        };
        self.worker.metrics.http2_floods[kind].add(1);
        let failure = match self.listener.penalise(self.peer) {
            Some(penalty) => {
                let detail = format_args!("{what}; new connections wait for {penalty:?}");
                Failure::new(Reason::Flood, detail)
            }
            None => Failure::new(Reason::Flood, what),
        };
        self.worker.refuse_connection(&self.listener.name, self.peer, &failure);
        true
    }
}

impl Drop for Owner<'_> {
    /// Whoever leaves the line makes room in it.
    fn drop(&mut self) {
        self.listener.leave_line(&self.in_line);
        self.listener.pass_on();
    }
}

/// Since when `now_is` has been the same.
fn since(was: Option<(u64, Instant)>, now_is: Option<u64>, now: Instant) -> Option<(u64, Instant)> {
    now_is.map(|id| was.filter(|(old, _)| *old == id).unwrap_or((id, now)))
}

/// What a connection and its exchanges know of each other.
#[derive(Debug, Default)]
struct Shared {
    /// Exchanges under way.
    open: Cell<usize>,
    /// The connection was dropped because the client took nothing of it.
    stalled: Cell<bool>,
}

/// The connection that carries an exchange, which counts it for as long as it lives.
#[derive(Debug)]
pub(crate) struct Carrier(Rc<Shared>);

impl Carrier {
    fn take(shared: &Rc<Shared>) -> Carrier {
        shared.open.set(shared.open.get() + 1);
        Carrier(Rc::clone(shared))
    }

    /// Whether it was dropped because the client took nothing of it.
    pub(crate) fn has_stalled(&self) -> bool {
        self.0.stalled.get()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}
