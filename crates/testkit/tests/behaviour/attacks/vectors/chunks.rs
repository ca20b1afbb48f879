//! The chunked coding (RFC 9112 section 7.1): sizes, extensions, line endings and trailers.

use super::{Case, cut, forwarded};

pub(crate) const CASES: &[Case] = &[
    cut(
        400,
        "chunk-size/0x",
        "CVE-2022-24761, CVE-2022-24801, CVE-2023-38697",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          0x8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/plus",
        "CVE-2022-24761, CVE-2023-38697",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          +8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/minus",
        "class of CVE-2013-2028",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          -8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/empty",
        "class of CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          \r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/space-before",
        "class of CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          \x208\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/space-after",
        "class of CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8 \r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-size/not-hexadecimal",
        "class of CVE-2022-24801",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8g\r\nsmuggled\r\n0\r\n\r\n",
    ),
    // 2^64 + 8: eight to whoever lets it wrap.
    cut(
        400,
        "chunk-size/overflow",
        "CVE-2013-2028, CVE-2014-0075, CVE-2015-3183, CVE-2017-7657, CVE-2021-32714",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          10000000000000008\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-line-end/bare-lf",
        "CVE-2025-22871, CVE-2023-46846, CVE-2024-53868",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-line-end/bare-cr",
        "class of CVE-2025-22871",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8\rXsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-line-end/bare-lf-after-last",
        "CVE-2025-22871",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    forwarded(
        "chunk-extension/valid",
        "none: the legal neighbour",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5;a;b=c;d=\"e \\\" ;f\"\r\nhello\r\n0;last=1\r\n\r\n",
        &["\r\ntransfer-encoding: chunked\r\n", "\r\nhello\r\n"],
        &["b=c", "last=1"],
    ),
    cut(
        400,
        "chunk-extension/bare-lf",
        "CVE-2025-55315, CVE-2025-58056, CVE-2024-52304, CVE-2023-38697",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8;a\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-extension/bare-cr",
        "CVE-2025-55315",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8;a\rb\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-extension/line-break-in-quotes",
        "class of CVE-2026-24880",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8;a=\"\r\nsmuggled\r\n0\r\n\r\n\"\r\n",
    ),
    cut(
        400,
        "chunk-extension/no-name",
        "CVE-2026-24880, CVE-2021-22960",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8;\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-extension/nul",
        "CVE-2022-24761, CVE-2026-24880",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8;a=\x00\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-extension/no-semicolon",
        "CVE-2026-24880",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          8 a=b\r\nsmuggled\r\n0\r\n\r\n",
    ),
    cut(
        400,
        "chunk-data-end/two-other-bytes",
        "CVE-2025-43859",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhelloXX0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "chunk-data-end/none",
        "CVE-2025-47905",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "chunk-data-end/bare-lf",
        "CVE-2024-53868",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "chunk-data-end/longer-than-size",
        "CVE-2025-43859",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          2\r\nhello\r\n8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    forwarded(
        "trailer/valid",
        "none: the legal neighbour",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nGET /public/2 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["hello\r\n0\r\n", "get /public/2 http/1.1\r\n"],
        &[],
    ),
    cut(
        400,
        "trailer-syntax/no-colon",
        "CVE-2025-59822",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-Odd\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "trailer-syntax/bare-lf",
        "CVE-2023-40175, CVE-2024-35161",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-A: b\n\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "trailer-syntax/control",
        "CVE-2023-45648",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-A: \x01b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    cut(
        400,
        "trailer-syntax/obs-fold",
        "class of CVE-2023-45648",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    // Fields that frame, route or identify have no meaning after the body (RFC 9110 section 6.5.1).
    forwarded(
        "trailer-fields/framing",
        "CVE-2025-12642, CVE-2024-35161",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: private.example\r\n\r\n",
        &["hello"],
        &["content-length:", "private.example"],
    ),
    forwarded(
        "trailer-fields/forwarding",
        "CVE-2025-12642",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n",
        &["hello"],
        &["6.6.6.6"],
    ),
];
