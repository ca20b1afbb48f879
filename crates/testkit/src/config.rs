//! The configuration that most tests want: one listener, one service, one route, and what a test
//! adds to each.

use std::fmt;

use crate::Origin;

/// One listener `web`, one service `origin` and one route `all` that takes everything.
///
/// What is added is written as in a YAML flow mapping: `limits: { uri: 100 }`.
#[derive(Debug, Clone)]
pub struct Config {
    endpoints: Vec<String>,
    listener: String,
    service: String,
    route: String,
    rest: String,
}

impl Config {
    /// In front of this origin.
    #[must_use]
    pub fn before(origin: &Origin) -> Config {
        Config::before_address(&origin.address())
    }

    /// In front of whatever is there.
    #[must_use]
    pub fn before_address(address: &str) -> Config {
        Config {
            endpoints: vec![address.to_owned()],
            listener: "address: \"127.0.0.1:0\"".to_owned(),
            service: String::new(),
            route: "service: origin".to_owned(),
            rest: String::new(),
        }
    }

    /// A second endpoint.
    #[must_use]
    pub fn and(mut self, origin: &Origin) -> Config {
        self.endpoints.push(origin.address());
        self
    }

    /// More about the listener.
    #[must_use]
    pub fn listener(mut self, more: &str) -> Config {
        self.listener = format!("{}, {more}", self.listener);
        self
    }

    /// The listener's address instead of a port of 127.0.0.1.
    #[must_use]
    pub fn address(mut self, address: &str) -> Config {
        self.listener = self.listener.replacen("127.0.0.1:0", address, 1);
        self
    }

    /// More about the service.
    #[must_use]
    pub fn service(mut self, more: &str) -> Config {
        self.service = format!("{}, {more}", self.service);
        self
    }

    /// More about the route.
    #[must_use]
    pub fn route(mut self, more: &str) -> Config {
        self.route = format!("{}, {more}", self.route);
        self
    }

    /// Whole lines at the end.
    #[must_use]
    pub fn also(mut self, lines: &str) -> Config {
        self.rest = format!("{}{lines}\n", self.rest);
        self
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { endpoints, listener, service, route, rest } = self;
        writeln!(f, "listeners:\n  web: {{ {listener} }}")?;
        writeln!(f, "services:\n  origin: {{ endpoints: {endpoints:?}{service} }}")?;
        writeln!(f, "routes:\n  all: {{ {route} }}")?;
        f.write_str(rest)
    }
}
