//! From a configuration to a snapshot, at a cost in proportion to what changed: what is the same
//! allocation as before is taken over as it is.

mod logins;
mod service;
mod tcp;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_config::model::{
    Action, Address, Config, Http2, Listener, ListenerProtocol, Name, Route, SplitBy,
    WeightedService,
};
use portcullis_config::{Changes, Delta};
use portcullis_core::metrics::{RouteMetrics, TcpRouteMetrics};
use portcullis_policies::consumers::{BookFault, Directory};
use portcullis_policies::issuers::{self, IssuerError};
use portcullis_policies::shared::{Prepared, StoreError};
use portcullis_policies::{Registry, RunningPolicies, Scope};
use portcullis_wire::HeadLimits;
use portcullis_wire::h2::{FrameBounds, ServerSettings};
use portcullis_wire::tls::{ClientVerifier, Expiry, Ticketer, TlsError, TlsWarning};
use thiserror::Error;
use tokio::sync::watch;

use self::tcp::TcpChanges;
pub use self::tls::Owner;
use self::tls::{Expiries, forget_expiries};
use crate::router::{Router, ServerNames};
use crate::snapshot::{
    CompiledRoute, CompiledService, CompiledTcpRoute, EndpointState, KnownHealth, ListenerSettings,
    Snapshot,
};
use crate::upstream::state::{Bell, ServiceState};
use crate::upstream::tend::tend;

/// A part of the configuration that cannot be put to use.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct CompileError {
    /// Where it stands, as keys from the top.
    pub path: Vec<String>,
    /// What is wrong.
    pub error: CompileFault,
}

/// What is wrong with a part of the configuration.
#[derive(Debug, Error)]
pub enum CompileFault {
    /// TLS of a listener or a service.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// Credentials of a consumer.
    #[error(transparent)]
    Consumer(#[from] BookFault),
}

impl CompileFault {
    /// What may help.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CompileFault::Tls(error) => error.hint(),
            CompileFault::Store(_) | CompileFault::Issuer(_) => None,
            CompileFault::Consumer(fault) => fault.hint(),
        }
    }
}

/// A part of the configuration that can be put to use, but should be looked at.
#[derive(Debug)]
pub struct CompileWarning {
    /// Where it stands, as keys from the top.
    pub path: Vec<String>,
    /// What is odd.
    pub warning: TlsWarning,
}

/// A snapshot, and what is odd about it.
#[derive(Debug)]
pub struct Compiled {
    /// Ready to serve.
    pub snapshot: Arc<Snapshot>,
    /// Worth a line in the log.
    pub warnings: Vec<CompileWarning>,
    state: State,
    stores: Prepared,
    issuers: issuers::Prepared,
    routes: RouteChanges,
    tcp_routes: TcpChanges,
}

/// Routes that a compilation takes out and puts in.
#[derive(Debug, Default)]
struct RouteChanges {
    gone: Vec<Name>,
    fresh: Vec<Arc<CompiledRoute>>,
}

/// Turns configurations into snapshots and remembers what lives on between them.
#[derive(Debug)]
pub struct Compiler {
    workers: usize,
    /// What policies have counted.
    registry: Arc<Registry>,
    /// Rings when the view of a service has to be made anew.
    bell: Arc<Bell>,
    state: State,
    routes: HashMap<Name, Arc<CompiledRoute>>,
    tcp_routes: HashMap<Name, Arc<CompiledTcpRoute>>,
    /// The routes among them that browsers log in at.
    login_routes: HashMap<Name, Arc<CompiledRoute>>,
    /// What another process knew of endpoints, by service and address, for the first configuration.
    known: HashMap<(String, String), KnownHealth>,
}

/// What the last committed configuration became.
#[derive(Debug, Clone, Default)]
struct State {
    config: Arc<Config>,
    revision: u64,
    policies: Arc<RunningPolicies>,
    directory: Arc<Directory>,
    router: Router<Arc<CompiledRoute>>,
    tcp: HashMap<Name, ServerNames<Arc<CompiledTcpRoute>>>,
    services: Vec<Option<Arc<CompiledService>>>,
    listeners: HashMap<Name, (Arc<ListenerSettings>, Option<Ticketer>)>,
    slots: HashMap<Name, usize>,
    free_slots: Vec<usize>,
    service_states: HashMap<Name, Arc<ServiceState>>,
    endpoints: HashMap<(Name, Address), Arc<EndpointState>>,
    next_endpoint: usize,
    free_endpoints: Vec<usize>,
    /// Until when their files are good, of listeners and services that have any.
    expiries: Expiries,
}

