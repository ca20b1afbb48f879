//! Services: from those of the old configuration to those of the new one, with all that lives on of
//! them and of their endpoints.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use portcullis_config::model::{Address, Config, Name, Protocol, Service};
use portcullis_core::metrics::EndpointMetrics;
use portcullis_policies::Scope;
use portcullis_policies::grants::Grant;
use portcullis_wire::tls::{SystemRoots, TlsError};

use super::tls::{self, Expiries, Owner};
use super::{CompileError, CompileWarning, Compiler, State, path};
use crate::clock;
use crate::snapshot::{CompiledService, EndpointHealth, EndpointState, Verdict};
use crate::upstream::balance::{Around, Latency, View};
use crate::upstream::state::{ServiceState, Views};
use crate::upstream::sticky::StickyCookie;

impl Compiler {
    pub(super) fn compile_services(
        &self,
        state: &mut State,
        config: &Config,
        errors: &mut Vec<CompileError>,
        warnings: &mut Vec<CompileWarning>,
    ) {
        let roots = SystemRoots::default();
        let zone = config.process.zone.as_ref();
        forget_services(state, config);
        for (name, service) in &config.services {
            let old = state.slots.get(name).and_then(|&slot| state.services[slot].clone());
            if old.as_ref().is_some_and(|old| is_same(old, service, zone)) {
                continue;
            }
            let token = match self.token(service) {
                Ok(token) => token,
                Err(error) => {
                    let place =
                        ["services", &**name, "upstream_token", "tls"].map(str::to_owned).into();
                    errors.push(CompileError { path: place, error: error.into() });
                    continue;
                }
            };
            match client_tls(service, old.as_deref(), &roots, &mut state.expiries, warnings) {
                Ok(tls) => self.install_service(state, service, (tls, token), zone),
                Err(error) => {
                    let place =
                        service.tls.as_ref().map(|t| tls::place_in_service(t, error.label()));
                    errors.push(CompileError {
                        path: path("services", name, place),
                        error: error.into(),
                    });
                }
            }
        }
    }

    /// The token that is shown to a service.
    fn token(&self, service: &Service) -> Result<Option<Arc<Grant>>, TlsError> {
        let Some(written) = &service.upstream_token else { return Ok(None) };
        let registry = &self.registry;
        registry.grants().prepare(&service.name, written, registry.issuers()).map(Some)
    }

    fn install_service(
        &self,
        state: &mut State,
        service: &Arc<Service>,
        (tls, token): (Option<Arc<rustls::ClientConfig>>, Option<Arc<Grant>>),
        zone: Option<&Name>,
    ) {
        let slot = slot_of(state, &service.name);
        let backup = service.backup.as_ref().map(|name| slot_of(state, name));
        let mut endpoints = Vec::with_capacity(service.endpoints.len());
        for endpoint in &service.endpoints {
            let key = (Arc::clone(&service.name), endpoint.address.clone());
            let known = state.endpoints.entry(key).or_insert_with(|| {
                let slot = state.free_endpoints.pop().unwrap_or_else(|| {
                    state.next_endpoint += 1;
                    state.next_endpoint - 1
                });
                let health = EndpointHealth::new(first_verdict(service), self.workers);
                let label = endpoint.address.to_string();
                let known = self.known.get(&(service.name.to_string(), label.clone()));
                Arc::new(EndpointState {
                    slot,
                    address: endpoint.address.clone(),
                    label,
                    server_name: tls::endpoint_name(&endpoint.address).ok(),
                    health: match known {
                        Some(&known) => health.recall(known, service),
                        None => health,
                    },
                    active: AtomicU64::new(0),
                    latency: Latency::default(),
                    metrics: EndpointMetrics::new(self.workers),
                })
            });
            endpoints.push(Arc::clone(known));
        }
        // Made after its first endpoints, which are no newer than itself then.
        let known = state.service_states.entry(Arc::clone(&service.name));
        let known = known.or_insert_with(|| Arc::new(ServiceState::new(&self.bell, self.workers)));
        let known = Arc::clone(known);
        let scope = Scope::Service(Arc::clone(&service.name));
        let policies = self.registry.run(&scope, &service.policies);
        let compiled = compiled(service, slot, endpoints, known, zone);
        state.services[slot] =
            Some(Arc::new(CompiledService { backup, policies, tls, token, ..compiled }));
    }
}

