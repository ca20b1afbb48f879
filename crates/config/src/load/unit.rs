//! A unit: one entry of the configuration (a listener, a service, a route, a setting), decoded and
//! checked on its own. What it came to stays valid until its text or its inputs change.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_jose::ClaimPath;
use serde::de::DeserializeOwned;

use crate::check::{self, Scope};
use crate::de::{self, Decoded};
use crate::inputs::{Input, Inputs};
use crate::model::{
    AccessLog, Consumer, Credentials, Group, Issuer, Listener, Name, Plan, Policies, Route,
    Service, Shutdown, State, Store, TcpRoute, Upgrade,
};
use crate::node::{Entry, Finding, Span, reference};
use crate::raw::{PolicySpec, Spanned};
use crate::report::Severity;

/// A unit's number; it stays the same as long as the unit is not evaluated again.
pub(crate) type UnitId = u32;

/// Which part of the configuration an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Collection {
    Listeners,
    Services,
    Routes,
    TcpRoutes,
    Stores,
    Issuers,
    Consumers,
    Groups,
    Plans,
    /// The keys of the top level that are no collections.
    Settings,
}

impl Collection {
    pub(crate) fn of(key: &str) -> Option<Collection> {
        match key {
            "listeners" => Some(Collection::Listeners),
            "services" => Some(Collection::Services),
            "routes" => Some(Collection::Routes),
            "tcp_routes" => Some(Collection::TcpRoutes),
            "stores" => Some(Collection::Stores),
            "issuers" => Some(Collection::Issuers),
            "consumers" => Some(Collection::Consumers),
            "groups" => Some(Collection::Groups),
            "plans" => Some(Collection::Plans),
            _ => None,
        }
    }
}

/// The top-level keys that are no collections.
pub(crate) const SETTINGS: &[&str] = &[
    "policies",
    "credentials",
    "state",
    "admin",
    "access_log",
    "metrics",
    "workers",
    "zone",
    "shutdown",
    "upgrade",
    "overload",
];

/// All top-level keys.
pub(crate) const KEYS: &[&str] = &[
    "listeners",
    "services",
    "routes",
    "tcp_routes",
    "stores",
    "issuers",
    "consumers",
    "groups",
    "plans",
    "credentials",
    "policies",
    "state",
    "admin",
    "access_log",
    "metrics",
    "workers",
    "zone",
    "shutdown",
    "upgrade",
    "overload",
];

/// One entry and what it came to.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) file: u32,
    pub(crate) collection: Collection,
    pub(crate) name: Name,
    /// Where the name is, from the start of the unit's text.
    pub(crate) key: Span,
    /// `None` when a fault left nothing.
    pub(crate) value: Option<Value>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) inputs: Vec<Input>,
    /// A hash of the content and of all that was read for it. Two units of equal content are taken
    /// for the same; the hash is keyed by chance, so nobody can make two collide.
    pub(crate) content: u64,
}

/// What an entry means.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Listener(Arc<Listener>),
    Service(Arc<Service>),
    Route(Arc<Route>),
    TcpRoute(Arc<TcpRoute>),
    Store(Arc<Store>),
    Issuer(Arc<Issuer>),
    Consumer(Arc<Consumer>),
    Group(Arc<Group>),
    Plan(Arc<Plan>),
    Credentials(Arc<Credentials>),
    Policies(Arc<Policies>),
    State(State),
    Admin(Option<SocketAddr>),
    AccessLog(AccessLog, Arc<[(Name, ClaimPath)]>),
    Metrics(bool),
    Workers(usize),
    Zone(Arc<str>),
    Shutdown(Shutdown),
    Overload(Option<std::time::Duration>),
    Upgrade(Upgrade),
}

impl Value {
    pub(crate) fn listener(&self) -> Option<&Arc<Listener>> {
        if let Value::Listener(value) = self { Some(value) } else { None }
    }

    pub(crate) fn service(&self) -> Option<&Arc<Service>> {
        if let Value::Service(value) = self { Some(value) } else { None }
    }

    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        if let Value::Route(value) = self { Some(value) } else { None }
    }

    pub(crate) fn tcp_route(&self) -> Option<&Arc<TcpRoute>> {
        if let Value::TcpRoute(value) = self { Some(value) } else { None }
    }

    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        if let Value::Store(value) = self { Some(value) } else { None }
    }

    pub(crate) fn issuer(&self) -> Option<&Arc<Issuer>> {
        if let Value::Issuer(value) = self { Some(value) } else { None }
    }

    pub(crate) fn consumer(&self) -> Option<&Arc<Consumer>> {
        if let Value::Consumer(value) = self { Some(value) } else { None }
    }

    pub(crate) fn group(&self) -> Option<&Arc<Group>> {
        if let Value::Group(value) = self { Some(value) } else { None }
    }

    pub(crate) fn plan(&self) -> Option<&Arc<Plan>> {
        if let Value::Plan(value) = self { Some(value) } else { None }
    }

    /// Its policies, if it has any.
    pub(crate) fn policies(&self) -> Option<&Policies> {
        match self {
            Value::Policies(policies) => Some(policies),
            Value::Service(service) => Some(&service.policies),
            Value::Consumer(consumer) => Some(&consumer.policies),
            Value::Group(group) => Some(&group.policies),
            Value::Plan(plan) => Some(&plan.policies),
            Value::Route(route) => Some(&route.policies),
            _ => None,
        }
    }
}

