//! The compiled configuration that requests work with: immutable, swapped whole.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use portcullis_config::model::{
    Address, Listener, Mirror, Name, Route, Service, SplitBy, TcpRoute,
};
use portcullis_core::metrics::{EndpointMetrics, RouteMetrics, ServiceMetrics, TcpRouteMetrics};
use portcullis_core::{Failure, Reason};
use portcullis_jose::ClaimPath;
use portcullis_policies::RunningPolicies;
use portcullis_policies::consumers::Directory;
use portcullis_policies::grants::{Grant, Shown};
use portcullis_wire::HeadLimits;
use portcullis_wire::h2::ServerSettings;
use portcullis_wire::tls::ClientVerifier;
use rustls::pki_types::ServerName;

use crate::clock;
use crate::logins::Logins;
use crate::router::{Router, ServerNames};
use crate::upstream::balance::{Around, Latency};
use crate::upstream::breaker::Phase;
pub use crate::upstream::health::{
    Ejection, EndpointHealth, KnownEjection, KnownHealth, LastCheck, Verdict,
};
use crate::upstream::state::{ServiceState, Views};
use crate::upstream::sticky::StickyCookie;

/// A compiled configuration. A request keeps the one it started with. A copy shares all that is
/// large.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Counts up with every change.
    pub revision: u64,
    /// Finds the route of a request.
    pub router: Router<Arc<CompiledRoute>>,
    /// Finds the TCP route of a connection, by listener.
    pub tcp: HashMap<Name, ServerNames<Arc<CompiledTcpRoute>>>,
    /// Services by their slot; routes name slots. A slot without a service is used by no route.
    pub services: Vec<Option<Arc<CompiledService>>>,
    /// Policies for every request.
    pub policies: Arc<RunningPolicies>,
    /// Logins of browsers, if there are any.
    pub logins: Option<Arc<Logins>>,
    /// Who there is.
    pub directory: Arc<Directory>,
    /// What each listener lets in.
    pub listeners: HashMap<Name, Arc<ListenerSettings>>,
    /// Claims that lines of the access log tell, by name.
    pub logged_claims: Arc<[(Name, ClaimPath)]>,
    /// Whether requests are counted.
    pub metrics: bool,
    /// How late a worker may be before it turns away what matters least, if it ever does.
    pub lag: Option<Duration>,
}

impl Snapshot {
    /// A service with endpoints that take no requests before their first check has ended, and how
    /// many these are.
    #[must_use]
    pub fn awaits_checks(&self) -> Option<(&str, usize)> {
        self.services.iter().flatten().find_map(|service| {
            let awaited =
                |endpoint: &&Arc<EndpointState>| endpoint.health.verdict() == Verdict::Awaited;
            let count = service.endpoints.iter().filter(awaited).count();
            (count > 0).then_some((&*service.service.name, count))
        })
    }
}

/// A listener as workers need it.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// As configured.
    pub listener: Arc<Listener>,
    /// TLS towards clients.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Judges the certificates of clients whose session resumes, if any are asked for.
    pub client_verifier: Option<ClientVerifier>,
    /// Its limits for heads.
    pub head: HeadLimits,
    /// Its settings for HTTP/2, unless that is off.
    pub http2: Option<ServerSettings>,
}

/// A route ready to serve.
#[derive(Debug)]
pub struct CompiledRoute {
    /// As configured.
    pub route: Arc<Route>,
    /// Slots of its services with their weights; empty when it forwards nowhere.
    pub services: Box<[(usize, u32)]>,
    /// Sum of the weights.
    pub total_weight: u32,
    /// Its policies.
    pub policies: Arc<RunningPolicies>,
    /// What holds a client to one of them.
    pub split_by: SplitBy,
    /// Copies for another service, and its slot.
    pub mirror: Option<(Arc<Mirror>, usize)>,
    /// Its counters, which outlive it.
    pub metrics: Arc<RouteMetrics>,
}

impl CompiledRoute {
    /// Whether browsers log in at it by a policy of its own.
    pub(crate) fn has_logins(&self) -> bool {
        self.policies.authentication.as_ref().is_some_and(|one| !one.parties().is_empty())
    }
}

/// A TCP route ready to serve.
#[derive(Debug)]
pub struct CompiledTcpRoute {
    /// As configured.
    pub route: Arc<TcpRoute>,
    /// Slots of its services with their weights.
    pub services: Box<[(usize, u32)]>,
    /// Sum of the weights.
    pub total_weight: u32,
    /// Its counters, which outlive it.
    pub metrics: Arc<TcpRouteMetrics>,
}

/// A service ready to serve.
#[derive(Debug)]
pub struct CompiledService {
    /// As configured.
    pub service: Arc<Service>,
    /// Its place in [`Snapshot::services`], and in the workers' tables.
    pub slot: usize,
    /// The slot of the service that takes over for it.
    pub backup: Option<usize>,
    /// Its endpoints in the order configured.
    pub endpoints: Box<[Arc<EndpointState>]>,
    /// What is known of it, which outlives it.
    pub state: Arc<ServiceState>,
    /// Which endpoints take requests now.
    pub views: Views,
    /// Where the gateway stands.
    pub zone: Option<Name>,
    /// The cookie that brings clients back to their endpoints.
    pub(crate) sticky: Option<StickyCookie>,
    /// The token that is shown to it instead of the client's `Authorization`, if any; it outlives
    /// the configuration.
    pub token: Option<Arc<Grant>>,
    /// Its policies.
    pub policies: Arc<RunningPolicies>,
    /// TLS towards its endpoints.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name for SNI and verification, where it is not the endpoint's own.
    pub server_name: Option<ServerName<'static>>,
}

