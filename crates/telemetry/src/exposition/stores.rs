//! What is counted of stores that several nodes share.

use super::page::{Kind, Page};

/// What there is to tell about a store.
#[derive(Debug, Clone, Default)]
pub struct StoreFact<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it answers.
    pub up: bool,
    /// Calls by how they ended, `ok` among them.
    pub calls: Vec<(&'static str, u64)>,
    /// Requests that were decided without it, by what was done.
    pub fallbacks: Vec<(&'static str, u64)>,
    /// Bounds of the latency buckets in microseconds, and one count a bucket; the last is open.
    pub latency: (&'a [u64], Vec<u64>),
    /// Sum of the latencies in microseconds.
    pub latency_us: u64,
    /// Nodes that use it.
    pub nodes: u64,
    /// Keys of which this node holds a share.
    pub lease_keys: u64,
    /// What it holds.
    pub leased: u64,
    /// Shares asked for.
    pub lease_calls: u64,
    /// Requests that found no share.
    pub lease_misses: u64,
}

/// A family with one number a store.
type Plain = (&'static str, Kind, &'static str, fn(&StoreFact<'_>) -> u64);

const PLAIN: [Plain; 6] = [
    ("portcullis_store_up", Kind::Gauge, "Whether a store answers.", |store| store.up.into()),
    (
        "portcullis_store_nodes",
        Kind::Gauge,
        "Gateways that count in a store, this one included; 0 as long as it has not said.",
        |store| store.nodes,
    ),
    (
        "portcullis_store_lease_keys",
        Kind::Gauge,
        "Keys whose shares this gateway keeps filled.",
        |store| store.lease_keys,
    ),
    (
        "portcullis_store_leased",
        Kind::Gauge,
        "What this gateway has taken ahead and not used yet.",
        |store| store.leased,
    ),
    (
        "portcullis_store_lease_calls_total",
        Kind::Counter,
        "Calls in the background that renew, enlarge or give back shares.",
        |store| store.lease_calls,
    ),
    (
        "portcullis_store_lease_misses_total",
        Kind::Counter,
        "Requests of leased limits that had to ask the store, for there was no share.",
        |store| store.lease_misses,
    ),
];

pub(super) fn render(stores: &[StoreFact<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_store_calls_total",
        Kind::Counter,
        "Calls to a store by how they ended; the skipped ones were not made.",
    );
    for store in stores {
        for (result, count) in &store.calls {
            page.sample(&[("store", store.name), ("result", result)], *count);
        }
    }
    page.family(
        "portcullis_store_fallbacks_total",
        Kind::Counter,
        "Limits that were decided without the store, by what was done.",
    );
    for store in stores {
        for (decision, count) in &store.fallbacks {
            page.sample(&[("store", store.name), ("decision", decision)], *count);
        }
    }
    page.family(
        "portcullis_store_duration_seconds",
        Kind::Histogram,
        "How long the answers of a store took.",
    );
    for store in stores {
        let (bounds, buckets) = &store.latency;
        page.histogram(("store", store.name), bounds, buckets, store.latency_us);
    }
    for (name, kind, help, value) in PLAIN {
        page.family(name, kind, help);
        for store in stores {
            page.sample(&[("store", store.name)], value(store));
        }
    }
}
