//! Policies: what is asked of requests beyond their route.

use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::ClaimPath;

use super::{Access, Authentication, Cors, Csrf, Layered, Name, Rule, SecurityHeaders, Sharing};

/// The policies of a scope, by the step of a request that asks them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// Who may read replies from pages of other origins.
    pub cors: Layered<Cors>,
    /// Whose requests are taken for the user's own.
    pub csrf: Layered<Csrf>,
    /// What browsers are told that pages may do.
    pub security_headers: Layered<SecurityHeaders>,
    /// What a request must show so that the gateway knows who calls.
    pub authentication: Layered<Authentication>,
    /// Who may do what; no two of one kind and name.
    pub rules: Vec<Rule>,
    /// What counts, in order; no two of one kind and name.
    pub limits: Vec<Policy>,
    /// The place of each of these in the list that was written.
    pub limit_places: Vec<usize>,
}

impl Policies {
    /// The rules that are lists of those who may and who may not.
    pub fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Access(access) => Some(&**access),
            Rule::Cel(_) | Rule::Rego(_) | Rule::ExtAuthz(_) => None,
        })
    }
}

/// A policy that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// So many requests in a stretch of time that moves along.
    RateLimit(Arc<RateLimit>),
    /// So many requests in an hour, a day or a month of the calendar.
    Quota(Arc<Quota>),
    /// So many requests at once.
    Concurrency(Arc<Concurrency>),
}

impl Policy {
    /// Its name; with its kind it is unique in a list.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Policy::RateLimit(policy) => &policy.name,
            Policy::Quota(policy) => &policy.name,
            Policy::Concurrency(policy) => &policy.name,
        }
    }

    /// Where it counts together with other nodes, if it does.
    #[must_use]
    pub fn sharing(&self) -> Option<&Sharing> {
        match self {
            Policy::RateLimit(policy) => policy.sharing.as_ref(),
            Policy::Quota(policy) => policy.sharing.as_ref(),
            Policy::Concurrency(_) => None,
        }
    }

    /// Its kind, as configured.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Policy::RateLimit(_) => "rate_limit",
            Policy::Quota(_) => "quota",
            Policy::Concurrency(_) => "concurrency",
        }
    }
}

/// Whom requests are counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountBy {
    /// The parts of the key, each at most once; none is one count for everybody.
    pub parts: Vec<KeyPart>,
    /// What becomes of a request that lacks a part, or has it more than once.
    pub missing: Missing,
    /// Most keys that are kept; at least 1.
    pub keys: usize,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// The client's network.
    Ip {
        /// Bits of an IPv4 address, 0 to 32.
        prefix4: u8,
        /// Bits of an IPv6 address, 0 to 128.
        prefix6: u8,
    },
    /// The route's name.
    Route,
    /// The service's name.
    Service,
    /// The listener's name.
    Listener,
    /// The host asked for, without its port, in lower case.
    Host,
    /// The method.
    Method,
    /// The value of this field; the name is in lower case.
    Header(Name),
    /// The value of this cookie.
    Cookie(Name),
    /// The value of this query parameter.
    Query(Name),
    /// The value of this path parameter.
    Param(Name),
    /// The value of this claim of whoever calls.
    Claim(ClaimPath),
    /// The consumer's name.
    Consumer,
    /// The name of the consumer's plan.
    Plan,
    /// The name of the consumer's first group.
    Group,
}

/// What becomes of a request that lacks a part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// All of them are counted together.
    OwnBucket,
    /// It is refused.
    Refuse,
    /// This policy does not count it.
    Unlimited,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// Always this; at least 1.
    Fixed(u32),
    /// What a field of the request says.
    Header {
        /// The name of the field in lower case.
        name: Name,
        /// The cost when the field is not there, or no number; at least 1.
        otherwise: u32,
        /// The highest cost; what is above counts as this. At least `otherwise`.
        max: u32,
    },
}

/// Which fields of the reply tell the client about a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyFields {
    /// `RateLimit` and `RateLimit-Policy`.
    pub standard: bool,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    pub x: bool,
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Its name.
    pub name: Name,
    /// Whom it counts for.
    pub by: CountBy,
    /// How it counts.
    pub algorithm: Algorithm,
    /// Requests in `per`; at least 1, at most [`RateLimit::MOST`].
    pub limit: u32,
    /// The stretch of time; at least a millisecond.
    pub per: Duration,
    /// What a request costs.
    pub cost: Cost,
    /// What becomes of a request that is too much.
    pub on_limit: OnLimit,
    /// Where it counts together with other nodes, if it does.
    pub sharing: Option<Sharing>,
    /// Which fields tell of it.
    pub fields: ReplyFields,
}

impl RateLimit {
    /// The highest limit or burst.
    pub const MOST: u32 = 16_000_000;
}

/// How a rate limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// A bucket that holds so many requests and fills evenly.
    TokenBucket {
        /// What the bucket holds; at least 1.
        burst: u32,
    },
    /// The last `per`, weighed from two windows.
    SlidingWindow,
}

/// What becomes of a request that is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// It is refused.
    Refuse,
    /// It waits until there is room, and is refused if that takes too long. Only for token buckets.
    Delay {
        /// The longest wait; not zero.
        max_delay: Duration,
        /// Most requests that wait at once; at least 1.
        waiters: u32,
    },
}

/// A quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub name: Name,
    /// Whom it counts for.
    pub by: CountBy,
    /// Requests in a period; at least 1, at most [`Quota::MOST`].
    pub limit: u64,
    /// The period.
    pub per: Period,
    /// The IANA name of the time zone whose calendar counts; it is known.
    pub time_zone: Name,
    /// What a request costs.
    pub cost: Cost,
    /// Where it counts together with other nodes, if it does.
    pub sharing: Option<Sharing>,
    /// Which fields tell of it.
    pub fields: ReplyFields,
}

impl Quota {
    /// The highest quota.
    pub const MOST: u64 = 1_000_000_000_000;
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Period {
    /// Its name as configured.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Month => "month",
        }
    }
}

/// A limit of requests at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// Its name.
    pub name: Name,
    /// Whom it counts for.
    pub by: CountBy,
    /// Requests at once; at least 1.
    pub limit: u32,
    /// Most requests that wait for a place, for each key; 0 has none wait.
    pub queue: u32,
    /// The longest wait; not zero.
    pub wait: Duration,
    /// Which fields tell of it.
    pub fields: ReplyFields,
}
