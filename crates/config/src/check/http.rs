//! What RFC 9110 allows: tokens, field names and values, methods, and the fields that a fixed reply
//! may not set.

use std::sync::Arc;

use super::Scope;
use crate::node::Span;
use crate::raw::{Entries, Spanned};

/// Fields that frame a message or belong to one connection: the gateway writes them itself.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const METHODS: &[&str] = &["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// A token (RFC 9110, 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(legal)
}

/// A field value (RFC 9110, 5.5): no control characters but tab, no space around it.
pub(super) fn is_field_value(text: &str) -> bool {
    let blank = |c: char| c == ' ' || c == '\t';
    text.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
        && !text.starts_with(blank)
        && !text.ends_with(blank)
}

/// Methods in the order written, with `HEAD` where there is `GET`.
pub(super) fn methods(written: &[Spanned<String>], scope: &mut Scope<'_>) -> Vec<Arc<str>> {
    let mut methods: Vec<Arc<str>> = Vec::new();
    for method in written {
        let text = method.as_str();
        let upper = text.to_ascii_uppercase();
        if !is_token(text) {
            let shown = method.shown();
            scope.fault(method.span, format!("{shown} is no method"));
        } else if text == "CONNECT" {
            scope.fault(method.span, "`CONNECT` is never let in, so no route can take it");
        } else if upper != text && METHODS.contains(&upper.as_str()) {
            let shown = method.shown();
            let fault =
                scope.fault(method.span, format!("{shown} is no known method: case counts"));
            fault.help = (!method.hidden).then(|| format!("did you mean `{upper}`?"));
        } else if !methods.iter().any(|known| &**known == text) {
            methods.push(text.into());
        }
    }
    if methods.iter().any(|m| &**m == "GET") && !methods.iter().any(|m| &**m == "HEAD") {
        methods.push("HEAD".into());
    }
    methods
}

/// A field name, lower case; a fault if it is none.
pub(super) fn field_name(name: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    if !is_token(name.as_str()) {
        let shown = name.shown();
        scope.fault(name.span, format!("{shown} is no header name")).label =
            "expected letters, digits and `-`".into();
    }
    name.as_str().to_ascii_lowercase().into()
}

/// The fields of a fixed reply.
pub(super) fn reply_headers(
    written: &Entries<Spanned<String>>,
    scope: &mut Scope<'_>,
) -> Vec<(Arc<str>, Arc<str>)> {
    headers(written, "reply", scope)
}

/// The fields of a request of our own.
pub(super) fn request_headers(
    written: &Entries<Spanned<String>>,
    scope: &mut Scope<'_>,
) -> Vec<(Arc<str>, Arc<str>)> {
    for (name, _) in &written.0 {
        if name.as_str().eq_ignore_ascii_case("host") {
            scope.fault(name.span, "`host` has a key of its own").help =
                Some("write `host` beside `headers`".into());
        }
    }
    headers(written, "request", scope)
}

fn headers(
    written: &Entries<Spanned<String>>,
    message: &str,
    scope: &mut Scope<'_>,
) -> Vec<(Arc<str>, Arc<str>)> {
    let mut fields = Vec::new();
    let mut seen: Vec<(Arc<str>, Span)> = Vec::new();
    for (name, value) in &written.0 {
        let lower = field_name(name, scope);
        if FRAMING.contains(&&*lower) {
            scope.fault(
                name.span,
                format!("`{lower}` cannot be set: the gateway frames the {message} itself"),
            );
        }
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == lower) {
            let first = *first;
            scope.fault(name.span, format!("the header `{lower}` is here twice")).also =
                Some((first, "first here".into()));
        }
        if !is_field_value(value.as_str()) {
            scope
                .fault(value.span, format!("the value of `{lower}` is not legal in a header"))
                .label = "no control characters, no line breaks, no space around it".into();
        }
        seen.push((lower.clone(), name.span));
        fields.push((lower, value.as_str().into()));
    }
    fields
}
