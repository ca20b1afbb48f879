//! Consumers, groups, plans, and how their credentials are kept.

use std::sync::Arc;
use std::time::Duration;

use super::{Scope, policies::policies};
use crate::model::{
    CertificateName, Consumer, Credentials, Group, Guessing, KeyHash, Name, Password, PasswordHash,
    Passwords, Plan, Policies, Secret,
};
use crate::raw::{
    CertificateNameSpec, ConsumerSpec, CredentialsSpec, GroupSpec, GuessingSpec, KeySpec, OffOr,
    PasswordSpec, PasswordsSpec, PlanSpec, PolicySpec, Spanned,
};

/// The shortest secret, in bytes: as long as what it makes.
const SHORTEST_SECRET: usize = 32;
/// Most groups of a consumer.
const MOST_GROUPS: usize = 8;
/// Longest text of a consumer, in bytes.
const LONGEST_TEXT: usize = 256;
/// Most memory that verifying a password may take, in KiB.
const MOST_MEMORY: u32 = 1024 * 1024;
const LONGEST_PER: Duration = Duration::from_secs(31 * 86_400);

pub(crate) fn consumer(spec: &ConsumerSpec, scope: &mut Scope<'_>) -> Consumer {
    Consumer {
        name: scope.name.clone(),
        id: spec.id.as_ref().map(|id| text(id, "id", scope)),
        groups: groups(spec.groups.as_deref(), scope),
        plan: spec.plan.as_ref().map(|plan| plan.as_str().into()),
        tags: names(spec.tags.as_deref(), "tag", scope),
        metadata: Arc::new(spec.metadata.clone().unwrap_or_default()),
        keys: keys(spec.keys.as_deref().unwrap_or_default(), scope),
        password: spec.basic.as_ref().map(|spec| password(&spec.value, scope)),
        certificates: spec
            .certificates
            .iter()
            .flatten()
            .filter_map(|item| certificate(item, scope))
            .collect(),
        policies: limits(spec.policies.as_deref(), false, scope),
    }
}

pub(crate) fn group(spec: &GroupSpec, scope: &mut Scope<'_>) -> Group {
    Group { policies: limits(spec.policies.as_deref(), true, scope) }
}

pub(crate) fn plan(spec: &PlanSpec, scope: &mut Scope<'_>) -> Plan {
    Plan { policies: limits(spec.policies.as_deref(), true, scope) }
}

/// The limits of a consumer, a group or a plan; those of several consumers count each for itself.
fn limits(
    written: Option<&[Spanned<PolicySpec>]>,
    several: bool,
    scope: &mut Scope<'_>,
) -> Arc<Policies> {
    let written = written.unwrap_or_default();
    for item in written.iter().filter(|item| !item.value.is_limit()) {
        scope.fault(item.span, "who calls is not known before this policy has been asked").label =
            "expected one of `rate_limit`, `quota`, `concurrency`".into();
    }
    scope.by_consumer = several;
    let policies = policies(written, None, scope);
    scope.by_consumer = false;
    policies
}

/// A consumer brings limits of all its groups along, so these are few.
fn groups(written: Option<&[Spanned<String>]>, scope: &mut Scope<'_>) -> Arc<[Name]> {
    if let Some(more) = written.unwrap_or_default().get(MOST_GROUPS) {
        scope.fault(more.span, format!("a consumer has at most {MOST_GROUPS} groups"));
    }
    names(written, "group", scope)
}

fn names(written: Option<&[Spanned<String>]>, what: &str, scope: &mut Scope<'_>) -> Arc<[Name]> {
    let mut names: Vec<Name> = Vec::new();
    for item in written.unwrap_or_default() {
        let name = text(item, what, scope);
        if names.contains(&name) {
            scope.fault(item.span, format!("this {what} is here twice"));
        }
        names.push(name);
    }
    names.into()
}

fn text(written: &Spanned<String>, what: &str, scope: &mut Scope<'_>) -> Name {
    let text = written.as_str();
    let legal = |byte: u8| (b' '..=b'~').contains(&byte);
    if text.is_empty() || text.len() > LONGEST_TEXT || !text.bytes().all(legal) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} cannot be this {what}")).label =
            format!("expected 1 to {LONGEST_TEXT} characters of ASCII");
    }
    text.into()
}

