//! Path normalisation: its result is normal, and normalising it again changes nothing.

use portcullis_config::model::{EncodedSlash, PathPolicy};
use portcullis_proxy::path::{Normal, normalise};

/// Checks `raw` as a path under every policy.
pub fn path(raw: &[u8]) {
    for merge_slashes in [true, false] {
        for encoded_slash in [EncodedSlash::Keep, EncodedSlash::Reject, EncodedSlash::Decode] {
            check(raw, PathPolicy { merge_slashes, encoded_slash });
        }
    }
}

fn check(raw: &[u8], policy: PathPolicy) {
    let mut out = b"left over".to_vec();
    let normal = match normalise(raw, policy, &mut out) {
        Ok(Normal::AsIs) => raw,
        Ok(Normal::Rewritten) => &out,
        Err(_) => return,
    };
    let mut again = Vec::new();
    assert_eq!(normalise(normal, policy, &mut again), Ok(Normal::AsIs), "not idempotent");

    assert!(normal.starts_with(b"/"));
    assert!(normal.iter().all(|b| b.is_ascii_graphic() && !b"?#\\".contains(b)), "illegal byte");
    for segment in normal[1..].split(|&b| b == b'/') {
        assert!(segment != b"." && segment != b"..", "a dot segment is left");
    }
    let has = |part: &[u8]| normal.windows(part.len()).any(|window| window == part);
    assert!(!policy.merge_slashes || !has(b"//"), "a double slash is left");
    assert!(policy.encoded_slash == EncodedSlash::Keep || !has(b"%2F"), "an encoded slash is left");
    assert!(!has(b"%2f") && !has(b"%2E") && !has(b"%2e"), "an escape is not normal");
}
