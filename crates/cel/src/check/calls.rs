//! Functions and macros.

use std::ops::Range;

use jiff::tz::TimeZone;
use regex::RegexBuilder;

use super::{Checked, Checker, Each, EachKind, Node, field_of};
use crate::ast::{Expr, Kind};
use crate::fault::Fault;
use crate::functions::{Form, Function, PARTS, Part, overloads};
use crate::types::Type;

/// The most memory that a compiled regular expression may take, in bytes.
const REGEX_MEMORY: usize = 1 << 20;

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        receiver: Option<&Expr>,
        name: &str,
        arguments: &[Expr],
        at: &Range<usize>,
    ) -> Checked {
        match (receiver, name, arguments) {
            (None, "has", [field]) => return self.has(field),
            (None, "has", _) => return Err(wrong_number("has", 1, arguments.len(), at)),
            (Some(over), "all" | "exists" | "exists_one" | "filter" | "map", _) => {
                return self.each(over, name, arguments, at);
            }
            (None, "matches", [text, pattern]) => return self.matches(text, pattern),
            (Some(text), "matches", [pattern]) => return self.matches(text, pattern),
            (Some(text), "inNetwork", [network]) => return self.in_network(text, network),
            (Some(moment), _, [zone]) => {
                if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == name) {
                    return self.in_zone(moment, *part, zone);
                }
            }
            _ => {}
        }
        let mut nodes = Vec::with_capacity(arguments.len() + 1);
        let mut kinds = Vec::with_capacity(arguments.len() + 1);
        for argument in receiver.into_iter().chain(arguments) {
            let (node, kind) = self.check(argument)?;
            nodes.push(node);
            kinds.push(kind);
        }
        let form = if receiver.is_some() { Form::Method } else { Form::Global };
        let (function, result) = choose(name, form, &kinds, at)?;
        Ok((Node::Call(function, nodes.into()), result))
    }

    fn has(&mut self, expr: &Expr) -> Checked {
        let Kind::Select(of, field) = &expr.kind else {
            let message = "`has` asks for a field, such as `has(claims.email)`";
            return Err(Fault::new(expr.at.clone(), message));
        };
        if let Some(path) = self.path(expr)
            && (self.schema.find(&path).is_some()
                || self.path(of).is_some_and(|of| self.schema.begins(&of)))
        {
            // An unknown name is the greater fault.
            self.check(expr)?;
            return Err(Fault::new(expr.at.clone(), format!("`{path}` is always there")));
        }
        let (node, found) = self.check(of)?;
        field_of(&found, of)?;
        Ok((Node::HasField(node.into(), field.as_str().into()), Type::Bool))
    }

    fn each(&mut self, over: &Expr, name: &str, arguments: &[Expr], at: &Range<usize>) -> Checked {
        let (local, rest) = match arguments {
            [local, rest @ ..] if !rest.is_empty() => (local, rest),
            _ => return Err(wrong_number(name, 2, arguments.len(), at)),
        };
        if rest.len() > if name == "map" { 2 } else { 1 } {
            return Err(wrong_number(name, 2, arguments.len(), at));
        }
        let Kind::Name(variable) = &local.kind else {
            let message = format!("expected a name, such as `{name}(x, ...)`");
            return Err(Fault::new(local.at.clone(), message));
        };
        let (over_node, found) = self.check(over)?;
        let item = match found {
            Type::Dyn => Type::Dyn,
            Type::List(item) => *item,
            Type::Map(key, _) => *key,
            other => {
                return Err(Fault::new(over.at.clone(), format!("{other} has no items")));
            }
        };
        let slot = self.locals.len();
        self.locals.push((variable.clone(), item.clone()));
        self.most_locals = self.most_locals.max(self.locals.len());
        let inner = self.inner(name, rest, item);
        self.locals.pop();
        let (kind, result) = inner?;
        Ok((Node::Each(Box::new(Each { over: over_node, local: slot, kind })), result))
    }

    fn inner(&mut self, name: &str, rest: &[Expr], item: Type) -> Result<(EachKind, Type), Fault> {
        if let ("map", [parts @ .., last]) = (name, rest) {
            let test = match parts {
                [test] => Some(self.wanted(test, &Type::Bool)?),
                _ => None,
            };
            let (node, kind) = self.check(last)?;
            return Ok((EachKind::Map(test, node), Type::list(kind)));
        }
        let test = self.wanted(&rest[0], &Type::Bool)?;
        Ok(match name {
            "all" => (EachKind::All(test), Type::Bool),
            "exists" => (EachKind::Exists(test), Type::Bool),
            "exists_one" => (EachKind::ExistsOne(test), Type::Bool),
            _ => (EachKind::Filter(test), Type::list(item)),
        })
    }

    fn matches(&mut self, text: &Expr, pattern: &Expr) -> Checked {
        let node = self.wanted(text, &Type::String)?;
        let Kind::Text(source) = &pattern.kind else {
            let message = "a regular expression must be written out here";
            return Err(Fault::new(pattern.at.clone(), message));
        };
        let regex = RegexBuilder::new(source).size_limit(REGEX_MEMORY).nest_limit(50).build();
        let regex = regex.map_err(|error| {
            let what = match error {
                regex::Error::CompiledTooBig(_) => "this regular expression is too large",
                _ => "this is no regular expression",
            };
            Fault::new(pattern.at.clone(), what)
        })?;
        Ok((Node::Matches(node.into(), regex), Type::Bool))
    }

    fn in_zone(&mut self, moment: &Expr, part: Part, zone: &Expr) -> Checked {
        let node = self.wanted(moment, &Type::Timestamp)?;
        let Kind::Text(name) = &zone.kind else {
            let message = "a time zone must be written out here, such as `'Europe/Berlin'`";
            return Err(Fault::new(zone.at.clone(), message));
        };
        let zone = TimeZone::get(name).map_err(|_| {
            Fault::new(zone.at.clone(), format!("there is no time zone `{name}`"))
                .help("expected an IANA name such as `Europe/Berlin`")
        })?;
        Ok((Node::InZone(part, node.into(), zone), Type::Int))
    }

    fn in_network(&mut self, text: &Expr, network: &Expr) -> Checked {
        let node = self.wanted(text, &Type::String)?;
        let Kind::Text(written) = &network.kind else {
            let message = "a network must be written out here, such as `'10.0.0.0/8'`";
            return Err(Fault::new(network.at.clone(), message));
        };
        let parsed = written
            .parse()
            .or_else(|_| written.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
        let parsed = parsed.map_err(|_: std::net::AddrParseError| {
            Fault::new(network.at.clone(), format!("`{written}` is no network"))
                .help("expected an address or a network such as `10.0.0.0/8`")
        })?;
        Ok((Node::InNetwork(node.into(), parsed), Type::Bool))
    }
}

