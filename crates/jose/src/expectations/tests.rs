use super::*;

const NOW: i64 = 1_700_000_000;

fn expectations() -> Expectations {
    Expectations::new(vec!["https://issuer/".into()], vec!["here".into(), "there".into()])
}

/// The token that is as expected, but for these claims.
fn claims(changes: &str) -> Claims {
    let mut all = serde_json::json!({"iss": "https://issuer/", "aud": "here", "exp": NOW + 60});
    let changes: serde_json::Value = serde_json::from_str(changes).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut().unwrap().retain(|_, value| value != "gone");
    Claims::from_json(all.to_string().as_bytes()).unwrap()
}

fn check(expectations: &Expectations, changes: &str) -> Result<(), TokenError> {
    expectations.check_claims(&claims(changes), NOW)
}

#[test]
fn issuer_and_audience_are_compared_exactly() {
    let expected = expectations();
    assert_eq!(check(&expected, "{}"), Ok(()));
    assert_eq!(check(&expected, r#"{"aud":["x","there"]}"#), Ok(()));
    for iss in ["https://issuer", "https://issuer/ ", "HTTPS://issuer/", "https://issuer//", ""] {
        let changes = format!(r#"{{"iss":"{iss}"}}"#);
        assert_eq!(check(&expected, &changes), Err(TokenError::Issuer), "{iss}");
    }
    let missing = |claim| Err(TokenError::MissingClaim { claim });
    let malformed = |claim| Err(TokenError::MalformedClaim { claim });
    assert_eq!(check(&expected, r#"{"iss":"gone"}"#), missing("iss"));
    assert_eq!(check(&expected, r#"{"iss":["https://issuer/"]}"#), malformed("iss"));
    assert_eq!(check(&expected, r#"{"aud":"gone"}"#), missing("aud"));
    assert_eq!(check(&expected, r#"{"aud":["here",1]}"#), malformed("aud"));
    for aud in [r#""her""#, r#""here there""#, "[]", r#"["HERE"]"#] {
        let changes = format!(r#"{{"aud":{aud}}}"#);
        assert_eq!(check(&expected, &changes), Err(TokenError::Audience), "{aud}");
    }
}

#[test]
fn nothing_named_accepts_nothing() {
    let nobody = Expectations::new(Vec::new(), vec!["here".into()]);
    assert_eq!(check(&nobody, "{}"), Err(TokenError::Issuer));
    let nobody = Expectations::new(vec!["https://issuer/".into()], Vec::new());
    assert_eq!(check(&nobody, "{}"), Err(TokenError::Audience));
    let anybody = Expectations { issuers: None, audiences: None, ..expectations() };
    assert_eq!(check(&anybody, r#"{"iss":"gone","aud":"gone"}"#), Ok(()));
}

#[test]
fn a_token_holds_from_its_start_to_its_end_give_or_take_the_leeway() {
    let expected = expectations();
    let at = |claim: &str, seconds: i64| {
        check(&expected, &format!(r#"{{"{claim}":{}}}"#, NOW + seconds))
    };
    assert_eq!(at("exp", 1), Ok(()));
    assert_eq!(at("exp", -29), Ok(()));
    assert_eq!(at("exp", -30), Err(TokenError::Expired { seconds: 30 }));
    assert_eq!(at("nbf", 30), Ok(()));
    assert_eq!(at("nbf", 31), Err(TokenError::NotYetValid { seconds: 31 }));
    assert_eq!(at("iat", 30), Ok(()));
    assert_eq!(at("iat", 31), Err(TokenError::IssuedInFuture { seconds: 31 }));
    let fraction = format!(r#"{{"nbf":{}.1}}"#, NOW + 30);
    assert_eq!(check(&expected, &fraction), Err(TokenError::NotYetValid { seconds: 31 }));
}

#[test]
fn an_expiry_is_required_unless_said_otherwise() {
    let missing = Err(TokenError::MissingClaim { claim: "exp" });
    assert_eq!(check(&expectations(), r#"{"exp":"gone"}"#), missing);
    let free = Expectations { expiry_required: false, ..expectations() };
    assert_eq!(check(&free, r#"{"exp":"gone"}"#), Ok(()));
    assert!(check(&free, r#"{"exp":1}"#).is_err());
    let malformed = Err(TokenError::MalformedClaim { claim: "exp" });
    assert_eq!(check(&free, r#"{"exp":null}"#), malformed);
}

#[test]
fn an_age_is_bounded_where_it_is_asked() {
    let young = Expectations { max_age: Some(Duration::from_secs(100)), ..expectations() };
    let issued = |ago: i64| check(&young, &format!(r#"{{"iat":{}}}"#, NOW - ago));
    assert_eq!(issued(130), Ok(()));
    assert_eq!(issued(131), Err(TokenError::TooOld { seconds: 131 }));
    assert_eq!(check(&young, "{}"), Err(TokenError::MissingClaim { claim: "iat" }));
}

#[test]
fn absurd_dates_and_leeways_do_not_overflow() {
    let forever =
        Expectations { leeway: Duration::MAX, max_age: Some(Duration::MAX), ..expectations() };
    for date in ["1e300", "-1e300", "9223372036854775807", "-9223372036854775808", "0"] {
        for claim in ["exp", "nbf", "iat"] {
            let claims = claims(&format!(r#"{{"iat":1,"{claim}":{date}}}"#));
            for now in [i64::MIN, -1, 0, NOW, i64::MAX] {
                let _ = forever.check_claims(&claims, now);
                let _ = expectations().check_claims(&claims, now);
                let _ = forever.holds_until(&claims);
            }
        }
    }
}

#[test]
fn how_long_a_token_holds_is_known() {
    let until = |expected: &Expectations, changes: &str| expected.holds_until(&claims(changes));
    assert_eq!(until(&expectations(), "{}"), Ok(NOW + 59));
    let young = Expectations { max_age: Some(Duration::from_secs(10)), ..expectations() };
    assert_eq!(until(&young, &format!(r#"{{"iat":{NOW}}}"#)), Ok(NOW + 10));
    assert_eq!(until(&expectations(), r#"{"exp":"gone"}"#), Ok(i64::MAX));
}

#[test]
fn kinds_of_tokens_are_told_apart() {
    let of = |names: &[&str]| Typ::OneOf(names.iter().map(|name| (*name).into()).collect());
    for (typ, accepted) in [
        (None, true),
        (Some("JWT"), true),
        (Some("jwt"), true),
        (Some("application/at+jwt"), true),
        (Some("at+JWT"), true),
        (Some("logout+jwt"), false),
        (Some("dpop+jwt"), false),
        (Some("application/application/jwt"), false),
        (Some(""), false),
        (Some("application/\u{e9}"), false),
    ] {
        assert_eq!(Typ::Usual.accepts(typ), accepted, "{typ:?}");
        assert!(Typ::Any.accepts(typ));
    }
    assert!(Typ::AccessToken.accepts(Some("Application/AT+jwt")));
    assert!(!Typ::AccessToken.accepts(Some("JWT")) && !Typ::AccessToken.accepts(None));
    assert!(of(&["application/x+jwt"]).accepts(Some("x+jwt")));
    assert!(!of(&[]).accepts(Some("x+jwt")) && !of(&["x"]).accepts(None));
}

#[test]
fn claims_must_be_as_required() {
    let text = |text: &str| Expected::Text(text.into());
    let holds = |test: Test, value: &str| {
        let path = ClaimPath::parse("a.b").unwrap();
        let expected =
            Expectations { required: vec![Requirement { path, test }], ..expectations() };
        check(&expected, &format!(r#"{{"a":{{"b":{value}}}}}"#)).is_ok()
    };
    assert!(holds(Test::Present, "0") && holds(Test::Present, "false"));
    assert!(!holds(Test::Present, "null"));
    assert!(
        holds(Test::Equals(text("x")), r#""x""#) && !holds(Test::Equals(text("x")), r#"["x"]"#)
    );
    assert!(!holds(Test::Equals(text("1")), "1") && !holds(Test::Equals(text("true")), "true"));
    assert!(
        holds(Test::Equals(Expected::Whole(1)), "1")
            && holds(Test::Equals(Expected::Whole(1)), "1.0")
    );
    assert!(!holds(Test::Equals(Expected::Whole(1)), "true"));
    assert!(holds(Test::Equals(Expected::Bool(true)), "true"));
    assert!(holds(Test::OneOf(vec![text("x"), text("y")]), r#""y""#));
    let both = || vec![text("x"), text("y")];
    assert!(holds(Test::Contains(both()), r#"["y","z","x"]"#));
    assert!(
        holds(Test::Contains(both()), r#""y x""#) && !holds(Test::Contains(both()), r#"["x"]"#)
    );
    assert!(
        !holds(Test::Contains(both()), r#""xy""#) && !holds(Test::Contains(both()), r#"{"x":"y"}"#)
    );
    assert!(
        holds(Test::ContainsAny(both()), r#"["x"]"#) && !holds(Test::ContainsAny(both()), "[]")
    );
    assert_eq!(
        check(
            &Expectations {
                required: vec![Requirement { path: ClaimPath::name("z"), test: Test::Present }],
                ..expectations()
            },
            "{}"
        ),
        Err(TokenError::Requirement { path: "z".into() })
    );
}

#[test]
fn scopes_must_be_there() {
    let names = || vec!["read".into(), "write".into()];
    let all = Expectations { scopes: Scopes::All(names()), ..expectations() };
    let any = Expectations { scopes: Scopes::Any(names()), ..expectations() };
    for (scope, has_all, has_any) in
        [("read write x", true, true), ("write", false, true), ("reader", false, false)]
    {
        let changes = format!(r#"{{"scope":"{scope}"}}"#);
        assert_eq!(check(&all, &changes).is_ok(), has_all, "{scope}");
        assert_eq!(check(&any, &changes).is_ok(), has_any, "{scope}");
    }
    assert_eq!(check(&all, "{}"), Err(TokenError::Scope));
    // An expired token is told to be expired, not to lack scopes.
    assert!(matches!(check(&all, r#"{"exp":1}"#), Err(TokenError::Expired { .. })));
}
