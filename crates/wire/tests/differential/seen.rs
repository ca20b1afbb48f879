//! What a parser made of its input, in a form in which two parsers can be compared.

use std::fmt;

use portcullis_wire::Malformed;

/// Names in lower case and values, ordered by name, fields of one name in the order they came.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A message as it was understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// `METHOD authority target`, or the status.
    pub(crate) line: Vec<u8>,
    /// 0 or 1, of HTTP/1.x.
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
    pub(crate) content: Vec<u8>,
    pub(crate) trailers: Fields,
}

/// Everything that was read from one connection.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Whole messages.
    pub(crate) messages: Vec<Message>,
    /// One more, whose head was accepted and whose content did not come to its end.
    pub(crate) cut: Option<Message>,
    pub(crate) end: End,
}

/// How reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Between two messages, or by `Connection: close`.
    Clean,
    /// The input ended within a message.
    Truncated,
    /// We refused what came.
    Refused(Malformed),
    /// hyper refused what came.
    RefusedByHyper(String),
}

impl Message {
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |(n, _): &&(Vec<u8>, Vec<u8>)| n == name.as_bytes();
        self.fields.iter().filter(named).map(|(_, value)| &value[..])
    }
}

/// Brings fields into the order in which they are compared.
pub(crate) fn ordered<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Fields {
    let mut fields: Fields =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} HTTP/1.{}", self.line.escape_ascii(), self.minor)?;
        for (name, value) in self.fields.iter().chain(&self.trailers) {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, " | content \"{}\"", self.content.escape_ascii())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
