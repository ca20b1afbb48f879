use super::*;

fn claims(json: &str) -> Claims {
    Claims::from_json(json.as_bytes()).unwrap()
}

fn audiences(json: &str) -> Option<Vec<String>> {
    let claims = claims(json);
    let audiences = claims.audiences().ok()?;
    Some(audiences.map(str::to_owned).collect())
}

#[test]
fn an_audience_is_a_text_or_a_list_of_texts() {
    assert_eq!(audiences(r#"{"aud":"a b"}"#).unwrap(), ["a b"]);
    assert_eq!(audiences(r#"{"aud":["a","b"]}"#).unwrap(), ["a", "b"]);
    assert!(audiences("{}").unwrap().is_empty());
    for odd in [r#"{"aud":1}"#, r#"{"aud":["a",1]}"#, r#"{"aud":null}"#, r#"{"aud":{"a":"b"}}"#] {
        assert_eq!(audiences(odd), None, "{odd}");
    }
}

#[test]
fn scopes_are_words_of_scope_and_scp() {
    let scopes = |json: &str| claims(json).scopes().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(scopes(r#"{"scope":"read  write"}"#), ["read", "write"]);
    assert_eq!(scopes(r#"{"scp":["read","write"]}"#), ["read", "write"]);
    assert_eq!(scopes(r#"{"scp":"a b","scope":["c"]}"#), ["c", "a", "b"]);
    assert_eq!(scopes(r#"{"scope":["a b"]}"#), ["a b"]);
    for odd in [r#"{"scope":1}"#, r#"{"scope":""}"#, r#"{"scope":{"a":"b"}}"#, "{}"] {
        assert!(scopes(odd).is_empty(), "{odd}");
    }
    assert_eq!(scopes(r#"{"scope":"a\tb\nc"}"#), ["a\tb\nc"]);
}

#[test]
fn dates_may_have_fractions_and_be_absurd() {
    let dates = |value: &str| {
        let claims = claims(&format!(r#"{{"exp":{value},"nbf":{value}}}"#));
        Some((claims.expires().ok()??, claims.not_before().ok()??))
    };
    assert_eq!(dates("1300819380"), Some((1_300_819_380, 1_300_819_380)));
    assert_eq!(dates("1300819380.5"), Some((1_300_819_380, 1_300_819_381)));
    assert_eq!(dates("1.3e9"), Some((1_300_000_000, 1_300_000_000)));
    assert_eq!(dates("-1.5"), Some((-2, -1)));
    assert_eq!(dates("1e300"), Some((i64::MAX, i64::MAX)));
    assert_eq!(dates("-1e300"), Some((i64::MIN, i64::MIN)));
    assert_eq!(dates("18446744073709551615"), Some((i64::MAX, i64::MAX)));
    assert_eq!(dates(&"9".repeat(300)), Some((i64::MAX, i64::MAX)));
    for odd in [r#""1300819380""#, "null", "[1]", "true"] {
        assert_eq!(dates(odd), None, "{odd}");
    }
}

#[test]
fn a_clone_is_the_same() {
    let claims = claims(r#"{"sub":"a","azp":"app"}"#);
    let clone = claims.clone();
    assert_eq!(clone.subject().unwrap().as_ptr(), claims.subject().unwrap().as_ptr());
    assert_eq!(clone.client(), Some("app"));
    assert!(clone.memory() < 300);
}
