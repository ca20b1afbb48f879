//! The cookie that brings a client back to the endpoint that it had. Its value is a MAC of the
//! endpoint under a secret key: it tells nobody the address, and nobody can make one. As it depends
//! on nothing else, all values are made when a service is compiled, and a request costs a look-up.
//!
//! Where cookies have an age, the time of issue stands behind it under a MAC of its own, for clients
//! need not forget a cookie when they are told to.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use portcullis_config::model::{Name, Service, Sticky};
use portcullis_wire::Fields;

use super::balance::StableHash;
use super::state::ServiceState;
use crate::router::cookies;
use crate::snapshot::EndpointState;

/// Bytes of a MAC that stand in a cookie: 128 bits, which nobody guesses.
const MAC: usize = 16;
/// The same as text.
const TOKEN: usize = 22;

/// Hexadecimal digits of a time in seconds since the Unix epoch, enough for 34,000 years.
const TIME: usize = 10;

/// What an endpoint's cookie says.
type Token = [u8; TOKEN];

/// The cookie of one service.
#[derive(Debug)]
pub(crate) struct StickyCookie {
    name: Box<str>,
    /// What stands behind the value, without and with `Secure`.
    attributes: [Box<[u8]>; 2],
    secure: Option<bool>,
    /// By endpoint.
    tokens: Box<[Token]>,
    endpoints: HashMap<Token, u32, RandomState>,
    /// None where a cookie may be as old as it likes.
    ages: Option<Ages>,
}

/// How old cookies become.
#[derive(Debug)]
struct Ages {
    key: hmac::Key,
    most: Duration,
}

/// What a client's cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has none.
    Nothing,
    /// The endpoint with this index.
    Endpoint(usize),
    /// Nobody who is there: the endpoint has gone, or it is not one of ours.
    Nobody,
}

