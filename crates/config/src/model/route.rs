//! A route: what it matches and what happens then.

use std::sync::Arc;
use std::time::Duration;

use super::{Faults, Importance, Match, Mirror, Name, Policies, Retries, SplitBy, Template};

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name.
    pub name: Name,
    /// What it matches.
    pub matches: Match,
    /// Higher wins before anything else is looked at.
    pub priority: i32,
    /// What happens to a request that it takes.
    pub action: Action,
    /// Overrides the listener's body limit: `Some(None)` is "unlimited".
    pub body_limit: Option<Option<u64>>,
    /// Overrides the service's timeouts.
    pub timeouts: RouteTimeouts,
    /// Whether `Upgrade` may pass.
    pub upgrade: bool,
    /// Instead of the service's: `Some(None)` is "off".
    pub retries: Option<Option<Arc<Retries>>>,
    /// The reply where the gateway would answer 502, 503 or 504 by itself.
    pub fallback: Option<Arc<Reply>>,
    /// Its policies.
    pub policies: Arc<Policies>,
    /// Faults on purpose.
    pub faults: Faults,
    /// How much its requests matter where there is too much to do.
    pub importance: Importance,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// It goes to one of these services, chosen by weight; at least one of weight above 0.
    Forward {
        /// The services and their shares.
        services: Vec<WeightedService>,
        /// What holds a client to one of them.
        split_by: SplitBy,
        /// Copies for another service.
        mirror: Option<Arc<Mirror>>,
        /// What changes on the way.
        rewrite: Rewrite,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// `Location`, with the path's parameters and `{query}`.
        to: Template,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// The gateway answers.
    Reply(Arc<Reply>),
}

/// A service and its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedService {
    /// The service's name; it exists in the configuration.
    pub service: Name,
    /// Its share relative to the others.
    pub weight: u32,
}

/// What changes in a request on its way to the service.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// The path.
    pub path: RewritePath,
    /// The `Host`; wins over the service's policy.
    pub host: Option<Arc<str>>,
}

/// What becomes of the path.
#[derive(Debug, Clone, Default)]
pub enum RewritePath {
    /// It stays byte for byte as the client sent it.
    #[default]
    Keep,
    /// This prefix of the normalised path goes, by whole segments; begins with `/`.
    StripPrefix(Arc<str>),
    /// It becomes this; the query is kept.
    Template(Template),
}

/// A fixed reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Field names (lower case) and values, legal for RFC 9110; no framing field among them.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The content.
    pub body: ReplyBody,
}

/// Content of a fixed reply, in memory.
pub type ReplyBody = Arc<[u8]>;

/// A route's own timeouts; `None` leaves the service's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// See [`super::ServiceTimeouts::connect`].
    pub connect: Option<Duration>,
    /// See [`super::ServiceTimeouts::first_byte`].
    pub first_byte: Option<Duration>,
    /// See [`super::ServiceTimeouts::stall`].
    pub stall: Option<Duration>,
    /// See [`super::ServiceTimeouts::tunnel`].
    pub tunnel: Option<Duration>,
    /// See [`super::ServiceTimeouts::total`]; `Some(None)` is "off".
    pub total: Option<Option<Duration>>,
}
