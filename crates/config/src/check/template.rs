//! Templates: text with `{parameters}` in redirects and rewrites.

use std::sync::Arc;

use super::{Scope, path};
use crate::model::{PathPattern, Piece, Template};
use crate::raw::Spanned;
use crate::report::nearest;

/// Reads a template; one of a `redirect` knows `{query}` and `{host}` besides. Every parameter must be captured by every path of the route, since any of them
/// may have matched.
pub(super) fn template(
    written: &Spanned<String>,
    paths: &[PathPattern],
    redirect: bool,
    scope: &mut Scope<'_>,
) -> Template {
    let mut pieces = Vec::new();
    let mut rest = written.as_str();
    while let Some(open) = rest.find(['{', '}']) {
        push_text(&rest[..open], &mut pieces);
        let inner = &rest[open + 1..];
        let Some(close) = inner.find('}').filter(|_| rest[open..].starts_with('{')) else {
            scope.fault(written.span, "a `{` and a `}` do not pair").label =
                "a plain `{` is written `%7B`".into();
            return Template { pieces };
        };
        let name = inner[..close].trim_start_matches('*');
        if name == "query" && redirect {
            pieces.push(Piece::Query);
        } else if name == "host" && redirect && !has_parameter(paths, name) {
            pieces.push(Piece::Host);
        } else if let Some(parameter) = parameter(name, written, paths, scope) {
            pieces.push(Piece::Param(parameter));
        }
        rest = &inner[close + 1..];
    }
    push_text(rest, &mut pieces);
    Template { pieces }
}

/// Whether any path captures a parameter of this name, which then is meant.
fn has_parameter(paths: &[PathPattern], name: &str) -> bool {
    paths.iter().any(|pattern| path::parameters(pattern).contains(&name))
}

fn parameter(
    name: &str,
    written: &Spanned<String>,
    paths: &[PathPattern],
    scope: &mut Scope<'_>,
) -> Option<Arc<str>> {
    let lacking = paths.iter().find(|pattern| !path::parameters(pattern).contains(&name));
    if path::is_parameter(name) && lacking.is_none() {
        return Some(name.into());
    }
    let known = lacking.map(path::parameters).unwrap_or_default();
    // The paths were faulty and are not here: it cannot be known what they would capture.
    if paths.is_empty() {
        return None;
    }
    let shown = if written.hidden { "a parameter" } else { name };
    let fault =
        scope.fault(written.span, format!("no parameter `{shown}` in the path of this route"));
    fault.help = match (nearest(name, known.iter().copied()), known.as_slice()) {
        (Some(near), _) => Some(format!("did you mean `{{{near}}}`?")),
        (None, _) if name == "query" => {
            Some("the query is kept as it is; leave `{query}` out".into())
        }
        (None, []) => {
            Some(format!("write the path with it, such as `/x/{{{name}}}` or `/x/{{*{name}}}`"))
        }
        (None, names) => Some(format!("the path has {}", listed(names))),
    }
    .filter(|_| !written.hidden);
    if paths.len() > 1 {
        fault.label = "every path of the route must have it".into();
    }
    None
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
}

/// Adds text, with what may not stand in a URI percent-encoded.
fn push_text(text: &str, pieces: &mut Vec<Piece>) {
    if text.is_empty() {
        return;
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        // RFC 3986: unreserved, reserved, and `%` of what is encoded already.
        match byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    pieces.push(Piece::Text(out.into()));
}

/// The location of a redirect.
pub(super) fn location(
    written: &Spanned<String>,
    paths: &[PathPattern],
    scope: &mut Scope<'_>,
) -> Template {
    let text = written.as_str();
    let rooted =
        text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://");
    if !rooted || text.chars().any(char::is_control) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no location to redirect to")).label =
            "expected `https://HOST/PATH` or `/PATH`".into();
    }
    template(written, paths, true, scope)
}

/// The path of a rewrite.
pub(super) fn rewrite(
    written: &Spanned<String>,
    paths: &[PathPattern],
    scope: &mut Scope<'_>,
) -> Template {
    let text = written.as_str();
    if !text.starts_with('/') || text.contains(['?', '#']) || text.chars().any(char::is_control) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no path to rewrite to")).label =
            "expected a path that begins with `/`, without query".into();
    }
    template(written, paths, false, scope)
}
