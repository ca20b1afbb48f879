//! Content of one stream, both ways, under flow control: the peer may send more only when what it
//! sent was used, and we read from the other side only what the peer has room for.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};

use super::fields;
use crate::{Fields, Malformed, ReadError};

/// Largest piece that is handed over at once.
const PIECE: usize = 16 * 1024;

/// Largest trailer section, in bytes.
const MOST_TRAILERS: usize = 8 * 1024;

/// The most content that an origin has had room for on a stream at once: so much of the next
/// request's is handed over with its head. The crate tells of no room on a stream before its head
/// has left, and to wait for that would cost each request a turn, and a write, of its own.
pub(crate) type Room = Rc<Cell<usize>>;

/// Content that comes and content that goes.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// None once all was read.
    receive: Option<RecvStream>,
    /// What has come and is not used yet.
    here: Bytes,
    used: usize,
    trailers: Fields,
    in_trailers: bool,
    /// None before the head was sent and once the end was.
    send: Option<SendStream<Bytes>>,
    /// The last piece waits for the next one, or for the end, which then goes with it.
    held: Bytes,
    /// What is known of the room at the origin, if that is the peer.
    room: Option<Room>,
    /// Some content was sent.
    begun: bool,
    /// The peer has cancelled what it was sending.
    cancelled: bool,
    /// A tunnel is asked for: the end of the request is not the end of the stream.
    pub(crate) stays_open: bool,
    /// Why the end could not be sent.
    failed: Option<io::Error>,
}

impl Content {
    /// Content to and from an origin with so much room as is known.
    pub(crate) fn with_origin(room: Room) -> Content {
        Content { room: Some(room), ..Content::default() }
    }

    /// Begins to read.
    pub(crate) fn receive(&mut self, stream: RecvStream) {
        self.receive = (!stream.is_end_stream()).then_some(stream);
    }

    /// Begins to send.
    pub(crate) fn send_on(&mut self, stream: SendStream<Bytes>) {
        self.send = Some(stream);
    }

    pub(crate) fn sender(&mut self) -> Option<&mut SendStream<Bytes>> {
        self.send.as_mut()
    }

    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        loop {
            if !self.here.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let Some(stream) = &mut self.receive else {
                return Poll::Ready(Ok(false));
            };
            if self.in_trailers {
                let trailers = ready!(stream.poll_trailers(cx)).map_err(|e| read_error(&e))?;
                self.receive = None;
                if let Some(trailers) = trailers {
                    fields::take(&trailers, &mut self.trailers)?;
                    if self.trailers.all_text().len() > MOST_TRAILERS {
                        return Poll::Ready(Err(Malformed::HeadTooLarge.into()));
                    }
                }
                continue;
            }
            match ready!(stream.poll_data(cx)) {
                Some(Ok(piece)) => self.here = piece,
                Some(Err(error)) => {
                    self.cancelled =
                        error.is_remote() && error.reason() == Some(h2::Reason::CANCEL);
                    return Poll::Ready(Err(read_error(&error)));
                }
                None => self.in_trailers = true,
            }
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.here
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.here.advance(n);
        self.used += n;
        if self.here.is_empty()
            && let Some(stream) = &mut self.receive
        {
            // It can only fail when the stream is over, and then nobody waits for the room.
            let _ = stream.flow_control().release_capacity(std::mem::take(&mut self.used));
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        self.receive.is_none() && self.here.is_empty()
    }

    pub(crate) fn trailers(&self) -> &Fields {
        &self.trailers
    }

    pub(crate) fn takes_content(&self) -> bool {
        self.send.is_some()
    }

    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pass_on(false)?;
        let Some(stream) = &mut self.send else {
            // Content of a message that has none (a reply to HEAD) is dropped.
            return Poll::Ready(Ok(data.len()));
        };
        let first = !self.begun;
        let known = self.room.as_ref().filter(|_| first).map_or(0, |room| room.get());
        let mut room = if data.len() <= known { known } else { stream.capacity() };
        if room == 0 {
            stream.reserve_capacity(data.len().min(PIECE));
            room = match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io_error(error))),
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => {
                    // The first piece waits for its head as well, which says nothing.
                    if !first {
                        self.learn(0);
                    }
                    return Poll::Pending;
                }
            };
        }
        let n = room.min(data.len()).min(PIECE);
        if first {
            self.begun = true;
            self.learn(known.max(n));
        }
        self.held = Bytes::copy_from_slice(&data[..n]);
        Poll::Ready(Ok(n))
    }

    /// Notes how much room the origin had.
    fn learn(&self, now: usize) {
        if let Some(room) = &self.room {
            room.set(now);
        }
    }

    /// Hands over the piece that waits. Room was reserved for it when it was taken.
    fn pass_on(&mut self, end: bool) -> io::Result<()> {
        if self.held.is_empty() && !end {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.held);
        match &mut self.send {
            Some(stream) => stream.send_data(piece, end).map_err(io_error),
            None => Ok(()),
        }
    }

    /// Ends what is being sent. An error shows at the next flush.
    pub(crate) fn finish(&mut self, trailers: &Fields) {
        if self.stays_open {
            return;
        }
        let trailers = fields::trailer_map(trailers);
        let sent = if trailers.is_empty() {
            self.pass_on(true)
        } else {
            let passed = self.pass_on(false);
            passed.and_then(|()| match &mut self.send {
                Some(stream) => stream.send_trailers(trailers).map_err(io_error),
                None => Ok(()),
            })
        };
        self.failed = sent.err();
        self.send = None;
    }

    /// Hands over all that waits. That it leaves is the connection's business.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)?;
        self.pass_on(false)
    }
}

/// Why a stream cannot be read.
pub(crate) fn read_error(error: &h2::Error) -> ReadError {
    if error.is_library() {
        return ReadError::Malformed(Malformed::Frames);
    }
    if error.is_remote() {
        return ReadError::Io(io::Error::new(io::ErrorKind::ConnectionReset, error.to_string()));
    }
    ReadError::Io(io::Error::other(error.to_string()))
}

pub(crate) fn io_error(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
