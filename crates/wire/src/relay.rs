//! Two streams joined: the bytes of each go on to the other as they come, whatever they are.
//!
//! Each side is read only when the other has taken what came before, and a direction at rest holds
//! no buffer. A torrent goes from socket to socket inside the kernel. The end of one side is passed on
//! behind its last byte; the other direction lives on.

#[cfg(target_os = "linux")]
mod pipe;

use std::io;
use std::task::{Context, Poll, ready};

use thiserror::Error;

#[cfg(target_os = "linux")]
use crate::Socket;
use crate::{Buffer, Io};

/// So many full buffers in a row are a torrent.
#[cfg(target_os = "linux")]
const TORRENT: u8 = 4;

/// A side of a relay that failed.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The side that was accepted.
    #[error("the client's side: {0}")]
    Client(io::Error),
    /// The side that was connected.
    #[error("the endpoint's side: {0}")]
    Upstream(io::Error),
}

/// A client's stream joined with an endpoint's.
#[derive(Debug)]
pub struct Relay {
    client: Io,
    upstream: Io,
    inward: Direction,
    outward: Direction,
}

impl Relay {
    /// Joins them; `received` has come from the client already and is the first that goes on.
    #[must_use]
    pub fn new(client: Io, upstream: Io, received: Option<Buffer>) -> Relay {
        let inward = Direction { buffer: received, ..Direction::default() };
        Relay { client, upstream, inward, outward: Direction::default() }
    }

    /// Moves what can be moved; ready when both sides have ended.
    ///
    /// # Errors
    /// A side failed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        // In turns, so that a torrent in one direction does not keep the other waiting.
        loop {
            let inward = self.inward.turn(cx, &mut self.client, &mut self.upstream);
            let inward = inward.map_err(|failed| match failed {
                Failed::Reading(error) => RelayError::Client(error),
                Failed::Writing(error) => RelayError::Upstream(error),
            })?;
            let outward = self.outward.turn(cx, &mut self.upstream, &mut self.client);
            let outward = outward.map_err(|failed| match failed {
                Failed::Reading(error) => RelayError::Upstream(error),
                Failed::Writing(error) => RelayError::Client(error),
            })?;
            match (inward, outward) {
                (Turn::Done, Turn::Done) => return Poll::Ready(Ok(())),
                (Turn::Waits | Turn::Done, Turn::Waits | Turn::Done) => return Poll::Pending,
                (Turn::Moved, _) | (_, Turn::Moved) => {}
            }
        }
    }

    /// Bytes that have gone on from the client, and to it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.inward.bytes, self.outward.bytes)
    }

    /// Makes the coming close a reset on both sides, so that neither takes it for an end.
    pub fn reset_on_close(&self) {
        self.client.reset_on_close();
        self.upstream.reset_on_close();
    }
}

/// What flows one way.
#[derive(Debug, Default)]
struct Direction {
    /// What has been read and not written.
    buffer: Option<Buffer>,
    bytes: u64,
    /// Full buffers that came one after the other.
    full: u8,
    /// Takes the place of the buffer in a torrent.
    #[cfg(target_os = "linux")]
    pipe: Option<pipe::Pipe>,
    /// Written to TLS, which may hold it back.
    unflushed: bool,
    /// The reader has ended.
    ended: bool,
    /// The writer was told.
    done: bool,
}

/// What came of a turn.
enum Turn {
    /// There may be more at once.
    Moved,
    /// The task is woken when there is.
    Waits,
    /// This direction has ended.
    Done,
}

enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

impl Direction {
    fn turn(&mut self, cx: &mut Context<'_>, from: &mut Io, to: &mut Io) -> Result<Turn, Failed> {
        if self.done {
            return Ok(Turn::Done);
        }
        match self.step(cx, from, to) {
            Poll::Ready(Ok(())) if self.done => Ok(Turn::Done),
            Poll::Ready(Ok(())) => Ok(Turn::Moved),
            Poll::Ready(Err(failed)) => Err(failed),
            Poll::Pending => Ok(Turn::Waits),
        }
    }

    /// One read and as much writing, or the end.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Io,
        to: &mut Io,
    ) -> Poll<Result<(), Failed>> {
        #[cfg(target_os = "linux")]
        if let (Some(_), Io::Plain(from), Io::Plain(to)) = (&self.pipe, &*from, &*to) {
            return self.step_inside(cx, from, to);
        }
        if self.buffer.is_none() && !self.ended {
            let mut buffer = Buffer::take();
            match from.poll_read(cx, buffer.room()) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(count)) => {
                    buffer.filled(count);
                    self.full =
                        if buffer.room().is_empty() { self.full.saturating_add(1) } else { 0 };
                    self.buffer = Some(buffer);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Reading(error))),
                // The buffer goes back to the thread.
                Poll::Pending => {
                    ready!(self.flush(cx, to))?;
                    return Poll::Pending;
                }
            }
        }
        if let Some(buffer) = &mut self.buffer {
            while !buffer.is_empty() {
                let count =
                    ready!(to.poll_write(cx, buffer.data(), b"")).map_err(Failed::Writing)?;
                if count == 0 {
                    return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
                }
                buffer.consume(count);
                self.bytes += count as u64;
                self.unflushed = true;
            }
            self.buffer = None;
            #[cfg(target_os = "linux")]
            if self.full >= TORRENT {
                self.full = 0;
                self.pipe = matches!((from, to), (Io::Plain(_), Io::Plain(_)))
                    .then(pipe::Pipe::take)
                    .flatten();
            }
        } else {
            ready!(self.flush(cx, to))?;
            ready!(to.poll_shutdown(cx)).map_err(Failed::Writing)?;
            self.done = true;
        }
        Poll::Ready(Ok(()))
    }

    /// [`Direction::step`] by the pipe, which is given back as soon as nothing comes.
    #[cfg(target_os = "linux")]
    fn step_inside(
        &mut self,
        cx: &mut Context<'_>,
        from: &Socket,
        to: &Socket,
    ) -> Poll<Result<(), Failed>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        if pipe.is_empty() {
            match pipe.poll_fill(cx, from) {
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    self.pipe = None;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failed::Reading(error))),
                Poll::Pending => {
                    self.pipe = None;
                    return Poll::Pending;
                }
            }
        }
        while !pipe.is_empty() {
            let count = ready!(pipe.poll_drain(cx, to)).map_err(Failed::Writing)?;
            if count == 0 {
                return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
            }
            self.bytes += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn flush(&mut self, cx: &mut Context<'_>, to: &mut Io) -> Poll<Result<(), Failed>> {
        if self.unflushed {
            ready!(to.poll_flush(cx)).map_err(Failed::Writing)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
