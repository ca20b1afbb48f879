//! A stream to an origin: one request goes in, one reply comes out.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::content::{Content, Room, io_error, read_error};
use super::fields;
use crate::upstream::RequestLine;
use crate::{BodyLength, Field, Fields, Known, Malformed, ReadError, ResponseHead, Version};

/// Fields that the gateway adds to a request, as a rule at most.
const USUAL_ADDED: usize = 3;

/// What the requests of a connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The authority that the last one named.
    last_authority: RefCell<Option<Authority>>,
    /// How much content the origin had room for.
    room: Room,
    /// Streams that the origin lets us have at once.
    pub(crate) most_streams: Cell<usize>,
}

/// A stream to an origin.
#[derive(Debug)]
pub struct Call {
    origin: SendRequest<Bytes>,
    scheme: Scheme,
    shared: Rc<Shared>,
    pub(crate) content: Content,
    response: Option<ResponseFuture>,
    /// The head being written.
    request: Request<()>,
    ends: bool,
    to_head: bool,
    /// The length to announce.
    length: Option<u64>,
    expects_continue: bool,
    takes_trailers: bool,
    /// The protocol of the tunnel that is asked for.
    protocol: Option<h2::ext::Protocol>,
    failed: Option<io::Error>,
    answered: bool,
    refused: bool,
    lost: bool,
}

impl Call {
    pub(crate) fn new(origin: SendRequest<Bytes>, scheme: Scheme, shared: Rc<Shared>) -> Call {
        Call {
            origin,
            scheme,
            content: Content::with_origin(Rc::clone(&shared.room)),
            shared,
            response: None,
            request: Request::new(()),
            ends: false,
            to_head: false,
            length: None,
            expects_continue: false,
            takes_trailers: false,
            protocol: None,
            failed: None,
            answered: false,
            refused: false,
            lost: false,
        }
    }

    pub(crate) fn begin(&mut self, line: &RequestLine<'_>) {
        self.to_head = line.method == b"HEAD";
        self.protocol = None;
        *self.request.headers_mut() = HeaderMap::new();
        match self.uri(line) {
            Ok(uri) => *self.request.uri_mut() = uri,
            Err(error) => self.failed = Some(io::Error::other(error)),
        }
        match Method::from_bytes(line.method) {
            Ok(method) => *self.request.method_mut() = method,
            Err(error) => self.failed = Some(io::Error::other(error)),
        }
        *self.request.version_mut() = http::Version::HTTP_2;
        self.ends = line.length == BodyLength::Empty && line.upgrade.is_none();
        if let Some(protocol) = line.upgrade {
            self.upgrade(protocol);
        }
        self.length = match line.length {
            BodyLength::Exact(length) => Some(length),
            BodyLength::Empty => line.declares_length.then_some(0),
            BodyLength::Unknown => None,
        };
        self.expects_continue = line.expects_continue;
        self.takes_trailers = line.takes_trailers;
    }

    /// An upgrade is an extended CONNECT here (RFC 8441).
    fn upgrade(&mut self, protocol: &[u8]) {
        let name = std::str::from_utf8(protocol).unwrap_or_default();
        if self.origin.is_extended_connect_protocol_enabled() {
            self.protocol = Some(h2::ext::Protocol::from(name));
            self.content.stays_open = true;
            *self.request.method_mut() = Method::CONNECT;
        } else {
            self.failed = Some(io::Error::other("it takes no extended CONNECT (RFC 8441)"));
        }
    }

    /// The authority, which is mostly that of the request before.
    fn authority(&self, text: &[u8]) -> Result<Authority, http::Error> {
        let mut last = self.shared.last_authority.borrow_mut();
        match &*last {
            Some(same) if same.as_str().as_bytes() == text => Ok(same.clone()),
            _ => {
                let authority = Authority::from_maybe_shared(Bytes::copy_from_slice(text))?;
                Ok(last.insert(authority).clone())
            }
        }
    }

