//! The origin's side of an exchange, whatever version of HTTP it speaks.

use std::task::{Context, Poll};

use crate::h1::connection::Writer;
use crate::h1::writing::write_field;
use crate::h1::{Connection, ReplyTo};
use crate::{BodyLength, HeadWriter, Io, ReadError, ResponseHead, Version, h2};

/// The origin's side of an exchange: the request goes in, its reply comes out.
#[derive(Debug)]
pub enum Upstream {
    /// HTTP/1.1 or 1.0.
    H1(Box<Connection>),
    /// A stream of HTTP/2.
    H2(Box<h2::Call>),
}

/// The head of a request as it is given to [`Upstream::begin_request`].
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method, a token.
    pub method: &'a [u8],
    /// Path as it shall stand in the target; `*` is allowed.
    pub path: &'a [u8],
    /// What follows `?`, if there is a `?`.
    pub query: Option<&'a [u8]>,
    /// Host and port.
    pub authority: &'a [u8],
    /// How much content follows.
    pub length: BodyLength,
    /// Say the length even if it is 0.
    pub declares_length: bool,
    /// Wait for 100 (Continue) on the client's behalf.
    pub expects_continue: bool,
    /// The protocols to switch to, as the client named them.
    pub upgrade: Option<&'a [u8]>,
    /// Say that trailers are understood (`TE: trailers`).
    pub takes_trailers: bool,
}

impl Upstream {
    /// The origin's side of exchanges over `io`.
    #[must_use]
    pub fn over(io: Io) -> Upstream {
        Upstream::H1(Box::new(Connection::new(io)))
    }

    /// Whether the connection, idle so far, is still good to send a request on.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Upstream::H1(connection) => connection.is_quiet(cx),
            Upstream::H2(_) => false,
        }
    }

    /// Writes the start of a request's head.
    pub fn begin_request(&mut self, line: &RequestLine<'_>) -> HeadWriter<'_> {
        match self {
            Upstream::H1(connection) => begin_request_h1(connection, line),
            Upstream::H2(stream) => {
                stream.begin(line);
                HeadWriter::call(stream)
            }
        }
    }

    /// Reads a reply's head. A status below 200, but for 101, means that another follows.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed before its end.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), ReadError>> {
        match self {
            Upstream::H1(connection) => connection.poll_response(cx, head),
            Upstream::H2(stream) => stream.poll_response(cx, head),
        }
    }

    /// Whether any byte of a reply has come, interim ones included.
    #[must_use]
    pub fn has_begun_reply(&self) -> bool {
        match self {
            Upstream::H1(connection) => connection.is_answered() || connection.has_input(),
            Upstream::H2(stream) => stream.is_answered(),
        }
    }

    /// Whether the origin has certainly done nothing with the request, so that it may be sent
    /// again whatever it was (RFC 9113, 8.7).
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match self {
            Upstream::H1(_) => false,
            Upstream::H2(stream) => stream.is_refused(),
        }
    }

    /// Whether it was the connection that failed, for which the origin may have had reasons that have
    /// nothing to do with the request.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Upstream::H1(_) => true,
            Upstream::H2(stream) => stream.is_lost(),
        }
    }

    /// Whether the origin has cancelled its reply, which is no fault of it: a deadline has passed,
    /// say, that the client set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Upstream::H1(_) => false,
            Upstream::H2(stream) => stream.content.is_cancelled(),
        }
    }

    /// The version that the origin is spoken to in.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Upstream::H1(_) => Version::Http11,
            Upstream::H2(_) => Version::Http2,
        }
    }

    /// Whether both messages are whole and the connection may carry another exchange.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        match self {
            Upstream::H1(connection) => connection.is_reusable() && !connection.has_input(),
            // Streams are not used twice; their connection belongs to all.
            Upstream::H2(_) => false,
        }
    }
}

fn begin_request_h1<'c>(connection: &'c mut Connection, line: &RequestLine<'_>) -> HeadWriter<'c> {
    connection.reply_to = ReplyTo { head: line.method == b"HEAD", upgrade: line.upgrade.is_some() };
    let out = connection.begin_writing(match line.length {
        BodyLength::Empty => Writer::Done,
        BodyLength::Exact(length) => Writer::Exact(length),
        BodyLength::Unknown => Writer::Chunked,
    });
    out.reserve(256 + line.path.len() + line.query.map_or(0, <[u8]>::len));
    out.extend_from_slice(line.method);
    out.push(b' ');
    out.extend_from_slice(line.path);
    if let Some(query) = line.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(line.authority);
    out.extend_from_slice(b"\r\n");
    match line.length {
        BodyLength::Exact(length) => {
            write_field(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
        }
        BodyLength::Unknown => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyLength::Empty if line.declares_length => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
        }
        BodyLength::Empty => {}
    }
    if line.expects_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if line.takes_trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    match (line.upgrade, line.takes_trailers) {
        (Some(_), true) => out.extend_from_slice(b"Connection: Upgrade, TE\r\n"),
        (Some(_), false) => out.extend_from_slice(b"Connection: Upgrade\r\n"),
        (None, true) => out.extend_from_slice(b"Connection: TE\r\n"),
        (None, false) => {}
    }
    if let Some(protocols) = line.upgrade {
        write_field(out, b"Upgrade", protocols);
    }
    HeadWriter::lines(out)
}
