//! Routes and requests in short form for the tests of this folder.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis_config::model::{
    Action, Faults, HostPattern, Importance, Match, PathPattern, Predicate, Reply, Route,
    RouteTimeouts, Segment, ValueTest,
};
use portcullis_wire::Fields;
use regex::bytes::Regex;

use super::predicate::Place;
use super::{Miss, Params, Request, Router};

/// A route for any request to these paths: `/a/{x}`, `/a/{*x}`, `prefix:/a` or `regex:/a.*`.
pub(super) fn route(name: &str, paths: &[&str]) -> Route {
    let paths = paths.iter().map(|path| pattern(path)).collect();
    Route {
        name: Arc::from(name),
        matches: Match { paths, ..Match::default() },
        priority: 0,
        action: Action::Reply(Arc::new(Reply {
            status: 204,
            headers: Vec::new(),
            body: Arc::from([]),
        })),
        body_limit: None,
        timeouts: RouteTimeouts::default(),
        upgrade: true,
        retries: None,
        fallback: None,
        policies: Default::default(),
        faults: Faults::default(),
        importance: Importance::Normal,
    }
}

pub(super) fn pattern(text: &str) -> PathPattern {
    if let Some(source) = text.strip_prefix("regex:") {
        return PathPattern::Regex(Regex::new(&format!("^(?:{source})$")).unwrap());
    }
    match text.strip_prefix("prefix:/") {
        Some("") => PathPattern::Prefix(Arc::from([])),
        Some(prefix) => PathPattern::Prefix(segments(prefix)),
        None => PathPattern::Segments(segments(text.strip_prefix('/').unwrap())),
    }
}

fn segments(text: &str) -> Arc<[Segment]> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
    {
        None => Segment::Literal(Arc::from(text)),
        Some(name) => match name.strip_prefix('*') {
            Some(rest) => Segment::Rest(Arc::from(rest)),
            None => Segment::Param(Arc::from(name)),
        },
    };
    text.split('/').map(segment).collect()
}

/// `*.a` is a wildcard.
pub(super) fn host(text: &str) -> HostPattern {
    match text.strip_prefix('*') {
        Some(suffix) => HostPattern::Suffix(Arc::from(suffix)),
        None => HostPattern::Exact(Arc::from(text)),
    }
}

pub(super) trait With: Sized {
    fn hosts(self, hosts: &[&str]) -> Self;
    fn methods(self, methods: &[&str]) -> Self;
    fn priority(self, priority: i32) -> Self;
    /// `test` is `value`, `?` (present), `!` (absent) or `~regex`.
    fn asks(self, place: Place, name: &str, test: &str) -> Self;
    fn clients(self, networks: &[&str]) -> Self;
    fn listeners(self, names: &[&str]) -> Self;
}

impl With for Route {
    fn hosts(mut self, hosts: &[&str]) -> Self {
        self.matches.hosts = hosts.iter().map(|text| host(text)).collect();
        self
    }

    fn methods(mut self, methods: &[&str]) -> Self {
        self.matches.methods = methods.iter().map(|&method| Arc::from(method)).collect();
        self
    }

    fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    fn asks(mut self, place: Place, name: &str, test: &str) -> Self {
        let test = match (test, test.strip_prefix('~')) {
            ("?", _) => ValueTest::Present(true),
            ("!", _) => ValueTest::Present(false),
            (_, Some(source)) => ValueTest::Regex(Regex::new(&format!("^(?:{source})$")).unwrap()),
            (value, None) => ValueTest::Exact(Arc::from(value)),
        };
        let list = match place {
            Place::Header => &mut self.matches.headers,
            Place::Query => &mut self.matches.query,
            Place::Cookie => &mut self.matches.cookies,
        };
        list.push(Predicate { name: Arc::from(name), test });
        self
    }

    fn clients(mut self, networks: &[&str]) -> Self {
        self.matches.clients = networks.iter().map(|text| text.parse().unwrap()).collect();
        self
    }

    fn listeners(mut self, names: &[&str]) -> Self {
        self.matches.listeners = names.iter().map(|&name| Arc::from(name)).collect();
        self
    }
}

/// A router whose values are the routes' names.
pub(super) fn router(routes: impl IntoIterator<Item = Route>) -> Router<Arc<str>> {
    let mut router = Router::default();
    for route in routes {
        let name = Arc::clone(&route.name);
        router.insert(Arc::new(route), name);
    }
    router
}

/// A request that tests fill in.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) listener: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) method: String,
    pub(super) fields: Fields,
    pub(super) client: IpAddr,
}

impl Asked {
    /// `METHOD host/path?query`
    pub(super) fn new(line: &str) -> Asked {
        let (method, url) = line.split_once(' ').unwrap();
        let (host, target) = url.split_at(url.find('/').unwrap());
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        Asked {
            listener: "web".to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            method: method.to_owned(),
            fields: Fields::default(),
            client: IpAddr::from([192, 0, 2, 1]),
        }
    }

    pub(super) fn field(mut self, name: &str, value: &str) -> Asked {
        self.fields.push(name.as_bytes(), value.as_bytes());
        self
    }

    pub(super) fn client(mut self, client: &str) -> Asked {
        self.client = client.parse().unwrap();
        self
    }

    pub(super) fn listener(mut self, listener: &str) -> Asked {
        listener.clone_into(&mut self.listener);
        self
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            listener: &self.listener,
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            query: self.query.as_deref().map(str::as_bytes),
            method: self.method.as_bytes(),
            fields: &self.fields,
            client: self.client,
        }
    }

    /// The name of the route, `404`, or `405` and the allowed methods.
    pub(super) fn of(&self, router: &Router<Arc<str>>) -> String {
        let mut params = Params::default();
        match router.find(&self.request(), &mut params) {
            Ok(name) => name.to_string(),
            Err(Miss::NotFound) => "404".to_owned(),
            Err(Miss::MethodNotAllowed(methods)) => format!("405 {}", methods.join(",")),
        }
    }
}