impl CompiledService {
    /// Its counters, which outlive it.
    #[must_use]
    pub fn metrics(&self) -> &ServiceMetrics {
        &self.state.series
    }

    /// The token that is shown to it, if it is configured.
    ///
    /// # Errors
    /// There is none at the moment.
    pub(crate) fn token(&self) -> Result<Option<Shown>, Failure> {
        let Some(grant) = &self.token else { return Ok(None) };
        let missing = || Failure::new(Reason::UpstreamToken, "no token is there to show to it");
        grant.show().map(Some).ok_or_else(missing)
    }

    /// The service has answered that the token of this number is not good.
    pub(crate) fn doubt(&self, number: u64) {
        if let Some(grant) = &self.token {
            grant.doubt(number);
        }
    }

    /// Where its breaker stands and how often it has opened, if it can open.
    #[must_use]
    pub fn breaker(&self) -> Option<(Phase, u64)> {
        self.service.breaker.trip?;
        let breaker = &self.state.breaker;
        Some((breaker.phase(clock::millis()), breaker.trips()))
    }
}

/// What is known of an endpoint over and beyond a configuration.
#[derive(Debug)]
pub struct EndpointState {
    /// Its place in the workers' tables.
    pub slot: usize,
    /// Where it is reached.
    pub address: Address,
    /// The same as text.
    pub label: String,
    /// Its host for SNI and verification; none if it could not stand in a certificate.
    pub server_name: Option<ServerName<'static>>,
    /// What is known of its health.
    pub health: EndpointHealth,
    /// Requests under way; counted only where balancing asks.
    pub active: AtomicU64,
    /// How long it takes to answer; measured only where choosing asks.
    pub(crate) latency: Latency,
    /// Its counters.
    pub metrics: EndpointMetrics,
}

/// How the endpoints of a service stand at the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How many are available, those of weight 0 included.
    pub available: usize,
    /// Endpoints get requests that are not available, because too few are.
    pub panicking: bool,
    /// The part of the requests that each endpoint is to get, from 0 to 1, in the order configured.
    pub shares: Vec<f64>,
}

impl CompiledService {
    /// How its endpoints stand at the moment.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let view = self.views.newest();
        let shares = (0..self.endpoints.len()).map(|endpoint| view.share(endpoint)).collect();
        Standing { available: view.available(), panicking: view.is_panicking(), shares }
    }

    /// The name of the cookie that brings clients back to their endpoints.
    #[must_use]
    pub fn sticky_cookie(&self) -> Option<&str> {
        self.sticky.as_ref().map(StickyCookie::name)
    }

    /// What a view of its endpoints is made of.
    pub(crate) fn around(&self) -> Around<'_> {
        Around {
            service: &self.service,
            endpoints: &self.endpoints,
            zone: self.zone.as_deref(),
            begun_ms: self.state.begun_ms,
            now_ms: clock::millis(),
        }
    }
}

impl EndpointState {
    /// What stands in `Host` for an endpoint that is called by its own name.
    pub(crate) fn host(&self) -> &[u8] {
        match self.address {
            Address::Unix(_) => b"localhost",
            Address::Ip(_) | Address::Name { .. } => self.label.as_bytes(),
        }
    }
}

/// Counts a request or connection as under way for as long as it lives. It holds what it counts
/// by reference or, where it outlives the snapshot, as its own.
#[derive(Debug)]
pub(crate) struct ActiveRequest<E, S>
where
    E: Deref<Target = EndpointState>,
    S: Deref<Target = ServiceState>,
{
    endpoint: E,
    state: S,
    worker: usize,
    /// Choosing looks at what endpoints have under way.
    shared: bool,
}

/// One that outlives the snapshot.
pub(crate) type ActiveConnection = ActiveRequest<Arc<EndpointState>, Arc<ServiceState>>;

impl<E, S> ActiveRequest<E, S>
where
    E: Deref<Target = EndpointState>,
    S: Deref<Target = ServiceState>,
{
    /// Counts a request of a worker's.
    pub(crate) fn begin(service: &CompiledService, endpoint: E, state: S, worker: usize) -> Self {
        let series = endpoint.metrics.shard(worker);
        series.requests.add(1);
        series.active.add(1);
        let shared = service.service.balance.counts_active();
        if shared {
            endpoint.active.fetch_add(1, Relaxed);
            state.active.fetch_add(1, Relaxed);
        }
        ActiveRequest { endpoint, state, worker, shared }
    }
}

impl<E, S> Drop for ActiveRequest<E, S>
where
    E: Deref<Target = EndpointState>,
    S: Deref<Target = ServiceState>,
{
    fn drop(&mut self) {
        self.endpoint.metrics.shard(self.worker).active.sub(1);
        if self.shared {
            self.endpoint.active.fetch_sub(1, Relaxed);
            self.state.active.fetch_sub(1, Relaxed);
        }
    }
}
