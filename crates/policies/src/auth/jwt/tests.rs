use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use portcullis_config::model::{KeyOrigin, KeyPart, KeyPlace, Name, StoreTls};
use portcullis_jose::{Algorithm, Algorithms, ClaimPath, Expectations, Signer};
use serde_json::json;

use super::*;
use crate::consumers::Directory;

const NOW: u64 = 1_700_000_000;
const ISSUER: &str = "https://issuer/";

/// A request with these values of `Authorization`.
struct Shows(Vec<String>);

impl Facts for Shows {
    fn client(&self) -> Option<IpAddr> {
        None
    }

    fn values(&self, _: &KeyPart, _: &mut dyn FnMut(&[u8])) {}

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if name == "authorization" {
            self.0.iter().for_each(|value| each(value.as_bytes()));
        }
    }
}

/// A gateway that believes one issuer.
struct Gateway {
    signer: Signer,
    issuers: Issuers,
    jwt: Jwt,
    tokens: RefCell<Tokens>,
}

fn spec(signer: &Signer) -> model::Issuer {
    let set = json!({"keys": [signer.public_jwk()]}).to_string();
    model::Issuer {
        name: "main".into(),
        issuer: ISSUER.into(),
        keys: KeyOrigin::Set(set.as_bytes().into()),
        algorithms: Algorithms::NONE.with(Algorithm::EdDsa),
        refresh: Duration::from_secs(60),
        timeout: Duration::from_secs(1),
        max_size: 65536,
        max_keys: 10,
        tls: StoreTls { ca: None, certificate: None },
    }
}

fn written() -> model::Jwt {
    let mut expected = Expectations::new(Vec::new(), vec!["here".into()]);
    expected.issuers = None;
    model::Jwt {
        from: vec![KeyPlace::Header("authorization".into(), Some("Bearer".into()))],
        longest: 8192,
        forward: true,
        realm: "r".into(),
        issuers: vec!["main".into()],
        expected,
        roles: vec![ClaimPath::parse("access.roles").unwrap()],
        consumer: None,
        headers: vec![("x-user".into(), ClaimPath::name("sub"))],
    }
}

impl Gateway {
    fn new(written: &model::Jwt) -> Gateway {
        let signer = Signer::generate(Algorithm::EdDsa).unwrap();
        let issuers = Issuers::default();
        put(&issuers, spec(&signer));
        let jwt = Jwt::new(written, 1, &issuers);
        Gateway { signer, issuers, jwt, tokens: RefCell::default() }
    }

    fn ask(&self, shown: &[&str], now: u64) -> (Attempt, Identity) {
        let directory = Directory::default();
        let asking = Asking { directory: &directory, tokens: &self.tokens, now };
        let facts = Shows(shown.iter().map(|one| (*one).to_owned()).collect());
        let mut identity = Identity::default();
        let attempt = self.jwt.attempt(&facts, asking, &Answers::default(), &mut identity);
        (attempt, identity)
    }

    fn bearer(&self, changes: &serde_json::Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": "here", "sub": "somebody", "exp": NOW + 60, "scope": "read",
            "access": {"roles": ["admin"]},
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        format!("Bearer {}", self.signer.sign("at+jwt", &claims).unwrap())
    }

    fn remembered(&self) -> usize {
        self.tokens.borrow().slots.iter().map(|slot| slot.cache.len()).sum()
    }
}

fn put(issuers: &Issuers, spec: model::Issuer) {
    let specs: BTreeMap<Name, _> = [(spec.name.clone(), Arc::new(spec))].into();
    let prepared = issuers.prepare(&specs).unwrap();
    issuers.commit(prepared);
}

