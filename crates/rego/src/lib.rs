//! Policies of Rego, the language of Open Policy Agent: written by those who configure a gateway,
//! compiled once, run for every request over what it is.
//!
//! The engine is `regorus`, without the builtins that reach out of it: no network, no clock, no random
//! numbers, so that a decision depends on nothing but policy, data and input. A run ends after a set
//! time, looked at between its steps, and goes no deeper than is known when it is compiled. What fails,
//! and what says neither yes nor no, is an error: whoever asks lets nothing pass then. Knows no gateway.

mod bounds;
mod chains;
mod fault;
mod testing;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::ExecutionTimerConfig;

pub use fault::{Fault, RunError};
pub use regorus::Value;
pub use testing::{Outcome, Tested, test};

/// How many steps are run between two looks at the clock.
const STEPS: NonZeroU32 = NonZeroU32::MIN.saturating_add(31);

/// A module: a text of Rego.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// For messages.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Policies that are ready to be asked.
pub struct Policy {
    /// Whoever asks has a copy of it, which shares the modules and the data.
    engine: Engine,
    entry: String,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request passes.
    pub allow: bool,
    /// Why, as the policy says.
    pub reason: Option<Arc<str>>,
}

impl fmt::Debug for Policy {
    /// Without what it is made of: the engine's own form of that may fail on texts that are not ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Policy {
    /// Compiles modules with their data, an object of JSON. `entry` is the rule that decides, such as
    /// `data.gateway.allow`; it must be there. A run takes `limit` at most.
    ///
    /// # Errors
    /// A module is wrong, the data are no object, or nothing is at `entry`.
    pub fn compile(
        modules: &[Module],
        data: &[&str],
        entry: &str,
        limit: Duration,
    ) -> Result<Policy, Fault> {
        let (mut engine, rules) = engine(modules, data)?;
        engine
            .compile_with_entrypoint(&entry.into())
            .map_err(|error| Fault::entry(entry, &error))?;
        if !rules.iter().any(|rule| rule == entry) {
            return Err(Fault::Entry {
                entry: entry.to_owned(),
                why: "there is no such rule".into(),
            });
        }
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: STEPS });
        Ok(Policy { engine, entry: entry.to_owned() })
    }

    /// The rule that decides.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Asks about an input.
    ///
    /// # Errors
    /// It failed, took too long, or says neither yes nor no.
    pub fn decide(&self, input: Value) -> Result<Decision, RunError> {
        let mut engine = self.engine.clone();
        engine.set_input(input);
        let said = engine.eval_rule(self.entry.clone()).map_err(|error| RunError::new(&error))?;
        match &said {
            Value::Bool(allow) => Ok(Decision { allow: *allow, reason: None }),
            Value::Undefined => Err(RunError::Undefined),
            Value::Object(_) => match &said["allow"] {
                Value::Bool(allow) => Ok(Decision { allow: *allow, reason: reason(&said) }),
                _ => Err(RunError::Neither),
            },
            _ => Err(RunError::Neither),
        }
    }
}

fn reason(said: &Value) -> Option<Arc<str>> {
    match &said["reason"] {
        Value::String(reason) => Some(Arc::clone(reason)),
        _ => None,
    }
}

/// An engine that has read modules and data, and the whole names of the rules in it.
fn engine(modules: &[Module], data: &[&str]) -> Result<(Engine, Vec<String>), Fault> {
    let mut engine = Engine::new();
    // Otherwise what a builtin refuses would be `undefined`, and its `not` true.
    engine.set_strict_builtin_errors(true);
    bounds::size(modules.iter().map(|module| module.text.len()).sum())?;
    for module in modules {
        chains::bounded(module)?;
        let Module { name, text } = module;
        engine.add_policy(name.clone(), text.clone()).map_err(|error| Fault::module(&error))?;
    }
    let rules = bounds::rules(&engine)?;
    for text in data {
        let data = Value::from_json_str(text).map_err(|error| Fault::data(&error))?;
        engine.add_data(data).map_err(|error| Fault::data(&error))?;
    }
    Ok((engine, rules))
}

#[cfg(test)]
mod tests;
