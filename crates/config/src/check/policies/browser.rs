//! Policies for the sake of browsers: origins, and what may come from them.

use std::time::Duration;

use super::super::{Scope, host, http, matching};
use super::keys;
use crate::model::{Cors, CorsOrigins, Csrf, Layered, Name, OriginPattern, OriginPort, Origins};
use crate::node::Span;
use crate::raw::{CorsSpec, CsrfSpec, OffOr, OriginSpec, Spanned, Switch, UnknownSpec};

/// The longest time that any browser remembers the answer to a preflight.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Origins that nobody means: a regular expression that takes both takes all.
const STRANGERS: [&[u8]; 2] = [b"https://stranger.invalid", b"http://192.0.2.1:8080"];

pub(super) fn cors(spec: &OffOr<CorsSpec>, scope: &mut Scope<'_>) -> Layered<Cors> {
    let OffOr::On(spec) = spec else { return Layered::Off };
    let credentials = spec.credentials.as_ref().filter(|written| written.value);
    let origins = cors_origins(spec, credentials.map(|written| written.span), scope);
    let headers = spec.headers.as_deref().map(|names| field_names(names, "headers", scope));
    let expose = match &spec.expose[..] {
        [any] if any.as_str() == "*" => {
            if let Some(credentials) = credentials {
                let fault = scope.fault(any.span, "with `credentials`, `*` is no wildcard");
                fault.label = "browsers take it for the name of a field".into();
                fault.also = Some((credentials.span, "`credentials` is here".into()));
            }
            vec!["*".into()]
        }
        names => field_names(names, "expose", scope),
    };
    let max_age = spec.max_age.as_ref().map_or(Duration::from_secs(600), |age| age.value.0);
    if let Some(written) = spec.max_age.as_ref().filter(|_| max_age > LONGEST) {
        scope.fault(written.span, "no browser remembers it for longer than a day").label =
            "expected at most `1d`".into();
    }
    Layered::On(
        Cors {
            origins,
            methods: spec.methods.as_deref().map(|methods| self::methods(methods, scope)),
            headers,
            expose,
            credentials: credentials.is_some(),
            max_age,
            private_network: spec.private_network,
        }
        .into(),
    )
}

pub(super) fn csrf(spec: &Switch<CsrfSpec>, scope: &mut Scope<'_>) -> Layered<Csrf> {
    let OffOr::On(spec) = &spec.0 else { return Layered::Off };
    let written = spec.origins.as_ref().map_or(&[][..], |origins| &origins.0);
    let set = origins(written, scope);
    for item in written.iter().filter(|item| is_any(item)) {
        scope.fault(item.span, "with all origins this policy refuses nothing").label =
            "expected the origins that are yours".into();
    }
    no_stranger(written, &set, None, scope);
    Layered::On(
        Csrf { origins: set, pass_unknown: spec.unknown != Some(UnknownSpec::Refuse) }.into(),
    )
}

fn cors_origins(spec: &CorsSpec, credentials: Option<Span>, scope: &mut Scope<'_>) -> CorsOrigins {
    let written = &spec.origins.0;
    if written.is_empty() && !scope.incomplete {
        scope.fault(scope.name_span, "`cors.origins` is an empty list").help =
            Some("write `cors: off` for no policy at all".into());
    }
    let set = origins(written, scope);
    if let Some(credentials) = credentials {
        no_stranger(written, &set, Some(credentials), scope);
    }
    let Some(any) = written.iter().find(|item| is_any(item)) else {
        if let (Some(credentials), Some(null)) =
            (credentials, written.iter().find(|item| text(item) == Some("null")))
        {
            let message = "with `credentials`, the origin `null` is anybody's";
            let fault = scope.fault(null.span, message);
            fault.label = "any page can get this origin by a sandboxed frame".into();
            fault.also = Some((credentials, "`credentials` is here".into()));
        }
        return CorsOrigins::Some(set);
    };
    if let Some(credentials) = credentials {
        let fault = scope.fault(any.span, "`*` and `credentials` exclude each other");
        fault.label = "browsers refuse such replies (Fetch, CORS protocol and credentials)".into();
        fault.also = Some((credentials, "`credentials` is here".into()));
        fault.help = Some("list the origins whose pages may act for their users".into());
    }
    if let Some(other) = written.iter().find(|item| !is_any(item)) {
        scope.fault(other.span, "`*` stands for this origin already").also =
            Some((any.span, "`*` is here".into()));
    }
    CorsOrigins::Any
}

