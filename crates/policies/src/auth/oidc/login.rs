//! A login on its way. Everything that it needs to end well stays with the browser that began it, in
//! a sealed cookie of its own that does not live long: so several can be on their way in parallel,
//! any gateway can end them, and nobody else's browser can.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of a seed.
const SEED: usize = 32;
/// How logins are written: this version, and no other so far.
const VERSION: u8 = 1;

/// A login on its way.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// What only this browser and the gateway know: what follows is made of it.
    seed: [u8; SEED],
    /// When it began, in seconds since 1970.
    pub(super) began: u64,
    /// Scheme and host that the browser sees the gateway at.
    pub(super) origin: String,
    /// Where to go when it is done: path and query.
    pub(super) back: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Login { began, origin, back, .. } = self;
        f.debug_struct("Login")
            .field("began", began)
            .field("origin", origin)
            .field("back", back)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// A new one. Nothing only where the system gives no randomness.
    pub(super) fn begin(now: u64, origin: String, back: String) -> Option<Login> {
        let mut seed = [0; SEED];
        rand::fill(&mut seed).ok()?;
        Some(Login { seed, began: now, origin, back })
    }

    /// As bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.seed);
        out.extend_from_slice(&self.began.to_be_bytes());
        out.extend_from_slice(self.origin.as_bytes());
        // Neither of the two can have one.
        out.push(b'\n');
        out.extend_from_slice(self.back.as_bytes());
        out
    }

    /// From bytes; nothing if these are no login.
    pub(super) fn read(bytes: &[u8]) -> Option<Login> {
        let (&version, rest) = bytes.split_first()?;
        if version != VERSION {
            return None;
        }
        let (seed, rest) = rest.split_first_chunk()?;
        let (began, rest) = rest.split_first_chunk()?;
        let (origin, back) = std::str::from_utf8(rest).ok()?.split_once('\n')?;
        let (origin, back) = (origin.to_owned(), back.to_owned());
        Some(Login { seed: *seed, began: u64::from_be_bytes(*began), origin, back })
    }

    /// What comes back with the answer (RFC 6749, 10.12).
    pub(super) fn state(&self) -> String {
        self.made("state")
    }

    /// What comes back in the ID token (OpenID Connect Core 1.0, 15.5.2).
    pub(super) fn nonce(&self) -> String {
        self.made("nonce")
    }

    /// What proves that whoever redeems the code has asked for it (RFC 7636, 4.1).
    pub(super) fn verifier(&self) -> String {
        self.made("verifier")
    }

    /// The same as those may see it that pass the request on (RFC 7636, 4.2).
    pub(super) fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier().as_bytes()))
    }

    /// Whether this is its state.
    pub(super) fn has_state(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state().as_bytes(), state.as_bytes()).is_ok()
    }

    /// Whether this is its nonce.
    pub(super) fn has_nonce(&self, nonce: &str) -> bool {
        verify_slices_are_equal(self.nonce().as_bytes(), nonce.as_bytes()).is_ok()
    }

    /// 43 characters that nobody can tell who knows others of them.
    fn made(&self, what: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.seed);
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, what.as_bytes()))
    }
}

/// A text that nobody can guess: 128 bits.
pub(super) fn draw() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login::begin(5, "https://a.example".into(), "/x?y=1".into()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let login = login();
        let bytes = login.write();
        assert_eq!(Login::read(&bytes), Some(login));
        for end in 0..42 {
            assert!(Login::read(&bytes[..end]).is_none());
        }
        assert!(Login::read(b"").is_none() && Login::read(&[2; 100]).is_none());
    }

    #[test]
    fn every_part_is_its_own() {
        let (one, other) = (login(), login());
        let parts = |login: &Login| [login.state(), login.nonce(), login.verifier()];
        for (at, part) in parts(&one).iter().enumerate() {
            assert_eq!(part.len(), 43, "as long as RFC 7636 asks");
            assert!(!parts(&other).contains(part));
            assert_eq!(parts(&one).iter().filter(|p| *p == part).count(), 1, "{at}");
        }
        assert!(one.has_state(&one.state()) && !one.has_state(&other.state()));
        assert!(!one.has_state("") && !one.has_nonce(&one.state()));
        assert!(one.has_nonce(&Login::read(&one.write()).unwrap().nonce()));
    }

    #[test]
    fn the_code_challenge_is_that_of_rfc_7636() {
        // Appendix B, with the verifier of there.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
