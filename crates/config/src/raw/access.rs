//! Rules of who may do what, as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{OneOrMany, Spanned};

/// Who may and who may not; whoever may not, may not, whatever else is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessSpec {
    /// Its name in metrics and logs. A route's replaces its service's of the same name, and that a
    /// global one. Default: `access`.
    pub(crate) name: Option<Spanned<String>>,
    /// Whoever meets one of these may. Default: everybody whom `deny` leaves.
    pub(crate) allow: Option<Spanned<Vec<Spanned<ConditionsSpec>>>>,
    /// Whoever meets one of these may not. Default: nobody.
    #[serde(default)]
    pub(crate) deny: Vec<Spanned<ConditionsSpec>>,
}

/// What must hold of a request: all that is written here, each by any of its values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionsSpec {
    /// The consumer's name.
    pub(crate) consumer: Option<OneOrMany<Spanned<String>>>,
    /// One of the consumer's groups.
    pub(crate) group: Option<OneOrMany<Spanned<String>>>,
    /// The consumer's plan.
    pub(crate) plan: Option<OneOrMany<Spanned<String>>>,
    /// A scope that the token grants.
    pub(crate) scope: Option<OneOrMany<Spanned<String>>>,
    /// A role that the token grants.
    pub(crate) role: Option<OneOrMany<Spanned<String>>>,
    /// The client's address, or its network such as `10.0.0.0/8`.
    pub(crate) ip: Option<OneOrMany<Spanned<String>>>,
    /// The method; `GET` includes `HEAD`.
    pub(crate) method: Option<OneOrMany<Spanned<String>>>,
    /// When it is.
    pub(crate) time: Option<Spanned<TimesSpec>>,
}

/// Days and hours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimesSpec {
    /// `mon` to `sun`. Hours beyond midnight belong to the day on which they begin. Default: all.
    pub(crate) days: Option<OneOrMany<Spanned<DaySpec>>>,
    /// Such as `08:00-18:00`, or `22:00-06:00` beyond midnight. Default: the whole day.
    pub(crate) hours: Option<Spanned<String>>,
    /// The time zone, by its IANA name such as `Europe/Berlin`. Default: `UTC`.
    pub(crate) time_zone: Option<Spanned<String>>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DaySpec {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// An expression that a request must meet: alone, or with a name.
#[derive(Debug)]
pub(crate) struct CelSpec {
    pub(crate) name: Option<Spanned<String>>,
    /// Its place is that of the whole where it stands alone.
    pub(crate) expression: CelText,
}

#[derive(Debug)]
pub(crate) enum CelText {
    Alone(String),
    Placed(Spanned<String>),
}

/// An expression with a name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NamedCel {
    /// Its name in metrics and logs. Default: `cel`.
    name: Option<Spanned<String>>,
    /// The expression.
    expression: Spanned<String>,
}

impl<'de> Deserialize<'de> for CelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CelVisitor)
    }
}

struct CelVisitor;

impl<'de> Visitor<'de> for CelVisitor {
    type Value = CelSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expression such as `\"request.method == 'GET'\"`, or one with a `name`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CelSpec, E> {
        Ok(CelSpec { name: None, expression: CelText::Alone(text.to_owned()) })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CelSpec, A::Error> {
        let NamedCel { name, expression } = NamedCel::deserialize(MapAccessDeserializer::new(map))?;
        Ok(CelSpec { name, expression: CelText::Placed(expression) })
    }
}

impl JsonSchema for CelSpec {
    fn schema_name() -> Cow<'static, str> {
        "Cel".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<NamedCel>();
        json_schema!({ "anyOf": [{ "type": "string" }, named] })
    }
}
