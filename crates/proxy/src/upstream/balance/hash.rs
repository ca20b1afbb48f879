//! Hashes that are the same on every node and in every version, so that all of them send equal
//! requests to the same endpoint.

/// A hash under way: FNV-1a, with what it lacks in spread added at the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StableHash(u64);

impl StableHash {
    pub(crate) fn new() -> StableHash {
        StableHash(0xCBF2_9CE4_8422_2325)
    }

    /// Adds a part. Parts are told apart: `ab`, `c` is not `a`, `bc`.
    pub(crate) fn part(self, bytes: &[u8]) -> StableHash {
        let hash = bytes.iter().fold(self.0, |hash, &byte| step(hash, byte));
        let length = (bytes.len() as u64).to_le_bytes();
        StableHash(length.into_iter().fold(hash, step))
    }

    pub(crate) fn end(self) -> u64 {
        mix(self.0)
    }
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
}

/// Spreads every bit over all others (the finaliser of splitmix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The hash of something's number `n`.
pub(super) fn nth(id: u64, n: u64) -> u64 {
    mix(id.wrapping_add(mix(n.wrapping_add(0x9E37_79B9_7F4A_7C15))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        let hash = |parts: &[&[u8]]| parts.iter().fold(StableHash::new(), |h, p| h.part(p)).end();
        // Nodes of several versions stand beside each other.
        assert_eq!(hash(&[b"a"]), HASH_OF_A);
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b""]), hash(&[]));
    }

    const HASH_OF_A: u64 = 0xEE02_FD6B_1CA7_67D1;
}
