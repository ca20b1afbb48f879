//! What the gateway would do with a request, and why: the pipeline's own steps, taken one after
//! the other without a connection, each leaving behind what it decided. No I/O, and nothing is
//! chosen at random: where requests are spread, every share is told.

mod browser;
mod identity;
mod rules;
mod steps;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{Reply, Trust};
use portcullis_core::Failure;
use portcullis_policies::Running;

pub use self::browser::{JudgeStep, PreflightStep};
use crate::router::Candidate;
use crate::snapshot::{CompiledRoute, CompiledService, ListenerSettings, Snapshot};

/// Tells what the gateway would do with a request.
#[must_use]
pub fn explain<'s>(snapshot: &'s Snapshot, question: &Question<'_>) -> Explanation<'s> {
    let mut explanation = Explanation {
        head: HeadSize::default(),
        authority: String::new(),
        path: None,
        client: None,
        candidates: Vec::new(),
        authentication: None,
        judges: Vec::new(),
        policies: Vec::new(),
        outcome: Outcome::Own,
    };
    explanation.outcome = match steps::walk(snapshot, question, &mut explanation) {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::Refused(failure, Vec::new()),
    };
    explanation
}

/// A request that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where it arrives.
    pub listener: &'a ListenerSettings,
    /// Its method.
    pub method: &'a str,
    /// Its target as it stands in the first line: a path with its query, a URL or `*`.
    pub target: &'a str,
    /// Its `Host`, unless `fields` has one.
    pub host: &'a str,
    /// Its header fields, names and values.
    pub fields: &'a [(String, String)],
    /// The address that the connection comes from; none over a Unix socket.
    pub peer: Option<IpAddr>,
}

/// Step by step, what becomes of a request. Steps that it does not reach are empty.
#[derive(Debug)]
pub struct Explanation<'s> {
    /// Its head, against the listener's limits.
    pub head: HeadSize,
    /// The host that it asks for, with the port if one was given.
    pub authority: String,
    /// Its path before and after normalisation.
    pub path: Option<PathStep>,
    /// Who the client is taken to be.
    pub client: Option<ClientStep>,
    /// The routes whose host and path match, in order of precedence.
    pub candidates: Vec<Candidate<'s, Arc<CompiledRoute>>>,
    /// Who calls, where anybody wants to know.
    pub authentication: Option<AuthStep>,
    /// The policies that let it pass or not, in order.
    pub judges: Vec<JudgeStep>,
    /// The policies that count it, in order.
    pub policies: Vec<PolicyStep<'s>>,
    /// How it ends.
    pub outcome: Outcome<'s>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthStep {
    /// Where it is written that anybody wants to know.
    pub scope: &'static str,
    /// What is asked of the request.
    pub asks: String,
    /// What was found.
    pub found: String,
    /// The issuer that the browser is sent to, to log in.
    pub login: Option<Arc<str>>,
}

/// How large a head is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadSize {
    /// Bytes of the request target.
    pub target: usize,
    /// Number of fields, `Host` included.
    pub fields: usize,
    /// Bytes of the header section.
    pub section: usize,
}

/// A path before and after normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// As it came.
    pub raw: String,
    /// As routes see it.
    pub normal: String,
}

/// Who the client is taken to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStep {
    /// Where the connection comes from.
    pub peer: Option<IpAddr>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whom the listener believes.
    pub trust: Trust,
    /// Whether it believes this peer.
    pub trusted: bool,
    /// Whether the request says anything about the client.
    pub says: bool,
}

/// How a request ends.
#[derive(Debug)]
pub enum Outcome<'s> {
    /// The gateway answers with a failure; with the methods that would do, if it is for that.
    Refused(Failure, Vec<Arc<str>>),
    /// The gateway answers for itself: `OPTIONS *`, or no hop is left.
    Own,
    /// It is a preflight, which a policy answers.
    Preflight(Box<PreflightStep<'s>>),
    /// Its path belongs to a login of browsers: what it does, and the login's issuer.
    Login(&'static str, Arc<str>),
    /// A route takes it.
    Routed(Box<Routed<'s>>),
}

/// A request that a route takes.
#[derive(Debug)]
pub struct Routed<'s> {
    /// The route.
    pub route: &'s CompiledRoute,
    /// The path's parameters in their order, still percent-encoded.
    pub params: Vec<(String, String)>,
    /// Most bytes of content, `None` for no limit, and who says so.
    pub body_limit: (Option<u64>, Source),
    /// How late a worker may be before it turns the request away, if it ever does.
    pub bearable: Option<Duration>,
    /// What happens.
    pub action: Action<'s>,
}

/// A policy that is asked about a request.
#[derive(Debug)]
pub struct PolicyStep<'s> {
    /// The policy.
    pub running: &'s Running,
    /// The only service for whose requests it is asked, where the route has several.
    pub only_for: Option<&'s str>,
    /// The key that it counts the request for, part by part.
    pub key: Vec<String>,
}

