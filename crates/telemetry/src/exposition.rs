//! The metrics page, in the Prometheus text format 0.0.4.
//!
//! Counters are read while workers go on counting, so the page is not one instant; but each
//! histogram agrees with itself, because its count is the sum of the buckets that were read.

mod authz;
mod health;
mod issuers;
mod page;
mod policies;
mod retries;
mod services;
mod stores;
mod tcp;
#[cfg(test)]
mod tests;
mod tokens;
mod traffic;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_core::failure::REASONS;
use portcullis_core::metrics::{
    Counter, DURATION_BOUNDS_US, HTTP2_ERRORS, HTTP2_FLOODS, ProxyRefusal, RouteMetrics,
    RouteSeries, TcpRouteMetrics, WorkerMetrics,
};
use portcullis_core::tls::HANDSHAKE_FAULTS;

pub use self::authz::AuthzFact;
pub use self::health::HealthScrape;
pub use self::issuers::IssuerFact;
use self::page::{Kind, Page};
pub use self::policies::{JudgedFact, PolicyFact, PolicyFacts};
pub use self::services::{EndpointScrape, ServiceScrape};
pub use self::stores::StoreFact;
pub use self::tokens::TokenScrape;
use crate::resources::Resources;

/// The media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels of the classes of [`RouteSeries::by_class`].
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Everything that one page shows.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// Every worker's counters.
    pub workers: &'a [Arc<WorkerMetrics>],
    /// The routes by name. One that no worker has used yet is left out.
    pub routes: Vec<(&'a str, &'a RouteMetrics)>,
    /// The TCP routes by name.
    pub tcp_routes: Vec<(&'a str, &'a TcpRouteMetrics)>,
    /// What policies have counted.
    pub policies: PolicyFacts<'a>,
    /// The stores that nodes share.
    pub stores: Vec<StoreFact<'a>>,
    /// The issuers of tokens.
    pub issuers: Vec<IssuerFact<'a>>,
    /// Until when files of TLS are good.
    pub expiries: Vec<Expires<'a>>,
    /// The services.
    pub services: Vec<ServiceScrape<'a>>,
    /// What does not come from workers.
    pub process: ProcessFacts<'a>,
}

/// Until when a file of TLS is good. The order is that of the page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expires<'a> {
    /// `listener` or `service`.
    pub owner: &'static str,
    /// The listener's or service's name.
    pub name: &'a str,
    /// What the file holds.
    pub kind: &'static str,
    /// The file's path.
    pub file: &'a str,
    /// The last moment of the first of its parts to end, in seconds since the Unix epoch.
    pub at: u64,
}

/// What there is to tell about the process as a whole.
#[derive(Debug, Clone)]
pub struct ProcessFacts<'a> {
    /// The version that runs.
    pub version: &'a str,
    /// When the process started.
    pub started: SystemTime,
    /// Revision of the configuration in force; grows with every one that is applied.
    pub config_revision: u64,
    /// Whether the last attempt to load a configuration went well.
    pub last_reload_success: bool,
    /// When that attempt was.
    pub last_reload: SystemTime,
    /// Reloads that were applied.
    pub reloads_ok: u64,
    /// Reloads that were refused.
    pub reloads_failed: u64,
    /// Listeners configured.
    pub listeners: usize,
    /// Routes configured.
    pub routes_configured: usize,
    /// TCP routes configured.
    pub tcp_routes_configured: usize,
    /// Services configured.
    pub services_configured: usize,
    /// Access-log lines lost because they could not be written
    /// ([`crate::AccessLogSink::lost_lines`]).
    pub log_lines_unwritten: u64,
}

