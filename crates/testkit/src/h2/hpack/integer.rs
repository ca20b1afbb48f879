//! Integers with a prefix of some bits (RFC 7541 section 5.1).

use std::io;

use crate::message::malformed;

/// Writes one whose first byte has these upper bits.
pub(in crate::h2) fn write(bytes: &mut Vec<u8>, upper: u8, bits: u8, value: usize) {
    let most = (1_usize << bits) - 1;
    let low = |value: usize| u8::try_from(value).expect("a value of one byte");
    if value < most {
        bytes.push(upper | low(value));
        return;
    }
    bytes.push(upper | low(most));
    let mut rest = value - most;
    while rest >= 0x80 {
        bytes.push(0x80 | low(rest & 0x7f));
        rest >>= 7;
    }
    bytes.push(low(rest));
}

/// Reads one and goes behind it.
pub(in crate::h2) fn read(block: &mut &[u8], bits: u8) -> io::Result<usize> {
    let early = || malformed("an integer that ends early".to_owned());
    let most = (1_usize << bits) - 1;
    let (first, mut rest) = block.split_first().ok_or_else(early)?;
    let mut value = usize::from(*first) & most;
    if value == most {
        for shift in (0..).step_by(7) {
            if shift > 28 {
                return Err(malformed("an integer too large".to_owned()));
            }
            let (byte, behind) = rest.split_first().ok_or_else(early)?;
            rest = behind;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 appendix C.1.
    #[test]
    fn the_examples_of_the_standard_hold() {
        for (bits, value, expected) in
            [(5, 10, &b"\x0a"[..]), (5, 1337, b"\x1f\x9a\x0a"), (8, 42, b"\x2a")]
        {
            let mut bytes = Vec::new();
            write(&mut bytes, 0, bits, value);
            assert_eq!(bytes, expected);
            assert_eq!(read(&mut &bytes[..], bits).unwrap(), value);
        }
    }
}