/// What a route does with a request.
#[derive(Debug)]
pub enum Action<'s> {
    /// It is sent to one of these services.
    Forward {
        /// The target that the endpoint sees.
        target: String,
        /// The protocols that the connection may switch to, if the request asks for any.
        upgrade: Option<String>,
        /// The services and their shares.
        services: Vec<Share<'s>>,
        /// The one of them that something in the request holds it to.
        held: Option<&'s str>,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// The status.
        status: u16,
        /// The value of `Location`.
        location: String,
    },
    /// The gateway answers with a fixed reply.
    Reply(&'s Reply),
}

/// A service that may get the request.
#[derive(Debug)]
pub struct Share<'s> {
    /// The service.
    pub service: &'s CompiledService,
    /// Its weight among the route's services.
    pub weight: u32,
    /// Its timeouts for this route.
    pub timeouts: Timeouts,
    /// What chooses the endpoint for this request.
    pub chosen_by: ChosenBy,
    /// Endpoints get requests that are not available, because too few are.
    pub panicking: bool,
    /// Its endpoints.
    pub endpoints: Vec<Reached<'s>>,
}

/// An endpoint that may get the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached<'s> {
    /// Its address.
    pub address: &'s str,
    /// Its weight among the endpoints of the service.
    pub weight: u16,
    /// What it sees as `Host`.
    pub host: String,
    /// The part of the service's requests that it is to get now, from 0 to 1.
    pub share: f64,
    /// Why it gets none, or more than its weight says.
    pub why: Option<Why>,
}

/// What chooses the endpoint for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// The balance of the service, over all requests.
    Balance,
    /// The request's own hash, always the same endpoint as long as nothing changes: its index, or
    /// `None` where nobody takes requests.
    Hash(Option<usize>),
    /// Turns, for the request lacks something that would be hashed.
    MissingKey,
    /// The client's cookie, which names the endpoint with this index.
    Cookie(usize),
}

/// Why an endpoint gets no requests, or gets them in spite of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its weight is 0.
    NoWeight,
    /// It is not available.
    Unavailable,
    /// It is not available, but too few are.
    Panic,
    /// The levels before it suffice.
    LaterLevel,
    /// The gateway's own zone suffices.
    OtherZone,
}

impl Why {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Why::NoWeight => "weight 0",
            Why::Unavailable => "not available",
            Why::Panic => "not available, but too few are",
            Why::LaterLevel => "a level of lower priority suffices",
            Why::OtherZone => "the gateway's own zone suffices",
        }
    }
}

/// Timeouts as they hold, each with who sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// See [`portcullis_config::model::ServiceTimeouts::connect`].
    pub connect: (Duration, Source),
    /// See [`portcullis_config::model::ServiceTimeouts::first_byte`].
    pub first_byte: (Duration, Source),
    /// See [`portcullis_config::model::ServiceTimeouts::stall`].
    pub stall: (Duration, Source),
    /// See [`portcullis_config::model::ServiceTimeouts::tunnel`].
    pub tunnel: (Duration, Source),
    /// See [`portcullis_config::model::ServiceTimeouts::total`].
    pub total: (Option<Duration>, Source),
}

/// Whose setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The listener's.
    Listener,
    /// The route's.
    Route,
    /// The service's.
    Service,
}

impl Source {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Listener => "listener",
            Source::Route => "route",
            Source::Service => "service",
        }
    }

    /// The route where it sets something, else another.
    fn of<T>(route: Option<T>, otherwise: Source) -> Source {
        if route.is_some() { Source::Route } else { otherwise }
    }
}
