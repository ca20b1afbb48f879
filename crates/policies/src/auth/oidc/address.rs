//! Addresses: where a browser is sent to and comes back to, and what is asked of it on the way.

use portcullis_wire::{Known, RequestHead};

use crate::oauth::encode;

/// The longest return path that is remembered, in bytes: it goes into a cookie.
const LONGEST_BACK: usize = 1024;

/// Where to go back to after a login: path and query of the request, if they lead nowhere but to
/// the same host, whoever reads them; else to the start.
pub(super) fn back(request: &RequestHead) -> String {
    let mut target = request.path().to_vec();
    if let Some(query) = request.query() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    match String::from_utf8(target) {
        Ok(target) if is_local(&target) => target,
        _ => "/".to_owned(),
    }
}

/// Whether a browser takes this for a path of the same host. `//` and `/\` begin another host for
/// it, tabs and line breaks do not count, and backslashes are slashes (URL Standard, 4.4).
pub(super) fn is_local(target: &str) -> bool {
    let plain = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'\\';
    target.len() <= LONGEST_BACK
        && target.starts_with('/')
        && !target.starts_with("//")
        && target.bytes().all(plain)
}

/// Scheme and host that the browser sees the gateway at, as RFC 6454 writes them. Nothing if the
/// host is none.
pub(super) fn origin(authority: &[u8], secure: bool) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    if authority.is_empty() || authority.len() > 300 || !authority.iter().copied().all(legal) {
        return None;
    }
    let host = std::str::from_utf8(authority).ok()?.to_ascii_lowercase();
    let (scheme, default) = if secure { ("https", ":443") } else { ("http", ":80") };
    Some(format!("{scheme}://{}", host.strip_suffix(default).unwrap_or(&host)))
}

/// An address with parameters behind it.
pub(super) struct Query(String);

impl Query {
    pub(super) fn of(address: &str) -> Query {
        Query(address.to_owned())
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Query {
        let mark = if self.0.contains('?') { '&' } else { '?' };
        self.0.push(mark);
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value, &mut self.0);
        self
    }

    pub(super) fn end(self) -> String {
        self.0
    }
}

/// The parameters of an answer. Nothing if one of those is there twice (RFC 6749, 3.1) or is no text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    pub(super) error: Option<String>,
    pub(super) iss: Option<String>,
}

impl Parameters {
    pub(super) fn read(query: Option<&[u8]>) -> Option<Parameters> {
        let mut found = Parameters::default();
        for pair in query.unwrap_or_default().split(|byte| *byte == b'&') {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let value = &pair[(at + 1).min(pair.len())..];
            let place = match &pair[..at] {
                b"state" => &mut found.state,
                b"code" => &mut found.code,
                b"error" => &mut found.error,
                b"iss" => &mut found.iss,
                _ => continue,
            };
            if place.is_some() {
                return None;
            }
            *place = Some(decode(value)?);
        }
        Some(found)
    }
}

/// A value of a form (URL Standard, 5.1).
fn decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits.strip_prefix('+').map_or(digits, |_| "x"), 16).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(out).ok()
}

/// Whether a browser goes somewhere with this request, so that it can be sent elsewhere. Scripts,
/// images and programs cannot log in.
pub(crate) fn is_navigation(request: &RequestHead) -> bool {
    if !matches!(request.method(), b"GET" | b"HEAD") || request.upgrade {
        return false;
    }
    let mut modes = request.fields.all(b"sec-fetch-mode");
    match (modes.next(), modes.next()) {
        (Some(mode), None) => mode == b"navigate",
        (Some(_), Some(_)) => false,
        // An old browser, or none.
        (None, _) => {
            let scripted = request.fields.all(b"x-requested-with").next().is_some();
            !scripted && accepts_html(request)
        }
    }
}

/// Whether a request asks for HTML by name: who takes anything is no browser that shows it.
fn accepts_html(request: &RequestHead) -> bool {
    request.fields.all(b"accept").any(|line| {
        line.split(|byte| *byte == b',').any(|range| {
            let mut parts = range.split(|byte| *byte == b';');
            let kind = parts.next().unwrap_or_default().trim_ascii();
            let refused = parts.any(|part| {
                matches!(part.trim_ascii(), [b'q' | b'Q', b'=', b'0', rest @ ..]
                    if rest.iter().all(|byte| matches!(byte, b'.' | b'0')))
            });
            kind.eq_ignore_ascii_case(b"text/html") && !refused
        })
    })
}

/// Whether a page of the same origin, or the user themself, has made the browser send this.
pub(super) fn is_own(request: &RequestHead, origin: &str) -> bool {
    let mut sites = request.fields.all(b"sec-fetch-site");
    let mut origins = request.fields.all(b"origin");
    let (site, from) = (sites.next(), origins.next());
    if sites.next().is_some() || origins.next().is_some() {
        return false;
    }
    match (site, from) {
        (Some(site), _) => matches!(site, b"same-origin" | b"none"),
        (None, Some(from)) => from == origin.as_bytes(),
        // Browsers that say neither send `GET` for any page; who sends `POST` says `Origin`.
        (None, None) => request.method() == b"POST",
    }
}

/// The values of `Cookie`.
pub(super) fn cookie_lines(request: &RequestHead) -> impl Iterator<Item = &[u8]> {
    request.fields.all_known(Known::Cookie)
}