impl Compiler {
    /// A compiler for a gateway of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Compiler {
        Compiler {
            workers,
            registry: Arc::new(Registry::new(workers)),
            bell: Arc::default(),
            state: State::default(),
            routes: HashMap::new(),
            tcp_routes: HashMap::new(),
            login_routes: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Has endpoints of the first configuration begin with what another process knew of them, by
    /// service and address.
    pub fn recall(&mut self, known: impl IntoIterator<Item = ((String, String), KnownHealth)>) {
        self.known = known.into_iter().collect();
    }

    /// What is known of endpoints, by service and address.
    pub fn known(&self) -> impl Iterator<Item = (&str, &str, KnownHealth)> {
        self.services().flat_map(|service| {
            service.endpoints.iter().filter_map(move |endpoint| {
                Some((&*service.service.name, &*endpoint.label, endpoint.health.known()?))
            })
        })
    }

    /// Compiles `config`, which differs from the one committed last by `changes`. Nothing is kept
    /// of it until [`Compiler::commit`].
    ///
    /// # Errors
    /// Every part that cannot be put to use.
    pub fn compile(
        &self,
        config: &Arc<Config>,
        changes: &Changes,
    ) -> Result<Compiled, Vec<CompileError>> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let mut state = self.state.clone();
        compile_listeners(&mut state, config, &mut errors, &mut warnings);
        // Before any policy that names one.
        let stores = self.registry.stores().prepare(&config.stores).unwrap_or_else(|faults| {
            errors.extend(faults.into_iter().map(|error| CompileError {
                path: vec!["stores".to_owned(), error.store.to_string()],
                error: error.into(),
            }));
            Prepared::default()
        });
        let issuers = self.registry.issuers().prepare(&config.issuers).unwrap_or_else(|faults| {
            errors.extend(faults.into_iter().map(|error| CompileError {
                path: vec!["issuers".to_owned(), error.issuer.to_string()],
                error: error.into(),
            }));
            issuers::Prepared::default()
        });
        self.compile_services(&mut state, config, &mut errors, &mut warnings);
        self.compile_directory(&mut state, config, changes, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let policies = &config.process.policies;
        if state.revision == 0 || self.config().process.policies != *policies {
            state.policies = self.registry.run(&Scope::Global, policies);
        }
        let routes = self.compile_routes(&mut state, config, &changes.routes);
        let delta = &changes.tcp_routes;
        let tcp_routes = tcp::compile(&self.tcp_routes, self.workers, &mut state, config, delta);
        state.revision += 1;
        state.config = Arc::clone(config);
        let listeners =
            state.listeners.iter().map(|(name, (l, _))| (Arc::clone(name), Arc::clone(l)));
        let snapshot = Snapshot {
            revision: state.revision,
            router: state.router.clone(),
            tcp: state.tcp.clone(),
            services: state.services.clone(),
            policies: Arc::clone(&state.policies),
            logins: self.logins(&state, config, &routes),
            directory: Arc::clone(&state.directory),
            listeners: listeners.collect(),
            logged_claims: Arc::clone(&config.process.logged_claims),
            metrics: config.process.metrics,
            lag: config.process.lag,
        };
        let snapshot = Arc::new(snapshot);
        Ok(Compiled { snapshot, warnings, state, stores, issuers, routes, tcp_routes })
    }

    /// Makes what was compiled the base of the next compilation.
    pub fn commit(&mut self, compiled: Compiled) {
        self.state = compiled.state;
        self.known.clear();
        self.registry.stores().commit(compiled.stores);
        self.registry.issuers().commit(compiled.issuers);
        let services = self.state.services.iter().flatten();
        let grants = services.filter_map(|service| service.token.as_ref());
        self.registry.grants().commit(grants, self.registry.issuers());
        for name in compiled.routes.gone {
            self.routes.remove(&name);
            self.login_routes.remove(&name);
        }
        for route in compiled.routes.fresh {
            if route.has_logins() {
                self.login_routes.insert(Arc::clone(&route.route.name), Arc::clone(&route));
            }
            self.routes.insert(Arc::clone(&route.route.name), route);
        }
        compiled.tcp_routes.commit(&mut self.tcp_routes);
    }

    /// The routes in use, with their counters.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Arc<RouteMetrics>)> {
        self.routes.values().map(|route| (&*route.route.name, &route.metrics))
    }

