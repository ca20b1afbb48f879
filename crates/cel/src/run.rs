//! Runs what was checked. Every step is paid for, by its size where it has one, so that whatever comes
//! in, a run ends.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use crate::check::{Each, EachKind, Node};
use crate::compare::{equal, order};
use crate::fault::RunError;
use crate::functions::Function;
use crate::program::Source;
use crate::value::{List, Map, Value};
use crate::{arithmetic, convert, time};

pub(crate) struct Run<'a, 's> {
    source: &'s dyn Source<'a>,
    /// Steps that are left.
    left: u32,
    /// Variables of the macros around.
    locals: Vec<Value<'a>>,
}

type Result<T> = std::result::Result<T, RunError>;

impl<'a, 's> Run<'a, 's> {
    pub(crate) fn new(source: &'s dyn Source<'a>, budget: u32, locals: usize) -> Run<'a, 's> {
        Run { source, left: budget, locals: Vec::with_capacity(locals) }
    }

    /// Pays for a step that handles so many bytes or items.
    pub(crate) fn pay(&mut self, size: usize) -> Result<()> {
        let steps = u32::try_from(1 + size / 16).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(steps).ok_or(RunError::TooCostly)?;
        Ok(())
    }

    pub(crate) fn value(&mut self, node: &'a Node) -> Result<Value<'a>> {
        self.pay(0)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Uint(value) => Value::Uint(*value),
            Node::Double(value) => Value::Double(*value),
            Node::Text(text) => Value::text(text),
            Node::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Node::Variable(place) => {
                return self.source.variable(*place).map_err(RunError::new);
            }
            Node::Local(place) => {
                self.locals.get(*place).cloned().ok_or(RunError::new("an unknown variable"))?
            }
            Node::Not(part) => Value::Bool(!self.condition(part)?),
            Node::Negate(part) => arithmetic::negate(self.value(part)?)?,
            Node::All(parts) => Value::Bool(self.decide(parts.iter(), false)?),
            Node::Any(parts) => Value::Bool(self.decide(parts.iter(), true)?),
            Node::If(parts) => {
                let chosen = if self.condition(&parts[0])? { &parts[1] } else { &parts[2] };
                return self.value(chosen);
            }
            Node::Equal(wanted, parts) => {
                let (one, other) = self.both(parts)?;
                Value::Bool(equal(&one, &other, self)? == *wanted)
            }
            Node::Order(operator, parts) => {
                let (one, other) = self.both(parts)?;
                Value::Bool(order(*operator, &one, &other, self)?)
            }
            Node::In(parts) => {
                let (item, within) = self.both(parts)?;
                Value::Bool(self.is_in(&item, &within)?)
            }
            Node::Arithmetic(operator, parts) => {
                let (one, other) = self.both(parts)?;
                return arithmetic::apply(*operator, one, other, self);
            }
            Node::Field(of, field) => {
                let of = self.value(of)?;
                return self.member(&of, &Value::text(field));
            }
            Node::HasField(of, field) => match self.value(of)? {
                Value::Map(map) => Value::Bool(self.find(&map, &Value::text(field))?.is_some()),
                _ => return Err(RunError::new("only a map has fields")),
            },
            Node::Index(parts) => {
                let (of, index) = self.both(parts)?;
                return self.member(&of, &index);
            }
            Node::List(items) => {
                let items: Result<Rc<[Value<'a>]>> =
                    items.iter().map(|item| self.value(item)).collect();
                Value::List(List::Own(items?))
            }
            Node::Map(entries) => return self.map(entries),
            Node::Call(function, arguments) => return self.call(*function, arguments),
            Node::Matches(text, regex) => {
                let text = self.text(text)?;
                self.pay(text.len())?;
                Value::Bool(regex.is_match(&text))
            }
            Node::InNetwork(text, network) => {
                let text = self.text(text)?;
                let address: IpAddr =
                    text.parse().map_err(|_| RunError::new("this is no IP address"))?;
                Value::Bool(network.contains(&address.to_canonical()))
            }
            Node::InZone(part, moment, zone) => match self.value(moment)? {
                Value::Timestamp(moment) => Value::Int(time::part(*part, moment, zone)),
                _ => return Err(RunError::new("only a timestamp has a time zone")),
            },
            Node::Each(each) => return self.each(each),
        })
    }

    fn both(&mut self, parts: &'a [Node; 2]) -> Result<(Value<'a>, Value<'a>)> {
        Ok((self.value(&parts[0])?, self.value(&parts[1])?))
    }

