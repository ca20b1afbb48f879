//! An expression that is ready to run.

use crate::check::{Checker, Node};
use crate::fault::{Fault, RunError};
use crate::parse::parse;
use crate::run::Run;
use crate::types::{Schema, Type};
use crate::value::Value;

/// Steps that a run may take unless it is said otherwise: about a millisecond.
pub const BUDGET: u32 = 50_000;

/// An expression that has been read and typed.
#[derive(Debug)]
pub struct Program {
    root: Node,
    result: Type,
    variables: Vec<usize>,
    locals: usize,
}

/// Where a run gets variables from.
pub trait Source<'a> {
    /// The variable at a place of the schema.
    ///
    /// # Errors
    /// It has no value that could be used.
    fn variable(&self, place: usize) -> Result<Value<'a>, &'static str>;
}

impl Program {
    /// Reads an expression that may name what the schema has.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn compile(source: &str, schema: &Schema) -> Result<Program, Fault> {
        let expr = parse(source)?;
        let mut checker = Checker::new(schema);
        let (root, result) = checker.check(&expr)?;
        let (variables, locals) = checker.used();
        Ok(Program { root, result, variables, locals })
    }

    /// The same, of an expression that says yes or no.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn predicate(source: &str, schema: &Schema) -> Result<Program, Fault> {
        let program = Program::compile(source, schema)?;
        if program.result.fits(&Type::Bool) {
            return Ok(program);
        }
        let message = format!("this gives {}, where yes or no (bool) is asked for", program.result);
        Err(Fault::new(0..source.len(), message))
    }

    /// What it gives.
    #[must_use]
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// The places of the variables that it may ask for.
    #[must_use]
    pub fn variables(&self) -> &[usize] {
        &self.variables
    }

    /// Runs it in at most so many steps.
    ///
    /// # Errors
    /// It gives no value.
    pub fn run<'a>(&'a self, source: &dyn Source<'a>, budget: u32) -> Result<Value<'a>, RunError> {
        Run::new(source, budget, self.locals).value(&self.root)
    }

    /// Runs one that says yes or no.
    ///
    /// # Errors
    /// It says neither.
    pub fn holds<'a>(&'a self, source: &dyn Source<'a>, budget: u32) -> Result<bool, RunError> {
        match self.run(source, budget)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(RunError::Failed(format!("it gives {}, not bool", other.kind()).into())),
        }
    }
}
