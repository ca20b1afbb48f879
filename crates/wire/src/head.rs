//! Request and response heads as every version of HTTP understands them.

use crate::Fields;
use crate::fields::Span;

/// A request's head. `authority` is the one the client asked for, wherever it stood: an
/// absolute-form target wins over `Host` (RFC 9112, 3.2.2).
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// All header fields.
    pub fields: Fields,
    pub(crate) method: Span,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) authority: Span,
    pub(crate) asterisk: bool,
    /// The target named no path, so it is `/`.
    pub(crate) root_path: bool,
    /// The client gave a length, if only 0.
    pub declares_length: bool,
    /// The version the client spoke.
    pub version: Version,
    /// How much content follows.
    pub length: BodyLength,
    /// Whether the client said that this is its last request on the connection.
    pub close: bool,
    /// Whether the client waits for 100 (Continue) before it sends the content.
    pub expects_continue: bool,
    /// Whether the client asked to switch protocols (RFC 9110, 7.8).
    pub upgrade: bool,
}

impl RequestHead {
    /// The method, a token in the case it came.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.fields.text(self.method)
    }

    /// The path as the client sent it: begins with `/`, never empty; `*` when
    /// [`RequestHead::is_asterisk`].
    #[must_use]
    pub fn path(&self) -> &[u8] {
        if self.root_path {
            return b"/";
        }
        self.fields.text(self.path)
    }

    /// What follows `?`, if there is a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|span| self.fields.text(span))
    }

    /// Has another query; none takes the `?` away as well. The caller vouches that it is legal.
    pub fn set_query(&mut self, query: Option<&[u8]>) {
        self.query = query.map(|query| self.fields.push_text(query));
    }

    /// Host and, if given, port. Empty only for HTTP/1.0 without `Host`.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.fields.text(self.authority)
    }

    /// Whether the target is `*` (RFC 9112, 3.2.4), for `OPTIONS` alone.
    #[must_use]
    pub fn is_asterisk(&self) -> bool {
        self.asterisk
    }
}

/// A response's head.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: u16,
    /// All header fields.
    pub fields: Fields,
    /// The version the origin spoke.
    pub version: Version,
    /// How much content follows.
    pub length: BodyLength,
    /// The length that the origin named; for a reply to `HEAD` and for 304 that of the content
    /// which is not sent.
    pub declared: Option<u64>,
    /// The content comes chunked.
    pub(crate) chunked: bool,
}

/// How much content a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyLength {
    /// None.
    #[default]
    Empty,
    /// Exactly so many bytes.
    Exact(u64),
    /// Known when it ends; trailers may follow.
    Unknown,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As `Via` names it (RFC 9110, 7.6.3).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2.0",
        }
    }
}

/// The scheme of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
