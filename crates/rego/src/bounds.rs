//! How deep policies go. The engine runs rules and functions by recursion and looks for circles only
//! between rules, so that a function that calls itself would use up the thread's stack, which ends the
//! process. What could do so is refused when it is compiled, by what the modules' trees say.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{Engine, Value};

use crate::Fault;

/// The longest way from a rule through those that it names.
const DEEPEST: usize = 64;
/// The most bytes of all modules together.
const LARGEST: usize = 1024 * 1024;

/// A rule or function: its package as `data.a.b`, and its name.
type Name = (String, String);

/// What a rule or function names.
#[derive(Debug, Default)]
struct Uses {
    /// Paths that are called, or stand in for what is called.
    calls: BTreeSet<Vec<String>>,
    /// Every name anywhere in it.
    names: BTreeSet<String>,
}

/// Refuses texts that are too large to be read.
pub(crate) fn size(bytes: usize) -> Result<(), Fault> {
    if bytes > LARGEST {
        return Err(Fault::Module(format!("all modules together have more than {LARGEST} bytes")));
    }
    Ok(())
}

/// Refuses modules of which a function may come back to itself, or that go too deep. Gives the whole
/// names of all rules, in order.
pub(crate) fn rules(engine: &Engine) -> Result<Vec<String>, Fault> {
    let text = engine.get_ast_as_json().map_err(|error| Fault::module(&error))?;
    // The reader of JSON itself refuses what is nested too deep.
    let tree = Value::from_json_str(&text)
        .map_err(|_| Fault::Module("an expression of a module is nested too deep".into()))?;
    let mut rules: BTreeMap<Name, Uses> = BTreeMap::new();
    for module in items(&tree) {
        let package =
            ["data".to_owned()].into_iter().chain(path(&module["ast"]["package"]["refr"]));
        let package = package.collect::<Vec<_>>().join(".");
        for rule in items(&module["ast"]["rules"]) {
            let Some(head) = only(&rule["Spec"]["head"]) else { continue };
            let name = path(&head["refr"]).into_iter().next().unwrap_or_default();
            let uses = rules.entry((package.clone(), name)).or_default();
            visit(rule, uses);
        }
    }
    let calls = graph(&rules, |from, uses, to| uses.calls.iter().any(|path| meant(path, from, to)));
    if let Some((package, name)) = circle(&calls) {
        let message = format!("`{package}.{name}` may call itself: functions cannot be recursive");
        return Err(Fault::Module(message));
    }
    let names = graph(&rules, |from, uses, to| from != to && uses.names.contains(&to.1));
    if longest(&names) > DEEPEST {
        let message = format!("rules build on each other more than {DEEPEST} deep");
        return Err(Fault::Module(message));
    }
    Ok(rules.keys().map(|(package, name)| format!("{package}.{name}")).collect())
}

/// Whether a path, called in `from`, can mean `to`.
fn meant(path: &[String], from: &Name, to: &Name) -> bool {
    match path {
        [name] => (&from.0, name) == (&to.0, &to.1),
        [data, .., name] if data == "data" => {
            let package = path.len().checked_sub(1).and_then(|end| path.get(..end));
            *name == to.1 && package.is_some_and(|package| package.join(".") == to.0)
        }
        // By an import, whatever it is called there.
        [.., name] => *name == to.1,
        [] => false,
    }
}

type Graph<'a> = BTreeMap<&'a Name, Vec<&'a Name>>;

fn graph(rules: &BTreeMap<Name, Uses>, leads: impl Fn(&Name, &Uses, &Name) -> bool) -> Graph<'_> {
    let to = |from, uses| rules.keys().filter(|to| leads(from, uses, to)).collect();
    rules.iter().map(|(from, uses)| (from, to(from, uses))).collect()
}

/// One that leads back to itself: what is left when those that lead nowhere are taken away.
fn circle<'a>(graph: &Graph<'a>) -> Option<&'a Name> {
    peel(graph).1.first().copied()
}

/// The most steps of a way; those in circles count as one after the other.
fn longest(graph: &Graph<'_>) -> usize {
    let (layers, left) = peel(graph);
    layers + left.len()
}

/// Takes away those that lead nowhere, again and again. Gives how often, and what is left.
fn peel<'a>(graph: &Graph<'a>) -> (usize, Vec<&'a Name>) {
    let mut left: BTreeSet<&Name> = graph.keys().copied().collect();
    let mut layers = 0;
    loop {
        let ends = |from: &&&'a Name| {
            graph.get(**from).is_none_or(|to| !to.iter().any(|to| left.contains(to)))
        };
        let gone: Vec<&Name> = left.iter().filter(ends).copied().collect();
        if gone.is_empty() {
            return (layers, left.into_iter().collect());
        }
        layers += 1;
        gone.iter().for_each(|name| {
            left.remove(name);
        });
    }
}

/// Notes what a part of a tree uses.
fn visit(tree: &Value, uses: &mut Uses) {
    match tree {
        Value::Array(items) => items.iter().for_each(|item| visit(item, uses)),
        Value::Object(fields) => {
            for (key, value) in fields.iter() {
                match key {
                    Value::String(key) if **key == *"fcn" || **key == *"as" => {
                        uses.calls.insert(path(value));
                    }
                    _ => {}
                }
                visit(value, uses);
            }
        }
        Value::String(text) => {
            uses.names.insert(text.to_string());
        }
        _ => {}
    }
}

/// The names of a reference, from the left; as far as they are written out.
fn path(expression: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = expression;
    while let Some(inner) = only(at) {
        let name = match (&inner["value"], &inner["field"]) {
            (Value::String(name), _) => Some(name.to_string()),
            (_, Value::Array(field)) => match field.last() {
                Some(Value::String(name)) => Some(name.to_string()),
                _ => None,
            },
            _ => match only(&inner["index"]).map(|index| &index["value"]) {
                Some(Value::String(name)) => Some(name.to_string()),
                _ => None,
            },
        };
        names.extend(name);
        at = &inner["refr"];
    }
    names.reverse();
    names
}

/// What is in an object of one field: the variant of an enum.
fn only(variant: &Value) -> Option<&Value> {
    match variant {
        Value::Object(fields) if fields.len() == 1 => fields.values().next(),
        _ => None,
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    let items = match list {
        Value::Array(items) => Some(items),
        _ => None,
    };
    items.into_iter().flat_map(|items| items.iter())
}
