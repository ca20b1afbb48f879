//! Whose requests are taken for the user's own: browsers say where a request comes from, by
//! `Sec-Fetch-Site` (Fetch Metadata) or, the older ones, by `Origin`.

use std::sync::Arc;

use portcullis_config::model::Csrf;
use portcullis_wire::RequestHead;

use super::origins::{contains, host_and_port, parts};
use crate::registry::Judged;

/// A policy as it runs.
#[derive(Debug)]
pub struct RunningCsrf {
    /// As configured.
    pub csrf: Arc<Csrf>,
    /// What is counted of it.
    pub judged: Arc<Judged>,
}

/// Where a request comes from, as far as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It changes nothing, so it does not matter.
    Harmless,
    /// A page of the same origin, or the user.
    Own,
    /// A page of an origin that may.
    Allowed,
    /// It does not say.
    Unknown,
    /// Another site.
    Foreign,
}

impl RunningCsrf {
    /// Whether a request passes. `worker` counts.
    #[must_use]
    pub fn passes(&self, request: &RequestHead, secure: bool, worker: usize) -> bool {
        let series = self.judged.metrics.shard(worker);
        let passes = match self.origin_of(request, secure) {
            Origin::Harmless => return true,
            Origin::Own | Origin::Allowed => true,
            Origin::Unknown => self.csrf.pass_unknown,
            Origin::Foreign => false,
        };
        if passes { &series.allowed } else { &series.refused }.add(1);
        passes
    }

    /// Where a request comes from. `secure` says that the client speaks TLS.
    #[must_use]
    pub fn origin_of(&self, request: &RequestHead, secure: bool) -> Origin {
        // A WebSocket begins with a `GET` that any page may send with the user's cookies.
        let safe = matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE");
        if safe && !request.upgrade {
            return Origin::Harmless;
        }
        let mut sites = request.fields.all(b"sec-fetch-site");
        let mut origins = request.fields.all(b"origin");
        let (site, origin) = (sites.next(), origins.next());
        if sites.next().is_some() || origins.next().is_some() {
            return Origin::Foreign;
        }
        match (site, origin) {
            (Some(b"same-origin" | b"none"), _) => Origin::Own,
            (_, Some(origin)) if contains(&self.csrf.origins, origin) => Origin::Allowed,
            (Some(_), _) => Origin::Foreign,
            (None, Some(origin)) if is_own(origin, request.authority(), secure) => Origin::Own,
            (None, Some(_)) => Origin::Foreign,
            (None, None) => Origin::Unknown,
        }
    }
}

/// Whether an origin is the one that the request goes to.
fn is_own(origin: &[u8], authority: &[u8], secure: bool) -> bool {
    let Some((scheme, host, port)) = parts(origin) else { return false };
    let default = match scheme {
        b"https" => 443,
        // Whoever is on the way could have written a page of the plain origin.
        b"http" if !secure => 80,
        _ => return false,
    };
    let Some((asked_host, asked_port)) = host_and_port(authority) else { return false };
    host.eq_ignore_ascii_case(asked_host)
        && port.unwrap_or(default) == asked_port.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_origin_is_the_same_host_and_port() {
        let own = |origin: &str, authority: &str, secure| {
            is_own(origin.as_bytes(), authority.as_bytes(), secure)
        };
        for (origin, authority) in [
            ("https://a.example", "a.example"),
            ("https://a.example", "A.example:443"),
            ("https://a.example:8443", "a.example:8443"),
            ("https://[::1]:8443", "[::1]:8443"),
        ] {
            assert!(own(origin, authority, true) && own(origin, authority, false), "{origin}");
        }
        assert!(own("http://a.example", "a.example:80", false));
        for (origin, authority, secure) in [
            ("http://a.example", "a.example", true),
            ("https://a.example", "b.example", false),
            ("https://a.example", "a.example:8443", false),
            ("https://a.example.evil", "a.example", false),
            ("https://evil/a.example", "a.example", false),
            ("null", "null", false),
            ("", "", false),
            ("ftp://a.example", "a.example", false),
        ] {
            assert!(!own(origin, authority, secure), "{origin}");
        }
    }
}
