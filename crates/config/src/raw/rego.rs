//! Policies of Rego, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Spanned, Time};

/// A policy in Rego, the language of Open Policy Agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegoSpec {
    /// Its name in metrics and logs. A route's replaces its service's of the same name, and that a
    /// global one. Default: `rego`.
    pub(crate) name: Option<Spanned<String>>,
    /// The files: modules that end in `.rego` and data, objects, that end in `.json`. At most 1 MiB
    /// of modules.
    pub(crate) files: OneOrMany<Spanned<String>>,
    /// The rule that decides, from `data`: `data.gateway.allow` is the rule `allow` of the package
    /// `gateway`. It says `true` or `false`, or an object with `allow` and a `reason` for the log.
    pub(crate) rule: Spanned<String>,
    /// The longest that one decision takes, up to `100ms`; then the request is refused. Default:
    /// `10ms`.
    pub(crate) timeout: Option<Spanned<Time>>,
}
