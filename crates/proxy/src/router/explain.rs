//! Why a route was chosen and what spoke against the others.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use portcullis_config::model::{HostPattern, Name, PathPattern, Predicate, Route, ValueTest};

use super::hosts::{Host, HostMatch, Hosts};
use super::leaf::Leaf;
use super::params::Span;
use super::predicate::Place;
use super::slot::Slot;
use super::walk::{Visit, walk};
use super::{Method, Request};

/// Most candidates that are shown.
const SHOWN: usize = 50;

/// A route that came into question for a request: its host and path match.
#[derive(Debug, Clone)]
pub struct Candidate<'a, T> {
    /// The route.
    pub route: &'a Arc<Route>,
    /// What was stored with it.
    pub value: &'a T,
    /// Which of its hosts matched; `None` when it takes any.
    pub host: Option<&'a HostPattern>,
    /// Which of its paths matched.
    pub path: &'a PathPattern,
    /// What became of it.
    pub verdict: Verdict<'a>,
}

/// What became of a candidate.
#[derive(Debug, Clone)]
pub enum Verdict<'a> {
    /// It takes the request.
    Won,
    /// It would take the request, were it not for the winner.
    Lost(Loss<'a>),
    /// It asks for something that the request does not have.
    Rejected(Refusal<'a>),
}

/// Why a candidate ranks below the winner: the first rule of precedence that tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss<'a> {
    /// Its priority is lower.
    Priority {
        /// The candidate's.
        own: i32,
        /// The winner's.
        won: i32,
    },
    /// Its host is less specific.
    Host,
    /// Its path is less specific.
    Path,
    /// It takes any method and the winner does not.
    Methods,
    /// It asks for fewer headers, query parameters, cookies, listeners and clients.
    Conditions {
        /// What the candidate asks for.
        own: u32,
        /// What the winner asks for.
        won: u32,
    },
    /// Its name comes after the winner's.
    Name {
        /// The candidate's.
        own: &'a str,
        /// The winner's.
        won: &'a str,
    },
}

/// What a candidate asks for and the request does not have; the first that failed.
#[derive(Debug, Clone)]
pub enum Refusal<'a> {
    /// Another method; these would do.
    Method(&'a [Arc<str>]),
    /// Another listener; these would do.
    Listener(&'a [Name]),
    /// A header field.
    Header(&'a Predicate),
    /// A query parameter.
    Query(&'a Predicate),
    /// A cookie.
    Cookie(&'a Predicate),
    /// A client in one of the route's networks.
    Client,
}

/// See [`super::Router::explain`].
pub(super) fn explain<'a, T>(hosts: &'a Hosts<T>, request: &Request<'_>) -> Vec<Candidate<'a, T>> {
    let mut host = Vec::new();
    let host = Host::of(request.host, &mut host);
    let mut candidates = gather(hosts, host, request);
    // Places came in order already; of one route, its best place counts.
    candidates.sort_by(|a, b| {
        let places = || a.place.cmp(&b.place);
        let priorities = b.leaf.priority.cmp(&a.leaf.priority);
        priorities.then_with(places).then_with(|| a.leaf.order(b.leaf))
    });
    let mut names = HashSet::new();
    candidates.retain(|candidate| names.insert(&candidate.leaf.route.name));

    let method = Method::of(request.method);
    let mut text = Vec::new();
    let mut refusal = |leaf: &'a Leaf<T>| {
        let methods = &leaf.route.matches.methods;
        let other_method = (!leaf.takes(method)).then_some(Refusal::Method(methods));
        other_method.or_else(|| leaf.refusal(request, None, &mut text))
    };
    let winner = candidates.iter().position(|candidate| refusal(candidate.leaf).is_none());
    if let Some(at) = winner.filter(|&at| at >= SHOWN) {
        candidates.swap(at, SHOWN - 1);
    }
    candidates.truncate(SHOWN);
    let winner = winner.map(|at| at.min(SHOWN - 1));
    let verdict = |(at, candidate): (usize, &Found<'a, T>)| match (refusal(candidate.leaf), winner)
    {
        (Some(refusal), _) => Verdict::Rejected(refusal),
        (None, Some(winner)) if winner != at => Verdict::Lost(candidate.loss(&candidates[winner])),
        (None, _) => Verdict::Won,
    };
    let verdicts: Vec<_> = candidates.iter().enumerate().map(verdict).collect();
    let shown = candidates.iter().zip(verdicts);
    shown.map(|(candidate, verdict)| candidate.shown(host, verdict)).collect()
}

/// Every route at a place that the request's host and path lead to.
fn gather<'a, T>(hosts: &'a Hosts<T>, host: Host<'_>, request: &Request<'_>) -> Vec<Found<'a, T>> {
    let mut gatherer = Gatherer { host: HostMatch::Any, places: 0, found: Vec::new() };
    for (host, tree) in hosts.trees(host) {
        gatherer.host = host;
        walk(tree, request.path, &mut Vec::new(), &mut gatherer);
    }
    gatherer.found
}

struct Gatherer<'a, T> {
    host: HostMatch,
    places: usize,
    found: Vec<Found<'a, T>>,
}

struct Found<'a, T> {
    leaf: &'a Leaf<T>,
    host: HostMatch,
    /// Number of its place in the order in which the walk came by.
    place: usize,
}

