//! What there is to tell about stores on the metrics page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use portcullis_config::model::OnFailure;
use portcullis_policies::shared::{STORE_BOUNDS_US, Store, StoreFault};
use portcullis_telemetry::StoreFact;

/// The facts of these stores.
pub(crate) fn facts(stores: &[Arc<Store>]) -> Vec<StoreFact<'_>> {
    stores.iter().map(|store| fact(store)).collect()
}

fn fact(store: &Store) -> StoreFact<'_> {
    let metrics = store.metrics();
    let value = |counter: &AtomicU64| counter.load(Relaxed);
    let faults = StoreFault::ALL.iter().zip(&metrics.faults);
    let faults = faults.map(|(fault, count)| (fault.code(), value(count)));
    let fallbacks = OnFailure::ALL.iter().zip(&metrics.fallbacks);
    StoreFact {
        name: store.name(),
        up: metrics.up.load(Relaxed),
        calls: std::iter::once(("ok", value(&metrics.answered))).chain(faults).collect(),
        fallbacks: fallbacks.map(|(done, count)| (done.as_str(), value(count))).collect(),
        latency: (&STORE_BOUNDS_US, metrics.buckets.iter().map(value).collect()),
        latency_us: value(&metrics.sum_us),
        nodes: value(&metrics.nodes),
        lease_keys: value(&metrics.lease_keys),
        leased: value(&metrics.leased),
        lease_calls: value(&metrics.lease_calls),
        lease_misses: value(&metrics.lease_misses),
    }
}
