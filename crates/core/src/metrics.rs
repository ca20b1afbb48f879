//! Counters that workers write without locks or atomic read-modify-write.
//!
//! Every counter has one writer, the worker that owns its shard, and many readers. A route's
//! counters live outside the snapshot, so that a change of configuration resets nothing.

mod balance;
mod service;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use self::balance::{
    EndpointMetrics, EndpointSeries, StickyMetrics, StickyResult, StickySeries,
};
pub use self::service::{RetryCause, RetryDenial, ServiceMetrics, ServiceSeries, Spared};

/// A counter or gauge with a single writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` off. Only the owning worker may call this.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Makes it `n`. Only the owning worker may call this.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The current value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counters in a row, by the position of what they count.
#[derive(Debug)]
pub struct Counters<const N: usize>([Counter; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Counters<N> {
        Counters(std::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> std::ops::Deref for Counters<N> {
    type Target = [Counter; N];

    fn deref(&self) -> &[Counter; N] {
        &self.0
    }
}

/// Upper bounds of the duration buckets, in microseconds; one more bucket is open.
pub const DURATION_BOUNDS_US: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// How long things took.
#[derive(Debug, Default)]
pub struct Durations {
    /// One count a bucket, not cumulative; the last is open.
    pub buckets: [Counter; DURATION_BOUNDS_US.len() + 1],
    /// Sum in microseconds.
    pub sum_us: Counter,
}

impl Durations {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }
}

/// What one worker counted for one route.
#[derive(Debug, Default)]
pub struct RouteSeries {
    /// Requests by class of the answer's status: index 1 for 1xx to 5 for 5xx; 0 is none.
    pub by_class: [Counter; 6],
    /// From the head's last byte to the reply's last.
    pub durations: Durations,
    /// Copies for another service that are drawn or under way now.
    pub copies: Counter,
    /// Content bytes from clients.
    pub bytes_in: Counter,
    /// Content bytes to clients.
    pub bytes_out: Counter,
}

/// What one worker counted for one TCP route.
#[derive(Debug, Default)]
pub struct TcpRouteSeries {
    /// Connections that it took.
    pub connections: Counter,
    /// Of these, those that are open now.
    pub open: Counter,
    /// How long connections were open.
    pub durations: Durations,
    /// Bytes from clients that went on to endpoints.
    pub bytes_in: Counter,
    /// Bytes from endpoints that went on to clients.
    pub bytes_out: Counter,
}

/// What one worker counted for one policy.
#[derive(Debug, Default)]
pub struct PolicySeries {
    /// Requests that it let pass.
    pub allowed: Counter,
    /// Requests that it refused.
    pub refused: Counter,
    /// Of those that it let pass, the ones that had to wait.
    pub delayed: Counter,
    /// Requests that lacked a part of its key, so that it did not look at them.
    pub unlimited: Counter,
}

/// A policy's counters.
pub type PolicyMetrics = Sharded<PolicySeries>;

/// A route's counters.
pub type RouteMetrics = Sharded<RouteSeries>;

/// A TCP route's counters.
pub type TcpRouteMetrics = Sharded<TcpRouteSeries>;

/// Counters in shards, one a worker, made when that worker first needs it.
#[derive(Debug)]
pub struct Sharded<S> {
    shards: Box<[OnceLock<Box<S>>]>,
}

impl<S: Default> Sharded<S> {
    /// Counters for so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Sharded<S> {
        Sharded { shards: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// The shard of one worker.
    pub fn shard(&self, worker: usize) -> &S {
        self.shards[worker].get_or_init(Box::default)
    }

    /// Every shard that was ever used.
    pub fn shards(&self) -> impl Iterator<Item = &S> {
        self.shards.iter().filter_map(|shard| shard.get().map(|series| &**series))
    }
}

/// Why a connection was refused for its PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRefusal {
    /// It came from an address that is not trusted to send one.
    Untrusted,
    /// It began with something else.
    Absent,
    /// It breaks the specification or our bounds.
    Malformed,
    /// It took too long.
    Timeout,
    /// The connection ended before it was whole.
    Closed,
}

impl ProxyRefusal {
    /// Every one, by position.
    pub const ALL: [ProxyRefusal; 5] = [
        ProxyRefusal::Untrusted,
        ProxyRefusal::Absent,
        ProxyRefusal::Malformed,
        ProxyRefusal::Timeout,
        ProxyRefusal::Closed,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            ProxyRefusal::Untrusted => "untrusted",
            ProxyRefusal::Absent => "absent",
            ProxyRefusal::Malformed => "malformed",
            ProxyRefusal::Timeout => "timeout",
            ProxyRefusal::Closed => "closed",
        }
    }
}

/// Error codes of HTTP/2 (RFC 9113, 7) by their number, as metrics name them.
pub const HTTP2_ERRORS: [&str; 15] = [
    "no_error",
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
    "other",
];

/// What a client may send too much of over HTTP/2.
pub const HTTP2_FLOODS: [&str; 3] = ["resets", "control_frames", "continuations"];

/// What one worker counted apart from routes.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// Client connections accepted.
    pub connections: Counter,
    /// Client connections open now.
    pub connections_open: Counter,
    /// Client connections refused because a listener was full.
    pub connections_refused: Counter,
    /// Client connections refused because they came too fast.
    pub connections_too_fast: Counter,
    /// Client connections that had to wait, since their address had flooded the listener.
    pub connections_held_total: Counter,
    /// Client connections that wait for it now.
    pub connections_held: Counter,
    /// Client connections refused for their PROXY header, by [`ProxyRefusal`]'s position.
    pub proxy_refused: [Counter; ProxyRefusal::ALL.len()],
    /// TLS handshakes with clients that failed, by [`crate::tls::HandshakeFault`]'s position.
    pub handshake_failures: [Counter; crate::tls::HANDSHAKE_FAULTS.len()],
    /// Requests refused before a route was found, and failures, by [`crate::Reason`]'s position.
    pub failures: Counters<{ crate::failure::REASONS.len() }>,
    /// HTTP/2 errors told to clients over streams, by code; the last place is for unknown ones.
    pub http2_stream_errors: [Counter; HTTP2_ERRORS.len()],
    /// HTTP/2 errors told to clients over whole connections, by code.
    pub http2_connection_errors: [Counter; HTTP2_ERRORS.len()],
    /// HTTP/2 connections that wait for a place for another request now.
    pub http2_waiting: Counter,
    /// Client connections ended because of too many frames, by kind.
    pub http2_floods: [Counter; HTTP2_FLOODS.len()],
    /// Connections opened to endpoints.
    pub upstream_connections: Counter,
    /// Requests that went over a pooled connection.
    pub upstream_reuses: Counter,
    /// Requests sent once more, whatever for.
    pub upstream_retries: Counter,
    /// Credentials looked for in requests, by the positions of [`crate::CredentialKind`] and
    /// [`crate::AuthOutcome`].
    pub auth: [[Counter; crate::AuthOutcome::ALL.len()]; crate::CredentialKind::ALL.len()],
    /// Copies of requests for other services, by [`crate::MirrorOutcome`]'s position.
    pub mirrored: [Counter; crate::MirrorOutcome::ALL.len()],
    /// Requests turned away because the worker was late, by importance.
    pub shed: [Counter; crate::IMPORTANCES.len()],
    /// Idle upstream connections in the pools now.
    pub upstream_idle: Counter,
    /// Access-log lines lost because the sink was too slow.
    pub log_dropped: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_bucket() {
        let durations = Durations::default();
        durations.record(Duration::from_micros(500));
        durations.record(Duration::from_micros(501));
        durations.record(Duration::from_secs(60));
        assert_eq!(durations.buckets[0].value(), 1);
        assert_eq!(durations.buckets[1].value(), 1);
        assert_eq!(durations.buckets[DURATION_BOUNDS_US.len()].value(), 1);
        assert_eq!(durations.sum_us.value(), 60_001_001);
    }

    #[test]
    fn shards_appear_when_used() {
        let metrics = RouteMetrics::new(4);
        assert_eq!(metrics.shards().count(), 0);
        metrics.shard(2).by_class[2].add(3);
        assert_eq!(metrics.shards().count(), 1);
        assert_eq!(metrics.shard(2).by_class[2].value(), 3);
    }
}
