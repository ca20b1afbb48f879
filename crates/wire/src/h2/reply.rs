//! A stream of a client: one request comes out, one reply goes in.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};

use super::content::{Content, io_error};
use super::{fields, request};
use crate::downstream::{Abort, ReplyLine};
use crate::{BodyLength, Field, Fields, HeadLimits, Known, Malformed, ReadError, RequestHead};

/// A stream of a client.
#[derive(Debug)]
pub struct Reply {
    /// The request until it is read.
    request: Option<Box<Parts>>,
    /// Its path had a fragment, of which the crate tells nothing.
    fragment: bool,
    respond: SendResponse<Bytes>,
    pub(crate) content: Content,
    to_head: bool,
    /// The head being written.
    status: u16,
    ends: bool,
    /// The length to announce.
    length: Option<u64>,
    fields: HeaderMap,
    failed: Option<io::Error>,
}

impl Reply {
    pub(crate) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        fragment: bool,
    ) -> Reply {
        let (parts, receive) = request.into_parts();
        let mut content = Content::default();
        content.receive(receive);
        Reply {
            to_head: parts.method == http::Method::HEAD,
            request: Some(Box::new(parts)),
            fragment,
            respond,
            content,
            status: 0,
            ends: false,
            length: None,
            fields: HeaderMap::new(),
            failed: None,
        }
    }

    /// Gives the request's head; `false` when there is no other.
    pub(crate) fn is_waiting(&self) -> bool {
        self.request.is_some()
    }

    pub(crate) fn take_request(
        &mut self,
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<(), ReadError> {
        let Some(parts) = self.request.take() else {
            return Err(ReadError::Truncated);
        };
        if self.fragment {
            return Err(Malformed::Target.into());
        }
        let ended = self.content.is_read();
        Ok(request::take(&parts, ended, limits, head)?)
    }

    pub(crate) fn begin(&mut self, line: &ReplyLine) {
        // A tunnel begins with a plain success (RFC 8441, 5).
        self.status = if line.status == 101 { 200 } else { line.status };
        self.fields = HeaderMap::new();
        let tunnel = line.status == 101;
        let headless = self.to_head || matches!(line.status, 204 | 304);
        self.ends = !tunnel && (headless || line.length == BodyLength::Empty);
        self.length = match line.length {
            _ if line.status < 200 => None,
            BodyLength::Exact(length) => Some(length),
            BodyLength::Empty => line.declared,
            BodyLength::Unknown => None,
        };
    }

    pub(crate) fn field(&mut self, name: &[u8], value: Bytes) {
        let known = Known::of(name);
        if !fields::is_of_connection(known) {
            fields::add(&mut self.fields, name, value);
        }
    }

    pub(crate) fn copy(&mut self, from: &Fields, mut keep: impl FnMut(Field<'_>) -> bool) {
        // The length, which is of ours, has its place among them: a reply mostly names one.
        self.fields.reserve(from.len());
        fields::append(&mut self.fields, from, |field| {
            keep(field) && !fields::is_of_connection(field.known)
        });
    }

    /// Sends the head that was written.
    pub(crate) fn send_head(&mut self) {
        if let Some(length) = self.length {
            fields::add_length(&mut self.fields, length);
        }
        let mut response = Response::new(());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = std::mem::take(&mut self.fields);
        let sent = if self.status < 200 {
            self.respond.send_informational(response)
        } else {
            self.respond.send_response(response, self.ends).map(|stream| {
                if !self.ends {
                    self.content.send_on(stream);
                }
            })
        };
        self.failed = sent.err().map(io_error);
    }

    /// An error of the head that was sent last.
    pub(crate) fn check(&self) -> io::Result<()> {
        let again = |error: &io::Error| Err(io::Error::new(error.kind(), error.to_string()));
        self.failed.as_ref().map_or(Ok(()), again)
    }

    pub(crate) fn abort(&mut self, why: Abort) {
        let reason = match why {
            Abort::Malformed => Reason::PROTOCOL_ERROR,
            Abort::Broken => Reason::INTERNAL_ERROR,
            Abort::Cancelled => Reason::CANCEL,
        };
        self.respond.send_reset(reason);
    }

    /// Ready when the client has reset the stream, or the connection is gone.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let polled = match self.content.sender() {
            Some(stream) => stream.poll_reset(cx),
            None if self.status >= 200 => return Poll::Pending,
            None => self.respond.poll_reset(cx),
        };
        Poll::Ready(match ready!(polled) {
            Ok(reason) => io::Error::new(io::ErrorKind::ConnectionReset, reason.description()),
            Err(error) => io_error(error),
        })
    }
}