    fn uri(&self, line: &RequestLine<'_>) -> Result<Uri, http::Error> {
        let mut target =
            Vec::with_capacity(line.path.len() + line.query.map_or(0, <[u8]>::len) + 1);
        escape(line.path, &mut target);
        if let Some(query) = line.query {
            target.push(b'?');
            escape(query, &mut target);
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority(line.authority)?);
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(target))?);
        Ok(Uri::from_parts(parts)?)
    }

    pub(crate) fn field(&mut self, name: &[u8], value: Bytes) {
        if !fields::is_of_connection(Known::of(name)) {
            fields::add(self.request.headers_mut(), name, value);
        }
    }

    pub(crate) fn copy(&mut self, from: &Fields, mut keep: impl FnMut(Field<'_>) -> bool) {
        // The key belongs to the handshake of HTTP/1.1 (RFC 8441, 5).
        let tunnel = self.protocol.is_some();
        self.request.headers_mut().reserve(from.len() + USUAL_ADDED);
        fields::append(self.request.headers_mut(), from, |field| {
            keep(field)
                && !fields::is_of_connection(field.known)
                && !(tunnel && field.name.eq_ignore_ascii_case(b"sec-websocket-key"))
        });
    }

    /// Adds the fields that say what was understood, last: the map has its size by then.
    fn fields_of_line(&mut self) {
        let headers = self.request.headers_mut();
        if let Some(length) = self.length {
            fields::add_length(headers, length);
        }
        if self.expects_continue {
            let value = HeaderValue::from_static("100-continue");
            headers.append(http::header::EXPECT, value);
        }
        if self.takes_trailers {
            headers.append(http::header::TE, HeaderValue::from_static("trailers"));
        }
    }

    /// Sends the head that was written.
    pub(crate) fn send_head(&mut self) {
        if self.failed.is_some() {
            return;
        }
        self.fields_of_line();
        let mut request = std::mem::take(&mut self.request);
        if let Some(protocol) = &self.protocol {
            request.extensions_mut().insert(protocol.clone());
        }
        match self.origin.send_request(request, self.ends) {
            Ok((response, stream)) => {
                self.response = Some(response);
                if !self.ends {
                    self.content.send_on(stream);
                }
            }
            Err(error) => {
                // The connection is ending, and this request is none of those that it still
                // carries. What the crate itself refuses would be refused again.
                self.refused = error.is_go_away() || error.is_io() || error.is_reset();
                self.failed = Some(io_error(error));
            }
        }
    }

    /// An error of the head that was sent.
    pub(crate) fn check(&self) -> io::Result<()> {
        let again = |error: &io::Error| Err(io::Error::new(error.kind(), error.to_string()));
        self.failed.as_ref().map_or(Ok(()), again)
    }

    pub(crate) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), ReadError>> {
        self.check()?;
        let Some(response) = &mut self.response else {
            return Poll::Ready(Err(ReadError::Truncated));
        };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let interim = interim.map_err(|error| self.broken(&error))?;
            self.answered = true;
            let (parts, ()) = interim.into_parts();
            return Poll::Ready(take(&parts, true, head));
        }
        match Pin::new(response).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken(&error))),
            Poll::Ready(Ok(reply)) => {
                self.response = None;
                self.answered = true;
                let (parts, receive) = reply.into_parts();
                self.content.receive(receive);
                let taken = take(&parts, self.content.is_read(), head);
                Poll::Ready(taken.map(|()| self.understand(head)))
            }
        }
    }

    fn understand(&self, head: &mut ResponseHead) {
        if let Some(protocol) = &self.protocol
            && (200..300).contains(&head.status)
        {
            head.status = 101;
            head.length = BodyLength::Empty;
            head.fields.push_line(b"upgrade", protocol.as_str().as_bytes());
        } else if self.to_head {
            head.length = BodyLength::Empty;
        }
    }

    /// Notes whether the origin has done nothing with the request for certain (RFC 9113, 8.7).
    fn broken(&mut self, error: &h2::Error) -> ReadError {
        let unopened = error.is_go_away() && error.is_remote();
        let refused =
            error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
        self.refused = unopened || refused;
        // Either its transport or its peer was at fault.
        self.lost = error.is_io() || (error.is_go_away() && !error.is_remote());
        read_error(error)
    }

    /// Whether the connection has failed, and not this stream alone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the origin has certainly done nothing with the request.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused && !self.answered
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }
}

/// Appends a part of a target; what HTTP/1.1 clients get away with but no URI may hold is escaped.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &b in text {
        match b {
            b'<' => out.extend_from_slice(b"%3C"),
            b'>' => out.extend_from_slice(b"%3E"),
            b'"' => out.extend_from_slice(b"%22"),
            b'`' => out.extend_from_slice(b"%60"),
            _ => out.push(b),
        }
    }
}

/// Takes a reply's head over.
fn take(
    parts: &http::response::Parts,
    ended: bool,
    head: &mut ResponseHead,
) -> Result<(), ReadError> {
    head.fields.clear();
    head.status = parts.status.as_u16();
    head.version = Version::Http2;
    head.chunked = false;
    if head.status == 101 || head.status > 599 {
        return Err(Malformed::Status.into());
    }
    fields::take(&parts.headers, &mut head.fields)?;
    if fields::has_of_connection(&head.fields) || head.fields.has(Known::Te) {
        return Err(Malformed::FieldLine.into());
    }
    let declared = crate::h1::content::declared(&head.fields)?;
    head.declared = match declared {
        crate::h1::content::Declared::Length(length) => Some(length),
        _ => None,
    };
    head.length = match (head.status, head.declared) {
        _ if ended => BodyLength::Empty,
        (100..=199 | 204 | 304, _) | (_, Some(0)) => BodyLength::Empty,
        (_, Some(length)) => BodyLength::Exact(length),
        (_, None) => BodyLength::Unknown,
    };
    if matches!(head.status, 100..=199 | 204) {
        head.declared = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_keep_their_length() {
        let length = |declared: Option<&str>, status: u16, ended| {
            let mut response = http::Response::builder().status(status);
            if let Some(declared) = declared {
                response = response.header("content-length", declared);
            }
            let mut head = ResponseHead::default();
            let (parts, ()) = response.body(()).unwrap().into_parts();
            take(&parts, ended, &mut head).map(|()| (head.length, head.declared)).ok()
        };
        assert_eq!(length(Some("3"), 200, false), Some((BodyLength::Exact(3), Some(3))));
        assert_eq!(length(None, 200, false), Some((BodyLength::Unknown, None)));
        assert_eq!(length(None, 200, true), Some((BodyLength::Empty, None)));
        assert_eq!(length(Some("9"), 304, true), Some((BodyLength::Empty, Some(9))));
        assert_eq!(length(None, 101, false), None);
    }

    #[test]
    fn what_no_uri_may_hold_is_escaped() {
        let mut out = Vec::new();
        escape(b"/a<b>`\"%41", &mut out);
        assert_eq!(out, b"/a%3Cb%3E%60%22%41");
    }
}