impl StickyCookie {
    /// The cookie of a service with these endpoints. `None` where there is no secret to make it of.
    pub(crate) fn new(
        sticky: &Sticky,
        service: &Service,
        state: &ServiceState,
        endpoints: &[Arc<EndpointState>],
    ) -> Option<StickyCookie> {
        let key = match &sticky.key {
            Some(key) => key.reveal().as_bytes(),
            None => state.own_key()?,
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let tokens: Box<[Token]> =
            endpoints.iter().map(|endpoint| token(&key, &service.name, &endpoint.label)).collect();
        Some(StickyCookie {
            name: name(sticky, &service.name).into(),
            attributes: [false, true].map(|secure| attributes(sticky, secure).into_bytes().into()),
            secure: sticky.secure,
            endpoints: tokens.iter().copied().zip(0..).collect(),
            tokens,
            ages: sticky.max_age.map(|most| Ages { key, most }),
        })
    }

    /// What a request's cookie says. Of several of the name, the first that names an endpoint: a
    /// client keeps one a path.
    pub(crate) fn read(&self, fields: &Fields, clock: impl Fn() -> SystemTime) -> Told {
        let mut told = Told::Nothing;
        for value in cookies(fields, self.name.as_bytes()) {
            if let Some(endpoint) = self.endpoint(value, &clock) {
                return Told::Endpoint(endpoint);
            }
            told = Told::Nobody;
        }
        told
    }

    /// The endpoint that a cookie names; none if it is not one of ours, or too old.
    fn endpoint(&self, value: &[u8], clock: impl Fn() -> SystemTime) -> Option<usize> {
        let (token, sealed) = value.split_first_chunk::<TOKEN>()?;
        let endpoint = *self.endpoints.get(token)?;
        let fresh = match &self.ages {
            None => sealed.is_empty(),
            Some(ages) => ages.is_fresh(token, sealed, clock()),
        };
        fresh.then_some(endpoint as usize)
    }

    /// Has the reply set the cookie of an endpoint. `text` is working memory.
    pub(crate) fn issue(
        &self,
        endpoint: usize,
        tls: bool,
        clock: impl Fn() -> SystemTime,
        text: &mut Vec<u8>,
        added: &mut Fields,
    ) {
        text.clear();
        text.extend_from_slice(self.name.as_bytes());
        text.push(b'=');
        let token = &self.tokens[endpoint];
        text.extend_from_slice(token);
        if let Some(ages) = &self.ages {
            let time = format!("{:0TIME$x}", seconds(clock()));
            text.extend_from_slice(time.as_bytes());
            text.extend_from_slice(&ages.seal(token, time.as_bytes()));
        }
        text.extend_from_slice(&self.attributes[usize::from(self.secure.unwrap_or(tls))]);
        added.push(b"Set-Cookie", text);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Ages {
    /// Whether `sealed` is a time of ours that is not too long ago.
    fn is_fresh(&self, token: &Token, sealed: &[u8], now: SystemTime) -> bool {
        let Some((time, seal)) = sealed.split_first_chunk::<TIME>() else { return false };
        let issued = std::str::from_utf8(time).ok().and_then(|t| u64::from_str_radix(t, 16).ok());
        // Another node's clock may be ahead of ours.
        let age = issued.map(|issued| seconds(now).saturating_sub(issued));
        age.is_some_and(|age| age <= self.most.as_secs())
            && constant_time::verify_slices_are_equal(&self.seal(token, time), seal).is_ok()
    }

    /// The MAC of a cookie's time.
    fn seal(&self, token: &Token, time: &[u8]) -> Token {
        mac(&self.key, [b"portcullis sticky since 1\n", token, time])
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn token(key: &hmac::Key, service: &str, endpoint: &str) -> Token {
    // Names have no line breaks.
    mac(key, ["portcullis sticky 1\n", service, "\n", endpoint].map(str::as_bytes))
}

fn mac<const N: usize>(key: &hmac::Key, parts: [&[u8]; N]) -> Token {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut token = [0; TOKEN];
    let mac = context.sign();
    // 16 bytes make 22 characters.
    let _ = URL_SAFE_NO_PAD.encode_slice(&mac.as_ref()[..MAC], &mut token);
    token
}

/// The cookie's name. Each service has another: two would take each other's for spoilt.
pub(crate) fn name(sticky: &Sticky, service: &Name) -> String {
    let made = || {
        let hash = StableHash::new().part(service.as_bytes()).end();
        format!("portcullis-{:08x}", hash >> 32)
    };
    sticky.cookie.as_deref().map_or_else(made, str::to_owned)
}

fn attributes(sticky: &Sticky, secure: bool) -> String {
    let mut text = format!("; Path={}", sticky.path);
    if let Some(age) = sticky.max_age {
        text.push_str(&format!("; Max-Age={}", age.as_secs()));
    }
    if sticky.http_only {
        text.push_str("; HttpOnly");
    }
    if secure {
        text.push_str("; Secure");
    }
    text.push_str("; SameSite=");
    text.push_str(sticky.same_site.as_str());
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_config::model::{SameSite, Secret};

    use super::*;

    fn sticky() -> Sticky {
        Sticky {
            cookie: None,
            path: "/".into(),
            max_age: None,
            secure: None,
            http_only: true,
            same_site: SameSite::Lax,
            key: Some(Secret::new(&"7".repeat(32))),
        }
    }

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn tokens_differ_by_key_service_and_endpoint() {
        let one = token(&key(7), "users", "10.0.0.1:80");
        assert_eq!(one, token(&key(7), "users", "10.0.0.1:80"));
        assert!(one.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
        assert_ne!(one, token(&key(8), "users", "10.0.0.1:80"));
        assert_ne!(one, token(&key(7), "orders", "10.0.0.1:80"));
        assert_ne!(one, token(&key(7), "users", "10.0.0.2:80"));
    }

    #[test]
    fn attributes_are_as_asked() {
        assert_eq!(attributes(&sticky(), false), "; Path=/; HttpOnly; SameSite=Lax");
        let more = Sticky {
            path: "/a".into(),
            max_age: Some(Duration::from_secs(90)),
            http_only: false,
            same_site: SameSite::None,
            ..sticky()
        };
        assert_eq!(attributes(&more, true), "; Path=/a; Max-Age=90; Secure; SameSite=None");
        assert_ne!(name(&sticky(), &"a".into()), name(&sticky(), &"b".into()));
    }

    fn cookie(tokens: &[Token]) -> StickyCookie {
        StickyCookie {
            name: "s".into(),
            attributes: [Box::from(*b"; A"), Box::from(*b"; A; Secure")],
            secure: None,
            tokens: tokens.into(),
            endpoints: tokens.iter().copied().zip(0..).collect(),
            ages: None,
        }
    }

    fn read_at(cookie: &StickyCookie, line: &str, seconds: u64) -> Told {
        let mut fields = Fields::default();
        fields.push(b"Cookie", line.as_bytes());
        cookie.read(&fields, || UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn issued_at(cookie: &StickyCookie, endpoint: usize, seconds: u64) -> String {
        let (mut text, mut added) = (Vec::new(), Fields::default());
        let clock = || UNIX_EPOCH + Duration::from_secs(seconds);
        cookie.issue(endpoint, true, clock, &mut text, &mut added);
        String::from_utf8(added.all(b"set-cookie").next().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn an_age_holds_whatever_the_client_remembers() {
        let tokens = ["a:1", "b:1"].map(|endpoint| token(&key(1), "users", endpoint));
        let ages = Some(Ages { key: key(1), most: Duration::from_secs(60) });
        let cookie = StickyCookie { ages, ..cookie(&tokens) };
        let line = issued_at(&cookie, 1, 1_800_000_000);
        let (pair, _) = line.split_once(';').unwrap();
        let read = |line: &str, seconds| read_at(&cookie, line, seconds);
        assert_eq!(read(pair, 1_800_000_000), Told::Endpoint(1));
        assert_eq!(read(pair, 1_800_000_060), Told::Endpoint(1));
        assert_eq!(read(pair, 1_800_000_061), Told::Nobody);
        assert_eq!(read(pair, 1_799_999_990), Told::Endpoint(1), "a clock that is behind");
        // Nobody can make it younger, or take the time away.
        let younger = issued_at(&cookie, 1, 1_800_000_100);
        let value = 2 + TOKEN..2 + TOKEN + TIME;
        let mixed =
            format!("{}{}{}", &pair[..value.start], &younger[value.clone()], &pair[value.end..]);
        assert_eq!(read(&mixed, 1_800_000_100), Told::Nobody);
        assert_eq!(read(&pair[..value.start], 1_800_000_000), Told::Nobody);
        assert_eq!(read(&pair[..value.end], 1_800_000_000), Told::Nobody);
        // The time of one endpoint's cookie is of no use to another's.
        let other = issued_at(&cookie, 0, 1_800_000_000);
        let mixed = format!("{}{}", &other[..value.start], &pair[value.start..]);
        assert_eq!(read(&mixed, 1_800_000_000), Told::Nobody);
    }

    #[test]
    fn what_is_issued_is_read_again_and_nothing_else() {
        let tokens = ["a:1", "b:1"].map(|endpoint| token(&key(1), "users", endpoint));
        let cookie = cookie(&tokens);
        let read = |line: &str| read_at(&cookie, line, 0);
        let line = issued_at(&cookie, 1, 0);
        let (pair, rest) = line.split_once(';').unwrap();
        assert_eq!(rest, " A; Secure");
        assert_eq!(read(pair), Told::Endpoint(1));
        assert_eq!(read(&format!("t=1; s=stale; {pair}")), Told::Endpoint(1));
        assert_eq!(read("t=1"), Told::Nothing);
        assert_eq!(read("s="), Told::Nobody);
        assert_eq!(read(&format!("{}x", &pair[..pair.len() - 1])), Told::Nobody);
        assert_eq!(read(&format!("{pair}x")), Told::Nobody);
    }
}
