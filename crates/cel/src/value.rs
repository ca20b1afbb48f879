//! Values. Whatever the source has is borrowed from it.

use std::borrow::Cow;
use std::fmt::Debug;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

/// A value.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number with a sign.
    Int(i64),
    /// A whole number without one.
    Uint(u64),
    /// A number with a point.
    Double(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A moment.
    Timestamp(Timestamp),
    /// A stretch of time.
    Duration(SignedDuration),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
}

/// A list.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// One that an expression has made.
    Own(Rc<[Value<'a>]>),
    /// One of the source's.
    Host(Rc<dyn HostList<'a> + 'a>),
}

/// A map.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// One that an expression has made; no key is there twice.
    Own(Rc<[(Value<'a>, Value<'a>)]>),
    /// One of the source's.
    Host(Rc<dyn HostMap<'a> + 'a>),
}

/// A list that the source has in a form of its own.
pub trait HostList<'a>: Debug {
    /// How many items it has.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at a place.
    fn item(&self, place: usize) -> Option<Value<'a>>;

    /// All of them.
    fn items(&self) -> Vec<Value<'a>>;
}

/// A map from text to values that the source has in a form of its own.
pub trait HostMap<'a>: Debug {
    /// How many keys it may have: so much a look into it costs.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    ///
    /// # Errors
    /// It has one, but it cannot be said which.
    fn value(&self, key: &str) -> Result<Option<Value<'a>>, &'static str>;

    /// Its keys, each once.
    fn keys(&self) -> Vec<Cow<'a, str>>;
}

impl<'a> Value<'a> {
    /// Text that is borrowed.
    #[must_use]
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Text(Cow::Borrowed(text))
    }

    /// The name of its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Timestamp(_) => "timestamp",
            Value::Duration(_) => "duration",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            List::Own(items) => items.len(),
            List::Host(list) => list.len(),
        }
    }

    /// All items; those of an expression's own list are shared.
    pub(crate) fn items(&self) -> Rc<[Value<'a>]> {
        match self {
            List::Own(items) => Rc::clone(items),
            List::Host(list) => list.items().into(),
        }
    }

    pub(crate) fn item(&self, place: usize) -> Option<Value<'a>> {
        match self {
            List::Own(items) => items.get(place).cloned(),
            List::Host(list) => list.item(place),
        }
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Map::Own(entries) => entries.len(),
            Map::Host(map) => map.len(),
        }
    }

    /// Its keys.
    pub(crate) fn keys(&self) -> Rc<[Value<'a>]> {
        match self {
            Map::Own(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Map::Host(map) => map.keys().into_iter().map(Value::Text).collect(),
        }
    }
}
