//! How a document is seen: values that borrow from it and are copied like a reference.

use serde::ser::{Serialize, Serializer};

use super::Document;

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text, its escapes resolved.
    Text(&'a str),
    /// A list of values.
    List(List<'a>),
    /// Members by name.
    Object(Object<'a>),
}

/// A number, as exactly as 64 bits hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number below zero.
    Signed(i64),
    /// A whole number that is not below zero.
    Unsigned(u64),
    /// Any other one: finite, rounded to what a double holds.
    Float(f64),
}

/// A list of a document.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    document: &'a Document,
    first: u32,
    count: u32,
}

/// An object of a document. No two members have the same name.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    document: &'a Document,
    first: u32,
    count: u32,
}

impl<'a> Value<'a> {
    /// The text, when it is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, when it is one that fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Value::Number(Number::Signed(value)) => Some(value),
            Value::Number(Number::Unsigned(value)) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    /// The whole number, when it is one that is not below zero.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Value::Number(Number::Unsigned(value)) => Some(value),
            _ => None,
        }
    }

    /// The number, when it is one, rounded where a double does not hold it.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// The list, when it is one.
    #[must_use]
    pub fn as_list(self) -> Option<List<'a>> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The object, when it is one.
    #[must_use]
    pub fn as_object(self) -> Option<Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl Number {
    /// The number as a double, rounded where that does not hold it.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Signed(value) => value as f64,
            Number::Unsigned(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn new(document: &'a Document, first: u32, count: u32) -> List<'a> {
        List { document, first, count }
    }

    /// How many values it has.
    #[must_use]
    pub fn len(self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The value at a place, counted from 0.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        self.iter().nth(index)
    }

    /// The values in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> + Clone {
        let List { document, first, count } = self;
        std::iter::successors(Some(first), move |at| Some(document.after(*at)))
            .take(count as usize)
            .map(move |at| document.value(at))
    }
}

impl<'a> Object<'a> {
    pub(super) fn new(document: &'a Document, first: u32, count: u32) -> Object<'a> {
        Object { document, first, count }
    }

    pub(super) fn empty(document: &'a Document) -> Object<'a> {
        Object { document, first: 0, count: 0 }
    }

    /// How many members it has.
    #[must_use]
    pub fn len(self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The value of the member with exactly this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.iter().find(|(member, _)| *member == name).map(|(_, value)| value)
    }

    /// Names and values in the order of the text.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Value<'a>)> + Clone {
        let Object { document, first, count } = self;
        std::iter::successors(Some(first), move |at| Some(document.after(*at + 1)))
            .take(count as usize)
            .map(move |at| (document.text(at), document.value(at + 1)))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(Number::Signed(value)) => serializer.serialize_i64(*value),
            Value::Number(Number::Unsigned(value)) => serializer.serialize_u64(*value),
            Value::Number(Number::Float(value)) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => serializer.collect_seq(list.iter()),
            Value::Object(object) => serializer.collect_map(object.iter()),
        }
    }
}
