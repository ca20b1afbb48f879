//! One HTTP/1.1 connection, either side of it: reading messages from it and writing messages to it.
//!
//! Reading and writing are independent, so that content can flow both ways at once. All methods
//! named `poll_*` may be called again after `Pending` and lose nothing.

use std::io;
use std::task::{Context, Poll, ready};

use super::chunked::{Decoder, Step};
use super::content::Reader;
use super::field_lines::Scan;
use super::output::{COALESCE, COPIED, Output};
use super::writing::{may_trail, write_chunk, write_field};
use super::{HeadLimits, ReplyTo, parse_request, parse_response};
use crate::buffer::Buffer;
use crate::io::Io;
use crate::{BodyLength, Fields, ReadError, RequestHead, ResponseHead, Version};

/// Largest piece of content in one chunk that is written.
const CHUNK: usize = 32 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    input: Option<Buffer>,
    /// The peer has ended its direction.
    ended: bool,
    /// It ended without saying so (TLS without `close_notify`): what only its end delimits may be
    /// cut short (RFC 9112, 9.8).
    torn: bool,
    scan: Scan,
    skipped_line: bool,
    reader: Reader,
    /// Content at the start of the input that [`Connection::content`] shows.
    available: usize,
    trailers: Fields,
    output: Output,
    writer: Writer,
    /// Of the message being read: what its reply's framing depends on.
    pub(crate) reply_to: ReplyTo,
    pub(crate) peer: Version,
    /// Whether the connection may carry another exchange after this one.
    persists: bool,
    /// Something was written since all that waited was last seen to leave.
    unflushed: bool,
    /// A head has come since a message was last begun.
    answered: bool,
}

/// How content that we send is framed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The message has ended, or has no content.
    #[default]
    Done,
    /// So many bytes are left.
    Exact(u64),
    /// Chunks.
    Chunked,
    /// It ends when we close.
    UntilClose,
}

impl Connection {
    /// A connection over `io`, fresh.
    #[must_use]
    pub fn new(io: Io) -> Connection {
        Connection {
            io,
            input: None,
            ended: false,
            torn: false,
            scan: Scan::default(),
            skipped_line: false,
            reader: Reader::Done,
            available: 0,
            trailers: Fields::default(),
            output: Output::default(),
            writer: Writer::Done,
            reply_to: ReplyTo::default(),
            peer: Version::Http11,
            persists: true,
            unflushed: false,
            answered: false,
        }
    }

