//! The client's side of an exchange, whatever version of HTTP it speaks.

use std::io;
use std::task::{Context, Poll};

use crate::h1::connection::Writer;
use crate::h1::writing::write_field;
use crate::h1::{Connection, HeadLimits};
use crate::{BodyLength, Field, Fields, Io, ReadError, RequestHead, Version, status};

/// The client's side of an exchange: its request comes out, the reply goes in.
#[derive(Debug)]
pub enum Downstream {
    /// HTTP/1.1 or 1.0.
    H1(Connection),
}

/// The head of a reply as it is given to [`Downstream::begin_reply`].
#[derive(Debug, Clone, Copy)]
pub struct ReplyLine {
    /// 100 to 599.
    pub status: u16,
    /// How much content follows.
    pub length: BodyLength,
    /// The length to name when the reply has no content of its own (`HEAD`, 304).
    pub declared: Option<u64>,
}

/// A head being written.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl HeadWriter<'_> {
    /// Adds a field. The caller vouches that name and value are legal.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        write_field(self.out, name, value);
    }

    /// Adds the fields for which `keep` says so.
    pub fn copy(&mut self, fields: &Fields, keep: impl FnMut(Field<'_>) -> bool) {
        fields.write_to(self.out, keep);
    }

    /// Adds a field whose value is written by `value`.
    pub fn field_with(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        value(self.out);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends the head.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn new(out: &mut Vec<u8>) -> HeadWriter<'_> {
        HeadWriter { out }
    }
}

impl Downstream {
    /// The client's side of exchanges over `io`.
    #[must_use]
    pub fn over(io: Io) -> Downstream {
        Downstream::H1(Connection::new(io))
    }

    /// Whether the reply under way still takes content.
    #[must_use]
    pub fn takes_content(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.takes_content(),
        }
    }

    /// Waits for a request to begin; `false` when the client has ended the connection.
    ///
    /// # Errors
    /// The transport failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Downstream::H1(connection) => connection.poll_ready(cx),
        }
    }

    /// Reads a request's head.
    ///
    /// # Errors
    /// It is malformed or beyond the limits, or the stream ended within it. The connection can then
    /// carry one last reply.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Poll<Result<(), ReadError>> {
        match self {
            Downstream::H1(connection) => {
                let polled = connection.poll_request(cx, limits, head);
                if let Poll::Ready(Err(_)) = polled {
                    connection.poison();
                    connection.reply_to = crate::h1::ReplyTo::default();
                    connection.peer = Version::Http11;
                }
                polled
            }
        }
    }

    /// Writes the start of a reply's head. An interim reply (1xx) may be followed by others; 101
    /// is the last and makes way for a tunnel.
    pub fn begin_reply(&mut self, line: &ReplyLine) -> HeadWriter<'_> {
        match self {
            Downstream::H1(connection) => begin_reply_h1(connection, line),
        }
    }

    /// Whether the client understands interim replies.
    #[must_use]
    pub fn takes_interim(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.peer == Version::Http11,
        }
    }

    /// Makes the exchange under way the connection's last. Before [`Downstream::begin_reply`] so
    /// that the client is told.
    pub fn close_after(&mut self) {
        match self {
            Downstream::H1(connection) => connection.close_after(),
        }
    }

    /// Whether the connection goes on once this exchange is over, as far as both heads say.
    #[must_use]
    pub fn persists(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.persists(),
        }
    }

    /// Whether another exchange may follow this one.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.is_reusable(),
        }
    }

    /// Prepares for the connection to be dropped inside a reply, so that what the client has of it
    /// does not look whole.
    pub fn abort(&self) {
        match self {
            Downstream::H1(connection) => connection.abort(),
        }
    }

    /// Watches for the client's going away while it waits for a reply: ready only when the
    /// transport has failed. An end of its direction alone means nothing: it may still read.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self {
            Downstream::H1(connection) => connection.poll_gone(cx),
        }
    }
}

/// Status line and the fields that belong to the connection.
fn begin_reply_h1<'c>(connection: &'c mut Connection, line: &ReplyLine) -> HeadWriter<'c> {
    let interim = line.status < 200;
    let headless = connection.reply_to.head || line.status == 304;
    let old = connection.peer == Version::Http10;
    let writer = match line.length {
        _ if headless || interim => Writer::Done,
        BodyLength::Empty => Writer::Done,
        BodyLength::Exact(length) => Writer::Exact(length),
        BodyLength::Unknown if old => Writer::UntilClose,
        BodyLength::Unknown => Writer::Chunked,
    };
    if writer == Writer::UntilClose {
        connection.close_after();
    }
    let persists = connection.persists();
    let out = connection.begin_writing(writer);
    status::write_line(line.status, out);
    if interim {
        return HeadWriter::new(out);
    }
    let named = match line.length {
        BodyLength::Exact(length) => Some(length),
        BodyLength::Empty if headless || line.status == 204 => line.declared,
        BodyLength::Empty => Some(0),
        BodyLength::Unknown => None,
    };
    if let Some(length) = named {
        write_field(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
    } else if writer == Writer::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if !persists {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if old {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    HeadWriter::new(out)
}
