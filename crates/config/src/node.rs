//! One tree for YAML, JSON and TOML: values with the byte range they were written at. The readers
//! below build it; [`crate::de`] turns it into the types of [`crate::raw`].

pub(crate) mod json;
pub(crate) mod reference;
pub(crate) mod toml;
pub(crate) mod yaml;

use std::hash::{Hash, Hasher};

/// The deepest nesting that is read. The format itself needs fewer than ten levels.
pub(crate) const DEEPEST: usize = 64;

/// A byte range in the text that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Files are kept below 4 GiB by [`crate::load`], so the casts lose nothing.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    /// The value came in by a reference: it may be a secret and is not shown in messages, and a
    /// number or a boolean may be read from it.
    pub(crate) hidden: bool,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    List(Vec<Node>),
    Map(Map),
}

/// Entries in the order they were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    /// Keys whose value was faulty and taken out, so that nobody complains that they are missing.
    pub(crate) pruned: Vec<Box<str>>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// A fault found inside one text; the loader adds the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: crate::report::Severity,
    pub(crate) message: String,
    pub(crate) at: Span,
    pub(crate) label: String,
    pub(crate) also: Option<(Span, String)>,
    pub(crate) help: Option<String>,
}

impl Finding {
    pub(crate) fn error(at: Span, message: impl Into<String>) -> Self {
        Finding {
            severity: crate::report::Severity::Error,
            message: message.into(),
            at,
            label: String::new(),
            also: None,
            help: None,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn also(mut self, at: Span, label: impl Into<String>) -> Self {
        self.also = Some((at, label.into()));
        self
    }
}

impl Node {
    pub(crate) fn new(span: Span, kind: Kind) -> Self {
        Node { span, kind, hidden: false }
    }

    /// What the value is, for messages; never its content.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a floating-point number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// Mixes the content into a hash; where it was written does not count.
    pub(crate) fn hash_content(&self, state: &mut impl Hasher) {
        std::mem::discriminant(&self.kind).hash(state);
        self.hidden.hash(state);
        match &self.kind {
            Kind::Null => {}
            Kind::Bool(value) => value.hash(state),
            Kind::Int(value) => value.hash(state),
            Kind::Float(value) => value.to_bits().hash(state),
            Kind::Text(text) => text.hash(state),
            Kind::List(items) => {
                items.len().hash(state);
                items.iter().for_each(|item| item.hash_content(state));
            }
            Kind::Map(map) => {
                map.entries.len().hash(state);
                for entry in &map.entries {
                    entry.key.hash(state);
                    entry.value.hash_content(state);
                }
            }
        }
    }
}

impl Map {
    #[cfg(test)]
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    /// Adds an entry, or says that its key is there already. Looking back through a big map would
    /// be quadratic, so the readers call [`Map::without_doubles`] once at its end instead.
    pub(crate) fn push(&mut self, key: &str, key_span: Span, value: Node) {
        self.entries.push(Entry { key: key.into(), key_span, value });
    }

    /// Takes out entries whose key came before, with a fault for each that names both places.
    pub(crate) fn without_doubles(mut self, findings: &mut Vec<Finding>) -> Self {
        let mut seen: std::collections::HashMap<Box<str>, Span> = Default::default();
        if self.entries.len() < 2 {
            return self;
        }
        self.entries.retain(|entry| match seen.get(&entry.key) {
            None => {
                seen.insert(entry.key.clone(), entry.key_span);
                true
            }
            Some(first) => {
                findings.push(duplicate_key(&entry.key, entry.key_span, *first));
                false
            }
        });
        self
    }
}

pub(crate) fn duplicate_key(key: &str, second: Span, first: Span) -> Finding {
    Finding::error(second, format!("the key `{key}` is here twice"))
        .label("again here")
        .also(first, "first here")
}
