//! JSON read strictly into one flat piece of memory, and a view of it.
//!
//! A document is a row of nodes of 16 bytes in the order of the text, and one string with all texts
//! behind each other: two allocations however many members there are. Members with the same name in
//! one object are refused at any depth, since two readers may take different ones (RFC 8725 section
//! 2.4). Depth is bounded, and numbers that no 64 bits hold are kept as floating point.

mod read;
mod view;

pub use view::{List, Number, Object, Value};

/// Why a text is not JSON that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON, not UTF-8, or a number is too large for any type.
    #[error("is not JSON")]
    Syntax,
    /// An object has two members with the same name.
    #[error("has two members with the same name")]
    Duplicate,
    /// Objects and lists are nested too deeply.
    #[error("is nested too deeply")]
    Depth,
    /// It is JSON, but not an object.
    #[error("is not an object")]
    NotAnObject,
}

/// One value, or the start of one; an object's or list's values follow it.
#[derive(Debug, Clone, Copy)]
enum Node {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// A text, by its place among the texts.
    Text {
        start: u32,
        length: u32,
    },
    /// A list of `count` values, and the node after its last one.
    List {
        count: u32,
        end: u32,
    },
    /// An object of `count` members, each a text and a value, and the node after its last one.
    Object {
        count: u32,
        end: u32,
    },
}

/// A whole JSON object.
#[derive(Debug, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    texts: String,
}

impl Document {
    /// Reads a text that must be one object and nothing else but whitespace around it.
    ///
    /// # Errors
    /// When it is anything else, or breaks a rule of this module.
    pub(crate) fn read(text: &[u8]) -> Result<Document, JsonError> {
        read::document(text)
    }

    /// The object.
    pub(crate) fn root(&self) -> Object<'_> {
        match self.value(0) {
            Value::Object(object) => object,
            _ => Object::empty(self),
        }
    }

    /// Bytes of memory that the document takes.
    pub(crate) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.texts.capacity() + size_of::<Document>()
    }

    /// Gives back the memory that reading took in advance.
    pub(crate) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.texts.shrink_to_fit();
    }

    /// Overwrites what was read, since parts of it are secret.
    pub(crate) fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.texts);
        self.nodes.clear();
    }

    fn value(&self, at: u32) -> Value<'_> {
        match self.nodes.get(at as usize) {
            None | Some(Node::Null) => Value::Null,
            Some(Node::Bool(value)) => Value::Bool(*value),
            Some(Node::Signed(value)) => Value::Number(Number::Signed(*value)),
            Some(Node::Unsigned(value)) => Value::Number(Number::Unsigned(*value)),
            Some(Node::Float(value)) => Value::Number(Number::Float(*value)),
            Some(Node::Text { .. }) => Value::Text(self.text(at)),
            Some(Node::List { count, .. }) => Value::List(List::new(self, at + 1, *count)),
            Some(Node::Object { count, .. }) => Value::Object(Object::new(self, at + 1, *count)),
        }
    }

    /// The text at a node, which is one.
    fn text(&self, at: u32) -> &str {
        let Some(Node::Text { start, length }) = self.nodes.get(at as usize) else { return "" };
        let start = *start as usize;
        self.texts.get(start..start + *length as usize).unwrap_or_default()
    }

    /// The node after the value that starts at this one.
    fn after(&self, at: u32) -> u32 {
        match self.nodes.get(at as usize) {
            Some(Node::List { end, .. } | Node::Object { end, .. }) => *end,
            _ => at + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> JsonError {
        Document::read(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 16);
    }

    #[test]
    fn everything_is_read_as_it_is_written() {
        let text =
            r#"{"a":[1,-2,3.5,true,null,"x\ty\u00e9"],"b":{"c":{}},"big":18446744073709551615}"#;
        let document = Document::read(text.as_bytes()).unwrap();
        let root = document.root();
        assert_eq!(root.len(), 3);
        assert_eq!(root.get("big").and_then(Value::as_u64), Some(u64::MAX));
        let Some(Value::List(list)) = root.get("a") else { panic!("no list") };
        assert_eq!(list.len(), 6);
        assert_eq!(list.get(1).and_then(Value::as_i64), Some(-2));
        assert_eq!(list.get(2).and_then(Value::as_f64), Some(3.5));
        assert_eq!(list.get(5).and_then(Value::as_str), Some("x\ty\u{e9}"));
        assert!(list.get(6).is_none());
        let again: serde_json::Value = serde_json::to_value(Value::Object(root)).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn members_with_the_same_name_are_refused_at_any_depth() {
        assert_eq!(error(r#"{"a":1,"a":1}"#), JsonError::Duplicate);
        assert_eq!(error(r#"{"a":1,"\u0061":2}"#), JsonError::Duplicate);
        assert_eq!(error(r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#), JsonError::Duplicate);
        let many: Vec<String> = (0..100).map(|n| format!("\"m{n}\":{n}")).collect();
        assert!(Document::read(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        assert_eq!(error(&format!("{{{},\"m57\":0}}", many.join(","))), JsonError::Duplicate);
        assert!(Document::read(br#"{"a":{"a":{"a":1}}}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Document::read(nested(31).as_bytes()).is_ok());
        assert_eq!(error(&nested(32)), JsonError::Depth);
        assert_eq!(error(&nested(100_000)), JsonError::Depth);
        assert_eq!(error(&format!("{{\"a\":{}", "{\"a\":".repeat(100_000))), JsonError::Depth);
    }

    #[test]
    fn only_an_object_and_nothing_more() {
        for text in ["[]", "1", "null", "\"a\"", "[{}]"] {
            assert_eq!(error(text), JsonError::NotAnObject, "{text}");
        }
        for text in [
            "",
            "{",
            "{}{}",
            "{} x",
            "\u{feff}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "{/**/}",
        ] {
            assert_eq!(error(text), JsonError::Syntax, "{text:?}");
        }
        assert_eq!(Document::read(b"{\"a\":\"\xff\"}").unwrap_err(), JsonError::Syntax);
        assert_eq!(Document::read(b"{\"a\xc0\x80\":1}").unwrap_err(), JsonError::Syntax);
        assert!(Document::read(b" \r\n\t{} \n").is_ok());
    }

    #[test]
    fn huge_numbers_are_kept_as_floating_point() {
        let document =
            Document::read(br#"{"a":123456789012345678901234567890,"b":-1e300}"#).unwrap();
        let root = document.root();
        assert_eq!(root.get("a").and_then(Value::as_f64), Some(123456789012345678901234567890.0));
        assert_eq!(root.get("a").and_then(Value::as_i64), None);
        assert_eq!(root.get("b").and_then(Value::as_u64), None);
    }
}
