//! Consumers, groups and plans: who calls, and what holds for them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Name, Policies, Secret};

/// Somebody who calls: a person, a program, a partner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its stable name.
    pub name: Name,
    /// What others know it by, if that is not its name.
    pub id: Option<Name>,
    /// The groups that it belongs to, in order; they exist, each once.
    pub groups: Arc<[Name]>,
    /// Its plan; it exists.
    pub plan: Option<Name>,
    /// Words to find it by.
    pub tags: Arc<[Name]>,
    /// What else is to be known of it.
    pub metadata: Arc<BTreeMap<String, String>>,
    /// Its API keys.
    pub keys: Vec<KeyHash>,
    /// Its name and password.
    pub password: Option<Password>,
    /// Its certificates.
    pub certificates: Vec<CertificateName>,
    /// Its policies; none but limits.
    pub policies: Arc<Policies>,
}

/// An API key as it is kept: nobody can tell the key from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHash {
    /// The part that may be shown, [`KeyHash::PREFIX`] letters and digits.
    pub prefix: [u8; KeyHash::PREFIX],
    /// HMAC-SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Until when it is good, in seconds since 1970; `None` is for ever.
    pub expires: Option<u64>,
}

impl KeyHash {
    /// Characters of the visible part.
    pub const PREFIX: usize = 8;
}

/// A name and the hash of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    /// The name; without a colon (RFC 7617, 2).
    pub username: Name,
    /// The hash.
    pub hash: PasswordHash,
}

/// The hash of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// Argon2 in the form of PHC, `$argon2id$...`.
    Argon2(Secret),
    /// bcrypt, `$2b$...`.
    Bcrypt(Secret),
}

/// What a certificate is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// Its subject as RFC 4514 writes it.
    Subject(Name),
    /// A DNS name among its alternative names.
    Dns(Name),
    /// A URI among its alternative names.
    Uri(Name),
    /// A mail address among its alternative names.
    Email(Name),
    /// SHA-256 of the certificate, in hexadecimal digits of lower case.
    Fingerprint(Name),
}

/// Consumers that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its policies; none but limits.
    pub policies: Arc<Policies>,
}

/// What consumers have agreed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its policies; none but limits.
    pub policies: Arc<Policies>,
}

/// How credentials are kept and looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What keys are hashed with; at least 32 bytes.
    pub secret: Option<Secret>,
    /// The database of consumers that are not in the configuration.
    pub store: Option<PathBuf>,
    /// What slows down whoever guesses.
    pub guessing: Option<Guessing>,
    /// How passwords are verified.
    pub passwords: Passwords,
}

impl Default for Credentials {
    fn default() -> Credentials {
        Credentials {
            secret: None,
            store: None,
            guessing: Some(Guessing::default()),
            passwords: Passwords::default(),
        }
    }
}

/// What slows down whoever guesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guessing {
    /// Wrong credentials that an address may show in `per`; at least 1.
    pub failures: u32,
    /// The stretch of time.
    pub per: Duration,
    /// Most addresses that are remembered; at least 1.
    pub clients: usize,
}

impl Default for Guessing {
    fn default() -> Guessing {
        Guessing { failures: 20, per: Duration::from_secs(60), clients: 100_000 }
    }
}

/// How passwords are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passwords {
    /// Most passwords that are verified at once; at least 1.
    pub threads: usize,
    /// Most requests that wait for that.
    pub queue: usize,
    /// Most verified passwords that are remembered; 0 remembers none.
    pub cache: usize,
    /// How long they are.
    pub cache_for: Duration,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { threads: 1, queue: 100, cache: 10_000, cache_for: Duration::from_secs(300) }
    }
}
