//! What must not pass a proxy, or must not be dropped by it: hop-by-hop fields (RFC 9110 section
//! 7.6), upgrades (section 7.8), forwarding fields (RFC 7239) and their other spellings.

use super::{Case, forwarded};

pub(crate) const CASES: &[Case] = &[
    forwarded(
        "hop-by-hop/usual",
        "class of CVE-2022-31813",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
          Keep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\
          Trailer: X-Sum\r\nX-Kept: 1\r\n\r\n",
        &["\r\nx-kept: 1\r\n"],
        &["x-hop", "timeout=9", "proxy-connection", "\r\nte:"],
    ),
    forwarded(
        "hop-by-hop/connection-in-two-lines",
        "class of CVE-2022-31813",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: X-One\r\nX-One: 1\r\nX-Two: 2\r\n\
          connection: ,  x-tWO ,\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["x-one", "x-two"],
    ),
    // `Connection` takes hop-by-hop fields away. It must not take away what the gateway itself
    // writes, nor what frames, routes or authenticates the request.
    forwarded(
        "connection-names/forwarding",
        "CVE-2022-31813, CVE-2024-45410, CVE-2021-33197",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Forwarded-For, \
          X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Port, Forwarded, Via\r\n\r\n",
        &[
            "\r\nx-forwarded-for: 127.0.0.1\r\n",
            "\r\nx-forwarded-host: a.example\r\n",
            "\r\nx-forwarded-proto: http\r\n",
            "\r\nx-forwarded-port: ",
            "\r\nvia: 1.1 portcullis\r\n",
        ],
        &[],
    ),
    forwarded(
        "connection-names/forwarding-lower-case",
        "CVE-2024-45410",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n\
          Connection: x-forwarded-for,x-forwarded-host\r\n\r\n",
        &["\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-forwarded-host: a.example\r\n"],
        &["6.6.6.6"],
    ),
    forwarded(
        "connection-names/host",
        "CVE-2022-45059",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Host\r\n\r\n",
        &["\r\nhost: a.example\r\n"],
        &[],
    ),
    forwarded(
        "connection-names/content-length",
        "CVE-2022-45059",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Content-Length\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["\r\ncontent-length: 35\r\n", "\r\n\r\nget /smuggled"],
        &[],
    ),
    forwarded(
        "connection-names/transfer-encoding",
        "CVE-2026-26365",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Transfer-Encoding\r\n\
          Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        &["\r\ntransfer-encoding: chunked\r\n", "hello\r\n0\r\n"],
        &["\r\ncontent-length:"],
    ),
    forwarded(
        "connection-names/credentials",
        "CVE-2021-33197",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Authorization, Cookie\r\n\
          Authorization: Bearer abc\r\nCookie: a=b\r\n\r\n",
        &["get /public/x "],
        &["authorization:", "cookie:"],
    ),
    forwarded(
        "spoofed/x-forwarded",
        "class of CVE-2022-24112, CVE-2026-39858",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n\
          x-forwarded-for: 6.6.6.6, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n\
          X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 99999\r\n\r\n",
        &[
            "\r\nx-forwarded-for: 127.0.0.1\r\n",
            "\r\nx-forwarded-host: a.example\r\n",
            "\r\nx-forwarded-proto: http\r\n",
        ],
        &["6.6.6.6", "evil.example", "proto: https", "99999"],
    ),
    forwarded(
        "spoofed/forwarded",
        "class of CVE-2022-24112",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\n\
          Forwarded: for=6.6.6.6;host=evil.example;proto=https\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["6.6.6.6", "evil.example"],
    ),
    // CGI, WSGI, Rack and PHP read `X_Forwarded_For` and `X-Forwarded-For` as one variable.
    forwarded(
        "underscores/x-forwarded",
        "CVE-2026-39858, CVE-2024-45614, CVE-2015-0219",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nX_Forwarded_For: 6.6.6.6\r\n\
          X-Forwarded_For: 6.6.6.6\r\nX_FORWARDED_PROTO: https\r\nX_Forwarded-Host: evil.example\r\n\
          X_Kept: 1\r\n\r\n",
        &["\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx_kept: 1\r\n"],
        &["6.6.6.6", "evil.example", "https"],
    ),
    forwarded(
        "underscores/content-length",
        "class of CVE-2024-45614",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nContent_Length: 0\r\n\
          Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        &["\r\ncontent-length: 35\r\n", "\r\n\r\nget /smuggled"],
        &["content_length"],
    ),
    forwarded(
        "underscores/transfer-encoding",
        "class of CVE-2024-45614",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nTransfer_Encoding: chunked\r\n\
          Content-Length: 5\r\n\r\nhello",
        &["\r\ncontent-length: 5\r\n", "\r\n\r\nhello"],
        &["transfer_encoding", "chunked"],
    ),
    forwarded(
        "httpoxy/proxy",
        "CVE-2016-5385, CVE-2016-5386, CVE-2016-5387, CVE-2016-5388",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nProxy: http://evil.example:8080/\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["\r\nproxy:", "evil.example"],
    ),
    // A clear-text HTTP/2 upgrade would turn the origin's connection into a tunnel past every
    // route.
    forwarded(
        "h2c/upgrade",
        "none: published as h2c smuggling, 2020",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\n\
          Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["h2c", "http2-settings", "\r\nupgrade:"],
    ),
    forwarded(
        "h2c/not-named-in-connection",
        "none: published as h2c smuggling, 2020",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nUpgrade: H2C\r\n\
          HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["h2c", "http2-settings", "\r\nupgrade:"],
    ),
    forwarded(
        "h2c/second-in-list",
        "none: published as h2c smuggling, 2020",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n\
          Upgrade: websocket, h2c\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["h2c"],
    ),
    // Until the origin has said 101 there is no tunnel, and what follows is the next request.
    forwarded(
        "upgrade/request-behind-it",
        "CVE-2026-2833, CVE-2024-23326",
        b"GET /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 777\r\n\r\nGET /admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/x http/1.1\r\n", "\r\nupgrade: websocket\r\n"],
        &["smuggled"],
    ),
    forwarded(
        "upgrade/with-a-body",
        "CVE-2026-58055",
        b"POST /public/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Content-Length: 5\r\n\r\nhelloGET /admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["post /public/x http/1.1\r\n", "\r\ncontent-length: 5\r\n", "\r\n\r\nhello"],
        &["smuggled"],
    ),
];
