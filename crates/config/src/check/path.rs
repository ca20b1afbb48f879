//! Path patterns. Literals are brought to the form that request paths are brought to: unreserved
//! characters decoded, what is left encoded in upper-case hex.

use std::sync::Arc;

use regex::bytes::Regex;

use super::Scope;
use super::matching::regex;
use crate::model::{PathPattern, Segment};
use crate::raw::{PathSpec, Spanned};

/// A pattern, or `None` after a fault.
pub(super) fn pattern(written: &Spanned<PathSpec>, scope: &mut Scope<'_>) -> Option<PathPattern> {
    match &written.value {
        PathSpec::Pattern(text) => {
            let text = Spanned { value: text.clone(), span: written.span, hidden: written.hidden };
            Some(PathPattern::Segments(segments(&text, true, scope)?.into()))
        }
        PathSpec::Prefix(text) => {
            let mut segments = segments(text, false, scope)?;
            if segments.last().is_some_and(|last| *last == Segment::Literal("".into())) {
                segments.pop();
            }
            Some(PathPattern::Prefix(segments.into()))
        }
        PathSpec::Regex(source) => {
            let regex = regex(source, scope)?;
            if parameters_of(&regex).any(|name| name == "query") {
                reserved(source, scope);
            }
            Some(PathPattern::Regex(regex))
        }
    }
}

/// The names of what a pattern captures.
pub(super) fn parameters(pattern: &PathPattern) -> Vec<&str> {
    match pattern {
        PathPattern::Segments(segments) | PathPattern::Prefix(segments) => segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Literal(_) => None,
                Segment::Param(name) | Segment::Rest(name) => Some(&**name),
            })
            .collect(),
        PathPattern::Regex(regex) => parameters_of(regex).collect(),
    }
}

fn parameters_of(regex: &Regex) -> impl Iterator<Item = &str> {
    regex.capture_names().flatten()
}

fn reserved(written: &Spanned<String>, scope: &mut Scope<'_>) {
    scope.fault(written.span, "a parameter cannot be named `query`").label =
        "`{query}` is the query in a redirect".into();
}

fn segments(written: &Spanned<String>, rest: bool, scope: &mut Scope<'_>) -> Option<Vec<Segment>> {
    let shown = written.shown();
    let mut fault = |message: String, label: &str| {
        scope.fault(written.span, message).label = label.into();
    };
    let Some(text) = written.as_str().strip_prefix('/') else {
        fault(format!("{shown} is no path"), "expected a `/` in front");
        return None;
    };
    let mut segments = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let pieces: Vec<&str> = text.split('/').collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len();
        let segment = match segment(piece, last) {
            Ok(segment) => segment,
            Err(problem) => {
                fault(format!("in the path {shown}, {}", problem.text()), problem.label());
                return None;
            }
        };
        if let Segment::Param(name) | Segment::Rest(name) = &segment {
            if &**name == "query" {
                reserved(written, scope);
                return None;
            }
            if !name.is_empty() && names.contains(&&**name) {
                fault(format!("in the path {shown}, the parameter `{name}` is here twice"), "");
                return None;
            }
            names.push(piece.trim_matches(['{', '}', '*']));
        }
        if !rest && matches!(segment, Segment::Rest(_)) {
            fault(format!("{shown} is no prefix"), "a prefix has its rest without `{*...}`");
            return None;
        }
        segments.push(segment);
    }
    Some(segments)
}

/// Why a segment is refused.
#[derive(Debug, PartialEq)]
pub(super) enum SegmentProblem {
    Empty,
    Dots,
    Query,
    Braces,
    RestNotLast,
    Percent,
    Control,
}