impl Scrape<'_> {
    /// Appends the page to `out`.
    pub fn render(&self, out: &mut String) {
        let mut page = Page::new(out);
        self.routes(&mut page);
        tcp::render(&self.tcp_routes, &mut page);
        self.policies.render(&mut page);
        stores::render(&self.stores, &mut page);
        issuers::render(&self.issuers, &mut page);
        self.failures(&mut page);
        self.downstream(&mut page);
        self.http2(&mut page);
        self.upstream(&mut page);
        services::render(&self.services, &mut page);
        retries::render(&self.services, &mut page);
        tokens::render(&self.services, &mut page);
        health::render(&self.services, &mut page);
        self.traffic(&mut page);
        self.access_log(&mut page);
        self.expiries(&mut page);
        self.process.render(self.workers.len(), &mut page);
        resources(&Resources::read(), &mut page);
    }

    fn routes(&self, page: &mut Page<'_>) {
        let routes: Vec<_> = self
            .routes
            .iter()
            .filter_map(|(name, metrics)| Some((*name, RouteTotals::of(metrics)?)))
            .collect();

        page.family(
            "portcullis_requests_total",
            Kind::Counter,
            "Requests answered, by route and class of status.",
        );
        for (route, totals) in &routes {
            for (class, label) in CLASSES.into_iter().enumerate() {
                // The usual classes stand there from the start, so that the first answer of a
                // class is seen as a change; the odd ones only cost space until they occur.
                if class >= 2 || totals.by_class[class] > 0 {
                    page.sample(&[("route", route), ("class", label)], totals.by_class[class]);
                }
            }
        }
        page.family(
            "portcullis_request_duration_seconds",
            Kind::Histogram,
            "Time from a request's head to the end of its reply.",
        );
        for (route, totals) in &routes {
            page.histogram(("route", route), &DURATION_BOUNDS_US, &totals.buckets, totals.sum_us);
        }
        page.family(
            "portcullis_request_content_bytes_total",
            Kind::Counter,
            "Bytes of content received from clients.",
        );
        for (route, totals) in &routes {
            page.sample(&[("route", route)], totals.bytes_in);
        }
        page.family(
            "portcullis_response_content_bytes_total",
            Kind::Counter,
            "Bytes of content sent to clients.",
        );
        for (route, totals) in &routes {
            page.sample(&[("route", route)], totals.bytes_out);
        }
    }

    fn failures(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_failures_total",
            Kind::Counter,
            "Requests that failed or were refused, by reason.",
        );
        for reason in REASONS {
            let count = self.sum(|worker| &worker.failures[reason.index()]);
            page.sample(&[("reason", reason.code())], count);
        }
    }

    fn downstream(&self, page: &mut Page<'_>) {
        page.counter(
            "portcullis_connections_total",
            "Client connections accepted.",
            self.sum(|w| &w.connections),
        );
        page.gauge(
            "portcullis_connections_open",
            "Client connections open now.",
            self.sum(|w| &w.connections_open),
        );
        page.counter(
            "portcullis_connections_refused_total",
            "Client connections refused because a listener was full.",
            self.sum(|w| &w.connections_refused),
        );
        page.counter(
            "portcullis_connections_too_fast_total",
            "Client connections refused because they came too fast.",
            self.sum(|w| &w.connections_too_fast),
        );
        page.counter(
            "portcullis_connections_held_total",
            "Client connections that had to wait because their address had flooded the listener.",
            self.sum(|w| &w.connections_held_total),
        );
        page.gauge(
            "portcullis_connections_held",
            "Client connections that wait for that reason now.",
            self.sum(|w| &w.connections_held),
        );
        page.family(
            "portcullis_proxy_protocol_refused_total",
            Kind::Counter,
            "Client connections refused for their PROXY header, by reason.",
        );
        for refusal in ProxyRefusal::ALL {
            let count = self.sum(|worker| &worker.proxy_refused[refusal as usize]);
            page.sample(&[("reason", refusal.code())], count);
        }
        page.family(
            "portcullis_tls_handshake_failures_total",
            Kind::Counter,
            "TLS handshakes with clients that failed, by reason.",
        );
        for fault in HANDSHAKE_FAULTS {
            let count = self.sum(|worker| &worker.handshake_failures[fault.index()]);
            page.sample(&[("reason", fault.code())], count);
        }
    }

    fn http2(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_http2_errors_total",
            Kind::Counter,
            "HTTP/2 errors told to clients, by what they end and by code.",
        );
        for (code, name) in HTTP2_ERRORS.into_iter().enumerate() {
            let streams = self.sum(|w| &w.http2_stream_errors[code]);
            page.sample(&[("scope", "stream"), ("code", name)], streams);
            let connections = self.sum(|w| &w.http2_connection_errors[code]);
            page.sample(&[("scope", "connection"), ("code", name)], connections);
        }
        page.family(
            "portcullis_http2_floods_total",
            Kind::Counter,
            "Client connections ended because of too many HTTP/2 frames, by kind.",
        );
        for (kind, name) in HTTP2_FLOODS.into_iter().enumerate() {
            page.sample(&[("kind", name)], self.sum(|w| &w.http2_floods[kind]));
        }
        page.gauge(
            "portcullis_http2_connections_waiting",
            "HTTP/2 connections that wait for a place for another request now.",
            self.sum(|w| &w.http2_waiting),
        );
    }

    fn upstream(&self, page: &mut Page<'_>) {
        page.counter(
            "portcullis_upstream_connections_total",
            "Connections opened to endpoints.",
            self.sum(|w| &w.upstream_connections),
        );
        page.counter(
            "portcullis_upstream_reuses_total",
            "Requests sent over a connection from the pool.",
            self.sum(|w| &w.upstream_reuses),
        );
        page.counter(
            "portcullis_upstream_retries_total",
            "Requests sent once more, whatever for.",
            self.sum(|w| &w.upstream_retries),
        );
        page.gauge(
            "portcullis_upstream_connections_idle",
            "Idle connections to endpoints in the pools now.",
            self.sum(|w| &w.upstream_idle),
        );
    }

    fn access_log(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_access_log_lost_lines_total",
            Kind::Counter,
            "Access-log lines lost, by cause.",
        );
        page.sample(&[("cause", "queue_full")], self.sum(|w| &w.log_dropped));
        page.sample(&[("cause", "write_failed")], self.process.log_lines_unwritten);
    }

    fn expiries(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_tls_expiry_timestamp_seconds",
            Kind::Gauge,
            "When the first certificate or revocation list of a file ends, since the Unix epoch.",
        );
        for Expires { owner, name, kind, file, at } in &self.expiries {
            page.sample(&[(owner, name), ("kind", kind), ("file", file)], *at);
        }
    }

    fn sum(&self, counter: impl Fn(&WorkerMetrics) -> &Counter) -> u64 {
        self.workers.iter().fold(0, |sum, worker| sum.wrapping_add(counter(worker).value()))
    }
}

