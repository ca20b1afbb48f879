//! How the gateway finds out whether endpoints are well: active checks, and what requests meet.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

/// Active checks of a service's endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveCheck {
    /// What is asked.
    pub kind: CheckKind,
    /// From one check of an endpoint to the next. Not zero.
    pub interval: Duration,
    /// The same while the endpoint changes sides; at most `interval`.
    pub fast_interval: Duration,
    /// How much longer or shorter each wait is at random, as a share; at most a half.
    pub jitter: f64,
    /// How long a check may take. Not zero.
    pub timeout: Duration,
    /// Checks in a row that make an unhealthy endpoint healthy; at least 1.
    pub healthy: u32,
    /// Checks in a row that make a healthy endpoint unhealthy; at least 1.
    pub unhealthy: u32,
    /// Whether a new endpoint takes requests before its first check.
    pub initially_healthy: bool,
    /// Another port than the endpoint's own; never where an endpoint is a Unix socket.
    pub port: Option<u16>,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckKind {
    /// A request.
    Http(HttpCheck),
    /// A connection.
    Tcp,
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// The service asked about; empty is the server as a whole.
        service: Arc<str>,
        /// `:authority`; `None` is the endpoint's.
        host: Option<Arc<str>>,
    },
}

/// A request, and the reply that passes.
#[derive(Debug, Clone)]
pub struct HttpCheck {
    /// Path; begins with a slash.
    pub path: Arc<str>,
    /// What stands behind `?`, if there is a `?`.
    pub query: Option<Arc<str>>,
    /// Method; not `CONNECT`.
    pub method: Arc<str>,
    /// `Host`; `None` is the endpoint's.
    pub host: Option<Arc<str>>,
    /// More fields, names in lower case.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// First and last of the statuses that pass; at least one range.
    pub status: Vec<(u16, u16)>,
    /// What the content must have in it.
    pub body: Option<BodyTest>,
    /// Most bytes of content that are looked at.
    pub max_body: usize,
}

/// What content must have in it.
#[derive(Debug, Clone)]
pub enum BodyTest {
    /// This text.
    Contains(Arc<str>),
    /// Something that matches.
    Regex(Regex),
}

impl PartialEq for HttpCheck {
    fn eq(&self, other: &HttpCheck) -> bool {
        let rest = |check: &HttpCheck| (check.path.clone(), check.query.clone(), check.max_body);
        let who = |check: &HttpCheck| (check.method.clone(), check.host.clone());
        rest(self) == rest(other)
            && who(self) == who(other)
            && self.headers == other.headers
            && self.status == other.status
            && self.body == other.body
    }
}

impl PartialEq for BodyTest {
    fn eq(&self, other: &BodyTest) -> bool {
        match (self, other) {
            (BodyTest::Contains(a), BodyTest::Contains(b)) => a == b,
            (BodyTest::Regex(a), BodyTest::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// When endpoints are ejected for what requests meet there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outliers {
    /// Replies of 5xx and gateway errors in a row; at least 1.
    pub consecutive_5xx: Option<u32>,
    /// Gateway errors in a row; at least 1.
    pub consecutive_gateway_errors: Option<u32>,
    /// By how often they succeed.
    pub success_rate: Option<SuccessRate>,
    /// By how fast they answer.
    pub latency: Option<LatencyOutlier>,
    /// How often the last two are looked at. Not zero.
    pub interval: Duration,
    /// How long the first ejection lasts. Not zero.
    pub base_ejection: Duration,
    /// The longest that one lasts; at least `base_ejection`.
    pub max_ejection: Duration,
    /// Most endpoints ejected at once, as a share of all; above 0.
    pub max_ejected: f64,
}

/// When an endpoint's share of successes is too small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRate {
    /// Too small in any case, from 0 to 1.
    pub minimum: f64,
    /// Too small when so many standard deviations below the mean; above 0.
    pub deviations: f64,
    /// Endpoints that it takes for a mean; at least 3.
    pub endpoints: u32,
    /// Requests that it takes to judge an endpoint; at least 1.
    pub requests: u32,
}

/// When an endpoint is too slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyOutlier {
    /// So many times the mean of the endpoint in the middle; above 1.
    pub factor: f64,
    /// Faster ones are never too slow.
    pub at_least: Duration,
    /// Endpoints that it takes to compare; at least 3.
    pub endpoints: u32,
    /// Requests that it takes to judge an endpoint; at least 1.
    pub requests: u32,
}
