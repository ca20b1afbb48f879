//! The handshake of WebSocket over HTTP/1.1 (RFC 6455, 4), for where the gateway is a side of it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::RequestHead;

/// What every key is answered with (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key: 16 random bytes in base64.
#[must_use]
pub fn key() -> Vec<u8> {
    let mut nonce = [0; 16];
    // Without randomness the key is a bad one, which harms nobody but who could guess it.
    let _ = aws_lc_rs::rand::fill(&mut nonce);
    STANDARD.encode(nonce).into_bytes()
}

/// What is wrong with a client's opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadHandshake {
    /// It asks in another way than with `GET`.
    #[error("a WebSocket is asked for with GET")]
    Method,
    /// The key is missing, there are several, or it is not 16 bytes in base64.
    #[error("Sec-WebSocket-Key is missing, doubled or not 16 bytes in base64")]
    Key,
    /// The version is missing, or there are several.
    #[error("Sec-WebSocket-Version is missing or doubled")]
    NoVersion,
    /// The version is another than 13.
    #[error("Sec-WebSocket-Version is not 13")]
    Version,
}

/// Checks a client's opening handshake as its server does (RFC 6455, 4.2.1).
///
/// # Errors
/// What is wrong.
pub fn check(request: &RequestHead) -> Result<(), BadHandshake> {
    let single = |name: &'static [u8]| {
        let mut values = request.fields.all(name);
        values.next().filter(|_| values.next().is_none())
    };
    if request.method() != b"GET" {
        return Err(BadHandshake::Method);
    }
    if !single(b"sec-websocket-key").is_some_and(is_key) {
        return Err(BadHandshake::Key);
    }
    match single(b"sec-websocket-version") {
        Some(b"13") => Ok(()),
        Some(_) => Err(BadHandshake::Version),
        None => Err(BadHandshake::NoVersion),
    }
}

/// Whether this has the form of 16 bytes in base64. Some clients care for no more than that.
fn is_key(value: &[u8]) -> bool {
    let digits = value.strip_suffix(b"==").unwrap_or_default();
    digits.len() == 22 && digits.iter().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(b))
}

/// The answer to a key.
#[must_use]
pub fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_key_is_told() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ==") && is_key(&key()));
        let bad = [
            "",
            "==",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j*Q==",
            "dGhlIHNhbXBsZSBub25jZQA=",
        ];
        for bad in bad {
            assert!(!is_key(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn keys_are_sixteen_bytes_and_differ() {
        assert_eq!(STANDARD.decode(key()).map(|bytes| bytes.len()), Ok(16));
        assert_ne!(key(), key());
    }
}
