//! What a route asks of a request.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::{Scope, address, host, http, path};
use crate::model::{HostPattern, Match, PathPattern, Predicate, ValueTest};
use crate::node::Span;
use crate::raw::{Entries, MatchSpec, OneOrMany, Spanned, TestSpec};

/// The most memory that a compiled regular expression may take, in bytes.
const REGEX_MEMORY: usize = 1 << 20;

/// The longest regular expression, in bytes.
const REGEX_LENGTH: usize = 4096;

pub(super) fn matching(spec: &MatchSpec, scope: &mut Scope<'_>) -> Match {
    // Whether there are such listeners is known only once all entries are read.
    let listeners = list(&spec.listener, "listener", scope);
    let hosts = list(&spec.host, "host", scope);
    let hosts: Vec<HostPattern> =
        hosts.iter().filter_map(|item| host::pattern(item, scope)).collect();
    let any_path = spec.path.is_none();
    let paths = list(&spec.path, "path", scope);
    let mut paths: Vec<PathPattern> =
        paths.iter().filter_map(|item| path::pattern(item, scope)).collect();
    if any_path {
        paths.push(PathPattern::Prefix(Arc::from([])));
    }
    let methods = list(&spec.methods, "methods", scope);
    let clients = list(&spec.client, "client", scope);
    Match {
        listeners: listeners.iter().map(|name| name.as_str().into()).collect(),
        hosts: without_doubles(hosts),
        paths,
        methods: http::methods(methods, scope),
        headers: predicates(&spec.headers, Kind::Header, scope),
        query: predicates(&spec.query, Kind::Query, scope),
        cookies: predicates(&spec.cookies, Kind::Cookie, scope),
        clients: clients.iter().filter_map(|item| address::network(item, scope)).collect(),
    }
}

/// The items of a list. An empty list would read as "any" though it looks like "none".
fn list<'a, T>(
    written: &'a Option<OneOrMany<Spanned<T>>>,
    key: &str,
    scope: &mut Scope<'_>,
) -> &'a [Spanned<T>] {
    match written {
        None => &[],
        Some(items) => {
            if items.0.is_empty() && !scope.incomplete {
                let at = scope.name_span;
                scope.fault(at, format!("`match.{key}` is an empty list")).help =
                    Some(format!("leave `{key}` out to match any"));
            }
            &items.0
        }
    }
}

pub(super) fn without_doubles(mut hosts: Vec<HostPattern>) -> Vec<HostPattern> {
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Header,
    Query,
    Cookie,
}

fn predicates(
    written: &Entries<Spanned<TestSpec>>,
    kind: Kind,
    scope: &mut Scope<'_>,
) -> Vec<Predicate> {
    let mut seen: Vec<(Arc<str>, Span)> = Vec::new();
    let mut predicates = Vec::new();
    for (written_name, test) in &written.0 {
        let name: Arc<str> = match kind {
            Kind::Header => http::field_name(written_name, scope),
            Kind::Query | Kind::Cookie => written_name.as_str().into(),
        };
        if kind == Kind::Header && &*name == "host" {
            scope.fault(
                written_name.span,
                "a route matches the host by `match.host`, not as a header",
            );
        }
        if kind == Kind::Cookie && !http::is_token(&name) || name.is_empty() {
            let what = if kind == Kind::Cookie { "cookie" } else { "query parameter" };
            scope.fault(written_name.span, format!("`{name}` is no name of a {what}"));
        }
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name) {
            let first = *first;
            scope.fault(written_name.span, format!("`{name}` is here twice")).also =
                Some((first, "first here".into()));
            continue;
        }
        seen.push((name.clone(), written_name.span));
        if let Some(test) = value_test(test, kind, scope) {
            predicates.push(Predicate { name, test });
        }
    }
    predicates
}

fn value_test(written: &Spanned<TestSpec>, kind: Kind, scope: &mut Scope<'_>) -> Option<ValueTest> {
    match &written.value {
        TestSpec::Present(present) => Some(ValueTest::Present(*present)),
        TestSpec::Regex(source) => regex(source, scope).map(ValueTest::Regex),
        TestSpec::Exact(text) => {
            if kind == Kind::Header && !http::is_field_value(text) {
                scope.fault(written.span, "no header can have this value").label =
                    "no control characters, no line breaks, no space around it".into();
            }
            Some(ValueTest::Exact(text.as_str().into()))
        }
    }
}

/// A regular expression that must match the whole.
pub(super) fn regex(written: &Spanned<String>, scope: &mut Scope<'_>) -> Option<Regex> {
    build(written, |source| format!("^(?:{source})$"), scope)
}

/// A regular expression that must match somewhere.
pub(super) fn regex_within(written: &Spanned<String>, scope: &mut Scope<'_>) -> Option<Regex> {
    build(written, str::to_owned, scope)
}

fn build(
    written: &Spanned<String>,
    complete: impl FnOnce(&str) -> String,
    scope: &mut Scope<'_>,
) -> Option<Regex> {
    let source = written.as_str();
    if source.len() > REGEX_LENGTH {
        scope.fault(written.span, format!("a regular expression has at most {REGEX_LENGTH} bytes"));
        return None;
    }
    // Alone first: `a)|(b` must not become legal by what is put around it.
    if let Err(error) = ParserBuilder::new().utf8(false).build().parse(source) {
        let why = match &error {
            _ if written.hidden => "its syntax is wrong".to_owned(),
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "its syntax is wrong".to_owned(),
        };
        refuse(written, &why, scope);
        return None;
    }
    match RegexBuilder::new(&complete(source)).size_limit(REGEX_MEMORY).build() {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            refuse(written, &format!("it needs more than {} MiB", REGEX_MEMORY >> 20), scope);
            None
        }
        Err(_) => {
            refuse(written, "its syntax is wrong", scope);
            None
        }
    }
}

fn refuse(written: &Spanned<String>, why: &str, scope: &mut Scope<'_>) {
    scope.fault(written.span, format!("this regular expression cannot be used: {why}"));
}
