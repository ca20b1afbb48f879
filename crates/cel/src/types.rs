//! Types, and what an expression may name.

use std::fmt;

/// A type of CEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `null`
    Null,
    /// `true` and `false`
    Bool,
    /// Whole numbers of 64 bits with a sign.
    Int,
    /// Whole numbers of 64 bits without one.
    Uint,
    /// Numbers with a point.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// Moments.
    Timestamp,
    /// Stretches of time.
    Duration,
    /// Lists.
    List(Box<Type>),
    /// Maps.
    Map(Box<Type>, Box<Type>),
    /// Any of these; known only when it runs.
    Dyn,
}

impl Type {
    /// A list of these.
    #[must_use]
    pub fn list(item: Type) -> Type {
        Type::List(Box::new(item))
    }

    /// A map from text to these.
    #[must_use]
    pub fn map(value: Type) -> Type {
        Type::Map(Box::new(Type::String), Box::new(value))
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }

    /// Whether a value of one type may be one of the other.
    pub(crate) fn fits(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::List(one), Type::List(other)) => one.fits(other),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                key.fits(other_key) && value.fits(other_value)
            }
            _ => self == other,
        }
    }

    /// The type of something that is of one of both types.
    pub(crate) fn join(self, other: Type) -> Type {
        match (self, other) {
            (Type::List(one), Type::List(other)) => Type::list(one.join(*other)),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                Type::Map(Box::new(key.join(*other_key)), Box::new(value.join(*other_value)))
            }
            (one, other) if one == other => one,
            _ => Type::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::List(item) => write!(f, "list({item})"),
            Type::Map(key, value) => write!(f, "map({key}, {value})"),
            Type::Dyn => f.write_str("dyn"),
        }
    }
}

/// The variables that an expression may name. A name may have dots: `request.method` is one.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    variables: Vec<(&'static str, Type)>,
}

impl Schema {
    /// These variables; the place of each is what a source is asked by.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (&'static str, Type)>) -> Schema {
        Schema { variables: variables.into_iter().collect() }
    }

    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Type)> {
        let place = self.variables.iter().position(|(known, _)| *known == name)?;
        Some((place, &self.variables[place].1))
    }

    /// Whether a name is the beginning of one with more parts.
    pub(crate) fn begins(&self, name: &str) -> bool {
        self.variables
            .iter()
            .any(|(known, _)| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.variables.iter().map(|(name, _)| *name)
    }
}