    /// The TCP routes in use, with their counters.
    pub fn tcp_routes(&self) -> impl Iterator<Item = (&str, &Arc<TcpRouteMetrics>)> {
        self.tcp_routes.values().map(|route| (&*route.route.name, &route.metrics))
    }

    /// Until when the files of TLS in use are good, by whose they are and its name.
    pub fn expiries(&self) -> impl Iterator<Item = (Owner, &str, &Expiry)> {
        let owners = self.state.expiries.iter();
        owners.flat_map(|((owner, name), all)| all.iter().map(|one| (*owner, &**name, one)))
    }

    /// Who there is, where that has changed.
    fn compile_directory(
        &self,
        state: &mut State,
        config: &Config,
        changes: &Changes,
        errors: &mut Vec<CompileError>,
    ) {
        let (old, first) = (self.config(), state.revision == 0);
        let same = changes.consumers.is_empty() && !first;
        let others = [&changes.plans, &changes.groups].into_iter().all(|delta| delta.is_empty());
        let written = old.process.credentials == config.process.credentials;
        if same && others && written {
            return;
        }
        match Directory::new(&self.registry, config, &state.directory, same) {
            Ok(directory) => state.directory = Arc::new(directory),
            Err(faults) => errors.extend(
                faults
                    .into_iter()
                    .map(|fault| CompileError { path: fault.path.clone(), error: fault.into() }),
            ),
        }
    }

    /// Brings the router from the old configuration's routes to the new one's.
    fn compile_routes(&self, state: &mut State, config: &Config, delta: &Delta) -> RouteChanges {
        let mut changes = RouteChanges::default();
        for name in delta.removed.iter().chain(&delta.changed) {
            if let Some(old) = self.routes.get(name) {
                state.router.remove(&old.route);
                changes.gone.push(Arc::clone(name));
            }
        }
        for route in delta.added.iter().chain(&delta.changed).filter_map(|n| config.routes.get(n)) {
            // A changed route goes on with the counters that it had.
            let metrics = match self.routes.get(&route.name) {
                Some(old) => Arc::clone(&old.metrics),
                None => Arc::new(RouteMetrics::new(self.workers)),
            };
            let policies =
                self.registry.run(&Scope::Route(Arc::clone(&route.name)), &route.policies);
            let compiled = compile_route(state, route, policies, metrics);
            state.router.insert(Arc::clone(route), Arc::clone(&compiled));
            changes.fresh.push(compiled);
        }
        changes
    }

    /// Keeps the views of services up to date, for the snapshots that come, until there will be no
    /// more of them. To be polled on the control side.
    pub fn tend(
        &self,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> impl Future<Output = ()> + Send + use<> {
        tend(Arc::clone(&self.bell), snapshots)
    }

    /// The services in use.
    pub fn services(&self) -> impl Iterator<Item = &Arc<CompiledService>> {
        self.state.services.iter().flatten()
    }

    /// What policies have counted.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.state.config
    }
}

fn compile_listeners(
    state: &mut State,
    config: &Config,
    errors: &mut Vec<CompileError>,
    warnings: &mut Vec<CompileWarning>,
) {
    state.listeners.retain(|name, _| config.listeners.contains_key(name));
    forget_expiries(&mut state.expiries, config);
    for (name, listener) in &config.listeners {
        let old = state.listeners.get(name);
        if old.is_some_and(|(old, _)| Arc::ptr_eq(&old.listener, listener)) {
            continue;
        }
        match compile_listener(listener, old, &mut state.expiries, warnings) {
            Ok(compiled) => {
                state.listeners.insert(Arc::clone(name), compiled);
            }
            Err(error) => {
                let place = listener.tls.as_ref().map(|t| tls::place_in_listener(t, error.label()));
                errors.push(CompileError {
                    path: path("listeners", name, place),
                    error: error.into(),
                });
            }
        }
    }
}

/// The place of something in the `tls` of a listener or a service.
fn path(collection: &str, name: &str, rest: Option<Vec<String>>) -> Vec<String> {
    let start = [collection.to_owned(), name.to_owned(), "tls".to_owned()];
    start.into_iter().chain(rest.unwrap_or_default()).collect()
}

