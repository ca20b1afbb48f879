//! What was granted, and what of it is shown.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use zeroize::Zeroizing;

use crate::oauth::{TokenFault, TokenReply};

/// How long a token is taken to hold if nobody says.
const USUAL_LIFETIME: u64 = 300;
/// The longest that one is taken to hold, in seconds.
const LONGEST_LIFETIME: u64 = 30 * 86_400;
/// The longest token.
const LONGEST_TOKEN: usize = 16 * 1024;
/// A token is not shown any more for this long before it expires, or for a tenth of its time.
const MARGIN: Duration = Duration::from_secs(2);

/// A token that was granted.
pub(super) struct Bearer {
    /// The whole value of `Authorization`.
    value: Zeroizing<Vec<u8>>,
    /// When it is not shown any more.
    pub(super) until: Instant,
    pub(super) number: u64,
}

/// A token that may be shown now.
pub struct Shown(pub(super) Guard<Option<Arc<Bearer>>>);

/// Why no token was granted.
#[derive(Debug, thiserror::Error)]
pub(super) enum GrantFault {
    #[error("the metadata of the issuer are not there yet")]
    NoMetadata,
    #[error("the metadata of the issuer do not say where tokens are granted")]
    NoEndpoint,
    #[error("{0}")]
    Token(#[from] TokenFault),
    #[error("what was granted is no token of the kind `Bearer`")]
    Kind,
    #[error("what was granted cannot stand in a header field")]
    Characters,
    #[error("what was granted has expired already")]
    Expired,
}

impl Shown {
    /// Its number among those of the service.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |bearer| bearer.number)
    }
}

/// The whole value of `Authorization`.
impl Deref for Shown {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bearer| &bearer.value)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// What was granted, as it is shown, and how long it holds.
pub(super) fn bearer(
    reply: &TokenReply,
    asked: Instant,
    number: u64,
) -> Result<(Bearer, Duration), GrantFault> {
    if !reply.token_type.eq_ignore_ascii_case("bearer") {
        return Err(GrantFault::Kind);
    }
    let token = reply.access_token.as_bytes();
    // The characters of RFC 6749, A.12, but for the space, which would end it.
    if token.len() > LONGEST_TOKEN || !token.iter().all(u8::is_ascii_graphic) {
        return Err(GrantFault::Characters);
    }
    let lifetime = reply.expires_in.unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME);
    if lifetime == 0 {
        return Err(GrantFault::Expired);
    }
    let lifetime = Duration::from_secs(lifetime);
    let until = asked + lifetime - MARGIN.min(lifetime / 10);
    let value = Zeroizing::new([b"Bearer ", token].concat());
    Ok((Bearer { value, until, number }, lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(changes: impl FnOnce(&mut TokenReply)) -> TokenReply {
        let mut reply = TokenReply {
            access_token: "a.b-c".into(),
            token_type: "bearer".into(),
            expires_in: Some(60),
            refresh_token: None,
            id_token: None,
            scope: None,
        };
        changes(&mut reply);
        reply
    }

    #[test]
    fn a_token_is_shown_until_shortly_before_it_expires() {
        let asked = Instant::now();
        let (bearer, lifetime) = bearer(&reply(|_| {}), asked, 1).unwrap();
        assert_eq!(&**bearer.value, b"Bearer a.b-c");
        assert_eq!(lifetime, Duration::from_secs(60));
        assert_eq!(bearer.until, asked + Duration::from_secs(58));
        let short = reply(|reply| reply.expires_in = Some(1));
        let (short, _) = super::bearer(&short, asked, 1).unwrap();
        assert_eq!(short.until, asked + Duration::from_millis(900));
        let unsaid = reply(|reply| reply.expires_in = None);
        assert_eq!(super::bearer(&unsaid, asked, 1).unwrap().1, Duration::from_secs(300));
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let asked = Instant::now();
        let fault = |changes: fn(&mut TokenReply)| bearer(&reply(changes), asked, 1).err();
        assert!(matches!(fault(|r| r.token_type = "DPoP".into()), Some(GrantFault::Kind)));
        assert!(matches!(fault(|r| r.expires_in = Some(0)), Some(GrantFault::Expired)));
        for odd in ["a b", "a\r\nX-Admin: 1", "\u{e9}", "a\0", &"x".repeat(LONGEST_TOKEN + 1)] {
            let odd = reply(|reply| reply.access_token = odd.into());
            assert!(matches!(bearer(&odd, asked, 1), Err(GrantFault::Characters)));
        }
        let eternal = reply(|reply| reply.expires_in = Some(u64::MAX));
        assert!(bearer(&eternal, asked, 1).is_ok());
    }
}