    /// Reads more into the input. `Ok(false)` is the end of the stream; a full buffer is ready at
    /// once with `Ok(true)`.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let input = self.input.get_or_insert_with(Buffer::take);
        let room = input.room();
        if room.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut polled = self.io.poll_read(cx, room);
        if let Poll::Ready(Err(error)) = &polled
            && error.kind() == io::ErrorKind::UnexpectedEof
        {
            self.torn = true;
            polled = Poll::Ready(Ok(0));
        }
        if let Poll::Ready(Ok(n)) = polled {
            input.filled(n);
            self.ended = n == 0;
        }
        if input.is_empty() {
            self.input = None;
        } else if polled.is_pending() {
            input.shrink();
        }
        polled.map_ok(|n| n > 0)
    }

    /// What has been read and not used.
    pub(crate) fn input(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], Buffer::data)
    }

    /// The transport, and what was read of it and not used.
    pub(crate) fn into_parts(self) -> (Io, Option<Buffer>) {
        (self.io, self.input)
    }

    fn consume_input(&mut self, n: usize) {
        if let Some(input) = &mut self.input {
            input.consume(n);
            if input.is_empty() {
                self.input = None;
            }
        }
    }

    /// Waits until something can be read; `false` when the peer has ended the stream instead.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.input().is_empty() { self.poll_fill(cx) } else { Poll::Ready(Ok(true)) }
    }

    /// Reads the next request's head.
    ///
    /// # Errors
    /// The head is malformed, or the stream ended or failed within it.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Poll<Result<(), ReadError>> {
        loop {
            if !self.skipped_line && self.input().starts_with(b"\r\n") {
                // One empty line before a request is forgiven (RFC 9112, 2.2).
                self.skipped_line = true;
                self.consume_input(2);
            }
            let mut scan = self.scan;
            let input = self.input();
            if !(input.is_empty() || (input == b"\r" && !self.skipped_line)) {
                let parsed = parse_request(input, limits, &mut scan, head);
                self.scan = scan;
                if let Some(length) = parsed? {
                    self.begin_reading(length, head.length, false);
                    self.skipped_line = false;
                    self.reply_to =
                        ReplyTo { head: head.method() == b"HEAD", upgrade: head.upgrade };
                    self.peer = head.version;
                    self.persists = !head.close;
                    return Poll::Ready(Ok(()));
                }
            }
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Err(ReadError::Truncated));
            }
        }
    }

    /// Reads the next response's head, interim ones included.
    ///
    /// # Errors
    /// The head is malformed, or the stream ended or failed before or within it.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), ReadError>> {
        loop {
            let mut scan = self.scan;
            if !self.input().is_empty() {
                let parsed = parse_response(self.input(), self.reply_to, &mut scan, head);
                self.scan = scan;
                if let Some((length, persists)) = parsed? {
                    let until_close = head.length == BodyLength::Unknown && !head.chunked;
                    self.begin_reading(length, head.length, until_close);
                    self.persists = persists && !until_close;
                    self.answered = true;
                    return Poll::Ready(Ok(()));
                }
            }
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Err(ReadError::Truncated));
            }
        }
    }

    fn begin_reading(&mut self, head: usize, length: BodyLength, until_close: bool) {
        self.consume_input(head);
        self.scan = Scan::default();
        self.trailers.clear();
        self.available = 0;
        self.reader = match length {
            BodyLength::Empty => Reader::Done,
            BodyLength::Exact(left) => Reader::Exact(left),
            BodyLength::Unknown if until_close => Reader::UntilClose,
            BodyLength::Unknown => Reader::Chunked(Decoder::default()),
        };
    }

    /// Waits for content: `true` when [`Connection::content`] shows some, `false` when it ended.
    ///
    /// # Errors
    /// Its framing is malformed, or the stream ended or failed within it.
    pub fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        loop {
            let waiting = self.input.as_ref().map_or(&[][..], Buffer::data);
            match &mut self.reader {
                Reader::Done => return Poll::Ready(Ok(false)),
                Reader::Exact(left) => {
                    self.available =
                        usize::try_from(*left).unwrap_or(usize::MAX).min(waiting.len());
                }
                Reader::UntilClose => self.available = waiting.len(),
                Reader::Chunked(decoder) => match decoder.step(waiting, &mut self.trailers)? {
                    Step::More => self.available = 0,
                    Step::Data(n) => self.available = n,
                    Step::Skip(n) => {
                        self.consume_input(n);
                        continue;
                    }
                    Step::End => {
                        self.reader = Reader::Done;
                        return Poll::Ready(Ok(false));
                    }
                },
            }
            if self.available > 0 {
                return Poll::Ready(Ok(true));
            }
            if !ready!(self.poll_fill(cx))? {
                if matches!(self.reader, Reader::UntilClose) && !self.torn {
                    self.reader = Reader::Done;
                    return Poll::Ready(Ok(false));
                }
                return Poll::Ready(Err(ReadError::Truncated));
            }
        }
    }

    /// The content that is here.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.input()[..self.available]
    }

    /// Takes `n` bytes of [`Connection::content`].
    pub fn consume(&mut self, n: usize) {
        self.available -= n;
        self.consume_input(n);
        match &mut self.reader {
            Reader::Exact(left) => {
                *left -= n as u64;
                if *left == 0 {
                    self.reader = Reader::Done;
                }
            }
            Reader::Chunked(decoder) => decoder.took(n),
            Reader::Done | Reader::UntilClose => {}
        }
    }

    /// Whether the content has been read to its end.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.reader, Reader::Done)
    }

    /// Trailer fields, once the content has ended.
    #[must_use]
    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    /// Where heads are written, and how the content behind the head will be framed.
    pub(crate) fn begin_writing(&mut self, writer: Writer) -> &mut Vec<u8> {
        self.writer = writer;
        self.unflushed = true;
        self.answered = false;
        self.output.bytes()
    }

    /// Sends content, all that waits before it first. Ready with how much of it was taken, at
    /// least one byte; what is taken may still wait for [`Connection::poll_flush`].
    pub fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        match self.writer {
            // Content of a message that has none (a reply to HEAD) is dropped.
            Writer::Done => Poll::Ready(Ok(data.len())),
            Writer::Chunked => {
                if self.output.waiting() >= COALESCE {
                    ready!(self.output.poll_send(&mut self.io, cx, &[]))?;
                }
                let data = &data[..data.len().min(CHUNK)];
                write_chunk(self.output.bytes(), data);
                Poll::Ready(Ok(data.len()))
            }
            Writer::Exact(_) | Writer::UntilClose => {
                let data = match self.writer {
                    Writer::Exact(left) => {
                        &data[..usize::try_from(left).unwrap_or(usize::MAX).min(data.len())]
                    }
                    _ => data,
                };
                let sent = if data.len() <= COPIED && self.output.waiting() + data.len() <= COALESCE
                {
                    self.output.bytes().extend_from_slice(data);
                    data.len()
                } else {
                    ready!(self.output.poll_send(&mut self.io, cx, data))?
                };
                if let Writer::Exact(left) = &mut self.writer {
                    *left -= sent as u64;
                    if *left == 0 {
                        self.writer = Writer::Done;
                    }
                }
                Poll::Ready(Ok(sent))
            }
        }
    }

    /// Ends the content that is being sent, with trailers where the framing can carry them.
    pub fn finish(&mut self, trailers: &Fields) {
        if self.writer == Writer::Chunked {
            let out = self.output.bytes();
            out.extend_from_slice(b"0\r\n");
            for field in trailers.iter() {
                if may_trail(field.known, field.name) {
                    write_field(out, field.name, field.value);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        // Exact content that is short stays unfinished, and the connection cannot be used again.
        if !matches!(self.writer, Writer::Exact(_)) {
            self.writer = Writer::Done;
        }
    }

    /// Sends all that waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.waiting() > 0 {
            ready!(self.output.poll_send(&mut self.io, cx, &[]))?;
        }
        ready!(self.io.poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Whether a head has come, interim or not, since a message was last begun.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// Ends our direction, after all that waits.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.io.poll_shutdown(cx)
    }

    /// Prepares for the connection to be dropped inside a message. A message that only the close
    /// delimits would look whole, so the close becomes a reset.
    pub fn abort(&self) {
        if self.writer == Writer::UntilClose {
            self.io.reset_on_close();
        }
    }

    /// Reads and throws away: whatever the peer still sends while it learns of our end. `false`
    /// when the peer has ended too.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.input = None;
        self.poll_fill(cx)
    }

    /// Declares that no exchange follows on this connection.
    pub fn close_after(&mut self) {
        self.persists = false;
    }

    /// Whether both messages of the exchange are whole and another exchange may follow.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        // A peer that has ended its direction may have sent more requests before.
        let more = !self.ended || self.has_input();
        self.persists && more && self.writer == Writer::Done && !self.unflushed && self.is_read()
    }

    /// Whether the connection is still good to send a request: nothing came while it was idle,
    /// for what comes unasked can only be an end or a poisoned reply.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.input().is_empty() && self.poll_fill(cx).is_pending()
    }

    /// Whether the message under way still takes content.
    #[must_use]
    pub fn takes_content(&self) -> bool {
        self.writer != Writer::Done
    }

    /// Whether the connection persists as far as the heads say.
    #[must_use]
    pub fn persists(&self) -> bool {
        self.persists
    }

    /// Whether anything was read that is not used yet.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.input().is_empty()
    }

    /// Ready when the transport has failed. What the peer sends meanwhile is kept, up to one
    /// buffer; its end is no failure.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let full = self.input.as_mut().is_some_and(|input| input.room().is_empty());
            if self.ended || full {
                return Poll::Pending;
            }
            if let Err(gone) = ready!(self.poll_fill(cx)) {
                return Poll::Ready(gone);
            }
        }
    }

    /// Refuses what follows: where the next message begins cannot be known.
    pub(crate) fn poison(&mut self) {
        self.reader = Reader::Done;
        self.persists = false;
    }

    /// Stops reading and writing messages: from here on bytes are content both ways.
    pub fn become_tunnel(&mut self) {
        self.reader = Reader::UntilClose;
        self.writer = Writer::UntilClose;
        self.persists = false;
    }
}