fn compile_listener(
    listener: &Arc<Listener>,
    old: Option<&(Arc<ListenerSettings>, Option<Ticketer>)>,
    expiries: &mut Expiries,
    warnings: &mut Vec<CompileWarning>,
) -> Result<(Arc<ListenerSettings>, Option<Ticketer>), TlsError> {
    let Some(written) = &listener.tls else {
        let settings = settings(listener, None, None);
        return Ok((Arc::new(settings), None));
    };
    let before = old.and_then(|(old, _)| old.listener.tls.as_deref());
    // The same keys seal tickets on, so that clients resume across a reload; but who would be
    // judged in another way now must shake hands anew.
    let ticketer = match old {
        Some((_, Some(ticketer))) if tls::same_clients(before, written) => ticketer.clone(),
        _ => Ticketer::new()?,
    };
    let same = |old: &Listener| alpn(old) == alpn(listener);
    if let Some((old, _)) = old.filter(|(old, _)| before == Some(written) && same(&old.listener)) {
        let settings = settings(listener, old.tls.clone(), old.client_verifier.clone());
        return Ok((Arc::new(settings), Some(ticketer)));
    }
    let built = tls::server(written, &ticketer, alpn(listener))?;
    warnings.extend(built.warnings.into_iter().map(|warning| {
        let place = tls::place_in_listener(written, warning.label());
        CompileWarning { path: path("listeners", &listener.name, Some(place)), warning }
    }));
    expiries.insert((Owner::Listener, Arc::clone(&listener.name)), built.expiries);
    let settings = settings(listener, Some(built.config), built.verifier);
    Ok((Arc::new(settings), Some(ticketer)))
}

fn settings(
    listener: &Arc<Listener>,
    tls: Option<Arc<rustls::ServerConfig>>,
    client_verifier: Option<ClientVerifier>,
) -> ListenerSettings {
    let head = HeadLimits {
        target: listener.limits.uri,
        fields: listener.limits.fields,
        section: listener.limits.head,
    };
    let http2 = listener.http2.map(|http2| http2_settings(&http2, head));
    ListenerSettings { listener: Arc::clone(listener), tls, client_verifier, head, http2 }
}

fn http2_settings(http2: &Http2, head: HeadLimits) -> ServerSettings {
    ServerSettings {
        concurrent_streams: http2.concurrent_streams,
        window: http2.window,
        connection_window: http2.connection_window,
        frames: FrameBounds {
            resets: http2.resets,
            control_frames: http2.control_frames,
            continuations: http2.continuations,
        },
        head,
    }
}

/// What may be chosen by ALPN on a listener.
fn alpn(listener: &Listener) -> &'static [&'static [u8]] {
    match (listener.protocol, &listener.http2) {
        // Some clients of the oldest version name it, and would be refused otherwise.
        (ListenerProtocol::Http, Some(_)) => &[b"h2", b"http/1.1", b"http/1.0"],
        (ListenerProtocol::Http, None) => &[b"http/1.1", b"http/1.0"],
        // Whatever the client wants to speak, the endpoint may.
        (ListenerProtocol::Tcp | ListenerProtocol::TlsPassthrough, _) => &[],
    }
}

fn compile_route(
    state: &State,
    route: &Arc<Route>,
    policies: Arc<RunningPolicies>,
    metrics: Arc<RouteMetrics>,
) -> Arc<CompiledRoute> {
    let (services, split_by, mirror): (&[WeightedService], _, _) = match &route.action {
        Action::Forward { services, split_by, mirror, .. } => {
            (services, split_by.clone(), mirror.clone())
        }
        Action::Redirect { .. } | Action::Reply(_) => (&[], SplitBy::Random, None),
    };
    let (services, total_weight) = shares(state, services);
    let mirror = mirror.and_then(|mirror| {
        let slot = *state.slots.get(&mirror.service)?;
        Some((mirror, slot))
    });
    let route = Arc::clone(route);
    Arc::new(CompiledRoute { route, services, total_weight, split_by, mirror, policies, metrics })
}

/// Slots of services with their weights, and the sum of these.
fn shares(state: &State, services: &[WeightedService]) -> (Box<[(usize, u32)]>, u32) {
    let services: Box<[(usize, u32)]> = services
        .iter()
        .filter_map(|share| Some((*state.slots.get(&share.service)?, share.weight)))
        .collect();
    let total_weight = services.iter().map(|(_, weight)| weight).sum();
    (services, total_weight)
}
