//! An answer of the admin listener, and how it becomes a response.

use std::borrow::Cow;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

/// A status, a media type and a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    media: &'static str,
    allow: Option<&'static str>,
    text: Cow<'static, str>,
}

impl Answer {
    pub(super) fn new(
        status: StatusCode,
        media: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Answer {
        Answer { status, media, allow: None, text: text.into() }
    }

    pub(super) fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", text)
    }

    /// A problem (RFC 9457) that the status already names; `detail` needs no escaping in JSON.
    pub(super) fn problem(status: StatusCode, detail: &'static str) -> Answer {
        let title = status.canonical_reason().unwrap_or_default();
        let text = format!(
            "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{},\"detail\":\"{detail}\"}}\n",
            status.as_u16()
        );
        Answer::new(status, "application/problem+json", text)
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Answer {
        let detail = "The method is not served at this place.";
        Answer { allow: Some(allow), ..Answer::problem(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let bytes = match self.text {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        };
        let mut response = Response::new(Full::new(bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
