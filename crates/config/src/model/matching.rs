//! What a route asks of a request.

use std::sync::Arc;

use ipnet::IpNet;
use regex::bytes::Regex;

use super::{Name, PathPattern};

/// What a route asks of a request: each non-empty part must hold.
#[derive(Debug, Clone, Default)]
pub struct Match {
    /// A request that came in through any of these listeners, which exist in the configuration;
    /// empty is any listener.
    pub listeners: Vec<Name>,
    /// Any of these hosts; empty is any host.
    pub hosts: Vec<HostPattern>,
    /// Any of these paths; never empty ("any path" is one `/{*}`).
    pub paths: Vec<PathPattern>,
    /// Any of these methods, upper case as RFC 9110 has them; empty is any. `GET` includes `HEAD`:
    /// the check adds it.
    pub methods: Vec<Arc<str>>,
    /// All of these header fields; names are lower case.
    pub headers: Vec<Predicate>,
    /// All of these query parameters.
    pub query: Vec<Predicate>,
    /// All of these cookies.
    pub cookies: Vec<Predicate>,
    /// A client inside any of these networks; empty is any client.
    pub clients: Vec<IpNet>,
}

/// A host that a route takes, lower case, without port or trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This very host.
    Exact(Arc<str>),
    /// `*.example.com`: one or more labels before this suffix, which is kept with its leading dot.
    Suffix(Arc<str>),
}

/// A named value and what is asked of it.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// The field's, parameter's or cookie's name.
    pub name: Arc<str>,
    /// What is asked of its value.
    pub test: ValueTest,
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum ValueTest {
    /// It is there (`true`) or it is not.
    Present(bool),
    /// It is this, byte for byte.
    Exact(Arc<str>),
    /// The whole of it matches.
    Regex(Regex),
}
