//! The cookies of logins and sessions: their names, what a request shows of them, and how a reply
//! sets and ends them. All of them are `__Host-` cookies (RFC 6265bis, 4.1.3.2), which no other host
//! and no plain connection can set; only where a configuration lets plain HTTP in, they are not.

use std::ops::Range;

use portcullis_config::model::Oidc;

/// Most characters of a cookie's value: name and attributes stay within the 4096 bytes that every
/// browser takes (RFC 6265, 6.1).
const LONGEST: usize = 3800;
/// Most cookies that a session is split over.
pub(super) const MOST_PARTS: usize = 4;
/// What stands between the name and the number of a further part.
const PART: u8 = b'.';
const LOGIN: &str = "-login-";
const LOGOUT: &str = "-logout";
/// Characters that tell the cookies of logins apart.
const MARK: usize = 8;

/// The cookies of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cookies {
    /// What every name begins with; the whole name of the session's first.
    base: Box<str>,
    secure: bool,
}

/// What a request shows of a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// The value, put together of its parts.
    Value(Vec<u8>),
    /// There is something that is no session.
    Bad(&'static str),
}

impl Cookies {
    pub(super) fn new(written: &Oidc) -> Cookies {
        let name = &written.session.cookie;
        let base = if written.plain_http { name.to_string() } else { format!("__Host-{name}") };
        Cookies { base: base.into(), secure: !written.plain_http }
    }

    /// What every name begins with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether a cookie is one of these.
    pub(super) fn are(&self, name: &[u8]) -> bool {
        let Some(rest) = name.strip_prefix(self.base.as_bytes()) else { return false };
        rest.is_empty()
            || (rest[0] == PART && rest.len() == 2)
            || rest.starts_with(LOGIN.as_bytes())
            || rest == LOGOUT.as_bytes()
    }

    /// The session that these values of `Cookie` show.
    pub(super) fn shown<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> Shown {
        let mut parts: [Option<&[u8]>; MOST_PARTS] = [None; MOST_PARTS];
        for (name, value) in lines.flat_map(pairs) {
            let Some(place) = self.place(name) else { continue };
            let Some(part) = parts.get_mut(place) else { return Shown::Bad("too many parts") };
            if part.is_some_and(|part| part != value) {
                return Shown::Bad("two cookies that are not the same");
            }
            *part = Some(value);
        }
        // A part that is left over from a longer session is nothing by itself.
        let Some(first) = parts[0] else { return Shown::Nothing };
        let Some((count, first)) = first.split_first() else { return Shown::Bad("empty") };
        let count = usize::from(count.wrapping_sub(b'0'));
        if !(1..=MOST_PARTS).contains(&count) {
            return Shown::Bad("no session");
        }
        let mut value = first.to_vec();
        for part in &parts[1..count] {
            let Some(part) = part else { return Shown::Bad("a part is missing") };
            value.extend_from_slice(part);
        }
        Shown::Value(value)
    }

    /// How many parts of a session these values of `Cookie` may have, those in between included.
    pub(super) fn count<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> usize {
        let places = lines.flat_map(pairs).filter_map(|(name, _)| self.place(name));
        places.map(|place| place + 1).max().unwrap_or(0).min(MOST_PARTS)
    }

    /// The place of a part of a session among the others.
    fn place(&self, name: &[u8]) -> Option<usize> {
        match *name.strip_prefix(self.base.as_bytes())? {
            [] => Some(0),
            [PART, digit @ b'1'..=b'9'] => Some(usize::from(digit - b'0')),
            _ => None,
        }
    }

    /// Sets the session's cookies, and ends those of `had` parts that it has no use for. `false` if
    /// it is too long for so many cookies.
    pub(super) fn set(&self, value: &str, had: usize, out: &mut Vec<String>) -> bool {
        // One character of the first tells how many there are.
        let parts = (value.len() + 1).div_ceil(LONGEST);
        if parts > MOST_PARTS {
            return false;
        }
        let mut rest = value;
        for place in 0..parts {
            let room = LONGEST - usize::from(place == 0);
            let (here, after) = rest.split_at(room.min(rest.len()));
            let count = if place == 0 { parts.to_string() } else { String::new() };
            out.push(self.line(&self.part(place), &format!("{count}{here}"), None));
            rest = after;
        }
        self.unset(parts..had, out);
        true
    }

    /// Ends these parts of a session.
    pub(super) fn unset(&self, parts: Range<usize>, out: &mut Vec<String>) {
        out.extend(parts.map(|place| self.end(&self.part(place))));
    }

    fn part(&self, place: usize) -> String {
        if place == 0 { self.base.to_string() } else { format!("{}.{place}", self.base) }
    }