#[cfg(test)]
mod tests {
    use portcullis_wire::HeadLimits;
    use portcullis_wire::h1::{Scan, parse_request};
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str, fields: &str) -> RequestHead {
        let limits = HeadLimits { target: 8192, fields: 100, section: 32768 };
        let mut head = RequestHead::default();
        let text = format!("{line} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
        parse_request(text.as_bytes(), &limits, &mut Scan::default(), &mut head).unwrap().unwrap();
        head
    }

    #[test]
    fn the_way_back_leads_nowhere_else() {
        for local in ["/", "/x?y=/z//", "/a/../b", "/.//x", "/%2f%2fevil.example", "/x?u=https://e"]
        {
            assert_eq!(back(&request(&format!("GET {local}"), "")), local);
        }
        for foreign in [
            "//evil.example",
            "///evil.example",
            "/x\\..",
            "/\\evil.example",
            "/\t/evil",
            "",
            "x",
            "https://evil.example",
            "/\u{e9}",
            "/x\r\nSet-Cookie: a=b",
            "\\/evil",
            "/ x",
            "/\0",
        ] {
            assert!(!is_local(foreign), "{foreign:?}");
        }
        assert_eq!(back(&request("GET //evil.example/x", "")), "/");
        assert_eq!(back(&request("GET http://a.example//evil.example", "")), "/");
        let long = format!("GET /{}", "x".repeat(LONGEST_BACK));
        assert_eq!(back(&request(&long, "")), "/");
    }

    #[test]
    fn origins_are_what_browsers_call_them() {
        let plain = |authority: &str| origin(authority.as_bytes(), false);
        let secure = |authority: &str| origin(authority.as_bytes(), true);
        assert_eq!(secure("A.example:443").as_deref(), Some("https://a.example"));
        assert_eq!(secure("[::1]:8443").as_deref(), Some("https://[::1]:8443"));
        assert_eq!(plain("a.example:80").as_deref(), Some("http://a.example"));
        assert_eq!(plain("a.example:443").as_deref(), Some("http://a.example:443"));
        for odd in ["", "a@b", "a/b", "a b", "a?b", "a\"b", "\u{e9}"] {
            assert_eq!(secure(odd), None, "{odd}");
        }
    }

    #[test]
    fn parameters_are_escaped() {
        let address =
            Query::of("https://id/auth?tenant=1").with("redirect_uri", "https://a/x y&z=\u{e9}");
        let end = "https://id/auth?tenant=1&redirect_uri=https%3A%2F%2Fa%2Fx%20y%26z%3D%C3%A9";
        assert_eq!(address.end(), end);
        assert_eq!(Query::of("https://id").with("a", "b").end(), "https://id?a=b");
    }

    #[test]
    fn answers_are_read_strictly() {
        let read = |query: &str| Parameters::read(Some(query.as_bytes()));
        let found = read("code=a%2Bb+c&state=s&x=1&iss=https%3A%2F%2Fid&&session_state=y").unwrap();
        assert_eq!(found.code.as_deref(), Some("a+b c"));
        assert_eq!((found.state.as_deref(), found.iss.as_deref()), (Some("s"), Some("https://id")));
        assert_eq!(Parameters::read(None), Some(Parameters::default()));
        assert_eq!(read("code").unwrap().code.as_deref(), Some(""));
        for bad in
            ["code=a&code=a", "state=a&state=b", "code=%", "code=%g0", "code=%+1", "code=%ff"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_who_shows_pages_is_sent_away() {
        let goes = |line: &str, fields: &str| is_navigation(&request(line, fields));
        let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
        assert!(goes("GET /", html) && goes("HEAD /", html));
        assert!(goes("GET /", "Sec-Fetch-Mode: navigate\r\n"));
        assert!(!goes("POST /", html) && !goes("OPTIONS /", html));
        for fields in [
            "",
            "Accept: */*\r\n",
            "Accept: application/json\r\n",
            "Accept: text/html;q=0\r\n",
            "Accept: text/html;q=0.00, */*\r\n",
            "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n",
            "Accept: text/html\r\nSec-Fetch-Mode: websocket\r\n",
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Mode: navigate\r\n",
            "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n",
        ] {
            assert!(!goes("GET /", fields), "{fields}");
        }
    }

    #[test]
    fn only_own_pages_end_a_session() {
        let own = |line: &str, fields: &str| is_own(&request(line, fields), "https://a.example");
        assert!(own("GET /", "Sec-Fetch-Site: same-origin\r\n"));
        assert!(own("GET /", "Sec-Fetch-Site: none\r\n"));
        assert!(own("POST /", "Origin: https://a.example\r\n"));
        assert!(own("POST /", ""));
        assert!(!own("GET /", ""), "an image of any page");
        for fields in [
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Origin: https://evil.example\r\n",
            "Origin: http://a.example\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\nOrigin: https://a.example\r\n",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n",
        ] {
            assert!(!own("POST /", fields) && !own("GET /", fields), "{fields}");
        }
    }

    proptest! {
        #[test]
        fn any_query_can_be_read(query: Vec<u8>) {
            let _ = Parameters::read(Some(&query));
        }

        #[test]
        fn what_is_local_begins_with_one_slash(target in "[/\\\\a.%\t ]{0,12}") {
            if is_local(&target) {
                prop_assert!(target.starts_with('/') && !target.starts_with("//"));
                prop_assert!(!target.contains(['\\', '\t', ' ']));
            }
        }
    }
}
