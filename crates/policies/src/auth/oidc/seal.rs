//! What browsers keep for the gateway, sealed: nobody can read it, change it, or use it for anything
//! but what it was made for. AES-256-GCM-SIV (RFC 8452), whose nonces may be drawn by chance however
//! many there are; its keys are derived from the secrets of the configuration (RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_config::model::Secret;
use zeroize::Zeroizing;

/// How what is sealed is written: this version, and no other so far.
const VERSION: u8 = 1;
/// Version, and which key.
const HEAD: usize = 2;
/// Bytes of a tag.
const TAG: usize = 16;

/// The keys: the first seals, all of them open.
#[derive(Debug)]
pub(super) struct Seals(Box<[Key]>);

struct Key {
    /// Tells keys from each other, and nothing else of them.
    mark: u8,
    key: LessSafeKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// Something that was sealed here, or by another gateway with the same secret.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) plain: Zeroizing<Vec<u8>>,
    /// Another key would seal it now.
    pub(super) outdated: bool,
}

/// How many bytes are derived.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Seals {
    /// The keys of these secrets, of which there is at least one.
    pub(super) fn new(secrets: &[Secret]) -> Seals {
        Seals(secrets.iter().filter_map(|secret| Key::new(secret.reveal().as_bytes())).collect())
    }

    /// Seals something for a purpose, as text of letters, digits, `-` and `_`. Nothing only where
    /// the system gives no randomness.
    pub(super) fn seal(&self, purpose: &[u8], plain: &[u8]) -> Option<String> {
        let key = self.0.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(HEAD + NONCE_LEN + plain.len() + TAG);
        sealed.extend([VERSION, key.mark]);
        sealed.extend(nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.key.seal_in_place_separate_tag(nonce, Aad::from(purpose), &mut body).ok()?;
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Some(URL_SAFE_NO_PAD.encode(&sealed))
    }

    /// Opens what was sealed for this purpose, and nothing else.
    pub(super) fn open(&self, purpose: &[u8], text: &[u8]) -> Option<Opened> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[VERSION, mark], rest) = sealed.split_first_chunk::<HEAD>()? else { return None };
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        // Marks are short, so that two keys may have the same.
        for (place, key) in self.0.iter().enumerate().filter(|(_, key)| key.mark == mark) {
            let mut plain = Zeroizing::new(body.to_vec());
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let Ok(opened) = key.key.open_in_place(nonce, Aad::from(purpose), &mut plain) else {
                continue;
            };
            let length = opened.len();
            plain.truncate(length);
            return Some(Opened { plain, outdated: place > 0 });
        }
        None
    }
}

impl Key {
    fn new(secret: &[u8]) -> Option<Key> {
        const SALT: &[u8] = b"portcullis sessions";
        let key: [u8; 32] = expand(secret, SALT, b"seal 1")?;
        let [mark] = expand(secret, SALT, b"mark 1")?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &key).ok()?);
        Some(Key { mark, key })
    }
}

fn expand<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(&[info], Bytes(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seals(secrets: &[&str]) -> Seals {
        Seals::new(&secrets.iter().map(|secret| Secret::new(secret)).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_no_other() {
        let one = seals(&["first secret of this test, long enough"]);
        let text = one.seal(b"session", b"hello").unwrap();
        assert_ne!(text, one.seal(b"session", b"hello").unwrap());
        let opened = one.open(b"session", text.as_bytes()).unwrap();
        assert_eq!((&**opened.plain, opened.outdated), (&b"hello"[..], false));
        assert!(one.open(b"login", text.as_bytes()).is_none());
        let other = seals(&["second secret of this test, long enough"]);
        assert!(other.open(b"session", text.as_bytes()).is_none());
        assert!(one.seal(b"x", b"").is_some_and(|text| one.open(b"x", text.as_bytes()).is_some()));
    }

    #[test]
    fn old_secrets_open_and_new_ones_seal() {
        let (old, new) =
            ("the old secret, which is long enough", "the new secret, long enough too");
        let text = seals(&[old]).seal(b"p", b"hello").unwrap();
        let both = seals(&[new, old]);
        assert!(both.open(b"p", text.as_bytes()).unwrap().outdated);
        let again = both.seal(b"p", b"hello").unwrap();
        assert!(!both.open(b"p", again.as_bytes()).unwrap().outdated);
        assert!(seals(&[new]).open(b"p", again.as_bytes()).is_some());
        assert!(seals(&[new]).open(b"p", text.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_no_seal_opens_to_nothing(text in "[A-Za-z0-9_=.-]{0,200}") {
            prop_assert!(seals(&["a secret"]).open(b"p", text.as_bytes()).is_none());
        }

        #[test]
        fn nothing_of_a_seal_can_be_changed(at in 0usize..60, bit in 0u8..8, cut in 0usize..60) {
            let seals = seals(&["a secret"]);
            let text = seals.seal(b"p", b"some content of a cookie").unwrap();
            let mut changed = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            prop_assert!(seals.open(b"p", changed.as_bytes()).is_none());
            prop_assert!(seals.open(b"p", &text.as_bytes()[..cut.min(text.len() - 1)]).is_none());
        }
    }
}
