//! An expression as it is written into one that runs: names are found, types are worked out, regular
//! expressions and networks compiled.

mod calls;

use std::ops::Range;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use regex::Regex;

use crate::ast::{Expr, Kind, Operator};
use crate::fault::Fault;
use crate::functions::{Function, Part};
use crate::types::{Schema, Type};

/// An expression that runs.
#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    /// One of the schema's.
    Variable(usize),
    /// One of a macro's.
    Local(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    If(Box<[Node; 3]>),
    Equal(bool, Box<[Node; 2]>),
    Order(Operator, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Arithmetic(Operator, Box<[Node; 2]>),
    Field(Box<Node>, Box<str>),
    HasField(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Call(Function, Box<[Node]>),
    Matches(Box<Node>, Regex),
    InNetwork(Box<Node>, IpNet),
    /// A part of a moment in a time zone.
    InZone(Part, Box<Node>, TimeZone),
    Each(Box<Each>),
}

/// A macro that goes through a list, or through the keys of a map.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) over: Node,
    pub(crate) local: usize,
    pub(crate) kind: EachKind,
}

#[derive(Debug)]
pub(crate) enum EachKind {
    All(Node),
    Exists(Node),
    ExistsOne(Node),
    Filter(Node),
    /// Those for which the first holds, if there is one, as the second says.
    Map(Option<Node>, Node),
}

pub(crate) struct Checker<'s> {
    schema: &'s Schema,
    /// Variables of the macros around.
    locals: Vec<(String, Type)>,
    most_locals: usize,
    variables: Vec<usize>,
}

type Checked = Result<(Node, Type), Fault>;

impl<'s> Checker<'s> {
    pub(crate) fn new(schema: &'s Schema) -> Checker<'s> {
        Checker { schema, locals: Vec::new(), most_locals: 0, variables: Vec::new() }
    }

    /// The variables that are used, and how many of macros there are at once.
    pub(crate) fn used(mut self) -> (Vec<usize>, usize) {
        self.variables.sort_unstable();
        self.variables.dedup();
        (self.variables, self.most_locals)
    }

    pub(crate) fn check(&mut self, expr: &Expr) -> Checked {
        Ok(match &expr.kind {
            Kind::Null => (Node::Null, Type::Null),
            Kind::Bool(value) => (Node::Bool(*value), Type::Bool),
            Kind::Int(value) => (Node::Int(*value), Type::Int),
            Kind::Uint(value) => (Node::Uint(*value), Type::Uint),
            Kind::Double(value) => (Node::Double(*value), Type::Double),
            Kind::Text(text) => (Node::Text(text.as_str().into()), Type::String),
            Kind::Bytes(bytes) => (Node::Bytes(bytes.as_slice().into()), Type::Bytes),
            Kind::Name(name) => return self.name(name, &expr.at),
            Kind::Not(part) => (Node::Not(self.wanted(part, &Type::Bool)?.into()), Type::Bool),
            Kind::Negate(part) => return self.negate(part),
            Kind::All(parts) => (Node::All(self.conditions(parts)?), Type::Bool),
            Kind::Any(parts) => (Node::Any(self.conditions(parts)?), Type::Bool),
            Kind::If(parts) => return self.choice(parts),
            Kind::Binary(operator, parts) => return self.binary(*operator, parts, &expr.at),
            Kind::Select(of, field) => return self.select(expr, of, field),
            Kind::Index(parts) => return self.index(parts),
            Kind::Call(receiver, name, arguments) => {
                return self.call(receiver.as_deref(), name, arguments, &expr.at);
            }
            Kind::List(items) => return self.list(items),
            Kind::Map(entries) => return self.map(entries),
        })
    }

    /// An expression that must be of a type.
    fn wanted(&mut self, expr: &Expr, wanted: &Type) -> Result<Node, Fault> {
        let (node, found) = self.check(expr)?;
        if found.fits(wanted) {
            return Ok(node);
        }
        Err(Fault::new(expr.at.clone(), format!("expected {wanted}, this is {found}")))
    }

    fn conditions(&mut self, parts: &[Expr]) -> Result<Box<[Node]>, Fault> {
        parts.iter().map(|part| self.wanted(part, &Type::Bool)).collect()
    }

    fn name(&mut self, name: &str, at: &Range<usize>) -> Checked {
        if let Some(local) = self.locals.iter().rposition(|(known, _)| known == name) {
            return Ok((Node::Local(local), self.locals[local].1.clone()));
        }
        if let Some(found) = self.variable(name) {
            return Ok(found);
        }
        let fault = Fault::new(at.clone(), format!("there is no variable `{name}`"));
        Err(if self.schema.begins(name) {
            Fault {
                message: format!("`{name}` is no value, only what it has inside"),
                ..fault.help(format!("there is {}", self.listed(name)))
            }
        } else {
            let known: Vec<&str> = self.schema.names().collect();
            fault.help(format!("known are {}", known.join(", ")))
        })
    }

    /// The variables below a name.
    fn listed(&self, name: &str) -> String {
        let below =
            |known: &&str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.schema.names().filter(below).collect::<Vec<_>>().join(", ")
    }

    fn variable(&mut self, name: &str) -> Option<(Node, Type)> {
        let (place, found) = self.schema.find(name)?;
        self.variables.push(place);
        Some((Node::Variable(place), found.clone()))
    }

    /// The dotted name that an expression is, if it is one and no macro's variable hides it.
    fn path(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            Kind::Name(name) if !self.locals.iter().any(|(known, _)| known == name) => {
                Some(name.clone())
            }
            Kind::Select(of, field) => Some(format!("{}.{field}", self.path(of)?)),
            _ => None,
        }
    }

