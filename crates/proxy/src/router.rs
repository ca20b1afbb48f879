//! Which route takes a request: a pure function of the configuration and the request's head.
//!
//! # Precedence
//! Of all routes that match, the one wins that is first by, in this order:
//! 1. `priority`, the higher first;
//! 2. host: exact, then `*.` wildcards from the longest suffix to the shortest, then any;
//! 3. path: segment by segment from the left, a literal before a `{param}` before the end in a
//!    `{*rest}` or prefix (which rank the same; the end of the path comes before both). Regexes
//!    come after all of these, the longer source first (then by source), and last of all what
//!    takes every path: `/{*rest}` and the prefix `/`;
//! 4. routes that name methods before routes that take any;
//! 5. more conditions, counting each header, query parameter and cookie, one for listeners and one
//!    for clients;
//! 6. the name.
//!
//! Where a more specific route does not take the request (its method, headers and so on), the next
//! in this order is tried, down to the least specific. 405 means that at least one route would take
//! the request but for its method.
//!
//! # Shape and cost
//! Hosts lead to trees of path segments (`node`); a place in a tree holds the routes that differ
//! in neither (`slot`). All of it is shared between copies: a changed route costs a new path from
//! the root to its place. A lookup is a hash look-up for the host and one for each segment, and
//! visits no node twice (`walk`). It allocates nothing once its [`Params`] are warm, except for
//! regexes with named groups and for the list of methods in a 405.

mod explain;
mod find;
mod hosts;
mod index;
#[cfg(test)]
mod kit;
mod leaf;
mod map;
mod node;
mod params;
mod predicate;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reference;
mod server_names;
mod slot;
mod template;
mod walk;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use portcullis_config::model::Route;
use portcullis_wire::Fields;
use thiserror::Error;

use self::find::{Allowed, Finder};
use self::hosts::{Host, Hosts};
use self::leaf::Leaf;
use self::params::Scratch;
use self::walk::walk;

pub use explain::{Candidate, Loss, Refusal, Verdict};
pub use params::Params;
pub(crate) use predicate::{cookies, each_query_value, query_values};
pub use server_names::ServerNames;
pub use template::{Around, expand};

/// All routes, compiled, each with a value of the caller's. A copy costs next to nothing, and
/// changing it leaves the original as it was.
#[derive(Clone)]
pub struct Router<T: Clone> {
    hosts: Arc<Hosts<T>>,
    len: usize,
}

/// What a route is looked for by.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The name of the listener that it came in through.
    pub listener: &'a str,
    /// The host that the client asked for, without port, in any case, perhaps with a last dot.
    pub host: &'a [u8],
    /// The path, normalised by [`crate::path::normalise`]. One that does not begin with `/`
    /// matches nothing.
    pub path: &'a [u8],
    /// What follows `?`, as the client sent it.
    pub query: Option<&'a [u8]>,
    /// The method.
    pub method: &'a [u8],
    /// The header fields.
    pub fields: &'a Fields,
    /// The effective address of the client.
    pub client: IpAddr,
}

/// Why no route takes a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Miss {
    /// None matches (404).
    #[error("no route matches")]
    NotFound,
    /// At least one would match but for the method (405); the methods that would do, for `Allow`
    /// (RFC 9110, 10.2.1), in alphabetical order.
    #[error("no route matches this method")]
    MethodNotAllowed(Vec<Arc<str>>),
}

impl<T: Clone> Default for Router<T> {
    fn default() -> Self {
        Router { hosts: Arc::default(), len: 0 }
    }
}

impl<T: Clone> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.len).finish_non_exhaustive()
    }
}

impl<T: Clone> Router<T> {
    /// Adds a route. No route of this name may be in the router: remove the old one first.
    pub fn insert(&mut self, route: Arc<Route>, value: T) {
        let hosts = Arc::make_mut(&mut self.hosts);
        for path in 0..route.matches.paths.len() {
            hosts.insert(&Arc::new(Leaf::new(Arc::clone(&route), value.clone(), path)));
        }
        self.len += 1;
    }

    /// Takes a route out, which must be as it was put in: it is found by what it matches and by
    /// its name. Says whether it was there.
    pub fn remove(&mut self, route: &Arc<Route>) -> bool {
        let hosts = Arc::make_mut(&mut self.hosts);
        let mut removed = false;
        for path in 0..route.matches.paths.len() {
            removed |= hosts.remove(&Leaf::new(Arc::clone(route), (), path));
        }
        self.len -= usize::from(removed);
        removed
    }

    /// Number of routes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The route that takes `request`; its path parameters are in `params`.
    ///
    /// # Errors
    /// [`Miss`] when no route takes it.
    pub fn find(&self, request: &Request<'_>, params: &mut Params) -> Result<&T, Miss> {
        params.clear();
        let Scratch { host, captures, best, text, seen } = &mut params.scratch;
        let sent = if self.hosts.names_any() { request.host } else { b"" };
        let host = Host::of(sent, host);
        let method = Method::of(request.method);
        let mut finder =
            Finder { request, method, best: None, captures: best, other_method: false, text, seen };
        for (_, tree) in self.hosts.trees(host) {
            walk(tree, request.path, captures, &mut finder);
        }
        if let Some(leaf) = finder.best {
            let captures = std::mem::take(&mut params.scratch.best);
            leaf.name_captures(request.path, &captures, params);
            params.scratch.best = captures;
            return Ok(&leaf.value);
        }
        if !finder.other_method {
            return Err(Miss::NotFound);
        }
        let mut allowed = Allowed { request, methods: Vec::new(), text, seen };
        for (_, tree) in self.hosts.trees(host) {
            walk(tree, request.path, captures, &mut allowed);
        }
        let mut methods = allowed.methods;
        methods.sort_unstable();
        Err(if methods.is_empty() { Miss::NotFound } else { Miss::MethodNotAllowed(methods) })
    }

    /// Every route that came into question, that is, whose host and path match, in order of
    /// precedence with what became of it. At most 50, the winner always among them.
    #[must_use]
    pub fn explain<'a>(&'a self, request: &Request<'_>) -> Vec<Candidate<'a, T>> {
        explain::explain(&self.hosts, request)
    }
}

/// A request's method, the common ones as one bit.
#[derive(Clone, Copy)]
struct Method<'a> {
    text: &'a [u8],
    bit: u16,
}

impl<'a> Method<'a> {
    const UNCOMMON: u16 = 1 << 9;

    fn of(text: &'a [u8]) -> Method<'a> {
        let bit = match text {
            b"GET" => 1,
            b"HEAD" => 1 << 1,
            b"POST" => 1 << 2,
            b"PUT" => 1 << 3,
            b"DELETE" => 1 << 4,
            b"PATCH" => 1 << 5,
            b"OPTIONS" => 1 << 6,
            b"TRACE" => 1 << 7,
            b"CONNECT" => 1 << 8,
            _ => Method::UNCOMMON,
        };
        Method { text, bit }
    }

    fn is_common(self) -> bool {
        self.bit != Method::UNCOMMON
    }
}

#[cfg(test)]
mod tests;
