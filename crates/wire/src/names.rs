//! Names of fields are the same in any case (RFC 9110, 5.1).

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// `one.eq_ignore_ascii_case(other)`, eight bytes at a time, the last eight over again what came
/// before.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (Some(end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return one.eq_ignore_ascii_case(other);
    };
    let chunks = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    // Names often begin alike.
    lower(*end) == lower(*other_end) && chunks.into_iter().all(|(a, b)| lower(*a) == lower(*b))
}

/// Eight bytes in lower case.
fn lower(bytes: [u8; 8]) -> u64 {
    let word = u64::from_ne_bytes(bytes);
    // The highest bit of a byte takes what is carried, and says which letter was reached.
    let low = word & !HIGH;
    let from_a = low + ONES * u64::from(0x80 - b'A');
    let beyond_z = low + ONES * u64::from(0x7f - b'Z');
    let upper = (from_a ^ beyond_z) & !word & HIGH;
    word | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_the_standard_library_does() {
        for name in ["te", "x-api-key", "X-RateLimit-Remaining", "content-length", "x-a-key8"] {
            let name = name.as_bytes();
            assert!(!is_same(name, &name[1..]));
            for at in 0..name.len() {
                for b in 0..=u8::MAX {
                    let mut other = name.to_ascii_uppercase();
                    other[at] = b;
                    let expected = other.eq_ignore_ascii_case(name);
                    assert_eq!(is_same(&other, name), expected, "{}", other.escape_ascii());
                }
            }
        }
    }
}
