//! What can be wrong with an expression, before it runs and while it does.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The bytes of the source that it is about.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, if that can be said.
    pub help: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Range<usize>, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Why a run gave no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunError {
    /// It took more steps than it may.
    TooCostly,
    /// A map has no such key.
    NoSuchKey(String),
    /// Something else, in words.
    Failed(Cow<'static, str>),
}

impl RunError {
    pub(crate) fn new(what: &'static str) -> RunError {
        RunError::Failed(Cow::Borrowed(what))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::TooCostly => f.write_str("it takes too many steps"),
            RunError::NoSuchKey(key) => write!(f, "there is no key {key:?}"),
            RunError::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for RunError {}
