//! What can go wrong while a node is turned into a value: serde's errors, kept in parts until it is
//! known whether the value may be shown.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use crate::node::{Finding, Node, Span};
use crate::report::nearest;

/// A fault of one value, and the way to it.
#[derive(Debug)]
pub(crate) struct DecodeError {
    problem: Problem,
    at: Option<Span>,
    hidden: bool,
    /// Indices from the innermost container outwards.
    pub(super) path: Vec<usize>,
    /// The field that is missing, if that is the fault.
    pub(super) missing: Option<&'static str>,
}

#[derive(Debug)]
enum Problem {
    /// Text of a hand-written `Deserialize`; it never holds the value.
    Custom(String),
    Type {
        found: &'static str,
        expected: String,
    },
    Value {
        shown: String,
        expected: String,
    },
    Missing(&'static str),
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    UnknownWord {
        word: String,
        known: &'static [&'static str],
    },
}

impl DecodeError {
    fn new(problem: Problem) -> Self {
        DecodeError { problem, at: None, hidden: false, path: Vec::new(), missing: None }
    }

    /// Notes where the fault is, if that is not known yet.
    pub(super) fn at(mut self, node: &Node) -> Self {
        if self.at.is_none() {
            self.at = Some(node.span);
            self.hidden = node.hidden;
        }
        self
    }

    /// Notes that the fault is a key itself.
    pub(super) fn at_key(mut self, span: Span) -> Self {
        self.at.get_or_insert(span);
        self
    }

    /// The fault as it is reported; `holder` is the key of the faulty value.
    pub(super) fn into_finding(self, holder: Span) -> Finding {
        let at = self.at.unwrap_or(holder);
        match self.problem {
            Problem::Custom(message) => Finding::error(at, message),
            Problem::Type { found, expected } => Finding::error(at, format!("wrong type: {found}"))
                .label(format!("expected {expected}")),
            Problem::Value { expected, .. } if self.hidden => {
                Finding::error(at, "what this reference brings in is no valid value")
                    .label(format!("expected {expected}"))
            }
            Problem::Value { shown, expected } => {
                Finding::error(at, format!("invalid value: {shown}"))
                    .label(format!("expected {expected}"))
            }
            Problem::Missing(field) => Finding::error(holder, format!("`{field}` is missing"))
                .label(format!("needs `{field}`")),
            Problem::UnknownKey { key, known } => {
                hint(Finding::error(at, format!("unknown key `{key}`")), &key, known)
            }
            Problem::UnknownWord { known, .. } if self.hidden => {
                Finding::error(at, "what this reference brings in is no valid value")
                    .label(format!("expected one of {}", listed(known)))
            }
            Problem::UnknownWord { word, known } => {
                let finding = Finding::error(at, format!("`{word}` is not known here"));
                hint(finding, &word, known).label(format!("expected one of {}", listed(known)))
            }
        }
    }
}

/// Words that others use for one of ours, too far from it for a slip.
const SYNONYMS: [(&str, &str); 8] = [
    ("h2", "http2"),
    ("h2c", "http2"),
    ("grpc", "http2"),
    ("grpcs", "http2"),
    ("http/2", "http2"),
    ("http", "http1"),
    ("https", "http1"),
    ("http/1.1", "http1"),
];

fn hint(finding: Finding, written: &str, known: &[&'static str]) -> Finding {
    let word = written.to_ascii_lowercase();
    let mut meant = SYNONYMS.iter().filter(|(other, _)| *other == word).map(|(_, ours)| *ours);
    let meant = meant.find(|ours| known.contains(ours));
    match meant.or_else(|| nearest(written, known.iter().copied())) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => finding,
        None => finding.help(format!("known here: {}", listed(known))),
    }
}

fn listed(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        DecodeError::new(Problem::Custom(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        DecodeError::new(Problem::Type { found: name(&found), expected: plain(expected) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let shown = match found {
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Unsigned(value) => format!("`{value}`"),
            Unexpected::Signed(value) => format!("`{value}`"),
            Unexpected::Float(value) => format!("`{value}`"),
            Unexpected::Str(text) => format!("`{text}`"),
            ref other => name(other).to_owned(),
        };
        DecodeError::new(Problem::Value { shown, expected: plain(expected) })
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        DecodeError::new(Problem::Type { found: "a list", expected: plain(expected) })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        DecodeError::new(Problem::UnknownKey { key: key.to_owned(), known })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        DecodeError::new(Problem::UnknownWord { word: word.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = DecodeError::new(Problem::Missing(field));
        error.missing = Some(field);
        error
    }
}

/// What is expected, in words of a configuration rather than of the language we are written in.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "bool" => "`true` or `false`".into(),
        _ if text.starts_with("struct ") => "a map".into(),
        _ => text,
    }
}

fn name(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a floating-point number",
        Unexpected::Str(_) => "a string",
        Unexpected::Unit => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        _ => "something else",
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl std::error::Error for DecodeError {}
