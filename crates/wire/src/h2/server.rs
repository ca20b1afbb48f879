//! A client's connection: streams come out of it, each an exchange of its own.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};

use super::meter::{Flood, FrameBounds, Meter, SentError, Verdict};
use super::reply::Reply;
use super::transport::{Transport, Wire};
use crate::buffer::Buffer;
use crate::{Downstream, HeadLimits, Io};

/// What a client sends first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The room for a header list beyond our own limits. What is only a little too large gets an
/// answer that says so and a line in the log; what is larger the crate refuses with a bare 431.
const LIST_SLACK: usize = 16 * 1024;

/// A list so many times as large as allowed, or its block, ends the connection: the crate does so
/// once it is unpacked, we before.
const LIST_ABUSE: usize = 4;

/// What a client's connection may do.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Streams at once (SETTINGS_MAX_CONCURRENT_STREAMS).
    pub concurrent_streams: u32,
    /// Bytes that a client may send on a stream before they are used.
    pub window: u32,
    /// The same over all streams of a connection.
    pub connection_window: u32,
    /// Bounds on frames.
    pub frames: FrameBounds,
    /// Limits of a request's head.
    pub head: HeadLimits,
}

/// A client's connection.
#[derive(Debug)]
pub struct Server {
    connection: Connection<Transport, Bytes>,
    wire: Rc<RefCell<Wire>>,
    leaving: bool,
    thrown_out: bool,
}

/// A client's connection that has said so far only that it speaks HTTP/2.
#[derive(Debug)]
pub struct Prelude {
    pub(crate) io: Io,
    pub(crate) before: Option<Buffer>,
}

impl Prelude {
    /// A connection whose client chose HTTP/2 by ALPN.
    #[must_use]
    pub fn new(io: Io) -> Prelude {
        Prelude { io, before: None }
    }

    /// Reads the preface and the client's first SETTINGS.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the client sent something else; it went away otherwise.
    pub async fn handshake(self, settings: &ServerSettings) -> io::Result<Server> {
        let head = &settings.head;
        // The standard counts 32 bytes more for each field (RFC 9113, 6.5.2).
        let list = head.target + head.section + 32 * head.fields + LIST_SLACK;
        let meter = Meter::new(&settings.frames, PREFACE.len(), Instant::now())
            .of_requests(LIST_ABUSE * list);
        let transport = Transport::to_client(self.io, self.before, meter);
        let wire = transport.owner();
        let most = settings.concurrent_streams;
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(most)
            .initial_window_size(settings.window)
            .initial_connection_window_size(settings.connection_window)
            .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
            .max_concurrent_reset_streams(most as usize)
            .max_pending_accept_reset_streams(most as usize)
            .max_local_error_reset_streams(Some(settings.frames.resets as usize))
            .max_send_buffer_size(super::MOST_WAITING)
            .enable_connect_protocol();
        let mut shaking = pin!(builder.handshake(transport));
        let shaken = poll_fn(|cx| {
            wire.borrow_mut().begin_turn();
            shaking.as_mut().poll(cx)
        });
        let connection = shaken.await.map_err(|error| {
            let kind = match error.is_io() {
                true => io::ErrorKind::ConnectionReset,
                false => io::ErrorKind::InvalidData,
            };
            io::Error::new(kind, error)
        })?;
        Ok(Server { connection, wire, leaving: false, thrown_out: false })
    }
}

impl Server {
    /// Waits for a stream, and moves all streams that there are. Each ends with `None`.
    ///
    /// # Errors
    /// The connection ended badly; its streams with it.
    pub fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Downstream>>> {
        self.throw_out();
        match ready!(self.connection.poll_accept(cx)) {
            Some(Ok((request, respond))) => {
                let stream = respond.stream_id().as_u32();
                let fragment = self.wire.borrow_mut().meter.take_fragment(stream);
                let stream = Reply::new(request, respond, fragment);
                Poll::Ready(Some(Ok(Downstream::H2(Box::new(stream)))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(super::content::io_error(error)))),
            None => Poll::Ready(None),
        }
    }

    /// Moves all streams that there are and takes no other out. Ready when the connection has ended.
    pub fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.throw_out();
        self.connection.poll_closed(cx).map(|_| ())
    }

    /// Moves all streams that there are and takes one out that waits, to refuse it: its client may
    /// ask again (RFC 9113, 8.7). `false` when there is none.
    pub fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.throw_out();
        match ready!(self.connection.poll_accept(cx)) {
            Some(Ok((_, mut respond))) => {
                // Said of each in turn, whether it is asked or not.
                self.wire.borrow_mut().meter.take_fragment(respond.stream_id().as_u32());
                respond.send_reset(Reason::REFUSED_STREAM);
                Poll::Ready(true)
            }
            Some(Err(_)) | None => Poll::Ready(false),
        }
    }

    /// Ends the connection of who sent too much, or frames that are none.
    fn throw_out(&mut self) {
        let verdict = self.wire.borrow().meter.verdict().filter(|_| !self.thrown_out);
        if let Some(verdict) = verdict {
            self.thrown_out = true;
            self.connection.abrupt_shutdown(match verdict {
                Verdict::Flood(_) => Reason::ENHANCE_YOUR_CALM,
                Verdict::Broken(code) => code.into(),
            });
        }
    }

    /// Whether any stream has not ended, or not left yet.
    #[must_use]
    pub fn has_streams(&self) -> bool {
        self.connection.has_streams()
    }

    /// Begins a turn of the worker: the connection may read again.
    pub fn begin_turn(&mut self) {
        self.wire.borrow_mut().begin_turn();
    }

    /// Ends a turn: what the streams have to say goes out together.
    ///
    /// # Errors
    /// The transport failed.
    pub fn end_turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.wire.borrow_mut().poll_write_out(cx) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(()),
        }
    }

    /// Tells the client to open no more streams (GOAWAY); those that it has go on.
    pub fn leave(&mut self) {
        if !self.leaving {
            self.leaving = true;
            self.connection.graceful_shutdown();
        }
    }

    /// Ends the connection at once, as soon as the client is told why not.
    pub fn end(&mut self, calm: bool) {
        self.leaving = true;
        let reason = if calm { Reason::NO_ERROR } else { Reason::ENHANCE_YOUR_CALM };
        self.connection.abrupt_shutdown(reason);
    }

    /// Whether the client is being thrown out.
    #[must_use]
    pub fn is_thrown_out(&self) -> bool {
        self.wire.borrow().meter.verdict().is_some()
    }

    /// What the client did too often, if anything: the connection is ending for it.
    #[must_use]
    pub fn flood(&self) -> Option<Flood> {
        self.wire.borrow().meter.flood()
    }

    /// The number of the frame that the client has begun and not finished, unless it is content;
    /// a whole head counts as one.
    #[must_use]
    pub fn owes(&self) -> Option<u64> {
        self.wire.borrow().meter.owes()
    }

    /// Whether something waits to be sent that the client does not take, and how much it has taken
    /// so far.
    #[must_use]
    pub fn blocked(&self) -> Option<u64> {
        let wire = self.wire.borrow();
        wire.blocked.then_some(wire.written)
    }

    /// Bytes that the client has taken so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.wire.borrow().written
    }

    /// Errors that the client was told since the last call.
    #[must_use]
    pub fn take_errors(&mut self) -> Vec<SentError> {
        self.wire.borrow_mut().meter.take_errors()
    }
}
