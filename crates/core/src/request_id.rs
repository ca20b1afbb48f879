//! Request identifiers: 128 bits, unique without coordination, free to make.

use std::fmt;

/// Identifies one request; printed as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

/// A worker's source of identifiers: a random prefix drawn once and a counter, so that making one
/// costs an addition.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    next: u64,
}

impl RequestIds {
    /// A source whose identifiers differ from those of every other source.
    #[must_use]
    pub fn new() -> RequestIds {
        RequestIds { prefix: fastrand::u64(..), next: fastrand::u64(..) }
    }

    /// The next identifier.
    pub fn draw(&mut self) -> RequestId {
        self.next = self.next.wrapping_add(1);
        RequestId(u128::from(self.prefix) << 64 | u128::from(self.next))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        RequestIds::new()
    }
}

impl RequestId {
    /// Its digits.
    #[must_use]
    pub fn digits(self) -> [u8; 32] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = [0; 32];
        for (i, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            out[2 * i] = HEX[usize::from(byte >> 4)];
            out[2 * i + 1] = HEX[usize::from(byte & 15)];
        }
        out
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_display_agree_and_ids_differ() {
        let mut ids = RequestIds::new();
        let (a, b) = (ids.draw(), ids.draw());
        assert_ne!(a, b);
        assert_eq!(a.to_string().as_bytes(), a.digits());
    }
}
