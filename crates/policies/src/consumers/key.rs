//! API keys: how they look, and what is kept of them.
//!
//! A key is `pk_` and eight characters that may be shown, `_`, 32 that are secret, and six that tell
//! a typo. The secret part has 187 bits of chance, so that nobody can try them all and one fast keyed
//! hash keeps it as well as a slow one would.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::{hmac, rand};
use portcullis_config::model::KeyHash;

/// What keys begin with, so that people and scanners for leaked secrets know them.
const MARK: &str = "pk_";
/// Letters and digits that are hard to mistake for each other.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const PREFIX: usize = KeyHash::PREFIX;
const SECRET: usize = 32;
const CHECK: usize = 6;
/// Length of a key.
pub(crate) const LENGTH: usize = MARK.len() + PREFIX + 1 + SECRET + CHECK;

/// The visible part of a key as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Prefix(pub(crate) u64);

impl Prefix {
    pub(crate) fn new(text: [u8; PREFIX]) -> Prefix {
        Prefix(u64::from_be_bytes(text))
    }

    pub(crate) fn text(self) -> [u8; PREFIX] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().iter().try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

/// What keys are hashed with.
pub struct KeyHasher(hmac::Key);

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

impl KeyHasher {
    /// A hasher with the gateway's secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> KeyHasher {
        KeyHasher(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// What is kept of a key.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, key);
        let mut hash = [0; 32];
        hash.copy_from_slice(tag.as_ref());
        hash
    }

    /// Whether this is the key that `hash` was kept of. Takes as long whatever is wrong.
    pub(crate) fn is(&self, key: &[u8], hash: &[u8; 32]) -> bool {
        hmac::verify(&self.0, key, hash).is_ok()
    }
}

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandom;

/// A new key, which nobody else has ever seen.
///
/// # Errors
/// The system gives no random bytes.
pub fn draw_key() -> Result<String, NoRandom> {
    let mut key = String::with_capacity(LENGTH);
    key.push_str(MARK);
    draw(PREFIX, &mut key)?;
    key.push('_');
    draw(SECRET, &mut key)?;
    let check = check(key.as_bytes());
    key.extend(check.iter().map(|&byte| char::from(byte)));
    Ok(key)
}

/// A new secret to hash keys with.
///
/// # Errors
/// The system gives no random bytes.
pub fn draw_secret() -> Result<String, NoRandom> {
    let mut secret = String::with_capacity(48);
    draw(48, &mut secret)?;
    Ok(secret)
}

/// Appends so many characters drawn by chance, each as likely as any other.
fn draw(count: usize, out: &mut String) -> Result<(), NoRandom> {
    let random = rand::SystemRandom::new();
    let mut left = count;
    while left > 0 {
        let mut bytes = [0; 64];
        random.fill(&mut bytes).map_err(|_| NoRandom)?;
        // 58 of 64 values of six bits are taken, and the others thrown away.
        for place in bytes.iter().map(|byte| usize::from(byte & 63)) {
            if let (Some(&byte), true) = (ALPHABET.get(place), left > 0) {
                out.push(char::from(byte));
                left -= 1;
            }
        }
    }
    Ok(())
}

/// The visible part of a key that is spelt right.
#[must_use]
pub fn prefix(key: &[u8]) -> Option<[u8; KeyHash::PREFIX]> {
    let (prefix, secret) = parts(key)?;
    let (_, told) = key.split_last_chunk::<CHECK>()?;
    let right = secret.iter().all(u8::is_ascii_alphanumeric);
    (right && check(&key[..LENGTH - CHECK]) == *told).then_some(*prefix)
}

/// The visible part of what looks like a key at first sight, and what follows: enough to look it up
/// by. A key that is found by its hash is spelt right; only of others it is told what is wrong.
pub(crate) fn parts(key: &[u8]) -> Option<(&[u8; PREFIX], &[u8])> {
    let rest = key.strip_prefix(MARK.as_bytes()).filter(|_| key.len() == LENGTH)?;
    let (prefix, rest) = rest.split_first_chunk::<PREFIX>()?;
    let secret = rest.strip_prefix(b"_")?;
    prefix.iter().all(u8::is_ascii_alphanumeric).then_some((prefix, secret))
}

/// What tells a typo: CRC-32 of all before it. It gives nothing away that the rest does not.
fn check(text: &[u8]) -> [u8; CHECK] {
    let mut rest = crc32(text);
    let mut check = [0; CHECK];
    for byte in check.iter_mut().rev() {
        *byte = ALPHABET[(rest % 58) as usize];
        rest /= 58;
    }
    check
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

fn crc32(text: &[u8]) -> u32 {
    !text.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ CRC[usize::from((crc as u8) ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_that_of_everybody() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn keys_are_long_and_different_and_have_a_visible_part() {
        let (one, other) = (draw_key().unwrap(), draw_key().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), LENGTH);
        assert_eq!(prefix(one.as_bytes()).unwrap(), one.as_bytes()[3..11]);
    }

    #[test]
    fn a_typo_is_told_without_a_look_at_any_key() {
        let key = draw_key().unwrap();
        for at in 0..key.len() {
            let mut wrong = key.clone().into_bytes();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(prefix(&wrong), None, "{at}");
        }
        for wrong in
            [&b""[..], b"pk_", &key.as_bytes()[..48], &[key.as_bytes(), &b"x"[..]].concat()]
        {
            assert_eq!(prefix(wrong), None);
        }
    }

    #[test]
    fn only_the_key_itself_has_its_hash() {
        let hasher = KeyHasher::new(b"0123456789abcdef0123456789abcdef");
        let hash = hasher.hash(b"one");
        assert!(hasher.is(b"one", &hash) && !hasher.is(b"two", &hash));
        assert_ne!(KeyHasher::new(b"another").hash(b"one"), hash);
        assert_eq!(format!("{hasher:?}"), "KeyHasher");
    }
}
