//! Vectors of the RFCs, and what has fooled others.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::json::JsonError;
use crate::testing::{LIMIT, every, keys, rsa_pem, set, signer, token, verify};

/// Signed examples of RFC 7515, 7520 and 8037; key sets of RFC 7517; tokens of RFC 7515 and 7519
/// that are to be refused.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/rfc.json")).unwrap()
}

fn error(token: &str, keys: &KeySet) -> TokenError {
    verify(token, keys).unwrap_err()
}

fn parse_error(token: &str) -> TokenError {
    Token::parse(token.as_bytes(), LIMIT).unwrap_err()
}

/// The token with its last part replaced.
fn with_signature(token: &str, signature: &[u8]) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", base64url::encode(signature))
}

fn signature_of(token: &str) -> Vec<u8> {
    base64url::decode(token.rsplit_once('.').unwrap().1.as_bytes()).unwrap()
}

#[test]
fn the_signatures_of_the_rfcs_are_right_and_changed_ones_are_not() {
    let vectors = vectors();
    for vector in vectors["signed"].as_array().unwrap() {
        let source = vector["source"].as_str().unwrap();
        let keys = set(&vector["key"]);
        assert_eq!(keys.skipped(), [], "{source}");
        let text = vector["token"].as_str().unwrap();
        let token = Token::parse(text.as_bytes(), LIMIT).unwrap();
        assert_eq!(token.verify_signature(&keys, every()), Ok(()), "{source}");

        let mut signature = signature_of(text);
        let middle = signature.len() / 2;
        signature[middle] ^= 1;
        let changed = with_signature(text, &signature);
        let token = Token::parse(changed.as_bytes(), LIMIT).unwrap();
        assert!(token.verify_signature(&keys, every()).is_err(), "{source}");
    }
}

/// RFC 7519 section 3.1, which is appendix A.1 of RFC 7515.
#[test]
fn the_claims_of_the_rfc_are_read() {
    let vectors = vectors();
    let vector = &vectors["signed"][0];
    let verified = verify(vector["token"].as_str().unwrap(), &set(&vector["key"])).unwrap();
    assert_eq!(verified.header.typ.as_deref(), Some("JWT"));
    assert_eq!(verified.claims.issuer(), Some("joe"));
    assert_eq!(verified.claims.expires(), Ok(Some(1_300_819_380)));
    let root = verified.claims.get("http://example.com/is_root");
    assert_eq!(root.and_then(crate::Value::as_bool), Some(true));
}

#[test]
fn unsigned_and_encrypted_tokens_of_the_rfcs_are_refused() {
    let vectors = vectors();
    let refused = |source: &str| parse_error(vectors["refused"][source].as_str().unwrap());
    assert_eq!(refused("RFC 7515 appendix A.5"), TokenError::Unsigned);
    assert_eq!(refused("RFC 7515 appendix E"), TokenError::Unsigned);
    assert_eq!(refused("RFC 7519 appendix A.1"), TokenError::Encrypted);
    assert_eq!(refused("RFC 7519 appendix A.2"), TokenError::Encrypted);
}

#[test]
fn what_is_signed_here_is_verified_here() {
    for algorithm in Algorithm::ALL {
        let signer = signer(algorithm);
        let text = signer.sign("at+jwt", &json!({"sub": "a"})).unwrap();
        let keys = keys(&signer);
        let verified = verify(&text, &keys).unwrap();
        assert_eq!(verified.claims.subject(), Some("a"), "{algorithm}");
        assert_eq!(verified.header.typ.as_deref(), Some("at+jwt"));
        let others = every().iter().filter(|other| *other != algorithm).collect();
        let token = Token::parse(text.as_bytes(), LIMIT).unwrap();
        let refused = token.verify(&keys, others).unwrap_err();
        assert_eq!(refused, TokenError::AlgorithmNotAllowed { algorithm });
    }
}