fn why(attempt: Attempt) -> String {
    match attempt {
        Attempt::Refused(refused) => refused.detail.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_token_says_who_calls_and_is_remembered() {
    let gateway = Gateway::new(&written());
    let bearer = gateway.bearer(&json!({}));
    for _ in 0..2 {
        let (attempt, identity) = gateway.ask(&[&bearer], NOW);
        assert!(matches!(attempt, Attempt::Known), "{attempt:?}");
        assert_eq!((identity.kind, &*identity.credential), (Some(CredentialKind::Jwt), "somebody"));
        assert!(identity.has_scope("read") && identity.has_role("admin"));
        assert_eq!(identity.claims.unwrap().issuer(), Some(ISSUER));
        assert_eq!(gateway.remembered(), 1);
    }
    // What is remembered ends with the token.
    let (attempt, _) = gateway.ask(&[&bearer], NOW + 100);
    assert!(why(attempt).contains("expired"));
    assert_eq!(gateway.remembered(), 0);
}

/// Asks as a worker does, and waits where it has to; how often that was.
async fn as_worker(gateway: &Gateway, bearer: &str, rotated: Option<&Signer>) -> (Attempt, usize) {
    let directory = Directory::default();
    let asking = Asking { directory: &directory, tokens: &gateway.tokens, now: NOW };
    let facts = Shows(vec![bearer.to_owned()]);
    let mut answers = Answers::default();
    let mut waits = 0;
    loop {
        let mut identity = Identity::default();
        match gateway.jwt.attempt(&facts, asking, &answers, &mut identity) {
            Attempt::Wait(waiting) => answers.wait(waiting).await,
            done => return (done, waits),
        }
        if let Some(signer) = rotated.filter(|_| waits == 0) {
            put(&gateway.issuers, spec(signer));
        }
        waits += 1;
    }
}

#[tokio::test]
async fn signatures_are_verified_beside_the_worker() {
    let gateway = Gateway { tokens: RefCell::new(Tokens::of_worker()), ..Gateway::new(&written()) };
    let bearer = gateway.bearer(&json!({}));
    let (attempt, waits) = as_worker(&gateway, &bearer, None).await;
    // Where the machine is too busy, the worker does it without waiting.
    assert!(matches!(attempt, Attempt::Known) && waits <= 1, "{attempt:?} {waits}");
    // What is remembered has not to be verified.
    let (attempt, waits) = as_worker(&gateway, &bearer, None).await;
    assert!(matches!(attempt, Attempt::Known) && waits == 0, "{attempt:?} {waits}");

    let (start, signature) = bearer.rsplit_once('.').unwrap();
    let forged = format!("{start}.{}", signature.chars().rev().collect::<String>());
    let (attempt, _) = as_worker(&gateway, &forged, None).await;
    let detail = why(attempt);
    assert!(detail.contains("signature"), "{detail}");
    // A key that is not there is told without verifying anything.
    let stranger = Signer::generate(Algorithm::EdDsa).unwrap();
    put(&gateway.issuers, spec(&stranger));
    let (attempt, waits) = as_worker(&gateway, &bearer, None).await;
    assert_eq!((why(attempt).contains("no key"), waits), (true, 0));
    assert_eq!(gateway.remembered(), 0);
}

/// What was found with the keys of before is worth nothing with those of now.
#[tokio::test]
async fn keys_that_change_while_a_signature_is_verified_count() {
    let gateway = Gateway { tokens: RefCell::new(Tokens::of_worker()), ..Gateway::new(&written()) };
    let bearer = gateway.bearer(&json!({}));
    let stranger = Signer::generate(Algorithm::EdDsa).unwrap();
    let (attempt, waits) = as_worker(&gateway, &bearer, Some(&stranger)).await;
    // On a machine that is too busy, the worker has verified it before the keys changed.
    if waits == 0 {
        return;
    }
    assert!(why(attempt).contains("no key"));
    assert_eq!(gateway.remembered(), 0);
}

#[test]
fn what_is_remembered_goes_with_its_keys() {
    let gateway = Gateway::new(&written());
    let bearer = gateway.bearer(&json!({}));
    assert!(matches!(gateway.ask(&[&bearer], NOW).0, Attempt::Known));
    put(&gateway.issuers, spec(&Signer::generate(Algorithm::EdDsa).unwrap()));
    assert!(why(gateway.ask(&[&bearer], NOW).0).contains("no key"));
    put(&gateway.issuers, spec(&gateway.signer));
    assert!(matches!(gateway.ask(&[&bearer], NOW).0, Attempt::Known));
    let narrower = model::Issuer {
        algorithms: Algorithms::NONE.with(Algorithm::Es256),
        ..spec(&gateway.signer)
    };
    put(&gateway.issuers, narrower);
    assert!(why(gateway.ask(&[&bearer], NOW).0).contains("not among the algorithms"));
}

#[test]
fn what_is_not_good_is_refused() {
    let gateway = Gateway::new(&written());
    let good = gateway.bearer(&json!({}));
    let other = gateway.bearer(&json!({"sub": "other"}));
    for (shown, expected) in [
        (vec![gateway.bearer(&json!({"iss": "https://other/"}))], "issuer"),
        (vec![gateway.bearer(&json!({"aud": "there"}))], "audience"),
        (vec![gateway.bearer(&json!({"exp": NOW - 100}))], "expired"),
        (vec![good.clone() + "x"], ""),
        (vec![good.clone(), other], "two tokens"),
        (vec!["Bearer ".to_owned()], "empty"),
        (vec!["Bearer".to_owned()], "empty"),
        (vec![format!("Bearer {}", "x".repeat(9000))], "too large"),
        (vec!["Bearer a.b.c.d.e".to_owned()], "encrypted"),
    ] {
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let (attempt, identity) = gateway.ask(&shown, NOW);
        assert!(why(attempt).contains(expected), "{expected}");
        assert!(identity.kind.is_none() && identity.claims.is_none());
    }
    assert_eq!(gateway.remembered(), 0);
    assert!(matches!(gateway.ask(&[], NOW).0, Attempt::Nothing));
    assert!(matches!(gateway.ask(&["Basic eDp5"], NOW).0, Attempt::Nothing));
    assert!(matches!(gateway.ask(&[&good, &good], NOW).0, Attempt::Known));
}

#[test]
fn a_lack_of_scopes_is_told_apart() {
    let mut written = written();
    written.expected.scopes = Scopes::All(vec!["read".into(), "write".into()]);
    let gateway = Gateway::new(&written);
    let (attempt, _) = gateway.ask(&[&gateway.bearer(&json!({}))], NOW);
    assert!(matches!(attempt, Attempt::Insufficient(CredentialKind::Jwt)));
    let mut out = Fields::default();
    gateway.jwt.challenge(&Denied::Insufficient(CredentialKind::Jwt), &mut out);
    let expected = "Bearer realm=\"r\", error=\"insufficient_scope\", scope=\"read write\"";
    assert_eq!(out.all(b"www-authenticate").next(), Some(expected.as_bytes()));
}

#[test]
fn a_consumer_that_nobody_knows_is_refused() {
    let written = model::Jwt { consumer: Some((ClaimPath::name("sub"), true)), ..written() };
    let gateway = Gateway::new(&written);
    assert_eq!(why(gateway.ask(&[&gateway.bearer(&json!({}))], NOW).0), "no such consumer");
}

#[test]
fn claims_are_written_to_fields_that_clients_cannot_set() {
    let gateway = Gateway::new(&written());
    let (_, identity) = gateway.ask(&[&gateway.bearer(&json!({}))], NOW);
    let fields = |identity: &Identity| {
        let mut request = RequestHead::default();
        for name in ["X-User", "x_user", "X-USER", "x-users"] {
            request.fields.push(name.as_bytes(), b"root");
        }
        gateway.jwt.hide(&mut request, &mut Vec::new());
        gateway.jwt.tell(&mut request, &mut Vec::new(), identity);
        let fields = request.fields.iter().map(|field| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(field.name), text(field.value))
        });
        fields.collect::<Vec<_>>()
    };
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(fields(&identity), [own("x-users", "root"), own("x-user", "somebody")]);
    assert_eq!(fields(&Identity::default()), [own("x-users", "root")]);
}

#[test]
fn only_what_can_stand_in_a_field_is_written() {
    let text = br#"{"t":" a b ","n":-5,"b":true,"l":["a",1,false],"bad":"a\r\nX: y","nul":null,
        "o":{"a":1},"ll":[["a"]],"lo":["a","b\u0000"],"empty":"","f":1.5,"u":"\u00e9"}"#;
    let found = Claims::from_json(text).unwrap();
    let written = |name: &str| {
        let mut out = Vec::new();
        found.get(name).is_some_and(|value| claims::write_value(value, &mut out)).then_some(out)
    };
    for (name, expected) in
        [("t", "a b"), ("n", "-5"), ("b", "true"), ("l", "a, 1, false"), ("u", "\u{e9}")]
    {
        assert_eq!(written(name).as_deref(), Some(expected.as_bytes()), "{name}");
    }
    for name in ["bad", "nul", "o", "ll", "lo", "empty", "f"] {
        assert_eq!(written(name), None, "{name}");
    }
}