fn keys(written: &[Spanned<KeySpec>], scope: &mut Scope<'_>) -> Vec<KeyHash> {
    let mut keys: Vec<KeyHash> = Vec::new();
    for item in written {
        let Some(key) = key(&item.value, scope) else { continue };
        if keys.iter().any(|other| other.prefix == key.prefix) {
            scope.fault(item.value.prefix.span, "this key is here twice");
        }
        keys.push(key);
    }
    keys
}

fn key(spec: &KeySpec, scope: &mut Scope<'_>) -> Option<KeyHash> {
    let prefix = <[u8; KeyHash::PREFIX]>::try_from(spec.prefix.as_str().as_bytes());
    let prefix = prefix.ok().filter(|prefix| prefix.iter().all(u8::is_ascii_alphanumeric));
    if prefix.is_none() {
        let shown = spec.prefix.shown();
        scope.fault(spec.prefix.span, format!("{shown} is no prefix of a key")).label =
            "expected the 8 letters and digits between the two `_` of the key".into();
    }
    let hash = unhex(spec.hash.as_str());
    if hash.is_none() {
        // What stands here may be a key by mistake, so it is not shown.
        scope.fault(spec.hash.span, "this is no hash of a key").label =
            "expected 64 hexadecimal digits, as `portcullis key create` prints them".into();
    }
    let expires = spec.expires.as_ref().map(|written| expiry(written, scope));
    Some(KeyHash { prefix: prefix?, hash: hash?, expires })
}

