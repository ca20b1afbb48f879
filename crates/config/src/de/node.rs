//! `serde::Deserializer` over a node.

use serde::de::value::{BoolDeserializer, StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{DecodeError, SPANNED, SPANNED_FIELDS};
use crate::node::{Entry, Kind, Node};

impl<'de> Deserializer<'de> for &'de Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            // Unsigned first: most visitors look for `visit_u64`.
            Kind::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Kind::Map(map) => visitor.visit_map(Entries { entries: &map.entries, next: 0 }),
        }
        .map_err(|error| error.at(self))
    }

    /// A key without a value is not the same as no key: `tls:` alone must not mean "no TLS".
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.kind {
            Kind::Text(text) if self.hidden => match &**text {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => Err(DecodeError::invalid_value(Unexpected::Str(text), &"`true` or `false`")),
            }
            .map_err(|error| error.at(self)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.kind {
            Kind::Text(text) if self.hidden => match text.parse::<i64>() {
                Ok(value) if value < 0 => visitor.visit_i64(value),
                Ok(value) => visitor.visit_u64(value.unsigned_abs()),
                Err(_) => Err(DecodeError::invalid_value(Unexpected::Str(text), &"a whole number")),
            }
            .map_err(|error| error.at(self)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self).map_err(|error| error.at(self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == SPANNED {
            return visitor.visit_map(Placed { node: self, next: 0 });
        }
        match &self.kind {
            Kind::Map(map) => visitor.visit_map(Entries { entries: &map.entries, next: 0 }),
            Kind::Null => visitor.visit_map(Entries { entries: &[], next: 0 }),
            // A derived `visit_seq` would take a list for a struct.
            _ => Err(DecodeError::invalid_type(self.unexpected(), &"a map")),
        }
        .map_err(|error| error.at(self))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.kind {
            Kind::Null => {
                visitor.visit_map(Entries { entries: &[], next: 0 }).map_err(|error| error.at(self))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.kind {
            Kind::Text(text) => {
                visitor.visit_enum(IntoDeserializer::<DecodeError>::into_deserializer(&**text))
            }
            _ => Err(DecodeError::invalid_type(self.unexpected(), &"a string")),
        }
        .map_err(|error| error.at(self))
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.kind {
            Kind::Null => Unexpected::Unit,
            Kind::Bool(value) => Unexpected::Bool(*value),
            Kind::Int(value) => Unexpected::Signed(*value),
            Kind::Float(value) => Unexpected::Float(*value),
            Kind::Text(text) => Unexpected::Str(text),
            Kind::List(_) => Unexpected::Seq,
            Kind::Map(_) => Unexpected::Map,
        }
    }
}

struct Items<'de> {
    items: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        match seed.deserialize(item) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let mut error = error.at(item);
                error.path.push(index);
                Err(error)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Entries<'de> {
    entries: &'de [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        // Hand-written types take the key with its place.
        match seed.deserialize(Key(entry)) {
            Ok(key) => Ok(Some(key)),
            Err(error) => {
                let mut error = error.at_key(entry.key_span);
                error.path.push(self.next);
                Err(error)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Err(DecodeError::custom("a value without a key"));
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(&entry.value).map_err(|error| {
            let mut error = error.at(&entry.value);
            error.path.push(index);
            error
        })
    }
}

/// A key: text, or text with its place if asked for that.
struct Key<'de>(&'de Entry);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(PlacedKey { entry: self.0, next: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A value with its place, as [`SPANNED_FIELDS`].
struct Placed<'de> {
    node: &'de Node,
    next: usize,
}

impl<'de> MapAccess<'de> for Placed<'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        field_name(self.next, seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(number(self.node.span.start)),
            2 => seed.deserialize(number(self.node.span.end)),
            3 => seed.deserialize(boolean(self.node.hidden)),
            _ => seed.deserialize(self.node),
        }
    }
}

/// A key with its place, as [`SPANNED_FIELDS`].
struct PlacedKey<'de> {
    entry: &'de Entry,
    next: usize,
}

impl<'de> MapAccess<'de> for PlacedKey<'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        field_name(self.next, seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(number(self.entry.key_span.start)),
            2 => seed.deserialize(number(self.entry.key_span.end)),
            3 => seed.deserialize(boolean(false)),
            _ => seed.deserialize(Key(self.entry)),
        }
    }
}

fn field_name<'de, S: DeserializeSeed<'de>>(
    index: usize,
    seed: S,
) -> Result<Option<S::Value>, DecodeError> {
    match SPANNED_FIELDS.get(index) {
        None => Ok(None),
        Some(name) => seed.deserialize(StrDeserializer::<DecodeError>::new(name)).map(Some),
    }
}

fn number(value: u32) -> U32Deserializer<DecodeError> {
    value.into_deserializer()
}

fn boolean(value: bool) -> BoolDeserializer<DecodeError> {
    value.into_deserializer()
}