    fn select(&mut self, expr: &Expr, of: &Expr, field: &str) -> Checked {
        if let Some(path) = self.path(expr) {
            if let Some(found) = self.variable(&path) {
                return Ok(found);
            }
            let stem = self.path(of).filter(|stem| self.schema.begins(stem));
            if let Some(stem) = stem {
                if self.schema.begins(&path) {
                    let message = format!("`{path}` is no value, only what it has inside");
                    let help = format!("there is {}", self.listed(&path));
                    return Err(Fault::new(expr.at.clone(), message).help(help));
                }
                let message = format!("there is no variable `{path}`");
                let help = format!("there is {}", self.listed(&stem));
                return Err(Fault::new(expr.at.clone(), message).help(help));
            }
        }
        let (node, found) = self.check(of)?;
        let value = field_of(&found, of)?;
        Ok((Node::Field(node.into(), field.into()), value))
    }

    fn negate(&mut self, part: &Expr) -> Checked {
        let (node, found) = self.check(part)?;
        match found {
            Type::Int | Type::Double | Type::Dyn => Ok((Node::Negate(node.into()), found)),
            other => Err(Fault::new(part.at.clone(), format!("{other} has no negative"))),
        }
    }

    fn choice(&mut self, parts: &[Expr; 3]) -> Checked {
        let test = self.wanted(&parts[0], &Type::Bool)?;
        let (then, one) = self.check(&parts[1])?;
        let (otherwise, other) = self.check(&parts[2])?;
        Ok((Node::If(Box::new([test, then, otherwise])), one.join(other)))
    }