    /// The name of the cookie of a login with this `state`.
    pub(super) fn login(&self, state: &str) -> String {
        let mark = state.get(..MARK).unwrap_or(state);
        format!("{}{LOGIN}{mark}", self.base)
    }

    /// Whether a cookie is that of a login.
    pub(super) fn is_login(&self, name: &[u8]) -> bool {
        name.strip_prefix(self.base.as_bytes())
            .is_some_and(|rest| rest.starts_with(LOGIN.as_bytes()))
    }

    /// The name of the cookie of a logout on its way.
    pub(super) fn logout(&self) -> String {
        format!("{}{LOGOUT}", self.base)
    }

    /// A line that sets a cookie, for so many seconds or as long as the browser runs.
    pub(super) fn line(&self, name: &str, value: &str, age: Option<u64>) -> String {
        let age = age.map_or(String::new(), |age| format!("; Max-Age={age}"));
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/{age}{secure}; HttpOnly; SameSite=Lax")
    }

    /// A line that ends a cookie.
    pub(super) fn end(&self, name: &str) -> String {
        self.line(name, "", Some(0))
    }
}

/// Names and values of a field `Cookie` (RFC 6265, 5.4).
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookies() -> Cookies {
        Cookies { base: "__Host-s".into(), secure: true }
    }

    fn shown(line: &str) -> Shown {
        cookies().shown([line.as_bytes()].into_iter())
    }

    /// What a browser would send back.
    fn sent(lines: &[String]) -> String {
        let live = lines.iter().filter(|line| !line.contains("Max-Age=0"));
        let pairs: Vec<&str> = live.filter_map(|line| line.split(';').next()).collect();
        pairs.join("; ")
    }

    #[test]
    fn attributes_keep_a_cookie_where_it_belongs() {
        let line = cookies().line("__Host-s", "1x", None);
        assert_eq!(line, "__Host-s=1x; Path=/; Secure; HttpOnly; SameSite=Lax");
        let plain = Cookies { base: "s".into(), secure: false };
        assert_eq!(plain.end("s"), "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_long_session_is_split_and_put_together_again() {
        for length in [0, 1, 3798, 3799, 3800, 7599, 7600, 15_199] {
            let value = "x".repeat(length);
            let mut lines = Vec::new();
            assert!(cookies().set(&value, MOST_PARTS, &mut lines), "{length}");
            assert_eq!(lines.len(), MOST_PARTS);
            let sent = sent(&lines);
            let count = cookies().count([sent.as_bytes()].into_iter());
            assert_eq!(count, (length + 1).div_ceil(LONGEST));
            assert!(lines.iter().all(|line| line.len() <= 3900), "{length}");
            assert_eq!(shown(&sent), Shown::Value(value.into_bytes()), "{length}");
        }
        assert!(!cookies().set(&"x".repeat(15_200), 0, &mut Vec::new()));
    }

    #[test]
    fn what_is_no_session_is_told() {
        assert_eq!(shown("a=b; __Host-s2=1x; __Host-s.1=x"), Shown::Nothing);
        assert_eq!(shown("__Host-s=1abc; __Host-s.1=left-over"), Shown::Value(b"abc".to_vec()));
        assert_eq!(shown("__Host-s=1abc; __Host-s=1abc"), Shown::Value(b"abc".to_vec()));
        for bad in [
            "__Host-s=",
            "__Host-s=0abc",
            "__Host-s=5abc",
            "__Host-s=xabc",
            "__Host-s=2abc",
            "__Host-s=3abc; __Host-s.2=x",
            "__Host-s=1abc; __Host-s=1abd",
            "__Host-s=1abc; __Host-s.9=x",
        ] {
            assert!(matches!(shown(bad), Shown::Bad(_)), "{bad}");
        }
    }

    #[test]
    fn names_tell_whose_a_cookie_is() {
        let cookies = cookies();
        let state = "0123456789abcdef";
        assert_eq!(cookies.login(state), "__Host-s-login-01234567");
        for own in ["__Host-s", "__Host-s.1", "__Host-s-login-x", "__Host-s-logout"] {
            assert!(cookies.are(own.as_bytes()), "{own}");
        }
        for other in ["__Host-s2", "__Host-s-x", "s", "__Host-s.10", "__Host-s.", "x__Host-s"] {
            assert!(!cookies.are(other.as_bytes()), "{other}");
        }
        assert!(cookies.is_login(b"__Host-s-login-x") && !cookies.is_login(b"__Host-s"));
    }

    proptest! {
        #[test]
        fn any_line_can_be_looked_at(line: Vec<u8>) {
            let _ = cookies().shown([&*line, b"__Host-s=1x"].into_iter());
        }
    }
}
