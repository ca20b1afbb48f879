//! How methods go together, with keys and certificates that nobody has.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_config::model::{
    ApiKey, Authentication as Written, Config, Consumer, Credentials, Guessing, KeyHash, KeyPart,
    KeyPlace, Method as WrittenMethod, Process, Secret,
};

use super::*;
use crate::Registry;
use crate::consumers::key::{KeyHasher, draw_key, prefix};

const NOW: u64 = 1_700_000_000;

/// A request with these fields.
struct Shown(Vec<(&'static str, String)>);

impl Facts for Shown {
    fn client(&self) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, 1]))
    }

    fn values(&self, _: &KeyPart, _: &mut dyn FnMut(&[u8])) {}

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.0.iter().filter(|(found, _)| *found == name) {
            each(value.as_bytes());
        }
    }
}

fn in_header(name: &str) -> WrittenMethod {
    WrittenMethod::ApiKey(ApiKey {
        from: vec![KeyPlace::Header(name.into(), None)],
        longest: 8192,
        forward: false,
        realm: "r".into(),
    })
}

/// Two consumers with a key each, and the keys.
fn directory(guessing: Option<Guessing>) -> (Directory, [String; 2]) {
    let secret = "0123456789abcdef0123456789abcdef";
    let hasher = KeyHasher::new(secret.as_bytes());
    let keys = [draw_key().unwrap(), draw_key().unwrap()];
    let mut config = Config::default();
    for (name, key) in ["one", "two"].into_iter().zip(&keys) {
        let kept = KeyHash {
            prefix: prefix(key.as_bytes()).unwrap(),
            hash: hasher.hash(key.as_bytes()),
            expires: Some(NOW + 10),
        };
        let consumer = Consumer { name: name.into(), keys: vec![kept], ..Consumer::default() };
        config.consumers.insert(name.into(), Arc::new(consumer));
    }
    let credentials =
        Credentials { secret: Some(Secret::new(secret)), guessing, ..Credentials::default() };
    config.process = Process { credentials: Arc::new(credentials), ..Process::default() };
    let directory = Directory::new(&Registry::new(1), &config, &Directory::default(), false);
    (directory.unwrap(), keys)
}

