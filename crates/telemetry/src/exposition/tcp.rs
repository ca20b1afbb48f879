//! What is counted of TCP routes.

use portcullis_core::metrics::{Counter, DURATION_BOUNDS_US, TcpRouteMetrics, TcpRouteSeries};

use super::page::{Kind, Page};

/// Appends the families of these routes. One that no worker has used yet is left out.
pub(super) fn render(routes: &[(&str, &TcpRouteMetrics)], page: &mut Page<'_>) {
    let routes: Vec<_> =
        routes.iter().filter_map(|(name, metrics)| Some((*name, Totals::of(metrics)?))).collect();
    let mut family = |name, kind, help, value: fn(&Totals) -> u64| {
        page.family(name, kind, help);
        for (route, totals) in &routes {
            page.sample(&[("tcp_route", route)], value(totals));
        }
    };
    family(
        "portcullis_tcp_connections_total",
        Kind::Counter,
        "Connections that a TCP route took.",
        |totals| totals.connections,
    );
    family(
        "portcullis_tcp_connections_open",
        Kind::Gauge,
        "Connections of a TCP route that are open now.",
        |totals| totals.open,
    );
    family(
        "portcullis_tcp_received_bytes_total",
        Kind::Counter,
        "Bytes from clients that went on to endpoints.",
        |totals| totals.bytes_in,
    );
    family(
        "portcullis_tcp_sent_bytes_total",
        Kind::Counter,
        "Bytes from endpoints that went on to clients.",
        |totals| totals.bytes_out,
    );
    page.family(
        "portcullis_tcp_connection_duration_seconds",
        Kind::Histogram,
        "How long connections of a TCP route were open.",
    );
    for (route, totals) in &routes {
        let sum = totals.sum_us;
        page.histogram(("tcp_route", route), &DURATION_BOUNDS_US, &totals.buckets, sum);
    }
}

/// A TCP route's counters over all workers.
#[derive(Default)]
struct Totals {
    connections: u64,
    open: u64,
    bytes_in: u64,
    bytes_out: u64,
    buckets: [u64; DURATION_BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Totals {
    /// `None` when no worker has used the route.
    fn of(metrics: &TcpRouteMetrics) -> Option<Totals> {
        let mut shards = metrics.shards().peekable();
        shards.peek()?;
        let mut totals = Totals::default();
        shards.for_each(|shard| totals.add(shard));
        Some(totals)
    }

    fn add(&mut self, shard: &TcpRouteSeries) {
        let add = |total: &mut u64, counter: &Counter| *total = total.wrapping_add(counter.value());
        add(&mut self.connections, &shard.connections);
        add(&mut self.open, &shard.open);
        add(&mut self.bytes_in, &shard.bytes_in);
        add(&mut self.bytes_out, &shard.bytes_out);
        for (total, counter) in self.buckets.iter_mut().zip(&shard.durations.buckets) {
            add(total, counter);
        }
        add(&mut self.sum_us, &shard.durations.sum_us);
    }
}
