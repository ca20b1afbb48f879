//! Expressions of CEL, the Common Expression Language (cel.dev): written by those who configure a
//! gateway, read and typed once, run for every request.
//!
//! A [`Program`] knows the type of all that it does, so that an unknown name, a wrong type or a
//! regular expression that is none is found when it is compiled. It asks its [`Source`] for no more
//! than the variables that a run really needs, copies none of them, and ends after a bounded number of
//! steps. Neither compiling nor running panics, whatever is written or comes in.
//!
//! Left out on purpose: messages of Protocol Buffers, `type()`, and `matches` with an expression that
//! is not written out, which would have to be compiled for each request.

mod arithmetic;
mod ast;
mod check;
mod compare;
mod convert;
mod fault;
mod functions;
mod parse;
mod program;
mod run;
mod time;
mod token;
mod types;
mod value;

pub use fault::{Fault, RunError};
pub use program::{BUDGET, Program, Source};
pub use types::{Schema, Type};
pub use value::{HostList, HostMap, List, Map, Value};

#[cfg(test)]
mod tests;
