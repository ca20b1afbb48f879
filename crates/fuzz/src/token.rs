//! Tokens and claims: whatever is read is read without a panic, and claims say what the JSON says.

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_jose::{Algorithm, ClaimPath, Claims, Expectations, KeySet, Token, Value};

/// The longest token, as in a configuration that says nothing.
const LIMIT: usize = 8192;

static KEYS: LazyLock<Option<KeySet>> = LazyLock::new(|| KeySet::from_secret(&[7; 64], None).ok());

/// Checks `raw` as a token, and as claims.
pub fn token(raw: &[u8]) {
    let Some(keys) = &*KEYS else { return };
    if let Ok(token) = Token::parse(raw, LIMIT) {
        assert!(raw.len() <= LIMIT && raw.iter().filter(|byte| **byte == b'.').count() == 2);
        let _ = token.unverified_issuer();
        let algorithm = token.header().algorithm;
        assert!(token.verify(&KeySet::default(), Algorithm::ALL.into_iter().collect()).is_err());
        if let Ok(verified) = token.verify(keys, Algorithm::ALL.into_iter().collect()) {
            assert!(algorithm.is_symmetric(), "verified with a key of another kind");
            claims(&verified.claims);
        }
    }
    let Ok(read) = Claims::from_json(raw) else { return };
    let theirs = serde_json::from_slice::<serde_json::Value>(raw).ok();
    let ours = serde_json::to_value(Value::Object(read.root())).ok();
    assert!(ours.is_some() && ours == theirs, "claims say what the JSON does not");
    claims(&read);
}

/// Asks claims everything that can be asked.
fn claims(claims: &Claims) {
    let mut expected = Expectations::new(vec!["i".into()], vec!["a".into()]);
    expected.max_age = Some(Duration::MAX);
    for now in [i64::MIN, 0, i64::MAX] {
        let _ = expected.check_claims(claims, now);
        let _ = expected.check_times(claims, now);
    }
    let _ = expected.holds_until(claims);
    assert!(claims.scopes().all(|scope| !scope.is_empty()
        || claims.get("scope").is_some()
        || claims.get("scp").is_some()));
    let _ = claims.audiences().map(Iterator::count);
    for (name, _) in claims.root().iter() {
        assert!(claims.at(&ClaimPath::name(name)).is_some(), "a claim is not found");
        if let Ok(path) = ClaimPath::parse(name) {
            let _ = claims.at(&path);
        }
    }
}