impl Unit {
    /// Decodes and checks an entry. `findings` are what reading its text found.
    pub(crate) fn evaluate(
        file: u32,
        collection: Collection,
        mut entry: Entry,
        mut findings: Vec<Finding>,
        inputs: &mut Inputs,
    ) -> Unit {
        inputs.take_used();
        reference::resolve(&mut entry.value, inputs, &mut findings);
        let mut hasher = inputs.content_hasher();
        entry.value.hash_content(&mut hasher);
        let name: Name = entry.key.as_ref().into();
        let key = entry.key_span;
        let value = value(collection, &name, &mut entry, &mut findings, inputs);
        let used = inputs.take_used();
        used.hash(&mut hasher);
        Unit {
            file,
            collection,
            name,
            key,
            value,
            findings,
            inputs: used,
            content: hasher.finish(),
        }
    }

    pub(crate) fn has_error(&self) -> bool {
        self.value.is_none() || self.findings.iter().any(|found| found.severity == Severity::Error)
    }
}

fn value(
    collection: Collection,
    name: &Name,
    entry: &mut Entry,
    findings: &mut Vec<Finding>,
    inputs: &mut Inputs,
) -> Option<Value> {
    let key = entry.key_span;
    if collection != Collection::Settings && !is_name(name) {
        findings.push(
            Finding::error(key, format!("`{name}` is no name"))
                .label("expected at most 128 letters, digits, `-`, `_`, `.`, `/`, `:` and `@`"),
        );
    }
    // A reference that could not be replaced leaves an empty string; what the checks say of that
    // would only follow from it.
    let failed_before = !findings.is_empty();
    let mut decode = Decode { name, entry, findings, inputs };
    let value = match collection {
        Collection::Listeners => {
            decode.run(|spec, scope| Value::Listener(check::listener(spec, scope).into()))
        }
        Collection::Services => {
            decode.run(|spec, scope| Value::Service(check::service(spec, scope).into()))
        }
        Collection::Routes => {
            decode.run(|spec, scope| Value::Route(check::route(spec, scope).into()))
        }
        Collection::TcpRoutes => {
            decode.run(|spec, scope| Value::TcpRoute(check::tcp_route(spec, scope).into()))
        }
        Collection::Stores => {
            decode.run(|spec, scope| Value::Store(check::store(spec, scope).into()))
        }
        Collection::Issuers => {
            decode.run(|spec, scope| Value::Issuer(check::issuer(spec, scope).into()))
        }
        Collection::Consumers => {
            decode.run(|spec, scope| Value::Consumer(check::consumer(spec, scope).into()))
        }
        Collection::Groups => {
            decode.run(|spec, scope| Value::Group(check::group(spec, scope).into()))
        }
        Collection::Plans => decode.run(|spec, scope| Value::Plan(check::plan(spec, scope).into())),
        Collection::Settings => match &**name {
            "policies" => decode.run(|spec: &Vec<Spanned<PolicySpec>>, scope| {
                Value::Policies(check::policies(spec, None, scope))
            }),
            "credentials" => decode
                .run(|spec, scope| Value::Credentials(Arc::new(check::credentials(spec, scope)))),
            "state" => decode.run(|spec, scope| Value::State(check::state(spec, scope))),
            "admin" => decode.run(|spec, scope| Value::Admin(check::admin(spec, scope))),
            "access_log" => decode.run(|spec, scope| {
                Value::AccessLog(check::access_log(spec, scope), check::logged_claims(spec, scope))
            }),
            "metrics" => decode.run(|on: &bool, _| Value::Metrics(*on)),
            "workers" => decode.run(|spec, scope| Value::Workers(check::workers(spec, scope))),
            "zone" => decode.run(|spec, scope| Value::Zone(check::zone(spec, scope))),
            "shutdown" => decode.run(|spec, _| Value::Shutdown(check::shutdown(spec))),
            "overload" => decode.run(|spec, scope| Value::Overload(check::overload(spec, scope))),
            "upgrade" => decode.run(|spec, scope| Value::Upgrade(check::upgrade(spec, scope))),
            _ => None,
        },
    };
    if failed_before {
        without_followers(findings);
    }
    value
}

/// Where a place has several errors, the first is the cause of the others.
fn without_followers(findings: &mut Vec<Finding>) {
    let mut seen: Vec<Span> = Vec::new();
    findings.retain(|found| {
        let first = !seen.contains(&found.at);
        seen.push(found.at);
        first
    });
}

struct Decode<'a> {
    name: &'a Name,
    entry: &'a mut Entry,
    findings: &'a mut Vec<Finding>,
    inputs: &'a mut Inputs,
}

impl Decode<'_> {
    fn run<T: DeserializeOwned>(
        &mut self,
        check: impl FnOnce(&T, &mut Scope<'_>) -> Value,
    ) -> Option<Value> {
        let Decoded { value, incomplete } = de::decode::<T>(self.entry, self.findings);
        let mut scope = Scope {
            name: self.name.clone(),
            name_span: self.entry.key_span,
            incomplete,
            by_consumer: false,
            findings: self.findings,
            inputs: self.inputs,
        };
        value.map(|spec| check(&spec, &mut scope))
    }
}

/// The names of listeners, services and routes stand in metrics, logs and URLs of the admin API.
fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte))
}