impl SegmentProblem {
    pub(super) fn text(&self) -> &'static str {
        match self {
            SegmentProblem::Empty => "a segment is empty",
            SegmentProblem::Dots => "a segment is `.` or `..`",
            SegmentProblem::Query => "there is a `?` or `#`",
            SegmentProblem::Braces => "a parameter is not a whole segment",
            SegmentProblem::RestNotLast => "`{*...}` is not the last segment",
            SegmentProblem::Percent => "a `%` is not followed by two hex digits",
            SegmentProblem::Control => "there is a control character",
        }
    }

    fn label(&self) -> &'static str {
        match self {
            SegmentProblem::Empty => "`//` never reaches a route",
            SegmentProblem::Dots => "dot segments are resolved before a route is looked for",
            SegmentProblem::Query => "only the path counts here; `match.query` looks at the query",
            SegmentProblem::Braces => "expected `/{name}/`; a plain `{` is written `%7B`",
            SegmentProblem::RestNotLast => "nothing can come after it",
            SegmentProblem::Percent => "a plain `%` is written `%25`",
            SegmentProblem::Control => "it never reaches a route",
        }
    }
}

fn segment(piece: &str, last: bool) -> Result<Segment, SegmentProblem> {
    if let Some(inner) = piece.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        if let Some(name) = inner.strip_prefix('*') {
            return match (is_parameter(name) || name.is_empty(), last) {
                (true, true) => Ok(Segment::Rest(name.into())),
                (true, false) => Err(SegmentProblem::RestNotLast),
                (false, _) => Err(SegmentProblem::Braces),
            };
        }
        return match is_parameter(inner) {
            true => Ok(Segment::Param(inner.into())),
            false => Err(SegmentProblem::Braces),
        };
    }
    if piece.is_empty() && !last {
        return Err(SegmentProblem::Empty);
    }
    literal(piece).map(Segment::Literal)
}

/// A parameter's name: a letter or `_`, then letters, digits and `_`.
pub(super) fn is_parameter(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A literal segment in normalised form.
pub(super) fn literal(piece: &str) -> Result<Arc<str>, SegmentProblem> {
    let mut out = String::with_capacity(piece.len());
    let mut bytes = piece.bytes();
    while let Some(byte) = bytes.next() {
        let (byte, encoded) = match byte {
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => (high << 4 | low, true),
                _ => return Err(SegmentProblem::Percent),
            },
            b'?' | b'#' => return Err(SegmentProblem::Query),
            b'{' | b'}' => return Err(SegmentProblem::Braces),
            other => (other, false),
        };
        if byte < 0x20 || byte == 0x7f {
            return Err(SegmentProblem::Control);
        }
        let plain = is_unreserved(byte) || (!encoded && is_segment_delimiter(byte));
        match plain {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    match out.as_str() {
        "." | ".." => Err(SegmentProblem::Dots),
        _ => Ok(out.into()),
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What else may stand plainly in a segment (`pchar`, RFC 3986, 3.3).
fn is_segment_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_normalised() {
        assert_eq!(&*literal("a%2db%c3%a9%2f").unwrap(), "a-b%C3%A9%2F");
        assert_eq!(&*literal("é b").unwrap(), "%C3%A9%20b");
        assert_eq!(&*literal("a:b@c;d=1").unwrap(), "a:b@c;d=1");
        assert_eq!(&*literal("%3Bx").unwrap(), "%3Bx");
        assert_eq!(literal("%2e%2E"), Err(SegmentProblem::Dots));
        assert_eq!(literal("."), Err(SegmentProblem::Dots));
        assert_eq!(&*literal("...").unwrap(), "...");
        assert_eq!(literal("%4"), Err(SegmentProblem::Percent));
        assert_eq!(literal("%00"), Err(SegmentProblem::Control));
        assert_eq!(literal("a?b"), Err(SegmentProblem::Query));
    }

    #[test]
    fn segments_are_told_apart() {
        assert_eq!(segment("{id}", false), Ok(Segment::Param("id".into())));
        assert_eq!(segment("{*r}", true), Ok(Segment::Rest("r".into())));
        assert_eq!(segment("{*}", true), Ok(Segment::Rest("".into())));
        assert_eq!(segment("{*r}", false), Err(SegmentProblem::RestNotLast));
        assert_eq!(segment("v{id}", false), Err(SegmentProblem::Braces));
        assert_eq!(segment("{1d}", false), Err(SegmentProblem::Braces));
        assert_eq!(segment("", true), Ok(Segment::Literal("".into())));
        assert_eq!(segment("", false), Err(SegmentProblem::Empty));
    }
}
