//! Field lines (RFC 9112 section 5) and the Host field (RFC 9112 section 3.2, RFC 9110 section
//! 7.2).

use super::{Case, answered, forwarded, refused};

pub(crate) const CASES: &[Case] = &[
    refused(
        400,
        "space-before-colon/space",
        "CVE-2019-16276, CVE-2019-16869, CVE-2019-18678, CVE-2021-22959",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\
          Transfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "space-before-colon/tab",
        "class of CVE-2019-16276",
        b"GET /smuggled HTTP/1.1\r\nHost\t: a.example\r\n\r\n",
    ),
    refused(
        400,
        "leading-space/first-field",
        "CVE-2024-27982, CVE-2026-28369",
        b"POST /public/x HTTP/1.1\r\n Content-Length: 35\r\nHost: a.example\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "obs-fold/transfer-encoding-name",
        "CVE-2020-7238",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\
          \x20Transfer-Encoding:chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "obs-fold/transfer-encoding-value",
        "CVE-2022-32215",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "obs-fold/expect",
        "CVE-2025-32094",
        b"OPTIONS /public/x HTTP/1.1\r\nHost: a.example\r\nExpect:\r\n 100-continue\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "no-colon/field",
        "CVE-2019-20444",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-Odd\r\n\r\n",
    ),
    refused(
        400,
        "empty-name/field",
        "CVE-2023-25725",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\n: x\r\nContent-Length: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/control-before",
        "CVE-2021-43797",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\
          \x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/nul-after",
        "CVE-2021-43797",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-A\x00: 1\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/space-for-hyphen",
        "CVE-2015-5739",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent Length: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/cr-for-hyphen",
        "CVE-2020-8201",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent\rLength: 35\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/delimiter",
        "CVE-2023-38522",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-A(b): 1\r\n\r\n",
    ),
    refused(
        400,
        "name-byte/not-ascii",
        "CVE-2023-38522",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-\xc3\xa9: 1\r\n\r\n",
    ),
    refused(
        400,
        "value-byte/nul",
        "CVE-2019-9900",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-A: b\x00c\r\n\r\n",
    ),
    refused(
        400,
        "value-byte/control",
        "class of CVE-2019-9900, CVE-2022-28129",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-A: b\x01c\r\n\r\n",
    ),
    refused(
        400,
        "value-byte/delete",
        "class of CVE-2019-9900",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-A: b\x7fc\r\n\r\n",
    ),
    // obs-text is legal in a value (RFC 9110 section 5.5) and is passed on as it came.
    forwarded(
        "value-byte/obs-text",
        "none: the legal neighbour",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nX-A: caf\xe9 end\r\n\r\n",
        &["\r\nx-a: caf", " end\r\n"],
        &[],
    ),
    refused(
        400,
        "bare-cr/in-value",
        "CVE-2023-30589",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nX-A: b\rTransfer-Encoding: chunked\r\n\
          Content-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "bare-cr/in-last-line",
        "CVE-2025-23167",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\n\rX\r\n\r\n\
          GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "bare-lf/after-field",
        "CVE-2019-16785, CVE-2021-37147, CVE-2021-41136, CVE-2022-32214, CVE-2022-35256",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 35\r\n\
          X-A: b\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    refused(
        400,
        "bare-lf/ends-head",
        "CVE-2022-32214",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\n",
    ),
    refused(
        400,
        "bare-lf/everywhere",
        "CVE-2019-16785",
        b"GET /smuggled HTTP/1.1\nHost: a.example\n\n",
    ),
    // 270 bytes of name: one that is cut to a byte's worth of length reads as another field.
    forwarded(
        "long-name/content-length",
        "CVE-2021-40346",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent-Length0\
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
          :\r\nContent-Length: 5\r\n\r\nhello",
        &["\r\ncontent-length: 5\r\n", "\r\ncontent-length0a", "\r\n\r\nhello"],
        &["\r\ncontent-length: 0", "\r\ncontent-length:\r\n"],
    ),
    refused(
        400,
        "host-missing/http-1.1",
        "CVE-2019-18838",
        b"GET /smuggled HTTP/1.1\r\nX-A: b\r\n\r\n",
    ),
    forwarded(
        "host-missing/http-1.0",
        "class of CVE-2019-18838",
        b"GET /public/x HTTP/1.0\r\n\r\n",
        &["get /public/x http/1.1\r\n", "\r\nhost: "],
        &[],
    ),
    refused(
        400,
        "host-missing/empty",
        "class of CVE-2019-18838",
        b"GET /smuggled HTTP/1.1\r\nHost:\r\n\r\n",
    ),
    refused(
        400,
        "host-repeated/different",
        "class of CVE-2021-39242",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nHost: private.example\r\n\r\n",
    ),
    refused(
        400,
        "host-repeated/same",
        "class of CVE-2021-39242",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/list",
        "CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example, private.example\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/path",
        "CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example/admin?x\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/userinfo",
        "class of CVE-2011-3368",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example@private.example\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/space",
        "CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example private.example\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/port-not-a-number",
        "CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example:80x\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/port-too-big",
        "class of CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: a.example:65616\r\n\r\n",
    ),
    refused(
        400,
        "host-contents/open-bracket",
        "class of CVE-2023-29406",
        b"GET /smuggled HTTP/1.1\r\nHost: [::1\r\n\r\n",
    ),
    answered(
        403,
        "host-spelling/upper-case",
        "CVE-2026-27588",
        b"GET /smuggled HTTP/1.1\r\nHost: PRIVATE.Example\r\n\r\n",
    ),
    answered(
        403,
        "host-spelling/port",
        "class of CVE-2026-27588",
        b"GET /smuggled HTTP/1.1\r\nHost: private.example:8443\r\n\r\n",
    ),
    answered(
        403,
        "host-spelling/trailing-dot",
        "CVE-2022-23632",
        b"GET /smuggled HTTP/1.1\r\nHost: private.example.\r\n\r\n",
    ),
];
