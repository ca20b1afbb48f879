//! A value together with where it was written.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::de::{SPANNED, SPANNED_FIELDS};
use crate::node::Span;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    /// It came in by a reference and is not to be shown.
    pub(crate) hidden: bool,
}

impl<T: AsRef<str>> Spanned<T> {
    pub(crate) fn as_str(&self) -> &str {
        self.value.as_ref()
    }

    /// The value for a message: quoted, unless it is hidden.
    pub(crate) fn shown(&self) -> String {
        if self.hidden {
            "what this reference brings in".into()
        } else {
            format!("`{}`", self.as_str())
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(SPANNED, SPANNED_FIELDS, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spanned<T>, A::Error> {
        fn field<'de, A: MapAccess<'de>, F: Deserialize<'de>>(map: &mut A) -> Result<F, A::Error> {
            match map.next_entry::<IgnoredAny, F>()? {
                Some((_, value)) => Ok(value),
                None => Err(A::Error::custom("a value without its place")),
            }
        }
        let span = Span { start: field(&mut map)?, end: field(&mut map)? };
        let hidden = field(&mut map)?;
        Ok(Spanned { span, hidden, value: field(&mut map)? })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
