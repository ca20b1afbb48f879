//! Policies for the sake of browsers: who may read replies from a page of another site, whose
//! requests are taken for the user's own, and what pages are allowed to do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::Name;

/// A policy of which the narrowest one that says anything holds.
#[derive(Debug, Default)]
pub enum Layered<T> {
    /// Nothing is said: a wider one may hold.
    #[default]
    Unsaid,
    /// None, whatever a wider scope says.
    Off,
    /// This one.
    On(Arc<T>),
}

impl<T> Layered<T> {
    /// The same with another policy in its place.
    pub fn map<U>(&self, change: impl FnOnce(&Arc<T>) -> U) -> Layered<U> {
        match self {
            Layered::Unsaid => Layered::Unsaid,
            Layered::Off => Layered::Off,
            Layered::On(policy) => Layered::On(Arc::new(change(policy))),
        }
    }
}

impl<T> Clone for Layered<T> {
    fn clone(&self) -> Self {
        match self {
            Layered::Unsaid => Layered::Unsaid,
            Layered::Off => Layered::Off,
            Layered::On(policy) => Layered::On(Arc::clone(policy)),
        }
    }
}

impl<T: PartialEq> PartialEq for Layered<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Layered::Unsaid, Layered::Unsaid) | (Layered::Off, Layered::Off) => true,
            (Layered::On(one), Layered::On(other)) => one == other,
            _ => false,
        }
    }
}

impl<T: Eq> Eq for Layered<T> {}

/// Who may read replies from a page of another origin, and what such pages may send (Fetch, "CORS
/// protocol").
#[derive(Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins.
    pub origins: CorsOrigins,
    /// The methods, or any that a route takes.
    pub methods: Option<Vec<Name>>,
    /// The request fields beyond those that need no leave, in lower case; or any.
    pub headers: Option<Vec<Name>>,
    /// The reply fields that pages may read, in lower case.
    pub expose: Vec<Name>,
    /// Whether cookies and logins may go along. Never with [`CorsOrigins::Any`].
    pub credentials: bool,
    /// How long browsers remember the answer to a preflight; at most a day.
    pub max_age: Duration,
    /// Whether pages of public networks may ask a gateway in a private one.
    pub private_network: bool,
}

/// The origins that a [`Cors`] lets in.
#[derive(Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Any.
    Any,
    /// Those of a set.
    Some(Origins),
}

/// A set of origins.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// These, as browsers write them (RFC 6454, 6.2), `null` perhaps among them.
    pub exact: HashSet<Box<[u8]>>,
    /// Families of them.
    pub patterns: Vec<OriginPattern>,
    /// Whatever one of these matches as a whole.
    pub regexes: Vec<Regex>,
}

impl PartialEq for Origins {
    fn eq(&self, other: &Self) -> bool {
        let sources = |origins: &Origins| -> Vec<String> {
            origins.regexes.iter().map(|regex| regex.as_str().to_owned()).collect()
        };
        (&self.exact, &self.patterns) == (&other.exact, &other.patterns)
            && sources(self) == sources(other)
    }
}

impl Eq for Origins {}

/// Origins that differ in their subdomain or in their port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// The scheme, in lower case.
    pub scheme: Name,
    /// The host, in lower case; behind a `*` it begins with the dot and stands for all below it.
    pub host: Name,
    /// The port.
    pub port: OriginPort,
}

/// The port of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginPort {
    /// The scheme's own, which is not written.
    Default,
    /// This one.
    Is(u16),
    /// Any, the scheme's own included.
    Any,
}

/// Whose requests are taken for the user's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Csrf {
    /// Other origins whose pages may make users' browsers send requests that change something.
    pub origins: Origins,
    /// Whether a request passes that says nothing about where it comes from.
    pub pass_unknown: bool,
}

/// Fields of replies that tell browsers what pages may do.
#[derive(Debug, PartialEq, Eq)]
pub struct SecurityHeaders {
    /// Fields that are set, by their names in lower case, each at most once.
    pub set: Vec<SetField>,
    /// The value of `Strict-Transport-Security`, which is set only where clients speak TLS.
    pub hsts: Option<Name>,
    /// Fields of endpoints that are taken out, in lower case.
    pub remove: Vec<Name>,
    /// Whether what an endpoint says is replaced; else the gateway is silent where it spoke.
    pub replace: bool,
}

/// A field with a fixed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetField {
    /// Its name in lower case.
    pub name: &'static str,
    /// Its value.
    pub value: Name,
}
