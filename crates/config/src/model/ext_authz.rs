//! Services that are asked whether requests may pass.

use std::time::Duration;

use super::{Name, StoreTls, Url};

/// A service that is asked about requests, over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtAuthz {
    /// Its name.
    pub name: Name,
    /// What is asked.
    pub url: Url,
    /// Fields of the request that it is shown, in lower case.
    pub send: Vec<Name>,
    /// Fields of its answer that the service gets, in lower case.
    pub to_upstream: Vec<Name>,
    /// Fields of its answer that a client gets whose request does not pass, in lower case.
    pub to_client: Vec<Name>,
    /// The longest that one call takes.
    pub timeout: Duration,
    /// The largest content of an answer, in bytes.
    pub max_size: usize,
    /// Most calls under way at once; at least one.
    pub max_calls: usize,
    /// Whether requests pass that there is no answer about.
    pub open: bool,
    /// How answers are remembered, if they are.
    pub cache: Option<AuthzCache>,
    /// How TLS towards it is verified, where it is spoken.
    pub tls: StoreTls,
}

/// How answers are remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthzCache {
    /// How long.
    pub ttl: Duration,
    /// Most of them; at least one.
    pub size: usize,
    /// What of the request an answer does not depend on.
    pub regardless_of: Vec<AuthzPart>,
}

/// A part of what is asked about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthzPart {
    /// The method.
    Method,
    /// The path and the query.
    Uri,
    /// The host.
    Host,
    /// Whether it came over TLS.
    Scheme,
    /// The client's address.
    Ip,
}
