//! Names of policies, and the parts of their keys.

use std::sync::Arc;

use super::super::{Scope, http, token};
use crate::model::{CountBy, KeyPart, Missing, Name, PathPattern, Segment};
use crate::raw::{KeyPartSpec, MissingSpec, NamedPart, NetworkSpec, Spanned};
use crate::report::nearest;

/// Parts of a key that are a word.
pub(crate) const KEY_WORDS: &[&str] =
    &["ip", "consumer", "plan", "group", "route", "service", "listener", "host", "method"];

const MOST_KEYS: u32 = 50_000_000;
const LONGEST_NAME: usize = 64;

/// The name of a policy: it stands in fields and metrics as it is.
pub(super) fn name(
    written: Option<&Spanned<String>>,
    default: &str,
    scope: &mut Scope<'_>,
) -> Name {
    let Some(written) = written else { return default.into() };
    let text = written.as_str();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(legal) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no name for a policy")).label =
            "expected at most 64 letters, digits, `-`, `_`, `.`, `:` and `/`".into();
    }
    text.into()
}

/// The name of a field, in lower case.
pub(in crate::check) fn field_name(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    if !http::is_token(written.as_str()) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no name of a header field"));
    }
    written.as_str().to_ascii_lowercase().into()
}

pub(super) fn count_by(
    written: &[Spanned<KeyPartSpec>],
    missing: Option<MissingSpec>,
    keys: Option<&Spanned<u32>>,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> CountBy {
    let mut parts: Vec<KeyPart> = Vec::new();
    for item in written {
        let Some(part) = part(item, paths, scope) else { continue };
        let both_ip =
            |other: &KeyPart| matches!((other, &part), (KeyPart::Ip { .. }, KeyPart::Ip { .. }));
        if parts.iter().any(|other| *other == part || both_ip(other)) {
            scope.fault(item.span, "this part of the key is here twice");
        }
        parts.push(part);
    }
    if written.is_empty() && scope.by_consumer {
        parts.push(KeyPart::Consumer);
    }
    // A key without parts has one value.
    let keys = match keys {
        _ if parts.is_empty() => 1,
        None => 100_000,
        Some(written) => {
            if written.value == 0 || written.value > MOST_KEYS {
                scope.fault(written.span, format!("{} keys cannot be kept", written.value)).label =
                    "expected 1 to 50,000,000".into();
            }
            written.value as usize
        }
    };
    let missing = match missing {
        None | Some(MissingSpec::OwnBucket) => Missing::OwnBucket,
        Some(MissingSpec::Refuse) => Missing::Refuse,
        Some(MissingSpec::Unlimited) => Missing::Unlimited,
    };
    CountBy { parts, missing, keys }
}

fn part(
    item: &Spanned<KeyPartSpec>,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> Option<KeyPart> {
    match &item.value {
        KeyPartSpec::Word(word) => match word.as_str() {
            "ip" => Some(KeyPart::Ip { prefix4: 32, prefix6: 64 }),
            "consumer" => Some(KeyPart::Consumer),
            "plan" => Some(KeyPart::Plan),
            "group" => Some(KeyPart::Group),
            "route" => Some(KeyPart::Route),
            "service" => Some(KeyPart::Service),
            "listener" => Some(KeyPart::Listener),
            "host" => Some(KeyPart::Host),
            "method" => Some(KeyPart::Method),
            _ => {
                let known = nearest(word, KEY_WORDS.iter().copied()).filter(|_| !item.hidden);
                let shown =
                    if item.hidden { "what stands here".into() } else { format!("`{word}`") };
                let fault = scope.fault(item.span, format!("{shown} is no part of a key"));
                fault.label = format!("expected one of `{}`", KEY_WORDS.join("`, `"));
                fault.help = Some(match known {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => {
                        "a field is `{ header: NAME }`; so are `cookie`, `query`, `param` and `claim`".into()
                    }
                });
                None
            }
        },
        KeyPartSpec::Named(named) => self::named(named, item, paths, scope),
    }
}

fn named(
    named: &NamedPart,
    item: &Spanned<KeyPartSpec>,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> Option<KeyPart> {
    let NamedPart { ip, header, cookie, query, param, claim } = named;
    let texts = [header, cookie, query, param, claim];
    let given = usize::from(ip.is_some()) + texts.into_iter().flatten().count();
    if given != 1 {
        if given > 1 || !scope.incomplete {
            scope.fault(item.span, "a part of a key is exactly one thing").label =
                "expected one of `ip`, `header`, `cookie`, `query`, `param`, `claim`".into();
        }
        return None;
    }
    if let Some(ip) = ip {
        return Some(network(&ip.value, scope));
    }
    if let Some(header) = header {
        return Some(KeyPart::Header(field_name(header, scope)));
    }
    if let Some(claim) = claim {
        return token::path(claim, scope).map(KeyPart::Claim);
    }
    let (written, part): (_, fn(Name) -> KeyPart) = match (cookie, query, param) {
        (Some(cookie), ..) => (cookie, KeyPart::Cookie),
        (_, Some(query), _) => (query, KeyPart::Query),
        (.., param) => (param.as_ref()?, KeyPart::Param),
    };
    if written.as_str().is_empty() {
        scope.fault(written.span, "a name is missing here");
    }
    let name: Name = written.as_str().into();
    if param.is_some() && paths.is_some_and(|paths| !paths.iter().any(|path| has(path, &name))) {
        let shown = written.shown();
        scope.fault(written.span, format!("no path of this route has a parameter {shown}")).help =
            Some("a parameter is written as `/users/{id}`".into());
    }
    Some(part(name))
}

fn network(spec: &NetworkSpec, scope: &mut Scope<'_>) -> KeyPart {
    let mut bits = |written: &Option<Spanned<u8>>, most: u8, default: u8| {
        let Some(written) = written else { return default };
        if written.value > most {
            scope.fault(written.span, format!("an address has {most} bits"));
        }
        written.value.min(most)
    };
    KeyPart::Ip { prefix4: bits(&spec.prefix4, 32, 32), prefix6: bits(&spec.prefix6, 128, 64) }
}

fn has(path: &PathPattern, wanted: &Arc<str>) -> bool {
    match path {
        PathPattern::Segments(segments) | PathPattern::Prefix(segments) => {
            segments.iter().any(|segment| match segment {
                Segment::Literal(_) => false,
                Segment::Param(name) | Segment::Rest(name) => name == wanted,
            })
        }
        PathPattern::Regex(regex) => regex.capture_names().flatten().any(|name| *name == **wanted),
    }
}
