//! Requests as clients send them (RFC 9113, 8.3), checked before anything else sees them.

use http::Method;
use http::request::Parts;

use super::fields;
use crate::h1::content::{Declared, declared};
use crate::h1::target::{self, Target};
use crate::{BodyLength, Fields, HeadLimits, Known, Malformed, RequestHead, Version};

/// Takes a request's head over.
///
/// # Errors
/// It breaks RFC 9113 or RFC 9110, or is beyond the limits.
pub(super) fn take(
    parts: &Parts,
    ended: bool,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), Malformed> {
    let fields = &mut head.fields;
    fields.clear();
    let protocol = parts.extensions.get::<h2::ext::Protocol>();
    // An extended CONNECT (RFC 8441) is an upgrade in other clothes, and upgrades begin with GET.
    head.method = match (&parts.method, protocol) {
        (&Method::CONNECT, None) => return Err(Malformed::Connect),
        (&Method::CONNECT, Some(_)) => fields.push_text(b"GET"),
        (method, _) => fields.push_text(method.as_str().as_bytes()),
    };
    take_target(parts, limits, head)?;
    take_authority(parts, head)?;
    take_fields(parts, limits, &mut head.fields)?;
    head.upgrade = protocol.is_some();
    if let Some(protocol) = protocol {
        if !is_protocol(protocol.as_str()) {
            return Err(Malformed::StartLine);
        }
        head.fields.push_line(b"upgrade", protocol.as_str().as_bytes());
    }
    head.version = Version::Http2;
    head.close = false;
    understand(ended, head)
}

fn take_target(
    parts: &Parts,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), Malformed> {
    // Where there is an authority, the crate keeps the scheme as well.
    if parts.uri.authority().is_some() && parts.uri.scheme_str().is_none_or(str::is_empty) {
        return Err(Malformed::Target);
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str()).as_bytes();
    if target.len() > limits.target {
        return Err(Malformed::TargetTooLong);
    }
    let query = match target::parse(target)? {
        Target::Origin { query } => query,
        Target::Asterisk if parts.method == Method::OPTIONS => None,
        Target::Asterisk | Target::Absolute { .. } => return Err(Malformed::Target),
    };
    head.asterisk = target == b"*";
    head.root_path = false;
    let path = &target[..query.unwrap_or(target.len())];
    head.path = head.fields.push_text(path);
    head.query = query.map(|query| head.fields.push_text(&target[query + 1..]));
    Ok(())
}

/// `:authority`, or `Host` in its absence; both must say the same (RFC 9113, 8.3.1).
fn take_authority(parts: &Parts, head: &mut RequestHead) -> Result<(), Malformed> {
    let host = parts.headers.get(http::header::HOST).map(|host| host.as_bytes());
    let others = |_| parts.headers.get_all(http::header::HOST).iter().nth(1);
    if host.and_then(others).is_some() {
        return Err(Malformed::Host);
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let authority = match (authority, host) {
        (None, None) => return Err(Malformed::Host),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            return Err(Malformed::Host);
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
    };
    if !target::is_authority(authority) {
        return Err(Malformed::Host);
    }
    head.authority = head.fields.push_text(authority);
    Ok(())
}

fn take_fields(parts: &Parts, limits: &HeadLimits, out: &mut Fields) -> Result<(), Malformed> {
    let mut section = 0;
    let mut crumbs = false;
    for (name, value) in &parts.headers {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        section += name.len() + value.len() + 4;
        if section > limits.section || out.len() >= limits.fields {
            return Err(Malformed::HeadTooLarge);
        }
        match Known::of(name) {
            Known::Host => {}
            Known::Cookie => crumbs = true,
            Known::Te if !value.eq_ignore_ascii_case(b"trailers") => {
                return Err(Malformed::FieldLine);
            }
            known if fields::is_of_connection(known) => return Err(Malformed::FieldLine),
            _ if !fields::is_token(name) || !fields::is_trimmed(value) => {
                return Err(Malformed::FieldLine);
            }
            known => out.push_known(known, name, value),
        }
    }
    if crumbs { join_cookies(parts, out) } else { Ok(()) }
}

/// Clients may split cookies over several fields; others know only one (RFC 9113, 8.2.3).
fn join_cookies(parts: &Parts, out: &mut Fields) -> Result<(), Malformed> {
    let mut crumbs = parts.headers.get_all(http::header::COOKIE).iter();
    let Some(first) = crumbs.next() else { return Ok(()) };
    let mut whole = first.as_bytes().to_vec();
    for crumb in crumbs {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(crumb.as_bytes());
    }
    if !fields::is_trimmed(&whole) {
        return Err(Malformed::FieldLine);
    }
    out.push_line(b"cookie", &whole);
    Ok(())
}

/// What the fields say about the content.
fn understand(ended: bool, head: &mut RequestHead) -> Result<(), Malformed> {
    let declared = declared(&head.fields)?;
    head.declares_length = matches!(declared, Declared::Length(_));
    head.length = match declared {
        _ if ended => BodyLength::Empty,
        // The end of the stream is still to come, in a frame of its own.
        Declared::Length(0) => BodyLength::Empty,
        Declared::Length(length) => BodyLength::Exact(length),
        Declared::Nothing | Declared::Chunked => BodyLength::Unknown,
    };
    if head.upgrade {
        if head.declares_length || ended {
            return Err(Malformed::UnexpectedContent);
        }
        // What follows is the tunnel's.
        head.length = BodyLength::Empty;
    }
    if head.length != BodyLength::Empty && head.method() == b"TRACE" {
        return Err(Malformed::UnexpectedContent);
    }
    head.expects_continue = head.length != BodyLength::Empty
        && head.fields.all_known(Known::Expect).any(|v| v.eq_ignore_ascii_case(b"100-continue"));
    Ok(())
}

/// A protocol's name, and its version behind a slash.
fn is_protocol(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(|part| fields::is_token(part.as_bytes()))
}

#[cfg(test)]
mod tests;
