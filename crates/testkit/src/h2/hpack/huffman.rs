//! The Huffman code of RFC 7541 appendix B. It is canonical: codes of one length are in the order of
//! their symbols, and so the lengths alone define it.

use std::io;
use std::sync::OnceLock;

use crate::message::malformed;

/// Length of each byte's code in bits; the last is that of the end of a string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const END: usize = 256;

/// Each symbol's code, in the low bits.
fn codes() -> &'static [u32; 257] {
    static CODES: OnceLock<[u32; 257]> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut order: Vec<usize> = (0..=END).collect();
        order.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
        let mut codes = [0; 257];
        let (mut next, mut length) = (0_u32, LENGTHS[order[0]]);
        for symbol in order {
            next <<= LENGTHS[symbol] - length;
            length = LENGTHS[symbol];
            codes[symbol] = next;
            next += 1;
        }
        codes
    })
}

/// The string in code, padded with the end's first bits.
pub(in crate::h2) fn encode(string: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for byte in string {
        let symbol = usize::from(*byte);
        bits.extend((0..LENGTHS[symbol]).rev().map(|bit| codes()[symbol] >> bit & 1 == 1));
    }
    let octet = |bits: &[bool]| {
        let bit = |at: usize| bits.get(at).is_none_or(|bit| *bit);
        (0..8).fold(0, |octet, at| octet << 1 | u8::from(bit(at)))
    };
    bits.chunks(8).map(octet).collect()
}

/// The string that was coded; padding must be as the standard has it (section 5.2).
pub(super) fn decode(coded: &[u8]) -> io::Result<Vec<u8>> {
    let mut string = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u8);
    for octet in coded {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(octet >> bit & 1);
            length += 1;
            let is = |symbol: &usize| LENGTHS[*symbol] == length && codes()[*symbol] == code;
            match (0..=END).find(is) {
                Some(END) => return Err(malformed("an end within a string".to_owned())),
                Some(symbol) => {
                    string.push(u8::try_from(symbol).expect("a byte"));
                    (code, length) = (0, 0);
                }
                None => {}
            }
        }
    }
    if length > 7 || code != (1 << length) - 1 {
        return Err(malformed("padding of a Huffman string".to_owned()));
    }
    Ok(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_code() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }

    #[test]
    fn padding_is_looked_at() {
        // "a" is 00011, and three bits are left.
        assert_eq!(encode(b"a"), [0b0001_1111]);
        assert!(decode(&[0b0001_1110]).is_err());
        assert!(decode(&[0b0001_1111, 0xff]).is_err());
        assert!(decode(&[0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
