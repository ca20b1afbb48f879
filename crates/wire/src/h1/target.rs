//! Request targets (RFC 9112, 3.2) and authorities (RFC 3986, 3.2).

use crate::Malformed;

/// A target's parts as ranges into it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/path?query`
    Origin { query: Option<usize> },
    /// `http://authority/path?query`: where the authority ends, and the query's `?`.
    Absolute { authority: usize, end: usize, query: Option<usize> },
    /// `*`
    Asterisk,
}

/// Takes a target apart.
pub(crate) fn parse(target: &[u8]) -> Result<Target, Malformed> {
    // A fragment never belongs into a request; beyond visible ASCII readers differ.
    if !target.iter().all(|&b| (0x21..=0x7e).contains(&b) && b != b'#') {
        return Err(Malformed::Target);
    }
    let query_from = |from: usize| memchr::memchr(b'?', &target[from..]).map(|at| from + at);
    match target {
        [b'/', ..] => Ok(Target::Origin { query: query_from(0) }),
        b"*" => Ok(Target::Asterisk),
        _ => {
            let authority = scheme_length(target).ok_or(Malformed::Target)?;
            let length = target[authority..].iter().position(|b| matches!(b, b'/' | b'?'));
            let end = length.map_or(target.len(), |length| authority + length);
            if !is_authority(&target[authority..end]) {
                return Err(Malformed::Host);
            }
            Ok(Target::Absolute { authority, end, query: query_from(end) })
        }
    }
}

/// Length of `http://` or `https://`, in any case.
fn scheme_length(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map(<[u8]>::len)
}

/// What a host name may be made of.
const LEGAL_IN_NAME: [bool; 256] = {
    let mut legal = [false; 256];
    let mut b = 0;
    while b < 128 {
        let byte = b as u8;
        legal[b] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        b += 1;
    }
    legal
};

/// Whether `text` is `host [":" port]`: a name, an IPv4 address or a bracketed IPv6 address.
/// User information, escapes and delimiters are refused: no host has them, and parsers differ.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host_ok, rest) = match text {
        [b'[', inner @ ..] => match memchr::memchr(b']', inner) {
            Some(end) => {
                let literal = std::str::from_utf8(&inner[..end]).unwrap_or_default();
                (literal.parse::<std::net::Ipv6Addr>().is_ok(), &inner[end + 1..])
            }
            None => (false, &text[..0]),
        },
        _ => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            let name = &text[..end];
            let legal = |&b: &u8| LEGAL_IN_NAME[usize::from(b)];
            (!name.is_empty() && name.iter().all(legal), &text[end..])
        }
    };
    host_ok
        && match rest {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

/// `*DIGIT`, at most 65535.
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0u32, |port, b| port * 10 + u32::from(b - b'0')) <= 65_535
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_told_apart() {
        assert_eq!(parse(b"/a?b?c"), Ok(Target::Origin { query: Some(2) }));
        assert_eq!(parse(b"//a"), Ok(Target::Origin { query: None }));
        assert_eq!(parse(b"*"), Ok(Target::Asterisk));
        assert_eq!(
            parse(b"HTTP://a.b:80/c?d"),
            Ok(Target::Absolute { authority: 7, end: 13, query: Some(15) })
        );
        assert_eq!(
            parse(b"https://a?d"),
            Ok(Target::Absolute { authority: 8, end: 9, query: Some(9) })
        );
        for bad in [&b"a/b"[..], b"ftp://a/", b"/a#b", b"/a\xffb", b"**", b"a:443"] {
            assert_eq!(parse(bad), Err(Malformed::Target), "{bad:?}");
        }
        for bad in [&b"http:///a"[..], b"http://u@h/", b"http://h:x/"] {
            assert_eq!(parse(bad), Err(Malformed::Host), "{bad:?}");
        }
    }

    #[test]
    fn authorities() {
        for good in ["a", "a.example.", "a_b", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8443", "a:"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a:b", "a:65536", "a:+1", "a b", "a,b", "u@a", "[::1", "[]", "[::g]", "::1",
            "[::1]x", "a/b", "a%20b", "a\\b", "a:80:80", "[v1.a]", "a:000080",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
