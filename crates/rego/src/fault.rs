//! What is wrong with policies, and what goes wrong when they run.

/// The longest text of the engine that is passed on, in bytes.
const LONGEST: usize = 600;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A module, or several together.
    #[error("{0}")]
    Module(String),
    /// The data.
    #[error("these data cannot be used: {0}")]
    Data(String),
    /// The rule that decides.
    #[error("`{entry}` cannot be asked: {why}")]
    Entry {
        /// As written.
        entry: String,
        /// Why not.
        why: String,
    },
}

impl Fault {
    pub(crate) fn module(error: &impl ToString) -> Fault {
        let text = error.to_string();
        let line = |mark: &str| text.lines().find_map(|line| line.trim().strip_prefix(mark));
        // The engine draws the line with a mark below; the place and the message are enough.
        Fault::Module(match (line("--> "), line("error: ")) {
            (Some(place), Some(said)) => told(&format!("{place}: {said}")),
            _ => told(&text),
        })
    }

    pub(crate) fn data(error: &impl ToString) -> Fault {
        Fault::Data(told(error))
    }

    pub(crate) fn entry(entry: &str, error: &impl ToString) -> Fault {
        Fault::Entry { entry: entry.to_owned(), why: told(error) }
    }
}

/// Why a policy gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The rule has no value for this input, and no default.
    #[error("the policy has no answer (undefined)")]
    Undefined,
    /// The value is neither a boolean nor an object with a boolean `allow`.
    #[error("the policy says neither yes nor no")]
    Neither,
    /// It failed or took too long.
    #[error("the policy failed: {0}")]
    Failed(String),
}

impl RunError {
    pub(crate) fn new(error: &impl ToString) -> RunError {
        RunError::Failed(told(error))
    }
}

/// What the engine says, no longer than anybody reads.
fn told(error: &impl ToString) -> String {
    let mut text = error.to_string().trim().to_owned();
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}
