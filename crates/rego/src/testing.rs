//! Tests of policies, as `opa test` knows them: every rule whose name begins with `test_` must hold.
//! Those that begin with `todo_test_` are told of and not run.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::{Fault, Module, engine};

/// A test that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The whole name, such as `data.gateway_test.test_owner`.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It is yet to be done.
    Todo,
    /// It ended with an error.
    Error(String),
}

/// Runs all tests of modules, in the order of their names; each takes `limit` at most.
///
/// # Errors
/// A module or the data are wrong.
pub fn test(modules: &[Module], data: &[&str], limit: Duration) -> Result<Vec<Tested>, Fault> {
    let (mut prepared, rules) = engine(modules, data)?;
    let check_interval = NonZeroU32::MIN.saturating_add(31);
    prepared.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval });
    let tests = rules.into_iter().filter_map(|name| {
        let rule = name.rsplit('.').next()?;
        let todo = rule.starts_with("todo_test_");
        (todo || rule.starts_with("test_")).then_some((todo, name))
    });
    let run = |(todo, name): (bool, String)| {
        let started = Instant::now();
        let outcome = if todo { Outcome::Todo } else { one(&prepared, &name) };
        Tested { name, outcome, took: started.elapsed() }
    };
    Ok(tests.map(run).collect())
}

fn one(prepared: &Engine, name: &str) -> Outcome {
    let mut engine = prepared.clone();
    match engine.eval_rule(name.to_owned()) {
        Ok(Value::Bool(true)) => Outcome::Passed,
        Ok(_) => Outcome::Failed,
        Err(error) => Outcome::Error(error.to_string().trim().to_owned()),
    }
}
