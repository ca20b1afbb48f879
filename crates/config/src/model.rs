//! The configuration as meant: every value here is legal by construction.
//!
//! `raw` is what a user wrote; `check` turns it into these types and reports
//! every fault at once. Nothing below can be made from an illegal configuration, so whoever holds
//! a [`Config`] need not check again.

mod access;
mod authentication;
mod balance;
mod breaker;
mod browser;
mod client;
mod connection_rate;
mod endpoint;
mod ext_authz;
mod health;
mod identity;
mod introspection;
mod issuer;
mod listener;
mod matching;
mod oidc;
mod path;
mod policies;
mod rego;
mod retries;
mod route;
mod service;
mod store;
mod tcp_route;
mod tls;
mod token;
mod traffic;
mod upstream_token;
mod url;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::ClaimPath;

pub use access::{Access, CelRule, Conditions, Rule, Times, Variable};
pub use authentication::{ApiKey, Authentication, Basic, KeyPlace, Method, Mtls};
pub use balance::{
    Availability, Balance, HashAlgorithm, HashBalance, HashPart, SameSite, SlowStart, Sticky,
};
pub use breaker::{Breaker, Trip, TripShare};
pub use browser::{
    Cors, CorsOrigins, Csrf, Layered, OriginPattern, OriginPort, Origins, SecurityHeaders, SetField,
};
pub use client::{ClientProof, OauthClient};
pub use connection_rate::{ConnectionRate, Pace};
pub(crate) use endpoint::is_host_name;
pub use endpoint::{Address, Endpoint};
pub use ext_authz::{AuthzCache, AuthzPart, ExtAuthz};
pub use health::{
    ActiveCheck, BodyTest, CheckKind, HttpCheck, LatencyOutlier, Outliers, SuccessRate,
};
pub use identity::{
    CertificateName, Consumer, Credentials, Group, Guessing, KeyHash, Password, PasswordHash,
    Passwords, Plan,
};
pub use introspection::Introspection;
pub use issuer::{Issuer, KeyOrigin};
pub use listener::{
    Bind, EncodedSlash, Forwarded, Http2, Limits, Listener, ListenerProtocol, ListenerTimeouts,
    PathPolicy, ProxySenders, Trust,
};
pub use matching::{HostPattern, Match, Predicate, ValueTest};
pub use oidc::{Logout, Oidc, Session};
pub use path::{PathPattern, Piece, Segment, Template};
pub use policies::{
    Algorithm, Concurrency, Cost, CountBy, KeyPart, Missing, OnLimit, Period, Policies, Policy,
    Quota, RateLimit, ReplyFields,
};
pub use rego::{RegoRule, RegoSource};
pub use retries::{Retries, RetryBudget, RetryOn};
pub use route::{
    Action, Reply, ReplyBody, Rewrite, RewritePath, Route, RouteTimeouts, WeightedService,
};
pub use service::{HostPolicy, Pool, Protocol, ProxyVersion, Service, ServiceTimeouts};
pub use store::{Login, OnFailure, Secret, Servers, Sharing, SharingMode, Store, StoreTls};
pub use tcp_route::TcpRoute;
pub use tls::{
    Certificate, ClientAuth, ClientCertHeader, ListenerTls, Revocation, ServiceTls, TlsChoices,
    TlsFile, TlsVersions,
};
pub use token::Jwt;
pub use traffic::{Faults, Importance, Mirror, Overload, SplitBy};
pub use upstream_token::{Granter, UpstreamToken};
pub use url::{Url, UrlError};

/// The stable name of a listener, service, route or TCP route.
pub type Name = Arc<str>;

/// A whole, legal configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where the gateway listens, by name.
    pub listeners: BTreeMap<Name, Arc<Listener>>,
    /// The upstream services, by name.
    pub services: BTreeMap<Name, Arc<Service>>,
    /// The routes, by name. Values that a reload did not touch stay the same allocation, so a
    /// difference is found by comparing pointers.
    pub routes: HashMap<Name, Arc<Route>>,
    /// The TCP routes, by name; unchanged ones keep their allocation too.
    pub tcp_routes: HashMap<Name, Arc<TcpRoute>>,
    /// Stores that policies count in, by name.
    pub stores: BTreeMap<Name, Arc<Store>>,
    /// Issuers of tokens, by name.
    pub issuers: BTreeMap<Name, Arc<Issuer>>,
    /// Who calls, by name.
    pub consumers: HashMap<Name, Arc<Consumer>>,
    /// Consumers that belong together, by name.
    pub groups: BTreeMap<Name, Arc<Group>>,
    /// What consumers have agreed to, by name.
    pub plans: BTreeMap<Name, Arc<Plan>>,
    /// What is not a named collection.
    pub process: Process,
}

/// Settings of the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Address of the admin listener, or `None` when it is off.
    pub admin: Option<SocketAddr>,
    /// Where access-log lines go.
    pub access_log: AccessLog,
    /// Claims that its lines tell, by the names that they have there.
    pub logged_claims: Arc<[(Name, ClaimPath)]>,
    /// Whether request metrics are counted.
    pub metrics: bool,
    /// Worker threads; 0 means one a core.
    pub workers: usize,
    /// Where the gateway stands, if that is known.
    pub zone: Option<Arc<str>>,
    /// Policies for every request.
    pub policies: Arc<Policies>,
    /// How credentials are kept and looked at.
    pub credentials: Arc<Credentials>,
    /// Where it keeps what must outlive it.
    pub state: State,
    /// How it ends.
    pub shutdown: Shutdown,
    /// How it gives way to a new binary.
    pub upgrade: Upgrade,
    /// How late a worker may be before it turns away what matters least, if it ever does.
    pub lag: Option<Duration>,
}

impl Default for Process {
    fn default() -> Self {
        Process {
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 9901))),
            access_log: AccessLog::Stdout,
            logged_claims: Arc::default(),
            metrics: true,
            workers: 0,
            zone: None,
            policies: Arc::default(),
            credentials: Arc::default(),
            state: State::default(),
            shutdown: Shutdown::default(),
            upgrade: Upgrade::default(),
            lag: Some(Duration::from_secs(1)),
        }
    }
}

/// Where a process keeps what must outlive it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// In the folder that the service manager gave, else in one beside the configuration.
    #[default]
    Default,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long a drain may take before what is left is cut off.
    pub deadline: Duration,
    /// How long everything goes on once the process has said that it is not ready any more.
    pub delay: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { deadline: Duration::from_secs(30), delay: Duration::ZERO }
    }
}

/// How the process gives way to a new binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// How long the new process may take to be ready. Not zero.
    pub timeout: Duration,
    /// How long the drain of the old one may take; `None` is as long as any other.
    pub deadline: Option<Duration>,
}

impl Default for Upgrade {
    fn default() -> Self {
        Upgrade { timeout: Duration::from_secs(60), deadline: None }
    }
}

/// Where access-log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// No access log.
    Off,
    /// One JSON object a line to standard output.
    Stdout,
    /// One JSON object a line, appended to this file.
    File(PathBuf),
}
