//! The client's side of an exchange, whatever version of HTTP it speaks.

use std::io;
use std::task::{Context, Poll};

use crate::h1::connection::Writer;
use crate::h1::writing::write_field;
use crate::h1::{Connection, HeadLimits};
use crate::{BodyLength, HeadWriter, Io, ReadError, RequestHead, Version, h2, status};

/// The client's side of an exchange: its request comes out, the reply goes in.
#[derive(Debug)]
pub enum Downstream {
    /// HTTP/1.1 or 1.0.
    H1(Box<Connection>),
    /// A stream of HTTP/2.
    H2(Box<h2::Reply>),
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

/// Why an exchange is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// The client's own message breaks the rules.
    Malformed,
    /// The reply cannot be completed.
    Broken,
    /// Nobody waits for it any more.
    Cancelled,
}

/// How a connection without ALPN begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// With a request of HTTP/1.1, or nothing that could be the preface of HTTP/2.
    Http1,
    /// With the preface of HTTP/2 (RFC 9113, 3.4).
    Http2,
    /// With what may become the preface.
    Unclear,
}

impl Downstream {
    /// The client's side of exchanges over `io`.
    #[must_use]
    pub fn over(io: Io) -> Downstream {
        Downstream::H1(Box::new(Connection::new(io)))
    }

    /// Whether the reply under way still takes content.
    #[must_use]
    pub fn takes_content(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.takes_content(),
            Downstream::H2(stream) => stream.content.takes_content(),
        }
    }

    /// Waits for a request to begin; `false` when the client has ended the connection.
    ///
    /// # Errors
    /// The transport failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Downstream::H1(connection) => connection.poll_ready(cx),
            Downstream::H2(stream) => Poll::Ready(Ok(stream.is_waiting())),
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
            Downstream::H2(stream) => Poll::Ready(stream.take_request(limits, head)),
        }
    }

    /// How the client begins, judged by what has come so far.
    #[must_use]
    pub fn opening(&self) -> Opening {
        match self {
            Downstream::H1(connection) => {
                let (input, preface) = (connection.input(), h2::server::PREFACE);
                let n = input.len().min(preface.len());
                match input[..n] == preface[..n] {
                    true if n == preface.len() => Opening::Http2,
                    true => Opening::Unclear,
                    false => Opening::Http1,
                }
            }
            Downstream::H2(_) => Opening::Http2,
        }
    }

    /// Waits for more of the beginning; `false` when there will be none.
    ///
    /// # Errors
    /// The transport failed.
    pub fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Downstream::H1(connection) => connection.poll_fill(cx),
            Downstream::H2(_) => Poll::Ready(Ok(false)),
        }
    }

    /// Goes on in HTTP/2 on a connection that turned out to begin so. `None` for a stream of one.
    #[must_use]
    pub fn into_http2(self) -> Option<h2::Prelude> {
        match self {
            Downstream::H1(connection) => {
                let (io, before) = connection.into_parts();
                Some(h2::Prelude { io, before })
            }
            Downstream::H2(_) => None,
        }
    }

    /// Writes the start of a reply's head. An interim reply (1xx) may be followed by others; 101
    /// is the last and makes way for a tunnel.
    pub fn begin_reply(&mut self, line: &ReplyLine) -> HeadWriter<'_> {
        match self {
            Downstream::H1(connection) => begin_reply_h1(connection, line),
            Downstream::H2(stream) => {
                stream.begin(line);
                HeadWriter::reply(stream)
            }
        }
    }

    /// Whether the client understands interim replies.
    #[must_use]
    pub fn takes_interim(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.peer == Version::Http11,
            Downstream::H2(_) => true,
        }
    }

    /// Makes the exchange under way the connection's last. Before [`Downstream::begin_reply`] so
    /// that the client is told.
    pub fn close_after(&mut self) {
        match self {
            Downstream::H1(connection) => connection.close_after(),
            // A stream carries one exchange, and the connection has an owner of its own.
            Downstream::H2(_) => {}
        }
    }

    /// Whether the connection goes on once this exchange is over, as far as both heads say.
    #[must_use]
    pub fn persists(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.persists(),
            Downstream::H2(_) => false,
        }
    }

    /// Whether another exchange may follow this one.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        match self {
            Downstream::H1(connection) => connection.is_reusable(),
            Downstream::H2(_) => false,
        }
    }

    /// Breaks the exchange off, so that what the client has of it does not look whole. A connection
    /// that carries nothing else is to be dropped then.
    pub fn abort(&mut self, why: Abort) {
        match self {
            Downstream::H1(connection) => connection.abort(),
            Downstream::H2(stream) => stream.abort(why),
        }
    }

    /// Whether a malformed request is refused by breaking its exchange off rather than with an
    /// answer (RFC 9113, 8.1.1).
    #[must_use]
    pub fn resets_malformed(&self) -> bool {
        matches!(self, Downstream::H2(_))
    }

    /// Whether the client's going away is seen at no cost, and so may be looked for at once.
    #[must_use]
    pub fn tells_when_gone(&self) -> bool {
        matches!(self, Downstream::H2(_))
    }

    /// Watches for the client's going away while it waits for a reply: ready only when the
    /// transport has failed. An end of its direction alone means nothing: it may still read.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self {
            Downstream::H1(connection) => connection.poll_gone(cx),
            Downstream::H2(stream) => stream.poll_gone(cx),
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
        return HeadWriter::lines(out);
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
    HeadWriter::lines(out)
}