impl ProcessFacts<'_> {
    fn render(&self, workers: usize, page: &mut Page<'_>) {
        page.family("portcullis_build_info", Kind::Gauge, "Always 1; the label tells the version.");
        page.sample(&[("version", self.version)], 1);
        page.gauge("portcullis_workers", "Worker threads.", workers as u64);
        page.gauge("portcullis_listeners", "Listeners configured.", self.listeners as u64);
        page.gauge("portcullis_routes", "Routes configured.", self.routes_configured as u64);
        page.gauge(
            "portcullis_tcp_routes",
            "TCP routes configured.",
            self.tcp_routes_configured as u64,
        );
        page.gauge("portcullis_services", "Services configured.", self.services_configured as u64);

        page.gauge(
            "portcullis_config_revision",
            "Revision of the configuration in force.",
            self.config_revision,
        );
        page.family(
            "portcullis_config_reloads_total",
            Kind::Counter,
            "Reloads of the configuration, by outcome.",
        );
        page.sample(&[("outcome", "applied")], self.reloads_ok);
        page.sample(&[("outcome", "refused")], self.reloads_failed);
        page.gauge(
            "portcullis_config_last_reload_successful",
            "Whether the last attempt to load a configuration went well (1) or not (0).",
            u64::from(self.last_reload_success),
        );
        page.gauge_seconds(
            "portcullis_config_last_reload_timestamp_seconds",
            "When the last attempt to load a configuration was, since the Unix epoch.",
            unix_seconds(self.last_reload),
        );
        page.gauge_seconds(
            "process_start_time_seconds",
            "When the process started, since the Unix epoch.",
            unix_seconds(self.started),
        );
    }
}

/// The `process_` names are those that Prometheus's own clients use, so that ready-made dashboards
/// find them.
fn resources(resources: &Resources, page: &mut Page<'_>) {
    if let Some(seconds) = resources.cpu_seconds {
        page.counter_seconds(
            "process_cpu_seconds_total",
            "Processor time used, user and system.",
            seconds,
        );
    }
    if let Some(bytes) = resources.resident_bytes {
        page.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    if let Some(files) = resources.open_files {
        page.gauge("process_open_fds", "Open file descriptors.", files);
    }
    if let Some(files) = resources.max_files {
        page.gauge("process_max_fds", "Most file descriptors that may be open.", files);
    }
}

/// A route's counters over all workers.
struct RouteTotals {
    by_class: [u64; CLASSES.len()],
    buckets: [u64; DURATION_BOUNDS_US.len() + 1],
    sum_us: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl RouteTotals {
    /// `None` when no worker has used the route.
    fn of(metrics: &RouteMetrics) -> Option<RouteTotals> {
        let mut shards = metrics.shards().peekable();
        shards.peek()?;
        let mut totals = RouteTotals {
            by_class: [0; CLASSES.len()],
            buckets: [0; DURATION_BOUNDS_US.len() + 1],
            sum_us: 0,
            bytes_in: 0,
            bytes_out: 0,
        };
        shards.for_each(|shard| totals.add(shard));
        Some(totals)
    }

    fn add(&mut self, shard: &RouteSeries) {
        let add = |total: &mut u64, counter: &Counter| *total = total.wrapping_add(counter.value());
        for (total, counter) in self.by_class.iter_mut().zip(&shard.by_class) {
            add(total, counter);
        }
        for (total, counter) in self.buckets.iter_mut().zip(&shard.durations.buckets) {
            add(total, counter);
        }
        add(&mut self.sum_us, &shard.durations.sum_us);
        add(&mut self.bytes_in, &shard.bytes_in);
        add(&mut self.bytes_out, &shard.bytes_out);
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