    fn condition(&mut self, node: &'a Node) -> Result<bool> {
        match self.value(node)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(RunError::new("a condition is neither true nor false")),
        }
    }

    fn text(&mut self, node: &'a Node) -> Result<Cow<'a, str>> {
        match self.value(node)? {
            Value::Text(text) => Ok(text),
            _ => Err(RunError::new("this is no string")),
        }
    }

    /// Whether any condition is `wanted`. One that fails does not matter if another decides.
    fn decide(&mut self, parts: impl Iterator<Item = &'a Node>, wanted: bool) -> Result<bool> {
        let mut failed = None;
        for part in parts {
            match self.condition(part) {
                Ok(holds) if holds == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(RunError::TooCostly) => return Err(RunError::TooCostly),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(!wanted), Err)
    }

    fn is_in(&mut self, item: &Value<'a>, within: &Value<'a>) -> Result<bool> {
        match within {
            Value::List(list) => {
                self.pay(list.len())?;
                for other in list.items().iter() {
                    if equal(item, other, self)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => Ok(self.find(map, item)?.is_some()),
            _ => Err(RunError::new("only a list or a map has something in it")),
        }
    }

    /// The value of a key, if there is one.
    fn find(&mut self, map: &Map<'a>, key: &Value<'a>) -> Result<Option<Value<'a>>> {
        match (map, key) {
            (Map::Host(map), Value::Text(key)) => {
                self.pay(key.len() + map.len())?;
                map.value(key).map_err(RunError::new)
            }
            (Map::Host(_), _) => Ok(None),
            (Map::Own(entries), key) => {
                for (known, value) in entries.iter() {
                    if equal(known, key, self)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
        }
    }

    fn member(&mut self, of: &Value<'a>, index: &Value<'a>) -> Result<Value<'a>> {
        match of {
            Value::Map(map) => match self.find(map, index)? {
                Some(value) => Ok(value),
                None => Err(match index {
                    Value::Text(key) => RunError::NoSuchKey(key.chars().take(64).collect()),
                    _ => RunError::new("there is no such key"),
                }),
            },
            Value::List(list) => {
                let place = match index {
                    Value::Int(place) => usize::try_from(*place).ok(),
                    Value::Uint(place) => usize::try_from(*place).ok(),
                    _ => return Err(RunError::new("a list is asked by a number")),
                };
                let item = place.and_then(|place| list.item(place));
                item.ok_or(RunError::new("the list has no such item"))
            }
            _ => Err(RunError::new("only a list or a map has parts")),
        }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Value<'a>> {
        let mut made: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.value(key)?;
            if !matches!(key, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Text(_)) {
                return Err(RunError::new("this cannot be a key"));
            }
            for (known, _) in &made {
                if equal(known, &key, self)? {
                    return Err(RunError::new("a key is there twice"));
                }
            }
            let value = self.value(value)?;
            made.push((key, value));
        }
        Ok(Value::Map(Map::Own(made.into())))
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Result<Value<'a>> {
        let first = match arguments.first() {
            Some(first) => self.value(first)?,
            None => return Err(RunError::new("an argument is missing")),
        };
        match function {
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                let second = arguments.get(1).map(|second| self.value(second)).transpose()?;
                let (Value::Text(text), Some(Value::Text(part))) = (first, second) else {
                    return Err(RunError::new("this is no string"));
                };
                self.pay(text.len())?;
                Ok(Value::Bool(match function {
                    Function::Contains => {
                        memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
                    }
                    Function::StartsWith => text.starts_with(&*part),
                    _ => text.ends_with(&*part),
                }))
            }
            function => convert::apply(function, first, self),
        }
    }

    fn each(&mut self, each: &'a Each) -> Result<Value<'a>> {
        let items = match self.value(&each.over)? {
            Value::List(list) => {
                self.pay(list.len())?;
                list.items()
            }
            Value::Map(map) => {
                self.pay(map.len() * 16)?;
                map.keys()
            }
            _ => return Err(RunError::new("only a list or a map can be gone through")),
        };
        let mut found = Vec::new();
        let (mut failed, mut count) = (None, 0usize);
        for item in items.iter() {
            self.locals.truncate(each.local);
            self.locals.push(item.clone());
            match &each.kind {
                EachKind::All(test) | EachKind::Exists(test) => {
                    let wanted = matches!(each.kind, EachKind::Exists(_));
                    match self.condition(test) {
                        Ok(holds) if holds == wanted => {
                            self.locals.truncate(each.local);
                            return Ok(Value::Bool(wanted));
                        }
                        Ok(_) => {}
                        Err(RunError::TooCostly) => return Err(RunError::TooCostly),
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
                EachKind::ExistsOne(test) => count += usize::from(self.condition(test)?),
                EachKind::Filter(test) => {
                    if self.condition(test)? {
                        found.push(item.clone());
                    }
                }
                EachKind::Map(test, value) => {
                    let wanted = match test {
                        Some(test) => self.condition(test)?,
                        None => true,
                    };
                    if wanted {
                        found.push(self.value(value)?);
                    }
                }
            }
        }
        self.locals.truncate(each.local);
        match (&each.kind, failed) {
            (_, Some(error)) => Err(error),
            (EachKind::All(_), None) => Ok(Value::Bool(true)),
            (EachKind::Exists(_), None) => Ok(Value::Bool(false)),
            (EachKind::ExistsOne(_), None) => Ok(Value::Bool(count == 1)),
            (EachKind::Filter(_) | EachKind::Map(..), None) => {
                Ok(Value::List(List::Own(found.into())))
            }
        }
    }
}
