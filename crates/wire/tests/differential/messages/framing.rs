//! Framing fields and the body that goes with them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::chunks::chunked;
use super::mostly;

/// Fields, and what follows the head.
pub(super) fn framing() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    prop_oneof![
        6 => Just((Vec::new(), Vec::new())),
        6 => length(),
        8 => (coding(), chunked()).prop_map(|(coding, body)| (coding.to_vec(), body)),
        3 => (odd_fields(), odd_body()),
    ]
}

fn length() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = mostly(20, &[b"Content-Length: ", b"content-length:"], &[b"Content_Length: "]);
    let zeros = mostly(10, &[b""], &[b"0", b"000", b"0000000000000000000000"]);
    let body = prop_oneof![
        vec(any::<u8>(), 0..20),
        Just(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    (name, zeros, body).prop_map(|(name, zeros, body)| {
        let digits = body.len().to_string();
        ([name, zeros, digits.as_bytes(), b"\r\n"].concat(), body)
    })
}

fn coding() -> impl Strategy<Value = &'static [u8]> {
    mostly(
        15,
        &[b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:Chunked \r\n"],
        &[
            b"Transfer-Encoding: chunked\r\nTrailer: X-A\r\n",
            b"Transfer_Encoding: chunked\r\n",
            b"Transfer-Encoding : chunked\r\n",
            b"Transfer-Encoding:\r\n chunked\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding: chunked, gzip\r\n",
            b"Transfer-Encoding: chunked, chunked\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: \"chunked\"\r\n",
            b"Transfer-Encoding: chunked,\r\n",
            b"Transfer-Encoding: ,chunked\r\n",
            b"Transfer-Encoding: identity\r\n",
            b"Transfer-Encoding:\r\n",
            b"Transfer-Encoding: chunked;a=b\r\n",
            b"Transfer-Encoding: \x0bchunked\r\n",
            b"Transfer-Encoding: chunked\xff\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ],
    )
}

/// Lengths that are wrong, doubled or beside a coding.
fn odd_fields() -> impl Strategy<Value = Vec<u8>> {
    let all: &[&[u8]] = &[
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 6\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: 3,\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3 3\r\n",
        b"Content-Length: 1e1\r\n",
        b"Content-Length: 3.0\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: \"3\"\r\n",
        b"Content-Length: 9223372036854775807\r\n",
        b"Content-Length: 9223372036854775808\r\n",
        b"Content-Length: 18446744073709551615\r\n",
        b"Content-Length: 18446744073709551619\r\n",
        b"Content-Length: 3\xff\r\n",
        b"Content-Length : 3\r\n",
        b"Content-Length: 3\r\n 3\r\n",
        b"Content-Length: 3;a\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
    ];
    select(all).prop_map(<[u8]>::to_vec)
}

fn odd_body() -> impl Strategy<Value = Vec<u8>> {
    let all: &[&[u8]] = &[b"", b"abc", b"abcdef", b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n"];
    select(all).prop_map(<[u8]>::to_vec)
}
