//! A service made ready to choose endpoints of it.

use std::sync::Arc;

use portcullis_config::model::{Name, Service};

use crate::clock;
use crate::snapshot::{CompiledService, EndpointState};
use crate::upstream::balance::{Around, View};
use crate::upstream::state::{ServiceState, Views};
use crate::upstream::sticky::StickyCookie;

/// A service with what lives on of it, and the view that it begins with.
pub(super) fn compiled(
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
        tls: None,
        server_name: super::tls::service_name(service).ok().flatten(),
    }
}

/// Whether a service compiled before is still right.
pub(super) fn is_same(old: &CompiledService, new: &Arc<Service>, zone: Option<&Name>) -> bool {
    let has_zones = || new.endpoints.iter().any(|endpoint| endpoint.zone.is_some());
    Arc::ptr_eq(&old.service, new) && (old.zone.as_ref() == zone || !has_zones())
}
