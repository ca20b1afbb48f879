//! Where a message ends (RFC 9112 section 6), and staying in step with the connection when it has
//! ended.

use super::{Case, answered, forwarded, refused};

pub(crate) const CASES: &[Case] = &[
    refused(
        400,
        "length-value/plus",
        "CVE-2021-32715, CVE-2023-40167, CVE-2020-15049, CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: +35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/minus",
        "CVE-2020-15049",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: -35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/hexadecimal",
        "CVE-2023-38697",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0x23\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/empty",
        "CVE-2023-40225",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length:\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/letters-after",
        "CVE-2022-42252",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35a\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/underscore",
        "CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3_5\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/two-words",
        "CVE-2022-42252",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3 5\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-value/vertical-tab",
        "CVE-2020-15049",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: \x0b35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    // 2^64 + 35: 35 to whoever lets it wrap.
    refused(
        400,
        "length-value/overflow",
        "CVE-2014-0099",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 18446744073709551651\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-repeated/different",
        "CVE-2017-7658, CVE-2019-20445, CVE-2020-10108, CVE-2013-4286",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\
          Content-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-repeated/same",
        "class of CVE-2017-7658",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-repeated/list",
        "class of CVE-2017-7658",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35, 0\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-repeated/empty-first",
        "CVE-2023-40225",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length:\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-and-coding/length-first",
        "CVE-2005-2088, CVE-2019-20445, CVE-2020-10109, CVE-2023-47641, CVE-2026-40561",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "length-and-coding/coding-first",
        "CVE-2005-2088, CVE-2026-2835",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\
          Content-Length: 40\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/identity",
        "CVE-2021-33037",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: identity\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/chunked-not-last",
        "CVE-2021-33037, CVE-2024-1135",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/list",
        "CVE-2020-11076, CVE-2022-32213",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/near-miss",
        "CVE-2022-1705, CVE-2024-6827, CVE-2019-16786",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/empty",
        "class of CVE-2022-1705",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding:\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/quoted",
        "class of CVE-2022-32213",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/parameter",
        "class of CVE-2022-32213",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked;q=1\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/empty-list-element",
        "class of CVE-2022-32213",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: , chunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/vertical-tab",
        "CVE-2019-18277, CVE-2019-16789",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: \x0bchunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding/form-feed-after",
        "CVE-2019-16789, CVE-2019-15605",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\x0c\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding-repeated/same",
        "CVE-2020-8287, CVE-2021-21299",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding-repeated/different",
        "CVE-2020-8287, CVE-2021-21299, CVE-2024-1135",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\
          Transfer-Encoding: chunked-false\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "coding-http-1.0/chunked",
        "CVE-2021-33037, CVE-2026-2835",
        b"POST /public/x HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    forwarded(
        "coding/upper-case",
        "none: the legal neighbour",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: CHUNKED\r\n\r\n\
          5\r\nhello\r\n0\r\n\r\n",
        &["\r\ntransfer-encoding: chunked\r\n", "hello"],
        &["\r\ncontent-length:"],
    ),
    // A body is a body whatever the method: not passing its length on turns it into a request.
    forwarded(
        "body-on-any-method/get",
        "CVE-2020-35863",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["get /public/x http/1.1\r\n", "\r\ncontent-length: 35\r\n", "\r\n\r\nget /smuggled"],
        &[],
    ),
    forwarded(
        "body-on-any-method/options",
        "class of CVE-2025-32094",
        b"OPTIONS /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["\r\ncontent-length: 35\r\n", "\r\n\r\nget /smuggled"],
        &[],
    ),
    // A request has no body that lasts until the close; HTTP/1.0 without keep-alive has no second
    // request.
    forwarded(
        "body-until-close/http-1.0",
        "CVE-2026-2835",
        b"POST /public/x HTTP/1.0\r\nHost: a.example\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["post /public/x http/1.1\r\n"],
        &["smuggled"],
    ),
    forwarded(
        "after-close/second-request",
        "class of CVE-2022-22720",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["smuggled"],
    ),
    // The gateway's own answer leaves a body unread: it is drained or the connection goes, never
    // parsed.
    answered(
        403,
        "unread-body/length",
        "CVE-2025-4366, CVE-2022-22720, CVE-2019-20372, CVE-2022-23959, CVE-2024-49768",
        b"POST /admin/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    answered(
        403,
        "unread-body/chunked",
        "CVE-2025-4366, CVE-2022-22720",
        b"POST /admin/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          23\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n\r\n0\r\n\r\n",
    ),
    answered(
        403,
        "unread-body/expect",
        "CVE-2024-24791",
        b"POST /admin/x HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    forwarded(
        "pipelined/two-requests",
        "class of CVE-2024-41671",
        b"POST /public/1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello\
          GET /public/2 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["post /public/1 http/1.1\r\n", "get /public/2 http/1.1\r\n"],
        &[],
    ),
    forwarded(
        "pipelined/second-is-refused",
        "class of CVE-2019-20372",
        b"GET /public/1 HTTP/1.1\r\nHost: a.example\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost : a.example\r\n\r\n",
        &["get /public/1 http/1.1\r\n"],
        &["smuggled"],
    ),
];
