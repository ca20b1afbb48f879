//! A session: what is known of somebody who has logged in. As bytes it goes, sealed, into a cookie
//! or a store; a few lengths and texts, for cookies must be short.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_jose::Claims;
use zeroize::{Zeroize, Zeroizing};

/// How sessions are written: this version, and no other so far.
const VERSION: u8 = 1;
/// Bytes of the name of a session.
pub(super) const NAME: usize = 16;

/// What is known of somebody who has logged in.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Session {
    /// Drawn by chance; nobody else has it.
    pub(super) name: [u8; NAME],
    /// When it began, in seconds since 1970.
    pub(super) began: u64,
    /// When it was last seen, give or take. Not kept up to date in a store, which knows itself.
    pub(super) seen: u64,
    /// From when on the tokens are renewed; 0 if nobody said when they expire.
    pub(super) due: u64,
    /// When they expire.
    pub(super) expires: u64,
    /// As it came; it was verified.
    pub(super) id_token: String,
    /// What the provider's user info adds to its claims: one object of JSON that has both.
    pub(super) user_info: String,
    /// Empty unless the service is to see it.
    pub(super) access_token: String,
    /// Empty if there is none.
    pub(super) refresh_token: String,
    /// What was granted, as words.
    pub(super) scope: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Session { began, seen, expires, .. } = self;
        f.debug_struct("Session")
            .field("began", began)
            .field("seen", seen)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
        self.id_token.zeroize();
    }
}

impl Session {
    /// As bytes.
    pub(super) fn write(&self) -> Zeroizing<Vec<u8>> {
        let texts = self.texts();
        let length = 1 + NAME + 32 + texts.iter().map(|text| 4 + text.len()).sum::<usize>();
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        out.push(VERSION);
        out.extend_from_slice(&self.name);
        for number in [self.began, self.seen, self.due, self.expires] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for text in texts {
            // Tokens are bounded far below that.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// From bytes; nothing if these are no session.
    pub(super) fn read(bytes: &[u8]) -> Option<Session> {
        let (&version, mut rest) = bytes.split_first()?;
        if version != VERSION {
            return None;
        }
        let name = *take(&mut rest)?;
        let mut number = || Some(u64::from_be_bytes(*take(&mut rest)?));
        let (began, seen, due, expires) = (number()?, number()?, number()?, number()?);
        let mut text = || {
            let length = u32::from_be_bytes(*take(&mut rest)?) as usize;
            let (text, after) = rest.split_at_checked(length)?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        let session = Session {
            name,
            began,
            seen,
            due,
            expires,
            id_token: text()?,
            user_info: text()?,
            access_token: text()?,
            refresh_token: text()?,
            scope: text()?,
        };
        rest.is_empty().then_some(session)
    }

    /// The same, seen at a time in seconds since 1970.
    pub(super) fn seen_at(&self, now: u64) -> Session {
        let mut session = self.clone();
        session.seen = now;
        session
    }

    fn texts(&self) -> [&str; 5] {
        let Session { id_token, user_info, access_token, refresh_token, scope, .. } = self;
        [id_token, user_info, access_token, refresh_token, scope]
    }

    /// What the provider says of who has logged in.
    pub(super) fn claims(&self) -> Option<Claims> {
        if self.user_info.is_empty() {
            return Claims::from_json(&payload(&self.id_token)?).ok();
        }
        Claims::from_json(self.user_info.as_bytes()).ok()
    }
}

/// The payload of a token that was verified before.
pub(super) fn payload(token: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session() -> Session {
        Session {
            name: [7; NAME],
            began: 1_800_000_000,
            seen: 1_800_000_060,
            due: 1_800_003_540,
            expires: 1_800_003_600,
            id_token: format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"sub":"anna"}"#)),
            access_token: "access".into(),
            refresh_token: "refresh".into(),
            scope: "openid profile".into(),
            user_info: String::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let session = session();
        let bytes = session.write();
        assert_eq!(Session::read(&bytes).as_ref(), Some(&session));
        assert_eq!(session.claims().unwrap().subject(), Some("anna"));
        let mut told = session.seen_at(5);
        assert_eq!((told.seen, told.began), (5, session.began));
        told.user_info = r#"{"sub":"anna","mail":"a@b"}"#.into();
        assert_eq!(told.claims().unwrap().get("mail").unwrap().as_str(), Some("a@b"));
        for end in 0..bytes.len() {
            assert!(Session::read(&bytes[..end]).is_none());
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(Session::read(&longer).is_none());
        assert!(!format!("{session:?}").contains("refresh"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_badly(bytes: Vec<u8>) {
            let mut bytes = bytes;
            let _ = Session::read(&bytes);
            bytes.insert(0, VERSION);
            if let Some(session) = Session::read(&bytes) {
                prop_assert_eq!(&**session.write(), &*bytes);
                let _ = session.claims();
            }
        }
    }
}
