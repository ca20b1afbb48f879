//! Addresses that the gateway itself calls: of issuers, of what authorizes, of what keeps secrets.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::Address;
use super::endpoint::is_host_name;

/// The longest one.
const LONGEST: usize = 2048;
/// What may stand in path and query besides letters and digits (RFC 3986 sections 3.3 and 3.4).
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@/?%";

/// An absolute URL of `http` or `https`, without a user and without a fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    text: Box<str>,
    /// Spoken with TLS.
    tls: bool,
    /// The host as in the text: a name, an IPv4 address, or an IPv6 address in brackets.
    host: Box<str>,
    port: u16,
    /// Where the path begins in the text; at its end if there is none.
    path: usize,
}

/// Why a text is no URL that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not begin with `https://` or `http://`.
    #[error("expected `https://HOST/PATH`")]
    Scheme,
    /// The host is none.
    #[error("its host is no host name and no address")]
    Host,
    /// The port is none.
    #[error("its port is no port")]
    Port,
    /// It has a user or password.
    #[error("it must not have a user or a password")]
    User,
    /// It has a fragment.
    #[error("it must not have a `#`")]
    Fragment,
    /// Something in it must be escaped.
    #[error("something in it must be escaped with `%`")]
    Characters,
    /// It is too long.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
}

impl Url {
    /// What stands where none could be read; a configuration with it is not used.
    pub(crate) fn nowhere() -> Url {
        let text: Box<str> = "https://invalid".into();
        Url { path: text.len(), text, tls: true, host: "invalid".into(), port: 443 }
    }

    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is spoken with TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host without brackets, for TLS and for looking it up.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Host and port as `Host` has them: the port only if it is not the scheme's.
    #[must_use]
    pub fn authority(&self) -> &str {
        let start = self.scheme().len();
        let authority = &self.text[start..self.path];
        let default = if self.tls { ":443" } else { ":80" };
        authority.strip_suffix(default).unwrap_or(authority)
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> Address {
        if let Ok(ip) = self.host().parse() {
            return Address::Ip(SocketAddr::new(ip, self.port));
        }
        Address::Name { host: self.host().into(), port: self.port }
    }

    /// The path; `/` if there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.target().split_once('?') {
            Some((path, _)) => non_empty(path),
            None => non_empty(self.target()),
        }
    }

    /// What follows `?`, if there is a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    fn target(&self) -> &str {
        &self.text[self.path..]
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https://" } else { "http://" }
    }
}

fn non_empty(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        if text.len() > LONGEST {
            return Err(UrlError::TooLong);
        }
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = split(authority)?;
        if !is_host(host) {
            return Err(UrlError::Host);
        }
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(port) => port_of(port).ok_or(UrlError::Port)?,
        };
        if !target.bytes().all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte)) {
            return Err(UrlError::Characters);
        }
        let path = text.len() - target.len();
        Ok(Url { text: text.into(), tls, host: host.into(), port, path })
    }
}

/// Host and port.
fn split(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(end) = authority.starts_with('[').then(|| authority.find(']')).flatten() {
        let (host, rest) = authority.split_at(end + 1);
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => Ok((host, None)),
            None => Err(UrlError::Host),
            Some(port) => Ok((host, Some(port))),
        };
    }
    Ok(match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    })
}

/// A name, an IPv4 address in its usual form, or an IPv6 address in brackets. A name that ends in a
/// number is neither, though many read it as an address.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or(host);
    let is_number = last.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    if is_number { host.parse::<Ipv4Addr>().is_ok() } else { is_host_name(host) }
}

fn port_of(port: &str) -> Option<u16> {
    let plain = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| plain && *port > 0)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn its_parts_are_told_apart() {
        let full = url("https://id.example.com:8443/realms/a?x=%20#".trim_end_matches('#'));
        assert!(full.is_tls());
        assert_eq!((full.host(), full.authority()), ("id.example.com", "id.example.com:8443"));
        assert_eq!((full.path(), full.query()), ("/realms/a", Some("x=%20")));
        assert_eq!(full.address(), Address::Name { host: "id.example.com".into(), port: 8443 });
        let bare = url("http://localhost");
        assert_eq!((bare.path(), bare.query(), bare.authority()), ("/", None, "localhost"));
        assert_eq!(url("https://a:443/").authority(), "a");
        assert_eq!(url("http://a:443/").authority(), "a:443");
        assert_eq!(url("https://a?b").path(), "/");
        let six = url("https://[2001:db8::1]:1/");
        assert_eq!((six.host(), six.authority()), ("2001:db8::1", "[2001:db8::1]:1"));
        assert!(matches!(six.address(), Address::Ip(address) if address.port() == 1));
        assert!(matches!(url("http://127.0.0.1/").address(), Address::Ip(_)));
    }

    #[test]
    fn what_could_be_read_in_another_way_is_refused() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("ftp://a/", UrlError::Scheme),
            ("HTTPS://a/", UrlError::Scheme),
            ("https:/a", UrlError::Scheme),
            ("//a/", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https:///a", UrlError::Host),
            ("https://a b/", UrlError::Host),
            ("https://a\\b/", UrlError::Host),
            ("https://\u{e9}/", UrlError::Host),
            ("https://127.1/", UrlError::Host),
            ("https://0x7f.0.0.0x1/", UrlError::Host),
            ("https://[::1/", UrlError::Host),
            ("https://[::1]a/", UrlError::Host),
            ("https://[a]/", UrlError::Host),
            ("https://a:/", UrlError::Port),
            ("https://a:0/", UrlError::Port),
            ("https://a:+1/", UrlError::Port),
            ("https://a:65536/", UrlError::Port),
            ("https://user@a/", UrlError::User),
            ("https://a:b@c/", UrlError::User),
            ("https://a/#b", UrlError::Fragment),
            ("https://a/b c", UrlError::Characters),
            ("https://a/\r\nHost: b", UrlError::Characters),
            ("https://a/\u{e9}", UrlError::Characters),
            ("https://a/<>", UrlError::Characters),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
        let long = format!("https://a/{}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<Url>(), Err(UrlError::TooLong));
    }
}
