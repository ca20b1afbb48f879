//! Who may do what: rules that let requests pass or not.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use portcullis_cel::{Program, Schema, Type};

use super::{ExtAuthz, Name, RegoRule};

/// A rule. A request passes if every rule lets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Lists of those who may and who may not.
    Access(Arc<Access>),
    /// An expression.
    Cel(Arc<CelRule>),
    /// A policy of Rego.
    Rego(Arc<RegoRule>),
    /// A service that is asked.
    ExtAuthz(Arc<ExtAuthz>),
}

impl Rule {
    /// Its name; with its kind it is unique in a list.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Rule::Access(rule) => &rule.name,
            Rule::Cel(rule) => &rule.name,
            Rule::Rego(rule) => &rule.name,
            Rule::ExtAuthz(rule) => &rule.name,
        }
    }

    /// Its kind, as configured.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Rule::Access(_) => "access",
            Rule::Cel(_) => "cel",
            Rule::Rego(_) => "rego",
            Rule::ExtAuthz(_) => "ext_authz",
        }
    }
}

/// Those who may and those who may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Its name.
    pub name: Name,
    /// One of these must hold, if there is such a list; it is not empty.
    pub allow: Option<Vec<Conditions>>,
    /// None of these may hold.
    pub deny: Vec<Conditions>,
}

/// What must hold of a request: all that is said here, each by any of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The consumer's name.
    pub consumers: Vec<Name>,
    /// One of its groups.
    pub groups: Vec<Name>,
    /// Its plan.
    pub plans: Vec<Name>,
    /// A scope that its token grants.
    pub scopes: Vec<Name>,
    /// A role that its token grants.
    pub roles: Vec<Name>,
    /// The network of the client.
    pub networks: Vec<IpNet>,
    /// The method.
    pub methods: Vec<Name>,
    /// When it is.
    pub times: Option<Times>,
}

/// Stretches of time that come back every week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The days on which they begin; a bit each, Monday is the lowest. Not empty.
    pub days: u8,
    /// From this minute of the day.
    pub from: u16,
    /// To this minute, which is not in it any more; of the next day if it is not after `from`. At
    /// most 1440.
    pub until: u16,
    /// Whose days.
    pub zone: TimeZone,
}

/// An expression that says whether a request passes.
#[derive(Clone)]
pub struct CelRule {
    /// Its name.
    pub name: Name,
    /// As written.
    pub source: Name,
    /// The same, ready to run; it names no variables but those of [`Variable`].
    pub program: Arc<Program>,
}

impl fmt::Debug for CelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CelRule").field("name", &self.name).field("source", &self.source).finish()
    }
}

impl PartialEq for CelRule {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.source) == (&other.name, &other.source)
    }
}

impl Eq for CelRule {}

/// What an expression may ask of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are in `Variable::describe`")]
pub enum Variable {
    Method,
    Path,
    QueryString,
    Query,
    Headers,
    Cookies,
    Params,
    Host,
    Scheme,
    Ip,
    Time,
    Size,
    Listener,
    Route,
    Service,
    ConsumerKnown,
    ConsumerName,
    ConsumerId,
    ConsumerPlan,
    ConsumerGroups,
    ConsumerTags,
    ConsumerMetadata,
    AuthKind,
    AuthCredential,
    AuthScopes,
    AuthRoles,
    Claims,
}

impl Variable {
    /// All of them; the position of one is its place in the schema.
    pub const ALL: [Variable; 27] = [
        Variable::Method,
        Variable::Path,
        Variable::QueryString,
        Variable::Query,
        Variable::Headers,
        Variable::Cookies,
        Variable::Params,
        Variable::Host,
        Variable::Scheme,
        Variable::Ip,
        Variable::Time,
        Variable::Size,
        Variable::Listener,
        Variable::Route,
        Variable::Service,
        Variable::ConsumerKnown,
        Variable::ConsumerName,
        Variable::ConsumerId,
        Variable::ConsumerPlan,
        Variable::ConsumerGroups,
        Variable::ConsumerTags,
        Variable::ConsumerMetadata,
        Variable::AuthKind,
        Variable::AuthCredential,
        Variable::AuthScopes,
        Variable::AuthRoles,
        Variable::Claims,
    ];

    /// Its name and type.
    #[must_use]
    pub fn describe(self) -> (&'static str, Type) {
        let text = Type::String;
        let list = Type::list(Type::String);
        let map = Type::map(Type::String);
        match self {
            Variable::Method => ("request.method", text),
            Variable::Path => ("request.path", text),
            Variable::QueryString => ("request.query_string", text),
            Variable::Query => ("request.query", map),
            Variable::Headers => ("request.headers", map),
            Variable::Cookies => ("request.cookies", map),
            Variable::Params => ("request.params", map),
            Variable::Host => ("request.host", text),
            Variable::Scheme => ("request.scheme", text),
            Variable::Ip => ("request.ip", text),
            Variable::Time => ("request.time", Type::Timestamp),
            Variable::Size => ("request.size", Type::Int),
            Variable::Listener => ("request.listener", text),
            Variable::Route => ("request.route", text),
            Variable::Service => ("request.service", text),
            Variable::ConsumerKnown => ("consumer.known", Type::Bool),
            Variable::ConsumerName => ("consumer.name", text),
            Variable::ConsumerId => ("consumer.id", text),
            Variable::ConsumerPlan => ("consumer.plan", text),
            Variable::ConsumerGroups => ("consumer.groups", list),
            Variable::ConsumerTags => ("consumer.tags", list),
            Variable::ConsumerMetadata => ("consumer.metadata", map),
            Variable::AuthKind => ("auth.kind", text),
            Variable::AuthCredential => ("auth.credential", text),
            Variable::AuthScopes => ("auth.scopes", list),
            Variable::AuthRoles => ("auth.roles", list),
            Variable::Claims => ("claims", Type::map(Type::Dyn)),
        }
    }

    /// What expressions may name.
    #[must_use]
    pub fn schema() -> Schema {
        Schema::new(Variable::ALL.map(Variable::describe))
    }
}
