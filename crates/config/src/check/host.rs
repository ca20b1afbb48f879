//! Host names: what a route matches and what is sent as `Host`.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Scope;
use crate::model::HostPattern;
pub(super) use crate::model::is_host_name as is_name;
use crate::raw::Spanned;

/// A server name that a TCP route takes: a host, but no address (RFC 6066, 3).
pub(super) fn server_name_pattern(
    written: &Spanned<String>,
    scope: &mut Scope<'_>,
) -> Option<HostPattern> {
    if written.as_str().parse::<IpAddr>().is_ok() {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no server name")).label =
            "clients never ask for an address by SNI".into();
        return None;
    }
    let pattern = pattern(written, scope)?;
    if matches!(&pattern, HostPattern::Exact(name) if name.starts_with('[')) {
        scope.fault(written.span, "clients never ask for an address by SNI");
        return None;
    }
    Some(pattern)
}

/// A host that a route takes.
pub(super) fn pattern(written: &Spanned<String>, scope: &mut Scope<'_>) -> Option<HostPattern> {
    let lower = written.as_str().to_ascii_lowercase();
    let text = lower.strip_suffix('.').unwrap_or(&lower);
    if let Some(suffix) = text.strip_prefix('*') {
        if suffix.strip_prefix('.').is_some_and(is_name) {
            return Some(HostPattern::Suffix(suffix.into()));
        }
    } else if is_name(text) {
        return Some(HostPattern::Exact(text.into()));
    } else if let Some(address) = bracketed(text) {
        return Some(HostPattern::Exact(format!("[{address}]").into()));
    }
    let shown = written.shown();
    let fault = scope.fault(written.span, format!("{shown} is no host"));
    fault.label = "expected `api.example.com` or `*.example.com`".into();
    fault.help = if text == "*" {
        Some("leave `host` out to take any host".into())
    } else if !text.is_ascii() {
        Some("write an international name in its `xn--` form".into())
    } else if text.contains("://") {
        Some("write the host alone, without a scheme".into())
    } else if text.contains(':') && bracketed(text).is_none() {
        Some("write the host without its port; every port matches".into())
    } else {
        None
    };
    None
}

pub(super) fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// A `Host` value to send: a host, perhaps with a port.
pub(super) fn authority(written: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    let text = written.as_str();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_ok = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if !port_ok || !(is_name(host) || bracketed(host).is_some()) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} cannot be sent as `Host`")).label =
            "expected `HOST` or `HOST:PORT`".into();
    }
    text.into()
}

/// A name for SNI and certificate verification: a host name or an IP address.
pub(super) fn server_name(written: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    let text = written.as_str();
    if !is_name(text) && text.parse::<Ipv6Addr>().is_err() {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no server name")).label =
            "expected a host name or an IP address".into();
    }
    text.into()
}
