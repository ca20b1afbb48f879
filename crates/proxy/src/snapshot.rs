//! The compiled configuration that requests work with: immutable, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use portcullis_config::model::{
    Address, Listener, Mirror, Name, Route, Service, SplitBy, TcpRoute,
};
use portcullis_core::metrics::{RouteMetrics, ServiceMetrics, TcpRouteMetrics};
use portcullis_policies::Running;
use portcullis_wire::HeadLimits;
use portcullis_wire::h2::ServerSettings;
use portcullis_wire::tls::ClientVerifier;
use rustls::pki_types::ServerName;

use crate::clock;
use crate::router::{Router, ServerNames};
use crate::upstream::breaker::Phase;
pub use crate::upstream::health::{EndpointHealth, Verdict};
use crate::upstream::state::{ServiceState, Views};

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
    pub policies: Arc<[Arc<Running>]>,
    /// What each listener lets in.
    pub listeners: HashMap<Name, Arc<ListenerSettings>>,
    /// Whether requests are counted.
    pub metrics: bool,
    /// How late a worker may be before it turns away what matters least, if it ever does.
    pub lag: Option<Duration>,
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
    pub policies: Arc<[Arc<Running>]>,
    /// What holds a client to one of them.
    pub split_by: SplitBy,
    /// Copies for another service, and its slot.
    pub mirror: Option<(Arc<Mirror>, usize)>,
    /// Its counters, which outlive it.
    pub metrics: Arc<RouteMetrics>,
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
    /// Its policies.
    pub policies: Arc<[Arc<Running>]>,
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

/// Counts a request as under way for as long as it lives.
#[derive(Debug)]
pub(crate) struct ActiveRequest(Arc<EndpointState>);

impl ActiveRequest {
    pub(crate) fn begin(endpoint: &Arc<EndpointState>) -> ActiveRequest {
        endpoint.active.fetch_add(1, Relaxed);
        ActiveRequest(Arc::clone(endpoint))
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
