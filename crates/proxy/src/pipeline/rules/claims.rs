//! Claims of a token as expressions see them, without a copy.

use std::borrow::Cow;
use std::rc::Rc;

use portcullis_cel::{HostList, HostMap, List, Map, Value};
use portcullis_jose as jose;

/// The claims of a token, or an object within.
#[derive(Debug)]
pub(super) struct Claims<'a>(pub(super) jose::Object<'a>);

/// A list within.
#[derive(Debug)]
struct Items<'a>(jose::List<'a>);

/// There is no token.
#[derive(Debug)]
pub(super) struct None;

fn value(value: jose::Value<'_>) -> Value<'_> {
    match value {
        jose::Value::Null => Value::Null,
        jose::Value::Bool(value) => Value::Bool(value),
        jose::Value::Number(jose::Number::Signed(number)) => Value::Int(number),
        jose::Value::Number(jose::Number::Unsigned(number)) => {
            i64::try_from(number).map_or(Value::Uint(number), Value::Int)
        }
        jose::Value::Number(jose::Number::Float(number)) => Value::Double(number),
        jose::Value::Text(text) => Value::text(text),
        jose::Value::List(list) => Value::List(List::Host(Rc::new(Items(list)))),
        jose::Value::Object(object) => Value::Map(Map::Host(Rc::new(Claims(object)))),
    }
}

impl<'a> HostMap<'a> for Claims<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn value(&self, key: &str) -> Result<Option<Value<'a>>, &'static str> {
        Ok(self.0.get(key).map(value))
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        self.0.iter().map(|(key, _)| Cow::Borrowed(key)).collect()
    }
}

impl<'a> HostList<'a> for Items<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn item(&self, place: usize) -> Option<Value<'a>> {
        self.0.get(place).map(value)
    }

    fn items(&self) -> Vec<Value<'a>> {
        self.0.iter().map(value).collect()
    }
}

impl<'a> HostMap<'a> for None {
    fn len(&self) -> usize {
        0
    }

    fn value(&self, _: &str) -> Result<Option<Value<'a>>, &'static str> {
        Ok(Option::None)
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        Vec::new()
    }
}
