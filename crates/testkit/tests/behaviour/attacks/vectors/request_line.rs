//! Request lines (RFC 9112 section 3) and what may stand before them (section 2.2).

use super::{Case, closed, forwarded, refused};

/// A request behind the preface of HTTP/2 (RFC 9113 section 3.4).
pub(crate) const HTTP2_PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

pub(crate) const CASES: &[Case] = &[
    refused(400, "version/none", "CVE-2017-7656", b"GET /smuggled\r\n\r\n"),
    refused(
        400,
        "version/0.9",
        "CVE-2017-7656",
        b"GET /smuggled HTTP/0.9\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        505,
        "version/2.0",
        "class of CVE-2017-7656",
        b"GET /smuggled HTTP/2.0\r\nHost: a.example\r\n\r\n",
    ),
    closed("version/http2-preface", "class of CVE-2017-7656", HTTP2_PREFACE),
    // What only begins like the preface is a request of HTTP/1.1, and judged as one.
    refused(
        505,
        "version/http2-preface-begun",
        "class of CVE-2017-7656",
        b"PRI * HTTP/2.0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "version/two-digits",
        "CVE-2021-44040",
        b"GET /smuggled HTTP/1.10\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "version/lower-case",
        "CVE-2021-44040",
        b"GET /smuggled http/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-space/two",
        "CVE-2016-8743",
        b"GET  /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-space/tab",
        "CVE-2016-8743",
        b"GET\t/smuggled\tHTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-space/after-version",
        "CVE-2016-8743",
        b"GET /smuggled HTTP/1.1 \r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-space/before-method",
        "CVE-2016-8743",
        b" GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-end/bare-lf",
        "CVE-2021-37147, CVE-2019-16785",
        b"GET /smuggled HTTP/1.1\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "request-line-end/bare-cr",
        "class of CVE-2023-30589",
        b"GET /smuggled HTTP/1.1\rHost: a.example\r\n\r\n",
    ),
    // One empty line is a courtesy to old clients that end a POST body with CRLF; anything else is
    // not.
    forwarded(
        "leading-bytes/one-empty-line",
        "class of CVE-2026-50020",
        b"\r\nGET /public/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &[],
    ),
    refused(
        400,
        "leading-bytes/two-empty-lines",
        "class of CVE-2026-50020",
        b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "leading-bytes/bare-lf",
        "class of CVE-2026-50020",
        b"\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "leading-bytes/nul",
        "CVE-2026-50020",
        b"\x00\x01GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "method/not-a-token",
        "CVE-2021-33193, CVE-2021-39241",
        b"GE(T /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    // No tunnels: what follows the head must not be read as a request either.
    refused(
        405,
        "connect/authority",
        "class of CVE-2026-2833",
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
];