/// A regular expression that takes any origin is one that was not meant.
fn no_stranger(
    written: &[Spanned<OriginSpec>],
    set: &Origins,
    credentials: Option<Span>,
    scope: &mut Scope<'_>,
) {
    let regexes = written.iter().filter_map(|item| match &item.value {
        OriginSpec::Regex(source) => Some(source.span),
        OriginSpec::Text(_) => None,
    });
    for (at, regex) in regexes.zip(&set.regexes) {
        if STRANGERS.iter().all(|stranger| regex.is_match(stranger)) {
            let fault = scope.fault(at, "this regular expression takes every origin");
            fault.also = credentials.map(|at| (at, "`credentials` is here".into()));
        }
    }
}

fn text(item: &Spanned<OriginSpec>) -> Option<&str> {
    match &item.value {
        OriginSpec::Text(text) => Some(text),
        OriginSpec::Regex(_) => None,
    }
}

fn is_any(item: &Spanned<OriginSpec>) -> bool {
    text(item) == Some("*")
}

/// A set of origins; `*` is left to the caller.
fn origins(written: &[Spanned<OriginSpec>], scope: &mut Scope<'_>) -> Origins {
    let mut set = Origins::default();
    for item in written {
        let text = match &item.value {
            OriginSpec::Regex(source) => {
                set.regexes.extend(matching::regex(source, scope));
                continue;
            }
            OriginSpec::Text(text) if text == "*" => continue,
            OriginSpec::Text(text) => text,
        };
        match origin(text) {
            Ok(One::Exact(origin)) => {
                if !set.exact.insert(origin.into_bytes().into()) {
                    scope.fault(item.span, "this origin is here twice");
                }
            }
            Ok(One::Family(pattern)) => set.patterns.push(pattern),
            Err(help) => {
                let shown = if item.hidden { "this".into() } else { format!("`{text}`") };
                let fault = scope.fault(item.span, format!("{shown} is no origin"));
                fault.label =
                    "expected `https://app.example.com` or `https://*.example.com`".into();
                fault.help = help.map(str::to_owned);
            }
        }
    }
    set
}

enum One {
    Exact(String),
    Family(OriginPattern),
}

/// An origin as browsers write it: in lower case, without the port that goes without saying.
fn origin(text: &str) -> Result<One, Option<&'static str>> {
    let lower = text.to_ascii_lowercase();
    if lower == "null" {
        return Ok(One::Exact(lower));
    }
    let Some((scheme, rest)) = lower.split_once("://") else {
        return Err(Some("write it with its scheme, such as `https://`"));
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(legal) {
        return Err(None);
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Err(Some("an origin is scheme, host and port, and nothing behind them"));
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (rest, ""),
    };
    let own = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let port = match port {
        "*" => OriginPort::Any,
        "" if rest.ends_with(':') => return Err(None),
        "" => OriginPort::Default,
        digits => match digits.parse::<u16>() {
            Ok(port) if Some(port) == own => OriginPort::Default,
            Ok(port) if digits.bytes().all(|byte| byte.is_ascii_digit()) => OriginPort::Is(port),
            _ => return Err(None),
        },
    };
    let (below, name) = match host.strip_prefix('*') {
        Some(rest) => (true, rest.strip_prefix('.').unwrap_or("")),
        None => (false, host),
    };
    if !(host::is_name(name) || (!below && host::bracketed(name).is_some())) {
        return Err((!host.is_ascii()).then_some("write an international name in its `xn--` form"));
    }
    let host = &host[usize::from(below)..];
    match (below, port) {
        (false, OriginPort::Default) => Ok(One::Exact(format!("{scheme}://{host}"))),
        (false, OriginPort::Is(port)) => Ok(One::Exact(format!("{scheme}://{host}:{port}"))),
        _ => Ok(One::Family(OriginPattern { scheme: scheme.into(), host: host.into(), port })),
    }
}

fn methods(written: &[Spanned<String>], scope: &mut Scope<'_>) -> Vec<Name> {
    if let Some(any) = written.iter().find(|method| method.as_str() == "*") {
        scope.fault(any.span, "a `*` is no method").help =
            Some("leave `methods` out to allow all that a route takes".into());
        return Vec::new();
    }
    http::methods(written, scope)
}

/// Names of fields, in lower case, each once.
fn field_names(written: &[Spanned<String>], key: &str, scope: &mut Scope<'_>) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for item in written {
        if item.as_str() == "*" {
            let fault = scope.fault(item.span, "a `*` is no name of a header field");
            fault.help = (key == "headers").then(|| "leave `headers` out to allow any".into());
            continue;
        }
        let name = keys::field_name(item, scope);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
