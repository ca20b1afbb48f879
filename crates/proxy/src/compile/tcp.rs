//! TCP routes: from those of the old configuration to those of the new one.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_config::Delta;
use portcullis_config::model::{Config, Name, TcpRoute};
use portcullis_core::metrics::TcpRouteMetrics;

use super::{State, shares};
use crate::snapshot::CompiledTcpRoute;

/// TCP routes that a compilation takes out and puts in.
#[derive(Debug, Default)]
pub(super) struct TcpChanges {
    gone: Vec<Name>,
    fresh: Vec<Arc<CompiledTcpRoute>>,
}

/// Compiles what changed, at a cost in proportion.
pub(super) fn compile(
    known: &HashMap<Name, Arc<CompiledTcpRoute>>,
    workers: usize,
    state: &mut State,
    config: &Config,
    delta: &Delta,
) -> TcpChanges {
    let mut changes = TcpChanges::default();
    for name in delta.removed.iter().chain(&delta.changed) {
        let Some(old) = known.get(name) else { continue };
        changes.gone.push(Arc::clone(name));
        if let Some(names) = state.tcp.get_mut(&old.route.listener) {
            names.remove(&old.route.sni);
            if names.is_empty() {
                state.tcp.remove(&old.route.listener);
            }
        }
    }
    for route in delta.added.iter().chain(&delta.changed).filter_map(|n| config.tcp_routes.get(n)) {
        // A changed one goes on with the counters that it had.
        let metrics = match known.get(&route.name) {
            Some(old) => Arc::clone(&old.metrics),
            None => Arc::new(TcpRouteMetrics::new(workers)),
        };
        let compiled = compiled(state, route, metrics);
        let names = state.tcp.entry(Arc::clone(&route.listener)).or_default();
        names.insert(&route.sni, &compiled);
        changes.fresh.push(compiled);
    }
    changes
}

fn compiled(
    state: &State,
    route: &Arc<TcpRoute>,
    metrics: Arc<TcpRouteMetrics>,
) -> Arc<CompiledTcpRoute> {
    let (services, total_weight) = shares(state, &route.services);
    Arc::new(CompiledTcpRoute { route: Arc::clone(route), services, total_weight, metrics })
}

impl TcpChanges {
    /// Makes them what is known.
    pub(super) fn commit(self, known: &mut HashMap<Name, Arc<CompiledTcpRoute>>) {
        for name in self.gone {
            known.remove(&name);
        }
        for route in self.fresh {
            known.insert(Arc::clone(&route.route.name), route);
        }
    }
}
