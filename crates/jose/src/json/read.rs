//! From a text to a document: a visitor that `serde_json` calls value by value.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Document, JsonError, Node};

/// Objects and lists within each other, the outermost included.
const MOST_DEEP: u32 = 32;
/// Up to this many members are compared each with each; more are sorted first.
const FEW: usize = 16;
/// No text is longer, so that every place fits 32 bits. Callers' limits are far below.
const MOST_BYTES: usize = 1 << 28;

pub(super) fn document(text: &[u8]) -> Result<Document, JsonError> {
    if text.len() > MOST_BYTES {
        return Err(JsonError::Syntax);
    }
    let mut document = Document { nodes: Vec::with_capacity(32), texts: String::new() };
    document.texts.reserve(text.len());
    let fault = Cell::new(JsonError::Syntax);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { document: &mut document, depth: 0, fault: &fault };
    seed.deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| JsonError::Syntax)?;
    if !matches!(document.nodes.first(), Some(Node::Object { .. })) {
        return Err(JsonError::NotAnObject);
    }
    Ok(document)
}

/// Reads one value to the end of the document.
struct Seed<'d> {
    document: &'d mut Document,
    depth: u32,
    /// What went wrong where it was not the text's syntax.
    fault: &'d Cell<JsonError>,
}

impl Seed<'_> {
    fn push(self, node: Node) {
        self.document.nodes.push(node);
    }

    /// Leaves room for the node of an object or list, and gives its place.
    fn open<E: Error>(&mut self) -> Result<usize, E> {
        if self.depth == MOST_DEEP {
            self.fault.set(JsonError::Depth);
            return Err(E::custom("depth"));
        }
        self.document.nodes.push(Node::Null);
        Ok(self.document.nodes.len() - 1)
    }

    /// A seed for what is within.
    fn within(&mut self) -> Seed<'_> {
        Seed { document: self.document, depth: self.depth + 1, fault: self.fault }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Node::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.push(Node::Signed(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.push(Node::Unsigned(value));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.push(Node::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let start = self.document.texts.len() as u32;
        self.document.texts.push_str(text);
        self.push(Node::Text { start, length: text.len() as u32 });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<(), A::Error> {
        let place = self.open()?;
        let mut count = 0;
        while values.next_element_seed(self.within())?.is_some() {
            count += 1;
        }
        let end = self.document.nodes.len() as u32;
        self.document.nodes[place] = Node::List { count, end };
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let place = self.open()?;
        let mut count = 0;
        while members.next_key_seed(self.within())?.is_some() {
            members.next_value_seed(self.within())?;
            count += 1;
        }
        let end = self.document.nodes.len() as u32;
        self.document.nodes[place] = Node::Object { count, end };
        if has_duplicates(self.document, place as u32 + 1, count as usize) {
            self.fault.set(JsonError::Duplicate);
            return Err(A::Error::custom("duplicate"));
        }
        Ok(())
    }
}

/// Whether two of the `count` members from this node on have the same name.
fn has_duplicates(document: &Document, first: u32, count: usize) -> bool {
    let next = |at: &u32| document.after(*at + 1);
    let names = || {
        std::iter::successors(Some(first), move |at| Some(next(at)))
            .take(count)
            .map(|at| document.text(at))
    };
    if count <= FEW {
        return names().enumerate().any(|(at, name)| names().take(at).any(|other| other == name));
    }
    let mut sorted: Vec<&str> = names().collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
