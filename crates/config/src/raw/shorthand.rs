//! The short forms: one or a list, `off` or a value, durations and sizes, maps that keep the order
//! and place of their keys.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::Spanned;
use crate::quantity;

/// A duration such as `10s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `10s`, `500ms`, `1m30s` or `2h`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        quantity::duration(text)
            .map(Time)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
        match number {
            0 => Ok(Time(Duration::ZERO)),
            _ => Err(E::invalid_value(
                Unexpected::Unsigned(number),
                &"a duration with its unit, such as `10s`",
            )),
        }
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: numbers with units `ms`, `s`, `m`, `h` or `d`, such as `10s`, `500ms` or `1m30s`.",
            "anyOf": [
                { "type": "string", "pattern": r"^(0|(\d+(\.\d+)?(ms|s|m|min|h|d))+|.*\$\{.*|file:.*)$" },
                { "const": 0 }
            ]
        })
    }
}

/// A number of bytes such as `8KiB`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `8KiB`, `1MiB` or a whole number of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        quantity::size(text).map(Size).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Size, E> {
        Ok(Size(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Size, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, perhaps with a unit: `B`, `KB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`.",
            "anyOf": [
                { "type": "string", "pattern": r"^(\d+(\.\d+)? ?(B|kB|KB|KiB|MB|MiB|GB|GiB)?|.*\$\{.*|file:.*)$" },
                { "type": "integer", "minimum": 0 }
            ]
        })
    }
}

/// A share such as `20%`, from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share(pub(crate) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as `20%`, at most `100%`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Share, E> {
        quantity::share(text).map(Share).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share such as `20%`, at most `100%`.",
            "type": "string",
            "pattern": r"^(\d+(\.\d+)? ?%|.*\$\{.*|file:.*)$"
        })
    }
}

/// A size or `unlimited`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    Unlimited,
    Size(u64),
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor)
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `10MiB`, or `unlimited`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
        if text == "unlimited" {
            return Ok(Limit::Unlimited);
        }
        let size =
            quantity::size(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Limit::Size(size))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Limit, E> {
        Ok(Limit::Size(number))
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "unlimited" }, generator.subschema_for::<Size>()] })
    }
}

/// `off` (or `false`), or a value.
#[derive(Debug, Clone)]
pub(crate) enum OffOr<T> {
    Off,
    On(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OffOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffVisitor(PhantomData))
    }
}

struct OffVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OffVisitor<T> {
    type Value = OffOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off` or a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<OffOr<T>, E> {
        if value { Err(E::invalid_value(Unexpected::Bool(true), &self)) } else { Ok(OffOr::Off) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OffOr<T>, E> {
        match text {
            "off" | "false" => Ok(OffOr::Off),
            _ => T::deserialize(text.into_deserializer()).map(OffOr::On),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<OffOr<T>, E> {
        T::deserialize(number.into_deserializer()).map(OffOr::On)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OffOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OffOr::On)
    }

    /// An empty YAML value, as where all below it is commented out.
    fn visit_unit<E: Error>(self) -> Result<OffOr<T>, E> {
        Err(E::invalid_type(Unexpected::Unit, &self))
    }
}

impl<T: JsonSchema> JsonSchema for OffOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OffOr_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "enum": ["off", false] }, value] })
    }
}

/// `off`, `on` with all defaults, or a value.
#[derive(Debug, Clone)]
pub(crate) struct Switch<T>(pub(crate) OffOr<T>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor(OffVisitor(PhantomData))).map(Switch)
    }
}

struct SwitchVisitor<T>(OffVisitor<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for SwitchVisitor<T> {
    type Value = OffOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`on`, `off` or a map")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<OffOr<T>, E> {
        Ok(if value { OffOr::On(T::default()) } else { OffOr::Off })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OffOr<T>, E> {
        match text {
            "on" | "true" => Ok(OffOr::On(T::default())),
            "off" | "false" => Ok(OffOr::Off),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OffOr<T>, A::Error> {
        self.0.visit_map(map)
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Switch_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "enum": ["on", "off", true, false] }, value] })
    }
}

/// One value or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<Spanned<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The place of a single value is the place of the whole.
        let whole = Spanned::<Many<T>>::deserialize(deserializer)?;
        Ok(OneOrMany(match whole.value {
            Many::One(value) => vec![Spanned { value, span: whole.span, hidden: whole.hidden }],
            Many::Some(values) => values,
        }))
    }
}

enum Many<T> {
    One(T),
    Some(Vec<Spanned<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Many<T>, E> {
        T::deserialize(text.into_deserializer()).map(Many::One)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Many<T>, E> {
        T::deserialize(number.into_deserializer()).map(Many::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Many::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Many<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Many::Some)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// A map whose keys are the user's, in the order and with the place they were written.
#[derive(Debug, Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<(Spanned<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