fn expiry(written: &Spanned<String>, scope: &mut Scope<'_>) -> u64 {
    match crate::quantity::time(written.as_str()) {
        Some(seconds) => seconds,
        None => {
            let shown = written.shown();
            scope.fault(written.span, format!("{shown} is no time")).label =
                "expected `2030-01-31` or `2030-01-31T12:00:00Z`".into();
            0
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

fn password(spec: &PasswordSpec, scope: &mut Scope<'_>) -> Password {
    let username: Name = match &spec.username {
        Some(written) => text(written, "username", scope),
        None => scope.name.clone(),
    };
    if username.contains(':') {
        let at = spec.username.as_ref().map_or(scope.name_span, |written| written.span);
        scope.fault(at, "a username has no colon (RFC 7617, 2)").help =
            Some("give it a `username` of its own".into());
    }
    let hash = spec.hash.as_str();
    let secret = Secret::new(hash);
    let hash = if is_bcrypt(hash) {
        PasswordHash::Bcrypt(secret)
    } else {
        if !is_argon2(hash) {
            // What stands here may be a password by mistake, so it is not shown.
            scope.fault(spec.hash.span, "this is no hash of a password").label =
                "expected `$argon2id$...` or `$2b$...`".into();
        }
        PasswordHash::Argon2(secret)
    };
    Password { username, hash }
}

/// `$2b$10$` and 53 characters.
fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$').skip(1);
    let (version, cost, rest) = (parts.next(), parts.next(), parts.next());
    let cost = cost.and_then(|cost| cost.parse::<u8>().ok());
    matches!(version, Some("2a" | "2b" | "2x" | "2y"))
        && cost.is_some_and(|cost| (4..=16).contains(&cost))
        && rest.is_some_and(|rest| rest.len() == 53)
        && parts.next().is_none()
        && hash.starts_with('$')
}

/// `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, with costs that a gateway can pay.
fn is_argon2(hash: &str) -> bool {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "argon2id" | "argon2i" | "argon2d", "v=19", costs, salt, hash] = parts[..] else {
        return false;
    };
    let cost = |name: &str, most: u32| {
        let cost = costs.split(',').find_map(|cost| cost.strip_prefix(name)?.strip_prefix('='));
        cost.and_then(|cost| cost.parse().ok()).is_some_and(|cost| (1..=most).contains(&cost))
    };
    cost("m", MOST_MEMORY)
        && cost("t", 100)
        && cost("p", 64)
        && salt.len() >= 11
        && hash.len() >= 16
}

fn certificate(
    item: &Spanned<CertificateNameSpec>,
    scope: &mut Scope<'_>,
) -> Option<CertificateName> {
    let CertificateNameSpec { subject, dns, uri, email, fingerprint } = &item.value;
    let written = [subject, dns, uri, email, fingerprint];
    if written.iter().filter(|one| one.is_some()).count() != 1 {
        if !scope.incomplete {
            scope.fault(item.span, "a certificate is known by exactly one thing").label =
                "expected one of `subject`, `dns`, `uri`, `email`, `fingerprint`".into();
        }
        return None;
    }
    let value = written.into_iter().flatten().next()?;
    let name = text(value, "name", scope);
    Some(match (subject, dns, uri, email) {
        (Some(_), ..) => CertificateName::Subject(name),
        (_, Some(_), ..) => CertificateName::Dns(name),
        (_, _, Some(_), _) => CertificateName::Uri(name),
        (.., Some(_)) => CertificateName::Email(name),
        _ => {
            let digits = name.replace(':', "").to_ascii_lowercase();
            if unhex(&digits).is_none() {
                let shown = value.shown();
                scope.fault(value.span, format!("{shown} is no fingerprint")).label =
                    "expected 64 hexadecimal digits (SHA-256)".into();
            }
            CertificateName::Fingerprint(digits.into())
        }
    })
}

pub(crate) fn credentials(spec: &CredentialsSpec, scope: &mut Scope<'_>) -> Credentials {
    let secret = spec.secret.as_ref().map(|written| {
        if written.as_str().len() < SHORTEST_SECRET {
            scope.fault(written.span, "this secret is too short").label =
                format!("expected at least {SHORTEST_SECRET} bytes");
        }
        Secret::new(written.as_str())
    });
    if let Some(written) = spec.store.as_ref().filter(|written| written.as_str().is_empty()) {
        scope.fault(written.span, "a store needs a place to be");
    }
    let store = spec.store.as_ref().map(|written| scope.inputs.path(written.as_str()));
    if let (Some(written), None) = (&spec.store, &spec.secret)
        && !scope.incomplete
    {
        scope.fault(written.span, "keys cannot be looked up without a `secret`").help =
            Some("add `secret` beside it: `portcullis key secret` makes one".into());
    }
    let guessing = match &spec.guessing {
        Some(OffOr::Off) => None,
        Some(OffOr::On(spec)) => Some(guessing(spec, scope)),
        None => Some(Guessing::default()),
    };
    let passwords =
        spec.passwords.as_ref().map_or_else(Passwords::default, |spec| passwords(spec, scope));
    Credentials { secret, store, guessing, passwords }
}

fn guessing(spec: &GuessingSpec, scope: &mut Scope<'_>) -> Guessing {
    let default = Guessing::default();
    let per = scope.time(spec.per.as_ref(), default.per);
    if let Some(written) =
        spec.per.as_ref().filter(|_| !(Duration::from_secs(1)..=LONGEST_PER).contains(&per))
    {
        scope.fault(written.span, "failures are counted over `1s` to `31d`");
    }
    Guessing {
        failures: number(spec.failures.as_ref(), default.failures, 1, 1_000_000, scope),
        per,
        clients: number(spec.clients.as_ref(), 100_000, 1, 50_000_000, scope) as usize,
    }
}

fn passwords(spec: &PasswordsSpec, scope: &mut Scope<'_>) -> Passwords {
    let default = Passwords::default();
    Passwords {
        threads: usize::from(number(spec.threads.as_ref(), 1, 1, 64, scope)),
        queue: number(spec.queue.as_ref(), 100, 0, 100_000, scope) as usize,
        cache: number(spec.cache.as_ref(), 10_000, 0, 10_000_000, scope) as usize,
        cache_for: scope.time(spec.cache_for.as_ref(), default.cache_for),
    }
}

fn number<N: Copy + Ord + std::fmt::Display>(
    written: Option<&Spanned<N>>,
    default: N,
    least: N,
    most: N,
    scope: &mut Scope<'_>,
) -> N {
    let Some(written) = written else { return default };
    if written.value < least || written.value > most {
        scope.fault(written.span, format!("{} is out of range", written.value)).label =
            format!("expected {least} to {most}");
    }
    written.value.clamp(least, most)
}