impl<'a, T> Visit<'a, T> for Gatherer<'a, T> {
    fn wants(&mut self, _: i32) -> bool {
        true
    }

    fn look(&mut self, slot: &'a Slot<T>, _: &[Span]) {
        let (host, place) = (self.host, self.places);
        self.found.extend(slot.leaves().map(|leaf| Found { leaf, host, place }));
        self.places += 1;
    }
}

impl<'a, T> Found<'a, T> {
    /// The first rule by which this one ranks below the winner.
    fn loss(&self, winner: &Found<'a, T>) -> Loss<'a> {
        let (own, won) = (self.leaf, winner.leaf);
        if own.priority != won.priority {
            Loss::Priority { own: own.priority, won: won.priority }
        } else if self.host != winner.host {
            Loss::Host
        } else if self.place != winner.place {
            Loss::Path
        } else if own.names_methods() != won.names_methods() {
            Loss::Methods
        } else if own.conditions != won.conditions {
            Loss::Conditions { own: own.conditions, won: won.conditions }
        } else {
            Loss::Name { own: &own.route.name, won: &won.route.name }
        }
    }

    fn shown(&self, sent: Host<'_>, verdict: Verdict<'a>) -> Candidate<'a, T> {
        let Leaf { route, value, .. } = self.leaf;
        let host = route.matches.hosts.iter().find(|pattern| match (pattern, self.host) {
            (HostPattern::Exact(name), HostMatch::Exact) => name.as_bytes() == sent.name(),
            // All suffixes of one length that match are the same.
            (HostPattern::Suffix(suffix), HostMatch::Suffix(len)) => {
                suffix.len() == len && sent.name().ends_with(suffix.as_bytes())
            }
            _ => false,
        });
        Candidate { route, value, host, path: self.leaf.pattern(), verdict }
    }
}

impl<'a> Refusal<'a> {
    pub(super) fn of(place: Place, predicate: &'a Predicate) -> Refusal<'a> {
        match place {
            Place::Header => Refusal::Header(predicate),
            Place::Query => Refusal::Query(predicate),
            Place::Cookie => Refusal::Cookie(predicate),
        }
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Won => f.write_str("won"),
            Verdict::Lost(loss) => write!(f, "lost: {loss}"),
            Verdict::Rejected(refusal) => write!(f, "rejected: {refusal}"),
        }
    }
}

impl fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Priority { own, won } => write!(f, "priority {own} < {won}"),
            Loss::Host => f.write_str("less specific host"),
            Loss::Path => f.write_str("less specific path"),
            Loss::Methods => f.write_str("takes any method"),
            Loss::Conditions { own, won } => write!(f, "fewer conditions ({own} < {won})"),
            Loss::Name { own, won } => write!(f, "name `{own}` comes after `{won}`"),
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, predicate) = match self {
            Refusal::Method(methods) => return write!(f, "method is not {}", methods.join(", ")),
            Refusal::Listener(names) => return write!(f, "listener is not {}", names.join(", ")),
            Refusal::Client => return f.write_str("client is in none of the networks"),
            Refusal::Header(predicate) => ("header", predicate),
            Refusal::Query(predicate) => ("query parameter", predicate),
            Refusal::Cookie(predicate) => ("cookie", predicate),
        };
        let name = &predicate.name;
        match &predicate.test {
            ValueTest::Present(true) => write!(f, "{what} {name} is missing"),
            ValueTest::Present(false) => write!(f, "{what} {name} is present"),
            ValueTest::Exact(value) => write!(f, "{what} {name} is not \"{value}\""),
            ValueTest::Regex(regex) => {
                // The check has anchored what the user wrote.
                let whole = regex.as_str();
                let inner = whole.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
                write!(f, "{what} {name} does not match {}", inner.unwrap_or(whole))
            }
        }
    }
}
