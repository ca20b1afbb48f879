//! Fields that tell browsers what pages may do: their values, and what does not go together.

use std::time::Duration;

use super::super::{Scope, http};
use super::keys;
use crate::model::{Layered, Name, SecurityHeaders, SetField};
use crate::raw::{FrameSpec, HstsSpec, OffOr, SecurityHeadersSpec, Spanned, Switch};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What tells strangers which software answers.
const REMOVED: &[&str] = &["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"];

/// Without these a client would not understand the reply.
const NEEDED: &[&str] = &["content-length", "content-type", "date", "transfer-encoding"];

const REFERRER_POLICIES: &[&str] = &[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];
const OPENERS: &[&str] =
    &["noopener-allow-popups", "same-origin", "same-origin-allow-popups", "unsafe-none"];
const RESOURCES: &[&str] = &["cross-origin", "same-origin", "same-site"];
const EMBEDDERS: &[&str] = &["credentialless", "require-corp", "unsafe-none"];

/// Words of a Content-Security-Policy that mean something in quotes alone.
const QUOTED: &[&str] =
    &["none", "report-sample", "self", "strict-dynamic", "unsafe-eval", "unsafe-inline"];

pub(super) fn security_headers(
    spec: &Switch<SecurityHeadersSpec>,
    scope: &mut Scope<'_>,
) -> Layered<SecurityHeaders> {
    let OffOr::On(spec) = &spec.0 else { return Layered::Off };
    let mut set = Vec::new();
    let mut say = |name, value: Name| set.push(SetField { name, value });
    if spec.nosniff.unwrap_or(true) {
        say("x-content-type-options", "nosniff".into());
    }
    let (options, policy) = frame(spec, scope);
    if let Some(options) = options {
        say("x-frame-options", options.into());
    }
    if let Some(policy) = policy {
        say("content-security-policy", policy);
    }
    if let Some(written) = &spec.content_security_policy_report_only {
        say("content-security-policy-report-only", content_policy(written, scope));
    }
    match &spec.referrer_policy {
        None => say("referrer-policy", "strict-origin-when-cross-origin".into()),
        Some(Spanned { value: OffOr::Off, .. }) => {}
        Some(Spanned { value: OffOr::On(text), span, hidden }) => {
            let written = Spanned { value: text.clone(), span: *span, hidden: *hidden };
            say("referrer-policy", word(&written, REFERRER_POLICIES, scope));
        }
    }
    if let Some(written) = &spec.permissions_policy {
        say("permissions-policy", value(written, scope));
    }
    for (name, written, words) in [
        ("cross-origin-opener-policy", &spec.cross_origin_opener_policy, OPENERS),
        ("cross-origin-resource-policy", &spec.cross_origin_resource_policy, RESOURCES),
        ("cross-origin-embedder-policy", &spec.cross_origin_embedder_policy, EMBEDDERS),
    ] {
        if let Some(written) = written {
            say(name, word(written, words, scope));
        }
    }
    let remove = match &spec.remove {
        None => REMOVED.iter().map(|name| (*name).into()).collect(),
        Some(names) => names.iter().map(|name| removed(name, scope)).collect(),
    };
    let hsts = match &spec.hsts {
        None => hsts(&HstsSpec::default(), scope).into(),
        Some(Spanned { value: OffOr::Off, .. }) => None,
        Some(Spanned { value: OffOr::On(written), .. }) => hsts(written, scope).into(),
    };
    Layered::On(SecurityHeaders { set, hsts, remove, replace: spec.replace }.into())
}

/// The values of `X-Frame-Options` and `Content-Security-Policy`, which say the same of frames.
fn frame(
    spec: &SecurityHeadersSpec,
    scope: &mut Scope<'_>,
) -> (Option<&'static str>, Option<Name>) {
    let policy = spec.content_security_policy.as_ref();
    let value = policy.map(|written| content_policy(written, scope));
    let speaks = value.as_ref().is_some_and(|value| {
        value.split(';').any(|part| directive(part).eq_ignore_ascii_case("frame-ancestors"))
    });
    let frame = match (&spec.frame, policy) {
        (Some(frame), Some(policy)) if speaks && frame.value != FrameSpec::Off => {
            let fault = scope.fault(frame.span, "`frame` is said twice");
            fault.also = Some((policy.span, "`frame-ancestors` is here".into()));
            fault.help = Some("write `frame: off` to leave it to the policy".into());
            FrameSpec::Off
        }
        (Some(frame), _) => frame.value,
        (None, _) if speaks => FrameSpec::Off,
        (None, _) => FrameSpec::Deny,
    };
    let (options, ancestors) = match frame {
        FrameSpec::Deny => ("DENY", "frame-ancestors 'none'"),
        FrameSpec::SameOrigin => ("SAMEORIGIN", "frame-ancestors 'self'"),
        FrameSpec::Off => return (None, value),
    };
    let value = match value {
        Some(value) => {
            let value = value.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
            format!("{value}; {ancestors}").into()
        }
        None => ancestors.into(),
    };
    (Some(options), Some(value))
}

/// The name of a directive of a Content-Security-Policy.
fn directive(part: &str) -> &str {
    part.split_ascii_whitespace().next().unwrap_or_default()
}

fn content_policy(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    for part in written.as_str().split(';') {
        let sources = part.split_ascii_whitespace().skip(1);
        for source in sources.filter(|source| QUOTED.contains(source)) {
            if directive(part).starts_with("report") || directive(part) == "sandbox" {
                continue;
            }
            let fault = scope.fault(written.span, format!("`{source}` without quotes is a host"));
            fault.help = Some(format!("write `'{source}'`"));
        }
    }
    value(written, scope)
}

fn hsts(spec: &HstsSpec, scope: &mut Scope<'_>) -> Name {
    let age = scope.time(spec.max_age.as_ref(), YEAR);
    let mut value = format!("max-age={}", age.as_secs());
    if spec.include_subdomains {
        value.push_str("; includeSubDomains");
    }
    if let Some(preload) = spec.preload.as_ref().filter(|preload| preload.value) {
        if !spec.include_subdomains || age < YEAR {
            scope.fault(preload.span, "no list of browsers takes this host").label =
                "needs `include_subdomains: true` and a `max_age` of `365d`".into();
        }
        value.push_str("; preload");
    }
    value.into()
}

/// A value of which the first word is one of these.
fn word(written: &Spanned<String>, words: &[&str], scope: &mut Scope<'_>) -> Name {
    let value = value(written, scope);
    let mut listed = value.split(',').map(|item| item.split(';').next().unwrap_or("").trim());
    if !listed.all(|item| words.contains(&item)) {
        let shown = written.shown();
        scope.fault(written.span, format!("browsers know no {shown} here")).label =
            format!("expected one of `{}`", words.join("`, `"));
    }
    value
}

fn value(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    let text = written.as_str();
    if text.is_empty() || !text.is_ascii() || !http::is_field_value(text) {
        scope.fault(written.span, "no header can have this value").label =
            "no control characters, no line breaks, no space around it".into();
    }
    text.into()
}

fn removed(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    let name = keys::field_name(written, scope);
    if NEEDED.contains(&&*name) {
        scope.fault(written.span, format!("clients need `{name}` to understand a reply"));
    }
    name
}
