//! Keeps web pages from steering the gateway through the browser of somebody who can reach it.
//!
//! A page elsewhere can make a browser POST to a loopback address, but the browser then says so in
//! `Origin` or `Sec-Fetch-Site`. A page whose own name is made to lead to this address (DNS
//! rebinding) is given away by that name in `Host`. No command-line client does either.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;

/// Refuses what may come from a browser, with the reason.
pub(super) fn not_from_a_browser(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err("Requests from browsers are refused here.");
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    };
    if host.is_some_and(|host| is_direct(host.host())) {
        Ok(())
    } else {
        Err("Host must be an IP address or localhost here.")
    }
}

/// Whether a host cannot have been made up in somebody's DNS.
fn is_direct(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn passes(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        not_from_a_browser(&headers).is_ok()
    }

    #[test]
    fn addresses_and_localhost_pass() {
        for host in
            ["127.0.0.1:9901", "10.1.2.3", "[::1]:9901", "[fd00::1]", "localhost:9901", "LocalHost"]
        {
            assert!(passes(&[("host", host)]), "{host}");
        }
    }

    #[test]
    fn names_are_refused() {
        for host in [
            "evil.example:9901",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1@evil.example",
            "",
        ] {
            assert!(!passes(&[("host", host)]), "{host}");
        }
        assert!(!passes(&[]));
        assert!(!passes(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]));
    }

    #[test]
    fn marks_of_a_browser_are_refused() {
        for mark in [
            ("origin", "null"),
            ("origin", "http://127.0.0.1:9901"),
            ("sec-fetch-site", "cross-site"),
        ] {
            assert!(!passes(&[("host", "127.0.0.1:9901"), mark]), "{mark:?}");
        }
    }
}