fn ask(
    method: WrittenMethod,
    directory: &Directory,
    fields: &[(&'static str, &str)],
    now: u64,
) -> Result<String, Denied> {
    let written = Written { method: Some(method), anonymous: None };
    let authentication = running(written);
    let shown = Shown(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect());
    let mut identity = Identity::default();
    let tokens = RefCell::default();
    let asking = Asking { directory, tokens: &tokens, now };
    let known = authentication.ask(&shown, asking, &Answers::default(), 0, &mut identity);
    assert_eq!(identity.kind.is_some(), known.is_ok());
    known.map(|_| identity.consumer_name().unwrap_or_default().to_owned())
}

fn refused(detail: &'static str) -> Result<String, Denied> {
    Err(Denied::Refused(Refused::new(CredentialKind::ApiKey, detail)))
}

#[test]
fn a_key_is_good_until_it_expires() {
    let (directory, [one, _]) = directory(None);
    let at = |now| ask(in_header("a"), &directory, &[("a", &one)], now);
    assert_eq!(at(NOW), Ok("one".to_owned()));
    assert_eq!(at(NOW + 9), Ok("one".to_owned()));
    assert_eq!(at(NOW + 10), refused("the key has expired"));
}

#[test]
fn any_of_takes_what_is_good_and_all_of_wants_one_consumer() {
    let (directory, [one, two]) = directory(None);
    let any = || WrittenMethod::AnyOf(vec![in_header("a"), in_header("b")]);
    let all = || WrittenMethod::AllOf(vec![in_header("a"), in_header("b")]);
    let ask = |method, fields: &[(&'static str, &str)]| ask(method, &directory, fields, NOW);
    assert_eq!(ask(any(), &[]), Err(Denied::Missing));
    assert_eq!(ask(any(), &[("b", &two)]), Ok("two".to_owned()));
    assert_eq!(ask(any(), &[("a", "bad"), ("b", &two)]), Ok("two".to_owned()));
    assert_eq!(ask(any(), &[("a", &one), ("b", &two)]), Ok("one".to_owned()));
    assert_eq!(ask(any(), &[("a", "bad")]), refused("not spelt as a key is"));
    assert_eq!(ask(all(), &[]), Err(Denied::Missing));
    assert_eq!(ask(all(), &[("a", &one), ("b", &one)]), Ok("one".to_owned()));
    assert_eq!(ask(all(), &[("a", &one), ("b", &two)]), refused("of another consumer"));
    assert_eq!(ask(all(), &[("a", &one), ("b", "bad")]), refused("not spelt as a key is"));
    assert_eq!(ask(all(), &[("a", &one)]), refused("another credential is missing beside it"));
    let nested = WrittenMethod::AnyOf(vec![all(), in_header("c")]);
    assert_eq!(ask(nested, &[("a", &one), ("c", &two)]), Ok("two".to_owned()));
}

#[test]
fn two_keys_that_are_not_the_same_are_refused() {
    let (directory, [one, two]) = directory(None);
    let ask = |fields: &[(&'static str, &str)]| ask(in_header("a"), &directory, fields, NOW);
    assert_eq!(ask(&[("a", &one), ("a", &one)]), Ok("one".to_owned()));
    assert_eq!(ask(&[("a", &one), ("a", &two)]), refused("two keys that are not the same"));
    assert_eq!(ask(&[("a", "")]), refused("an empty key"));
    assert_eq!(ask(&[("a", &"x".repeat(9000))]), refused("too large"));
}

#[test]
fn guesses_are_counted_and_what_shows_nothing_is_not() {
    let guessing = Guessing { failures: 2, per: Duration::from_secs(60), clients: 10 };
    let (directory, [one, _]) = directory(Some(guessing));
    let ask = |fields: &[(&'static str, &str)]| ask(in_header("a"), &directory, fields, NOW);
    for _ in 0..5 {
        assert_eq!(ask(&[]), Err(Denied::Missing));
    }
    for _ in 0..2 {
        assert_eq!(ask(&[("a", "bad")]), refused("not spelt as a key is"));
    }
    assert!(matches!(ask(&[("a", &one)]), Err(Denied::Guessing(wait)) if wait > 0));
    assert_eq!(ask(&[]), Err(Denied::Missing));
}

#[test]
fn what_is_missing_beside_a_good_credential_is_no_guess() {
    let guessing = Guessing { failures: 2, per: Duration::from_secs(60), clients: 10 };
    let (directory, [one, _]) = directory(Some(guessing));
    let all = || WrittenMethod::AllOf(vec![in_header("a"), in_header("b")]);
    let any = || WrittenMethod::AnyOf(vec![all(), in_header("c")]);
    let ask = |method, fields: &[(&'static str, &str)]| ask(method, &directory, fields, NOW);
    for _ in 0..5 {
        for method in [all(), any()] {
            let missing = refused("another credential is missing beside it");
            assert_eq!(ask(method, &[("a", &one)]), missing);
        }
    }
    // What is wrong counts wherever it stands.
    for fields in [[("a", &*one), ("b", "bad")], [("a", &one), ("c", "bad")]] {
        assert_eq!(ask(any(), &fields), refused("not spelt as a key is"));
    }
    assert!(matches!(ask(all(), &[("a", &one)]), Err(Denied::Guessing(_))));
}

#[test]
fn challenges_are_told_once_each() {
    let any = WrittenMethod::AnyOf(vec![in_header("a"), in_header("b")]);
    let written = Written { method: Some(any), anonymous: None };
    let mut told = Fields::default();
    running(written).challenge(&Denied::Missing, &mut told);
    assert_eq!(told.len(), 1);
}

/// Ready to run, with nothing that outlives a configuration.
fn running(written: model::Authentication) -> Authentication {
    let (issuers, stores, logins) = (Issuers::default(), Stores::default(), Arc::default());
    let around = Around { issuers: &issuers, stores: &stores, logins: &logins };
    Authentication::new(&Arc::new(written), &around)
}