/// The slot of a service that there is or will be.
fn slot_of(state: &mut State, name: &Name) -> usize {
    *state.slots.entry(Arc::clone(name)).or_insert_with(|| {
        state.free_slots.pop().unwrap_or_else(|| {
            state.services.push(None);
            state.services.len() - 1
        })
    })
}

/// Takes out services that are gone; their slots serve others.
fn forget_services(state: &mut State, config: &Config) {
    let State { slots, free_slots, services, endpoints, free_endpoints, service_states, .. } =
        state;
    service_states.retain(|name, _| config.services.contains_key(name));
    slots.retain(|name, slot| {
        let stays = config.services.contains_key(name);
        if !stays {
            services[*slot] = None;
            free_slots.push(*slot);
        }
        stays
    });
    let wanted: HashSet<(&Name, &Address)> = config
        .services
        .iter()
        .flat_map(|(name, service)| service.endpoints.iter().map(move |e| (name, &e.address)))
        .collect();
    endpoints.retain(|(name, address), endpoint| {
        let stays = wanted.contains(&(name, address));
        if !stays {
            free_endpoints.push(endpoint.slot);
        }
        stays
    });
}

/// What is held of an endpoint that is new.
fn first_verdict(service: &Service) -> Verdict {
    match &service.health {
        Some(active) if !active.initially_healthy => Verdict::Awaited,
        Some(_) | None => Verdict::Unchecked,
    }
}

fn client_tls(
    service: &Service,
    old: Option<&CompiledService>,
    roots: &SystemRoots,
    expiries: &mut Expiries,
    warnings: &mut Vec<CompileWarning>,
) -> Result<Option<Arc<rustls::ClientConfig>>, TlsError> {
    let Some(written) = &service.tls else {
        return Ok(None);
    };
    let same =
        |old: &Service| old.protocol == service.protocol && old.tls.as_ref() == Some(written);
    if let Some(old) = old.filter(|old| same(&old.service)) {
        return Ok(old.tls.clone());
    }
    if tls::service_name(service)?.is_none() {
        service.endpoints.iter().try_for_each(|e| tls::endpoint_name(&e.address).map(|_| ()))?;
    }
    let alpn: &[&[u8]] = match service.protocol {
        Protocol::Http1 => &[b"http/1.1"],
        Protocol::Http2 => &[b"h2"],
        Protocol::Auto => &[b"h2", b"http/1.1"],
    };
    let built = tls::client(written, roots, alpn)?;
    warnings.extend(built.warnings.into_iter().map(|warning| {
        let place = tls::place_in_service(written, warning.label());
        CompileWarning { path: path("services", &service.name, Some(place)), warning }
    }));
    expiries.insert((Owner::Service, Arc::clone(&service.name)), built.expiries);
    Ok(Some(built.config))
}

/// A service with what lives on of it, and the view that it begins with.
fn compiled(
    service: &Arc<Service>,
    slot: usize,
    endpoints: Vec<Arc<EndpointState>>,
    state: Arc<ServiceState>,
    zone: Option<&Name>,
) -> CompiledService {
    let changes = state.changes();
    let view = View::of(&Around {
        service,
        endpoints: &endpoints,
        zone: zone.map(|zone| &**zone),
        begun_ms: state.begun_ms,
        now_ms: clock::millis(),
    });
    let sticky = service.sticky.as_deref();
    let sticky = sticky.and_then(|s| StickyCookie::new(s, service, &state, &endpoints));
    CompiledService {
        service: Arc::clone(service),
        slot,
        endpoints: endpoints.into(),
        zone: zone.cloned(),
        views: Views::new(view, changes),
        state,
        sticky,
        backup: None,
        token: None,
        policies: Arc::default(),
        tls: None,
        server_name: tls::service_name(service).ok().flatten(),
    }
}

/// Whether a service compiled before is still right.
fn is_same(old: &CompiledService, new: &Arc<Service>, zone: Option<&Name>) -> bool {
    let has_zones = || new.endpoints.iter().any(|endpoint| endpoint.zone.is_some());
    Arc::ptr_eq(&old.service, new) && (old.zone.as_ref() == zone || !has_zones())
}