    fn binary(&mut self, operator: Operator, parts: &[Expr; 2], at: &Range<usize>) -> Checked {
        let (left, one) = self.check(&parts[0])?;
        let (right, other) = self.check(&parts[1])?;
        let both = Box::new([left, right]);
        let mismatch = || {
            let message = format!("{one} `{}` {other} makes no sense", operator.as_str());
            Fault::new(at.clone(), message)
        };
        let numbers = one.is_number() && other.is_number();
        match operator {
            Operator::Equal | Operator::Unequal => {
                let comparable =
                    one.fits(&other) || numbers || one == Type::Null || other == Type::Null;
                let node = Node::Equal(operator == Operator::Equal, both);
                if comparable { Ok((node, Type::Bool)) } else { Err(mismatch()) }
            }
            Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
                let ordered =
                    |kind: &Type| !matches!(kind, Type::Null | Type::List(_) | Type::Map(..));
                let fine = (one.fits(&other) && ordered(&one) && ordered(&other)) || numbers;
                if fine { Ok((Node::Order(operator, both), Type::Bool)) } else { Err(mismatch()) }
            }
            Operator::In => match &other {
                Type::Dyn => Ok((Node::In(both), Type::Bool)),
                Type::List(item) if one.fits(item) => Ok((Node::In(both), Type::Bool)),
                Type::Map(key, _) if one.fits(key) => Ok((Node::In(both), Type::Bool)),
                _ => Err(mismatch()),
            },
            _ => {
                let result = sum(operator, &one, &other).ok_or_else(mismatch)?;
                Ok((Node::Arithmetic(operator, both), result))
            }
        }
    }

    fn index(&mut self, parts: &[Expr; 2]) -> Checked {
        let (of, found) = self.check(&parts[0])?;
        let (key, value) = match &found {
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::List(item) => (Type::Int, (**item).clone()),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            other => {
                return Err(Fault::new(parts[0].at.clone(), format!("{other} has no parts")));
            }
        };
        let index = self.wanted(&parts[1], &key)?;
        Ok((Node::Index(Box::new([of, index])), value))
    }

    fn list(&mut self, items: &[Expr]) -> Checked {
        let mut kind: Option<Type> = None;
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            let (node, found) = self.check(item)?;
            nodes.push(node);
            kind = Some(kind.map_or_else(|| found.clone(), |kind| kind.join(found.clone())));
        }
        Ok((Node::List(nodes.into()), Type::list(kind.unwrap_or(Type::Dyn))))
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Checked {
        let mut kinds: Option<(Type, Type)> = None;
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key_node, key_kind) = self.check(key)?;
            if !matches!(key_kind, Type::Bool | Type::Int | Type::Uint | Type::String | Type::Dyn) {
                return Err(Fault::new(key.at.clone(), format!("{key_kind} cannot be a key")));
            }
            let (value_node, value_kind) = self.check(value)?;
            nodes.push((key_node, value_node));
            kinds = Some(match kinds {
                None => (key_kind, value_kind),
                Some((keys, values)) => (keys.join(key_kind), values.join(value_kind)),
            });
        }
        let (keys, values) = kinds.unwrap_or((Type::Dyn, Type::Dyn));
        Ok((Node::Map(nodes.into()), Type::Map(keys.into(), values.into())))
    }
}

/// The type of the fields of something.
fn field_of(found: &Type, of: &Expr) -> Result<Type, Fault> {
    match found {
        Type::Dyn => Ok(Type::Dyn),
        Type::Map(key, value) if key.fits(&Type::String) => Ok((**value).clone()),
        other => Err(Fault::new(of.at.clone(), format!("{other} has no fields"))),
    }
}

/// The type of a sum, difference, product, quotient or remainder.
fn sum(operator: Operator, one: &Type, other: &Type) -> Option<Type> {
    use Type::{Bytes, Double, Duration, Dyn, Int, List, String, Timestamp, Uint};
    Some(match (operator, one, other) {
        (_, Dyn, _) | (_, _, Dyn) => Dyn,
        (Operator::Remainder, Double, _) => return None,
        (_, Int, Int) => Int,
        (_, Uint, Uint) => Uint,
        (_, Double, Double) => Double,
        (Operator::Add, String, String) => String,
        (Operator::Add, Bytes, Bytes) => Bytes,
        (Operator::Add, List(_), List(_)) => one.clone().join(other.clone()),
        (Operator::Add, Timestamp, Duration) | (Operator::Add, Duration, Timestamp) => Timestamp,
        (Operator::Subtract, Timestamp, Duration) => Timestamp,
        (Operator::Subtract, Timestamp, Timestamp) => Duration,
        (Operator::Add | Operator::Subtract, Duration, Duration) => Duration,
        _ => return None,
    })
}
