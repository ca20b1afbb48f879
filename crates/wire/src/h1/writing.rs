//! The small parts of messages that we write: field lines, chunks, and what may be a trailer.

use crate::Known;

/// Whether a field may come behind the content: it must not frame, route, modify, authenticate or
/// describe the message (RFC 9110, 6.5.1), for an origin that merges trailers would take it for a
/// header that every check on the way has seen.
pub(crate) fn may_trail(known: Known, name: &[u8]) -> bool {
    const NEVER: [&[u8]; 17] = [
        b"age",
        b"allow",
        b"cache-control",
        b"expires",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"retry-after",
        b"set-cookie",
        b"user-agent",
        b"vary",
        b"warning",
        b"www-authenticate",
    ];
    const NEVER_BEGINS: [&[u8]; 6] =
        [b"content-", b"if-", b"proxy-", b"sec-", b"x-forwarded-", b"access-control-"];
    known == Known::Other
        && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
        && !NEVER_BEGINS
            .iter()
            .any(|start| name.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start)))
}

/// Appends one field line.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends one chunk.
pub(crate) fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - data.len().leading_zeros()).div_ceil(4).max(1);
    out.reserve(data.len() + 20);
    for place in (0..digits).rev() {
        out.push(HEX[data.len() >> (4 * place) & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_carry_what_is_about_the_content_alone() {
        for good in ["X-Checksum", "Server-Timing", "Digest", "grpc-status"] {
            assert!(may_trail(Known::of(good.as_bytes()), good.as_bytes()), "{good}");
        }
        for bad in [
            "Content-Type",
            "Set-Cookie",
            "Authorization",
            "Host",
            "Range",
            "If-Match",
            "Via",
            "X-Forwarded-Prefix",
            "Content_Length",
            "Proxy-Authorization",
            "Cache-Control",
        ] {
            assert!(!may_trail(Known::of(bad.as_bytes()), bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn chunks_are_written_with_their_size_in_hexadecimal() {
        for (length, head) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (4096, "1000\r\n")] {
            let mut out = Vec::new();
            write_chunk(&mut out, &vec![b'x'; length]);
            assert!(out.starts_with(head.as_bytes()), "{length}");
            assert_eq!(out.len(), head.len() + length + 2);
        }
    }
}
