//! base64url as RFC 7515 section 2 has it: no padding, no whitespace, no other alphabet, and only
//! zeros in bits that carry nothing, so that every text has one meaning and every meaning one text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes of a text, or nothing where the text is not strictly base64url.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The bytes of a text, written to the front of `room`; nothing where they do not fit.
pub(crate) fn decode_into<'r>(text: &[u8], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(text, room).ok()?;
    Some(&room[..length])
}

/// The text of bytes, appended to `out`.
pub(crate) fn encode_onto(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

/// The text of bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 appendix C.
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(encode(&[3, 236, 255, 224, 193]), "A-z_4ME");
        assert_eq!(decode(b"A-z_4ME").unwrap(), [3, 236, 255, 224, 193]);
    }

    #[test]
    fn what_could_be_written_in_two_ways_is_refused() {
        for text in [
            "A-z_4ME=",
            "A+z/4ME",
            "A-z_4MF",
            "A-z_ 4ME",
            "A-z_4ME\n",
            "A",
            "A-z_4",
            "A-z_4ME==",
            "A.z",
            "\u{e9}A",
            "=",
            "====",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(decode(b""), Some(Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut room = [0; 4];
        assert_eq!(decode_into(b"A-z_4ME", &mut room), None);
        assert_eq!(decode_into(b"A-z_", &mut room), Some(&[3, 236, 255][..]));
    }
}