#[test]
fn none_is_no_algorithm_in_any_spelling() {
    for none in ["none", "None", "NONE", "nOnE", "NonE"] {
        for signature in [&b""[..], b"x"] {
            let text = token(&format!(r#"{{"alg":"{none}"}}"#), "{}", signature);
            assert_eq!(parse_error(&text), TokenError::Unsigned, "{none}");
        }
    }
    for odd in ["", " none", "none ", "nul", "no\\u006ee\\u0000", "RS256,none", "HS1", "ES256K"] {
        let text = token(&format!(r#"{{"alg":"{odd}"}}"#), "{}", b"");
        assert_eq!(parse_error(&text), TokenError::UnknownAlgorithm, "{odd}");
    }
    assert_eq!(parse_error(&token(r#"{"alg":"no\u006ee"}"#, "{}", b"")), TokenError::Unsigned);
    for odd in [r#"{}"#, r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"ALG":"HS256"}"#] {
        let missing = TokenError::HeaderMember { member: "alg" };
        assert_eq!(parse_error(&token(odd, "{}", b"")), missing, "{odd}");
    }
}

/// CVE-2015-9235 and its many like: the public key as the secret of HMAC.
#[test]
fn a_public_key_never_serves_as_a_secret() {
    let pem = rsa_pem();
    let keys = KeySet::from_pem(pem.as_bytes()).unwrap();
    let signed = token(r#"{"alg":"HS256"}"#, r#"{"sub":"root"}"#, b"");
    let signed = signed.strip_suffix('.').unwrap();
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, signed.as_bytes());
        let text = format!("{signed}.{}", base64url::encode(tag.as_ref()));
        let unknown = TokenError::UnknownKey { algorithm: Algorithm::Hs256, kid: None };
        assert_eq!(error(&text, &keys), unknown);
    }
}

/// CVE-2018-0114: the key that the token brings along is not looked at.
#[test]
fn a_key_in_the_header_is_not_used() {
    let (known, attacker) = (signer(Algorithm::Es256), signer(Algorithm::Es256));
    let jwk = attacker.public_jwk().unwrap();
    for member in ["jwk", "jku", "x5u", "x5c"] {
        let header = json!({"alg": "ES256", member: jwk});
        let text = token(&header.to_string(), r#"{"sub":"root"}"#, &[1; 64]);
        assert_eq!(error(&text, &keys(&known)), TokenError::Signature { identified: false });
        assert!(matches!(error(&text, &KeySet::default()), TokenError::UnknownKey { .. }));
    }
    let text = attacker.sign("JWT", &json!({"sub": "root"})).unwrap();
    assert!(matches!(error(&text, &keys(&known)), TokenError::UnknownKey { .. }));
}

#[test]
fn a_key_id_is_compared_and_nothing_else() {
    let signer = signer(Algorithm::Es256);
    let keys = keys(&signer);
    for kid in ["../../dev/null", "' OR 1=1 --", "", "http://a/", "\\u0000", &"k".repeat(3000)] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        let refused = error(&token(&header, "{}", &[1; 64]), &keys);
        let TokenError::UnknownKey { kid: Some(shown), .. } = &refused else { panic!("{refused}") };
        assert!(shown.len() < 800 && shown.is_ascii() && !refused.to_string().contains('\0'));
        assert!(refused.may_need_newer_keys());
    }
    for kid in ["1", "null", "[]", "{}"] {
        let text = token(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#), "{}", &[1; 64]);
        assert_eq!(parse_error(&text), TokenError::HeaderMember { member: "kid" });
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    for crit in [r#"["exp"]"#, r#"["b64"]"#, "[]", "null", "true", r#""exp""#] {
        let header = format!(r#"{{"alg":"HS256","crit":{crit},"b64":true}}"#);
        assert_eq!(parse_error(&token(&header, "{}", b"x")), TokenError::Critical, "{crit}");
    }
    for b64 in ["false", "null", "0", r#""false""#] {
        let header = format!(r#"{{"alg":"HS256","b64":{b64}}}"#);
        assert_eq!(parse_error(&token(&header, "{}", b"x")), TokenError::Unencoded, "{b64}");
    }
    let typ = token(r#"{"alg":"HS256","typ":1}"#, "{}", b"x");
    assert_eq!(parse_error(&typ), TokenError::HeaderMember { member: "typ" });
}

#[test]
fn a_token_has_three_parts() {
    for (text, parts) in [("", 1), ("a", 1), ("a.b", 2), ("a.b.c.d", 4), ("......", 7)] {
        assert_eq!(parse_error(text), TokenError::Parts { parts }, "{text}");
    }
    assert_eq!(parse_error("a.b.c.d.e"), TokenError::Encrypted);
    assert_eq!(parse_error(".."), TokenError::Json { part: "header", fault: JsonError::Syntax });
    let long = "a".repeat(LIMIT + 1);
    assert_eq!(parse_error(&long), TokenError::TooLong { bytes: LIMIT + 1, limit: LIMIT });
}

#[test]
fn a_token_that_is_cut_anywhere_is_refused() {
    let signer = signer(Algorithm::Es256);
    let keys = keys(&signer);
    let text = signer.sign("JWT", &json!({"sub": "a"})).unwrap();
    for cut in 0..text.len() {
        assert!(verify(&text[..cut], &keys).is_err(), "{cut}");
    }
    for more in ["A", "=", "==", " ", "\n", "\0", ".", "%20"] {
        assert!(verify(&format!("{text}{more}"), &keys).is_err(), "{more:?}");
        assert!(verify(&format!("{more}{text}"), &keys).is_err(), "{more:?}");
    }
}

#[test]
fn base64url_has_one_spelling() {
    let signer = signer(Algorithm::Es256);
    let keys = keys(&signer);
    let text = signer.sign("JWT", &json!({"sub": "a"})).unwrap();
    // 64 bytes leave four bits of the last character that carry nothing.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = text.split_at(text.len() - 1);
    let accepted = alphabet.chars().filter(|last| verify(&format!("{start}{last}"), &keys).is_ok());
    assert_eq!(accepted.collect::<String>(), last);
    let standard = text.replace('-', "+").replace('_', "/");
    assert!(standard == text || verify(&standard, &keys).is_err());
}

#[test]
fn doubled_members_are_refused_in_header_and_payload() {
    let duplicate = |part| TokenError::Json { part, fault: JsonError::Duplicate };
    let header = token(r#"{"alg":"HS256","alg":"none"}"#, "{}", b"x");
    assert_eq!(parse_error(&header), duplicate("header"));
    let header = token(r#"{"alg":"HS256","x":{"y":[{"a":1,"a":2}]}}"#, "{}", b"x");
    assert_eq!(parse_error(&header), duplicate("header"));
    for payload in [r#"{"aud":"a","aud":"b"}"#, r#"{"realm":{"roles":[],"roles":["root"]}}"#] {
        let (text, keys) = signed(payload.as_bytes());
        assert_eq!(error(&text, &keys), duplicate("payload"), "{payload}");
        let unverified = Token::parse(text.as_bytes(), LIMIT).unwrap().unverified_issuer();
        assert_eq!(unverified, Err(duplicate("payload")));
    }
}

/// A token over any payload at all, with a right signature, and its keys.
fn signed(payload: &[u8]) -> (String, KeySet) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[9; 32]);
    let mut text = base64url::encode(br#"{"alg":"HS256"}"#);
    text.push('.');
    base64url::encode_onto(payload, &mut text);
    let tag = hmac::sign(&key, text.as_bytes());
    let text = format!("{text}.{}", base64url::encode(tag.as_ref()));
    (text, KeySet::from_secret(&[9; 32], Some(Algorithm::Hs256)).unwrap())
}

#[test]
fn a_payload_that_is_no_object_is_refused_however_well_it_is_signed() {
    let bombs = ["[".repeat(3000), "{\"a\":".repeat(1000), format!("{{\"a\":{}1", "[".repeat(40))];
    let others = ["", "[]", "null", "1", "\"a\"", "{", "{}{}", "\u{feff}{}"].map(str::to_owned);
    for payload in bombs.iter().chain(&others) {
        let (text, keys) = signed(payload.as_bytes());
        assert!(matches!(error(&text, &keys), TokenError::Json { part: "payload", .. }));
    }
    for payload in [&b"{\"a\":\"\xff\xfe\"}"[..], b"\xef\xbb\xbf{}", b"{\"\xc3\x28\":1}"] {
        let (text, keys) = signed(payload);
        assert!(matches!(error(&text, &keys), TokenError::Json { .. }), "{payload:?}");
    }
}

/// CVE-2022-21449, and other signatures of ECDSA that are not one.
#[test]
fn signatures_of_ecdsa_that_are_none_are_refused() {
    for (algorithm, size) in
        [(Algorithm::Es256, 32), (Algorithm::Es384, 48), (Algorithm::Es512, 66)]
    {
        let signer = signer(algorithm);
        let keys = keys(&signer);
        let text = signer.sign("JWT", &json!({"sub": "a"})).unwrap();
        let right = signature_of(&text);
        assert_eq!(right.len(), 2 * size);
        let (r, s) = right.split_at(size);
        let zero = vec![0; size];
        let wrong = [
            vec![],
            vec![0; 2 * size],
            [r, &zero].concat(),
            [&zero, s].concat(),
            [s, r].concat(),
            vec![0xff; 2 * size],
            right[..2 * size - 1].to_vec(),
            [&right[..], &[0]].concat(),
            [&[0], &right[..]].concat(),
            // The other form of the same signature (ASN.1), in the shortest way to write it.
            vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        ];
        for signature in wrong {
            let text = with_signature(&text, &signature);
            assert_eq!(error(&text, &keys), TokenError::Signature { identified: true });
        }
        assert!(verify(&text, &keys).is_ok());
    }
}

/// A signature of Ed25519 whose second half has the group's order added (RFC 8032 section 5.1.7).
#[test]
fn a_signature_of_ed25519_cannot_be_written_in_another_way() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let signer = signer(Algorithm::EdDsa);
    let keys = keys(&signer);
    let text = signer.sign("JWT", &json!({"sub": "a"})).unwrap();
    let mut signature = signature_of(&text);
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let changed = with_signature(&text, &signature);
    assert_eq!(error(&changed, &keys), TokenError::Signature { identified: true });
    assert!(verify(&text, &keys).is_ok());
}

#[test]
fn an_oversized_signature_is_refused() {
    let text = token(r#"{"alg":"RS256"}"#, "{}", &[1; 1025]);
    let keys = KeySet::from_pem(rsa_pem().as_bytes()).unwrap();
    assert_eq!(error(&text, &keys), TokenError::Base64 { part: "signature" });
}

#[test]
fn the_issuer_can_be_seen_before() {
    let seen = |payload: &str| {
        let text = token(r#"{"alg":"ES256"}"#, payload, b"x");
        Token::parse(text.as_bytes(), LIMIT).unwrap().unverified_issuer()
    };
    assert_eq!(seen(r#"{"iss":"https://a/"}"#).as_deref(), Ok("https://a/"));
    assert_eq!(seen("{}"), Err(TokenError::MissingClaim { claim: "iss" }));
    assert_eq!(seen(r#"{"iss":["a"]}"#), Err(TokenError::MalformedClaim { claim: "iss" }));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let keys = KeySet::from_secret(&[9; 32], None).unwrap();
        if let Ok(token) = Token::parse(&text, LIMIT) {
            let _ = token.verify(&keys, every());
            let _ = token.unverified_issuer();
        }
    }

    #[test]
    fn no_header_or_payload_makes_it_panic(header in ".{0,80}", payload in ".{0,80}") {
        let (text, keys) = signed(payload.as_bytes());
        let _ = verify(&text, &keys);
        let _ = verify(&token(&header, &payload, b"x"), &keys);
    }

    #[test]
    fn a_changed_byte_is_a_wrong_token(at in 0_usize..120, to in any::<u8>()) {
        let (text, keys) = signed(br#"{"sub":"somebody","admin":false}"#);
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        let same = bytes[at] == to;
        bytes[at] = to;
        let read = Token::parse(&bytes, LIMIT).and_then(|token| token.verify(&keys, every()));
        prop_assert_eq!(read.is_ok(), same);
    }
}

/// Not a test: `cargo test --release -p portcullis-jose cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_token() {
    let claims = json!({
        "iss": "https://issuer.example.com/", "aud": ["https://api.example.com"], "sub": "1234567",
        "exp": 2_000_000_000, "iat": 1_700_000_000, "scope": "read write", "client_id": "app",
        "realm_access": {"roles": ["user", "admin"]}, "email": "somebody@example.com",
    });
    let expected = crate::Expectations::new(
        vec!["https://issuer.example.com/".into()],
        vec!["https://api.example.com".into()],
    );
    for algorithm in Algorithm::ALL {
        let signer = signer(algorithm);
        let keys = keys(&signer);
        let text = signer.sign("at+jwt", &claims).unwrap();
        let rounds = 5_000;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            let verified = verify(std::hint::black_box(&text), &keys).unwrap();
            expected.check(&verified, 1_800_000_000).unwrap();
        }
        let nanoseconds = start.elapsed().as_nanos() / rounds;
        println!("{algorithm}: {nanoseconds} ns, {} bytes", text.len());
    }
}
