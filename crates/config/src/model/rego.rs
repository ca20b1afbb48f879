//! Policies of Rego.

use std::sync::Arc;
use std::time::Duration;

use portcullis_rego::Policy;

use super::Name;

/// A rule of Rego that says whether a request passes.
#[derive(Debug, Clone)]
pub struct RegoRule {
    /// Its name.
    pub name: Name,
    /// What it is made of.
    pub source: Arc<RegoSource>,
    /// The same, ready to run. Rules of the same source share it.
    pub policy: Arc<Policy>,
}

/// What a policy of Rego is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegoSource {
    /// Modules and data: the names as written, and the contents.
    pub files: Vec<(Name, Arc<[u8]>)>,
    /// The rule that decides.
    pub rule: Name,
    /// The longest that one decision takes.
    pub timeout: Duration,
}

impl PartialEq for RegoRule {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.source) == (&other.name, &other.source)
    }
}

impl Eq for RegoRule {}
