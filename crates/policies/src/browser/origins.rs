//! Whether an origin belongs to a set.

use portcullis_config::model::{OriginPattern, OriginPort, Origins};

/// Whether `origin`, as a browser has written it, belongs to the set.
pub(super) fn contains(set: &Origins, origin: &[u8]) -> bool {
    set.exact.contains(origin)
        || set.patterns.iter().any(|pattern| is_like(pattern, origin))
        || set.regexes.iter().any(|regex| regex.is_match(origin))
}

fn is_like(pattern: &OriginPattern, origin: &[u8]) -> bool {
    let Some((scheme, host, port)) = parts(origin) else { return false };
    let same_port = match pattern.port {
        OriginPort::Any => true,
        OriginPort::Default => port.is_none(),
        OriginPort::Is(wanted) => port == Some(wanted),
    };
    let same_host = if pattern.host.starts_with('.') {
        host.strip_suffix(pattern.host.as_bytes())
            .is_some_and(|below| !below.is_empty() && below.iter().all(|&byte| in_name(byte)))
    } else {
        host == pattern.host.as_bytes()
    };
    same_port && same_host && scheme == pattern.scheme.as_bytes()
}

/// Scheme, host and port of an origin (RFC 6454, 6.2).
pub(super) fn parts(origin: &[u8]) -> Option<(&[u8], &[u8], Option<u16>)> {
    let colon = memchr::memmem::find(origin, b"://")?;
    let (host, port) = host_and_port(&origin[colon + 3..])?;
    Some((&origin[..colon], host, port))
}

/// Host and port of what is behind the scheme.
pub(super) fn host_and_port(rest: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let bracket = rest.iter().rposition(|&byte| byte == b']').unwrap_or(0);
    let Some(colon) = rest[bracket..].iter().position(|&byte| byte == b':') else {
        return Some((rest, None));
    };
    let (host, port) = (&rest[..bracket + colon], &rest[bracket + colon + 1..]);
    if port.is_empty() || !port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some((host, Some(port)))
}

/// Whether a byte may stand in the name of a host, as browsers write it.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(scheme: &str, host: &str, port: OriginPort) -> Origins {
        let pattern = OriginPattern { scheme: scheme.into(), host: host.into(), port };
        Origins { patterns: vec![pattern], ..Origins::default() }
    }

    #[test]
    fn subdomains_end_where_the_name_does() {
        let set = pattern("https", ".example.com", OriginPort::Default);
        for good in ["https://a.example.com", "https://a.b.example.com", "https://x-1.example.com"]
        {
            assert!(contains(&set, good.as_bytes()), "{good}");
        }
        for bad in [
            "https://example.com",
            "https://.example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com:443",
            "https://aexample.com",
            "https://evil.com/.example.com",
            "https://evil.com#.example.com",
            "https://evil.com?.example.com",
            "https://evil.com\\.example.com",
            "https://user@.example.com",
            "https://evil.com:1.example.com",
            "https://a.example.com.evil.com",
            "https://a.EXAMPLE.com",
            "https://a.example.com:",
            "https://a.example.com:99999",
            "https:/a.example.com",
            "null",
            "",
        ] {
            assert!(!contains(&set, bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn ports_are_the_one_or_any() {
        let any = pattern("http", "localhost", OriginPort::Any);
        for good in ["http://localhost", "http://localhost:3000", "http://localhost:1"] {
            assert!(contains(&any, good.as_bytes()), "{good}");
        }
        assert!(!contains(&any, b"http://localhost:3000.evil.com"));
        assert!(!contains(&any, b"http://localhost.evil.com"));
        let six = pattern("http", "[::1]", OriginPort::Any);
        assert!(contains(&six, b"http://[::1]:3000") && contains(&six, b"http://[::1]"));
        let one = pattern("https", ".a.example", OriginPort::Is(8443));
        assert!(contains(&one, b"https://b.a.example:8443"));
        assert!(!contains(&one, b"https://b.a.example"));
    }
}
