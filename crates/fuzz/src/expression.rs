//! Expressions of CEL: whatever is written compiles or is a fault with its place, and whatever
//! compiles ends.

use portcullis_cel::{Program, RunError, Source, Value};
use portcullis_config::model::Variable;

/// A request that has a text for everything.
struct Texts;

impl<'a> Source<'a> for Texts {
    fn variable(&self, place: usize) -> Result<Value<'a>, &'static str> {
        if place.is_multiple_of(5) { Err("cannot be told") } else { Ok(Value::text("a")) }
    }
}

/// Checks `source` as an expression.
pub fn expression(source: &[u8]) {
    let Ok(source) = std::str::from_utf8(source) else { return };
    match Program::compile(source, &Variable::schema()) {
        Ok(program) => {
            // In fewer steps it comes to the same, or does not come to an end.
            let shown = |result: Result<Value<'_>, RunError>| format!("{result:?}");
            let whole = shown(program.run(&Texts, 5_000));
            let less = shown(program.run(&Texts, 50));
            assert!(less == whole || less.contains("TooCostly"), "{less} is not {whole}");
        }
        Err(fault) => {
            assert!(source.get(fault.at.clone()).is_some(), "{:?} is no place", fault.at);
            assert!(!fault.message.is_empty());
        }
    }
}
