//! Request targets (RFC 9112 section 3.2) and the path that routes are matched with (RFC 3986
//! section 6.2.2).

use super::{Case, answered, forwarded, refused};

pub(crate) const CASES: &[Case] = &[
    answered(
        403,
        "dots/plain",
        "CVE-2025-32431, CVE-2019-9901, CVE-2026-48020",
        b"GET /public/../admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "dots/encoded",
        "CVE-2019-9901, CVE-2026-48020, class of CVE-2021-27306",
        b"GET /public/%2e%2E/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "dots/half-encoded",
        "CVE-2026-48020",
        b"GET /public/.%2e/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "dots/single",
        "CVE-2021-28164, CVE-2026-40912",
        b"GET /%2e/admin/./smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "dots/last-segment",
        "class of CVE-2019-9901",
        b"GET /admin/smuggled/.. HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "above-root/plain",
        "CVE-2021-41773",
        b"GET /../admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "above-root/encoded",
        "CVE-2021-41773, CVE-2021-42013",
        b"GET /public/%2e%2e/%2e%2e/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "encoded-letter/once",
        "CVE-2025-47952",
        b"GET /%61dmin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    // Decoded once, never twice: this is a segment named `%61dmin`.
    forwarded(
        "encoded-letter/twice",
        "CVE-2021-28169",
        b"GET /%2561dmin/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /%2561dmin/x http/1.1\r\n"],
        &[],
    ),
    forwarded(
        "dots/encoded-twice",
        "CVE-2021-42013, CVE-2020-11989",
        b"GET /public/%252e%252e/admin/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/%252e%252e/admin/x http/1.1\r\n"],
        &[],
    ),
    forwarded(
        "dots/overlong-utf-8",
        "CVE-2008-2938",
        b"GET /public/%c0%ae%c0%ae/admin/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/%c0%ae%c0%ae/admin/x http/1.1\r\n"],
        &[],
    ),
    answered(
        403,
        "double-slash/leading",
        "CVE-2021-43557, CVE-2021-29492, CVE-2019-0220",
        b"GET //admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "double-slash/with-dots",
        "CVE-2021-43557",
        b"GET /public//..//admin///smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    // The documented policy `keep`: an encoded slash is data and parts no segments.
    forwarded(
        "encoded-slash/is-data",
        "CVE-2021-29492, CVE-2025-66490",
        b"GET /public/a%2Fb HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/a%2fb http/1.1\r\n"],
        &["/public/a/b"],
    ),
    refused(
        400,
        "dot-parameter/two-dots",
        "CVE-2020-5902, CVE-2020-1957",
        b"GET /public/..;/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "dot-parameter/named",
        "CVE-2020-5902, CVE-2020-1957",
        b"GET /public/..;a=b/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "dot-parameter/one-dot",
        "CVE-2020-1957",
        b"GET /.;/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "dot-parameter/encoded-dots",
        "CVE-2020-5902",
        b"GET /public/%2e%2e;/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "percent/not-hexadecimal",
        "class of CVE-2022-2880",
        b"GET /public/%zz/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "percent/cut-short",
        "class of CVE-2022-2880",
        b"GET /public/smuggled%4 HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "percent/u-notation",
        "CVE-2021-34429",
        b"GET /public/%u002e%u002e/admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "nul/encoded",
        "CVE-2021-34429",
        b"GET /admin%00/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "nul/raw",
        "class of CVE-2019-9900",
        b"GET /admin\x00/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "backslash/raw",
        "CVE-2007-0450",
        b"GET /public\\..\\admin\\smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "fragment/path",
        "CVE-2021-32779, CVE-2023-45539",
        b"GET /admin/smuggled#/public/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "fragment/query",
        "CVE-2023-45539",
        b"GET /public/x?a#smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "target-byte/space",
        "CVE-2013-4547",
        b"GET /public/ ../admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "target-byte/control",
        "CVE-2016-6816",
        b"GET /public/\x01smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "target-byte/delete",
        "class of CVE-2016-6816",
        b"GET /public/\x7fsmuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "target-byte/not-ascii",
        "CVE-2016-6816",
        b"GET /public/\xe9smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    // An encoded line break stays encoded, in the log, in a rewrite and on the wire.
    forwarded(
        "encoded-line-break/path",
        "CVE-2023-25690",
        b"GET /public/x%20HTTP/1.1%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/x%20http/1.1%0d%0ax-evil:%201 http/1.1\r\n"],
        &["\nx-evil"],
    ),
    answered(
        403,
        "encoded-line-break/rest",
        "class of CVE-2022-22978, CVE-2022-32532",
        b"GET /admin/%0asmuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    // Paths are case-sensitive (RFC 3986 section 6.2.2.1): this is another path, and is passed on
    // as it came.
    forwarded(
        "case/path",
        "class of CVE-2026-27587",
        b"GET /ADMIN/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /admin/x http/1.1\r\n"],
        &[],
    ),
    forwarded(
        "query/looks-like-a-path",
        "class of CVE-2021-43557",
        b"GET /public/x?/../../admin/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/x?/../../admin/x http/1.1\r\n"],
        &[],
    ),
    // In absolute-form the target's authority is the host, and Host is not (RFC 9112 section
    // 3.2.2).
    forwarded(
        "absolute-form/other-host",
        "CVE-2021-39242",
        b"GET http://a.example/public/x HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        &["get /public/x http/1.1\r\n", "\r\nhost: a.example\r\n"],
        &["evil.example", "http://"],
    ),
    answered(
        403,
        "absolute-form/private-host",
        "CVE-2021-39242",
        b"GET http://private.example/public/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    answered(
        403,
        "absolute-form/dots",
        "class of CVE-2019-9901",
        b"GET http://a.example/public/../admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    forwarded(
        "absolute-form/no-path",
        "none: Varnish advisory VSV00018",
        b"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get / http/1.1\r\n"],
        &["http://"],
    ),
    forwarded(
        "absolute-form/scheme-in-capitals",
        "CVE-2023-35944",
        b"GET HTTP://a.example/public/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        &["get /public/x http/1.1\r\n"],
        &["http://"],
    ),
    refused(
        400,
        "absolute-form/userinfo",
        "class of CVE-2011-3368",
        b"GET http://a.example@private.example/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "absolute-form/empty-host",
        "class of CVE-2011-4317",
        b"GET http:///smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "absolute-form/other-scheme",
        "class of CVE-2021-40438",
        b"GET unix:///smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "not-a-path/userinfo",
        "CVE-2011-3368",
        b"GET @private.example/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "not-a-path/no-slash",
        "CVE-2011-3368, CVE-2011-4317",
        b"GET admin/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ),
    refused(
        400,
        "not-a-path/asterisk",
        "class of CVE-2011-3368",
        b"GET * HTTP/1.1\r\nHost: a.example\r\nX-A: smuggled\r\n\r\n",
    ),
];
