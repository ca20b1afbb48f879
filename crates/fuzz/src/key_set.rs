//! Sets of keys: whatever is read is read without a panic, and every key that is kept fits an
//! algorithm of its kind.

use portcullis_jose::{KeySet, KeySetLimits, Token};

/// Checks `raw` as a JWK set, and as PEM.
pub fn key_set(raw: &[u8]) {
    let public = KeySetLimits { bytes: 4096, keys: 4, symmetric: false };
    if let Ok(set) = KeySet::from_jwks(raw, public) {
        assert!(raw.len() <= public.bytes && set.keys().len() + set.skipped().len() <= public.keys);
        assert!(set.keys().iter().all(|key| {
            let algorithms = key.algorithms();
            !algorithms.is_empty() && algorithms.iter().all(|algorithm| !algorithm.is_symmetric())
        }));
        refuses(&set);
    }
    if let Ok(set) = KeySet::from_jwks(raw, KeySetLimits { symmetric: true, ..public }) {
        refuses(&set);
    }
    if let Ok(set) = KeySet::from_pem(raw) {
        assert!(!set.is_empty());
        refuses(&set);
    }
}

/// No key takes a signature of zeros (`{"alg":"ES256"}`, `{}`).
fn refuses(set: &KeySet) {
    let text = format!("eyJhbGciOiJFUzI1NiJ9.e30.{}", "A".repeat(86));
    let Ok(token) = Token::parse(text.as_bytes(), text.len()) else { return };
    let algorithms = set.keys().iter().flat_map(|key| key.algorithms().iter()).collect();
    assert!(token.verify(set, algorithms).is_err(), "a signature of zeros is right");
}
