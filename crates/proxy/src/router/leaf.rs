//! A route at one of its paths, with what decides about it close at hand.

use std::cmp::Ordering;
use std::sync::Arc;

use portcullis_config::model::{Match, PathPattern, Predicate, Route, Segment, ValueTest};

use regex::bytes::Regex;

use super::explain::Refusal;
use super::params::{Params, Span};
use super::predicate::{self, Place};
use super::{Method, Request};

/// See the module.
pub(super) struct Leaf<T> {
    pub(super) route: Arc<Route>,
    pub(super) value: T,
    pub(super) priority: i32,
    /// Headers, query parameters and cookies asked for, one more if listeners are and one more if
    /// clients are.
    pub(super) conditions: u32,
    /// Bits of [`Method`]; all of them when any method will do.
    methods: u16,
    /// Index among the route's paths.
    path: u32,
    /// Names of the path's parameters with `/` between them: a lookup need not read the route.
    names: Box<str>,
}

/// An exact test: what an index of routes goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) place: Place,
    pub(super) name: &'a Arc<str>,
    pub(super) value: &'a Arc<str>,
}

impl<T> Leaf<T> {
    pub(super) fn new(route: Arc<Route>, value: T, path: usize) -> Leaf<T> {
        let Match { listeners, methods, headers, query, cookies, clients, .. } = &route.matches;
        let lists = usize::from(!listeners.is_empty()) + usize::from(!clients.is_empty());
        let bits = methods.iter().map(|method| Method::of(method.as_bytes()).bit);
        Leaf {
            value,
            priority: route.priority,
            conditions: (headers.len() + query.len() + cookies.len() + lists) as u32,
            methods: if methods.is_empty() { u16::MAX } else { bits.fold(0, |all, bit| all | bit) },
            path: path as u32,
            names: parameter_names(&route.matches.paths[path]),
            route,
        }
    }

    /// Order among routes of the same host and path; the least is the best.
    pub(super) fn order<U>(&self, other: &Leaf<U>) -> Ordering {
        (other.priority.cmp(&self.priority))
            .then_with(|| other.names_methods().cmp(&self.names_methods()))
            .then_with(|| other.conditions.cmp(&self.conditions))
            .then_with(|| self.route.name.cmp(&other.route.name))
    }

    /// Whether only some methods will do.
    pub(super) fn names_methods(&self) -> bool {
        self.methods != u16::MAX
    }

    pub(super) fn takes(&self, method: Method<'_>) -> bool {
        let named = || self.route.matches.methods.iter().any(|own| own.as_bytes() == method.text);
        !self.names_methods() || self.methods & method.bit != 0 && (method.is_common() || named())
    }

    /// The first condition, the method aside, that the request does not meet. `met` is one that
    /// is known to be; `text` is working memory.
    #[inline]
    pub(super) fn refusal(
        &self,
        request: &Request<'_>,
        met: Option<Key<'_>>,
        text: &mut Vec<u8>,
    ) -> Option<Refusal<'_>> {
        if self.conditions == 0 { None } else { self.first_refusal(request, met, text) }
    }

    fn first_refusal(
        &self,
        request: &Request<'_>,
        met: Option<Key<'_>>,
        text: &mut Vec<u8>,
    ) -> Option<Refusal<'_>> {
        let listeners = &self.route.matches.listeners;
        if !predicate::is_of_listener(listeners, request.listener) {
            return Some(Refusal::Listener(listeners));
        }
        for (place, predicate) in self.predicates() {
            let is_met = met.is_some() && key(place, predicate) == met;
            if !is_met && !predicate::holds(place, predicate, request, text) {
                return Some(Refusal::of(place, predicate));
            }
        }
        let inside = predicate::is_client_of(&self.route.matches.clients, request.client);
        (!inside).then_some(Refusal::Client)
    }

    /// The tests by any of which an index may hold this route.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        self.predicates().filter_map(|(place, predicate)| key(place, predicate))
    }

    fn predicates(&self) -> impl Iterator<Item = (Place, &Predicate)> {
        let Match { headers, query, cookies, .. } = &self.route.matches;
        (headers.iter().map(|predicate| (Place::Header, predicate)))
            .chain(query.iter().map(|predicate| (Place::Query, predicate)))
            .chain(cookies.iter().map(|predicate| (Place::Cookie, predicate)))
    }

    /// Which of the route's paths led here.
    pub(super) fn pattern(&self) -> &PathPattern {
        &self.route.matches.paths[self.path as usize]
    }

    /// The regex that led here, if one did.
    pub(super) fn regex(&self) -> Option<&Regex> {
        match self.pattern() {
            PathPattern::Regex(regex) => Some(regex),
            PathPattern::Segments(_) | PathPattern::Prefix(_) => None,
        }
    }

    /// Names what was captured on the way here.
    pub(super) fn name_captures(&self, path: &[u8], captures: &[Span], params: &mut Params) {
        if self.names.is_empty() {
            return;
        }
        if !captures.is_empty() {
            return params.push_all(&self.names, captures.iter().copied());
        }
        // The engine allocates for the groups of a regex, so one without names does not come here.
        let Some(groups) = self.regex().and_then(|regex| regex.captures(path)) else {
            return;
        };
        for name in self.names.split('/') {
            let group = groups.name(name);
            params.push_all(name, group.map(|group| Span::new(group.start(), group.end())));
        }
    }
}

fn parameter_names(pattern: &PathPattern) -> Box<str> {
    let names: Vec<&str> = match pattern {
        PathPattern::Regex(regex) => regex.capture_names().flatten().collect(),
        PathPattern::Segments(segments) | PathPattern::Prefix(segments) => segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Param(name) | Segment::Rest(name) => Some(&**name),
                Segment::Literal(_) => None,
            })
            .collect(),
    };
    names.join("/").into_boxed_str()
}

fn key(place: Place, predicate: &Predicate) -> Option<Key<'_>> {
    match &predicate.test {
        ValueTest::Exact(value) => Some(Key { place, name: &predicate.name, value }),
        ValueTest::Present(_) | ValueTest::Regex(_) => None,
    }
}
