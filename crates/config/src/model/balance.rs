//! How requests are spread over the endpoints of a service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::ClaimPath;

use super::Secret;

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Balance {
    /// Smooth weighted round robin.
    RoundRobin,
    /// The fewest requests in flight relative to the weight.
    LeastRequests,
    /// The lowest latency times requests in flight.
    PeakEwma {
        /// In how long a measured latency falls to 1/e. Not zero.
        decay: Duration,
    },
    /// By a hash of something of the request.
    Hash(HashBalance),
}

/// Choosing by a hash.
#[derive(Debug, Clone, PartialEq)]
pub struct HashBalance {
    /// What is hashed; at least one, none twice. A request that lacks any takes its turn.
    pub by: Vec<HashPart>,
    /// How hashes map to endpoints.
    pub algorithm: HashAlgorithm,
    /// The most requests in flight at an endpoint, relative to its share of all; above 1.
    pub bounded_load: Option<f64>,
}

/// Something of a request that is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashPart {
    /// The client's address.
    Ip,
    /// The value of a header field, by its name in lower case.
    Header(Arc<str>),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The value of a query parameter.
    Query(Arc<str>),
    /// A parameter of the route's path.
    Param(Arc<str>),
    /// A claim of whoever calls.
    Claim(ClaimPath),
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashPart::Ip => f.write_str("ip"),
            HashPart::Header(name) => write!(f, "header {name}"),
            HashPart::Cookie(name) => write!(f, "cookie {name}"),
            HashPart::Query(name) => write!(f, "query {name}"),
            HashPart::Param(name) => write!(f, "param {name}"),
            HashPart::Claim(path) => write!(f, "claim {}", path.as_str()),
        }
    }
}

/// How hashes map to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// A table that each endpoint fills its share of.
    Maglev,
    /// Points on a ring; a hash belongs to the next one.
    Ring,
}

impl Balance {
    /// Its name in configurations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Balance::RoundRobin => "round_robin",
            Balance::LeastRequests => "least_requests",
            Balance::PeakEwma { .. } => "peak_ewma",
            Balance::Hash(_) => "hash",
        }
    }

    /// Whether it looks at the requests that endpoints have under way.
    #[must_use]
    pub fn counts_active(&self) -> bool {
        match self {
            Balance::RoundRobin => false,
            Balance::LeastRequests | Balance::PeakEwma { .. } => true,
            Balance::Hash(hash) => hash.bounded_load.is_some(),
        }
    }
}

/// An endpoint that has become available gets its share little by little.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    /// After how long it gets its whole share. Not zero.
    pub window: Duration,
    /// What it gets of its share at once: above 0, at most 1.
    pub min_share: f64,
}

/// How many endpoints must be available; shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Availability {
    /// Below it, other levels or zones take a part.
    pub spill_below: f64,
    /// Below it, all endpoints are used; 0 is never.
    pub panic_below: f64,
}

impl Default for Availability {
    fn default() -> Self {
        Availability { spill_below: 0.7, panic_below: 0.2 }
    }
}

/// A cookie that brings a client back to the endpoint that it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Its name, if it is not made from the service's.
    pub cookie: Option<Arc<str>>,
    /// Its `Path`.
    pub path: Arc<str>,
    /// Its `Max-Age`, in whole seconds.
    pub max_age: Option<Duration>,
    /// Whether it is `Secure`; `None` where the client came over TLS.
    pub secure: Option<bool>,
    /// Whether it is `HttpOnly`.
    pub http_only: bool,
    /// Its `SameSite`.
    pub same_site: SameSite,
    /// What signs it, if it is not this process's own.
    pub key: Option<Secret>,
}

/// Whether requests that other sites bring about carry a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When a link is followed.
    Lax,
    /// Always.
    None,
}

impl SameSite {
    /// As it stands in a cookie.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}
