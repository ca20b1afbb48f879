//! The handshake of WebSocket over HTTP/1.1 (RFC 6455, 4), for where the gateway is a side of it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
    fn keys_are_sixteen_bytes_and_differ() {
        assert_eq!(STANDARD.decode(key()).map(|bytes| bytes.len()), Ok(16));
        assert_ne!(key(), key());
    }
}
