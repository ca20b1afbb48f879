//! Replies that an origin, or whoever controls what it writes, uses to confuse a proxy (RFC 9112
//! sections 4 to 7).

use super::{ReplyCase, ReplyExpect};

const GET: &[u8] = b"GET /public/x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const GET_1_0: &[u8] = b"GET /public/x HTTP/1.0\r\nHost: a.example\r\n\r\n";
const HEAD: &[u8] = b"HEAD /public/x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const UPGRADE: &[u8] = b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";
const EXPECT: &[u8] = b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n\
    Content-Length: 35\r\n\r\n";

pub(crate) const REPLIES: &[ReplyCase] = &[
    bad(
        "reply-length/with-coding",
        "class of CVE-2005-2088, CVE-2019-20445",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-length/two",
        "class of CVE-2019-20445",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-length/empty",
        "CVE-2023-40225",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nsmuggled",
    ),
    bad(
        "reply-length/plus",
        "class of CVE-2021-32715",
        b"HTTP/1.1 200 OK\r\nContent-Length: +8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-coding/list",
        "class of CVE-2020-11076",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    bad(
        "reply-coding/near-miss",
        "class of CVE-2020-11076",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    bad(
        "reply-coding/http-1.0",
        "class of CVE-2021-33037",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n",
    ),
    bad(
        "reply-head/obs-fold",
        "class of CVE-2022-32215",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/bare-lf",
        "CVE-2024-42516, CVE-2020-5247",
        b"HTTP/1.1 200 OK\r\nContent-Type: a\nSet-Cookie: b=c\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/bare-cr",
        "CVE-2020-5249, CVE-2023-38709, CVE-2024-24795",
        b"HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: b=c\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/nul",
        "class of CVE-2019-9900",
        b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/space-before-colon",
        "class of CVE-2019-16276",
        b"HTTP/1.1 200 OK\r\nContent-Length : 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/no-colon",
        "CVE-2022-37436",
        b"HTTP/1.1 200 OK\r\nX-Odd\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "reply-head/empty-name",
        "CVE-2023-25725",
        b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "status-line/two-digits",
        "class of CVE-2022-38150",
        b"HTTP/1.1 20 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "status-line/four-digits",
        "class of CVE-2022-38150",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "status-line/version",
        "class of CVE-2017-7656",
        b"HTTP/2.0 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "status-line/control-in-reason",
        "CVE-2022-38150",
        b"HTTP/1.1 200 O\x01K\r\nContent-Length: 8\r\n\r\nsmuggled",
    ),
    bad(
        "status-line/none",
        "CVE-2017-7656",
        b"<p>smuggled</p>\r\n\r\n",
    ),
    bad(
        "status-line/interim-and-no-more",
        "class of CVE-2024-24791",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ),
    bad("status-line/nothing-at-all", "none: the plain neighbour", b""),
    bad(
        "reply-upgrade/not-asked-for",
        "class of CVE-2024-23326",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsmuggled",
    ),
    case(
        "reply-upgrade/another-protocol",
        "class of CVE-2024-23326",
        UPGRADE,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsmuggled",
        ReplyExpect::BadGateway,
    ),
    passed(
        200,
        "reply-upgrade/refused-with-200",
        "CVE-2024-23326, CVE-2026-2833",
        UPGRADE,
        b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n\
          okHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        &["\r\n\r\nok"],
        &["\r\nupgrade:", "smuggled"],
    ),
    // Bytes behind a whole reply answer no request: the connection they are on is finished.
    passed(
        200,
        "reply-left-over/second-reply",
        "CVE-2026-48931",
        GET,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
          HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        &["\r\n\r\nok"],
        &["smuggled"],
    ),
    passed(
        200,
        "reply-left-over/after-head",
        "class of CVE-2026-48931",
        HEAD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        &["\r\ncontent-length: 8\r\n"],
        &["smuggled"],
    ),
    passed(
        204,
        "reply-left-over/after-204",
        "class of CVE-2026-48931",
        GET,
        b"HTTP/1.1 204 No Content\r\n\r\nsmuggled",
        &[],
        &["smuggled"],
    ),
    passed(
        304,
        "reply-left-over/after-304",
        "class of CVE-2026-48931",
        GET,
        b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 8\r\n\r\nsmuggled",
        &["\r\netag: \"a\"\r\n"],
        &["smuggled"],
    ),
    // The origin answers before the body has come. The body is still owed, or the connection goes.
    passed(
        403,
        "early-reply/instead-of-100",
        "CVE-2024-24791",
        EXPECT,
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        &[],
        &["100 continue"],
    ),
    passed(
        200,
        "interim/passed-on",
        "none: the legal neighbour",
        GET,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        &["http/1.1 103 ", "\r\nlink: </a>\r\n", "http/1.1 200 ", "\r\n\r\nok"],
        &[],
    ),
    passed(
        200,
        "interim/not-to-http-1.0",
        "none: RFC 9110 section 15.2",
        GET_1_0,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        &["\r\n\r\nok"],
        &[" 103 "],
    ),
    passed(
        200,
        "reply-hop-by-hop/usual",
        "class of CVE-2022-31813",
        GET,
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
          Upgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
        &["\r\nx-kept: 1\r\n", "\r\n\r\nok"],
        &["x-hop", "timeout=9", "h2c"],
    ),
    passed(
        200,
        "reply-hop-by-hop/names-framing",
        "class of CVE-2026-26365, CVE-2022-45059",
        GET,
        b"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok",
        &["\r\ncontent-length: 2\r\n", "\r\n\r\nok"],
        &[],
    ),
    passed(
        200,
        "reply-trailer/framing",
        "class of CVE-2025-12642",
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          2\r\nok\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\n\r\n",
        &["\r\ntransfer-encoding: chunked\r\n", "\r\nok\r\n0\r\n"],
        &["content-length:", "gzip"],
    ),
    severed(
        "reply-cut-short/length",
        "class of CVE-2022-37436",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
    ),
    severed(
        "reply-cut-short/chunked",
        "class of CVE-2022-37436",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ),
    severed(
        "reply-chunk/size-overflow",
        "CVE-2013-2028, CVE-2021-32714",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000008\r\nsmuggled\r\n0\r\n\r\n",
    ),
    severed(
        "reply-chunk/bare-lf",
        "CVE-2025-22871, CVE-2023-46846",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\nsmuggled\r\n0\r\n\r\n",
    ),
    severed(
        "reply-chunk/bare-lf-in-extension",
        "CVE-2025-58056",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;a\nsmuggled\r\n0\r\n\r\n",
    ),
    severed(
        "reply-chunk/no-end-of-data",
        "CVE-2025-43859",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX8\r\nsmuggled\r\n0\r\n\r\n",
    ),
];

const fn case(
    name: &'static str,
    cve: &'static str,
    request: &'static [u8],
    reply: &'static [u8],
    expect: ReplyExpect,
) -> ReplyCase {
    ReplyCase { name, cve, request, reply, expect }
}

const fn bad(name: &'static str, cve: &'static str, reply: &'static [u8]) -> ReplyCase {
    case(name, cve, GET, reply, ReplyExpect::BadGateway)
}

const fn severed(name: &'static str, cve: &'static str, reply: &'static [u8]) -> ReplyCase {
    case(name, cve, GET, reply, ReplyExpect::Cut)
}

const fn passed(
    status: u16,
    name: &'static str,
    cve: &'static str,
    request: &'static [u8],
    reply: &'static [u8],
    must_contain: &'static [&'static str],
    must_not_contain: &'static [&'static str],
) -> ReplyCase {
    let expect = ReplyExpect::Passed { status, must_contain, must_not_contain };
    case(name, cve, request, reply, expect)
}