/// The overload of a function that takes these types, and what it gives.
fn choose(
    name: &str,
    form: Form,
    kinds: &[Type],
    at: &Range<usize>,
) -> Result<(Function, Type), Fault> {
    let mut known = false;
    let mut forms = Vec::new();
    let mut found: Option<(Function, Type)> = None;
    for overload in overloads().iter().filter(|overload| overload.name == name) {
        known = true;
        if overload.form != form {
            forms.push(overload.form);
            continue;
        }
        let fits = overload.takes.len() == kinds.len()
            && overload.takes.iter().zip(kinds).all(|(wanted, kind)| kind.fits(wanted));
        if fits {
            // Where a type is known only when it runs, the function itself looks again.
            let result = match found {
                Some((_, before)) => before.join(overload.gives.clone()),
                None => overload.gives.clone(),
            };
            found = Some((overload.function, result));
        }
    }
    if let Some(found) = found {
        return Ok(found);
    }
    let shown: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    let fault = |message: String| Fault::new(at.clone(), message);
    Err(match (known, forms.first()) {
        (false, _) => fault(format!("there is no function `{name}`")),
        (true, Some(Form::Method)) if forms.len() == known_forms(name) => {
            fault(format!("`{name}` stands behind what it asks, as in `x.{name}()`"))
        }
        (true, Some(Form::Global)) if forms.len() == known_forms(name) => {
            fault(format!("`{name}` stands in front of what it takes, as in `{name}(x)`"))
        }
        _ => fault(format!("`{name}` does not take ({})", shown.join(", "))),
    })
}

fn known_forms(name: &str) -> usize {
    overloads().iter().filter(|overload| overload.name == name).count()
}

fn wrong_number(name: &str, wanted: usize, found: usize, at: &Range<usize>) -> Fault {
    Fault::new(at.clone(), format!("`{name}` takes {wanted} arguments, not {found}"))
}
