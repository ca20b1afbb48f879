//! What is remembered of a connection for its log line and its counts.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use portcullis_config::model::{ListenerProtocol, Name};
use portcullis_core::metrics::TcpRouteMetrics;
use portcullis_core::{ConnectionEvent, Failure, RequestId};

use crate::forwarding::Peer;
use crate::snapshot::{CompiledTcpRoute, EndpointState};
use crate::worker::{LocalListener, Worker};

/// A connection as it goes along.
pub(super) struct Record {
    pub(super) begun: Instant,
    pub(super) protocol: ListenerProtocol,
    pub(super) sni: Option<Box<str>>,
    pub(super) service: Option<Name>,
    pub(super) endpoint: Option<Arc<EndpointState>>,
    /// When it was connected to the endpoint, after `begun`.
    pub(super) connected: Option<Duration>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    id: RequestId,
    listener: Rc<LocalListener>,
    client: Option<IpAddr>,
    route: Option<Name>,
    /// The route's counters, if connections are counted.
    metrics: Option<Arc<TcpRouteMetrics>>,
}

impl Record {
    pub(super) fn begin(
        worker: &Worker,
        listener: &Rc<LocalListener>,
        peer: &Peer,
        begun: Instant,
    ) -> Record {
        Record {
            begun,
            protocol: listener.settings().listener.protocol,
            sni: None,
            service: None,
            endpoint: None,
            connected: None,
            bytes_in: 0,
            bytes_out: 0,
            id: worker.next_id(),
            listener: Rc::clone(listener),
            client: peer.ip,
            route: None,
            metrics: None,
        }
    }

    /// A route has taken it.
    pub(super) fn taken(&mut self, worker: &Worker, route: &CompiledTcpRoute, counted: bool) {
        self.route = Some(Arc::clone(&route.route.name));
        if counted {
            let series = route.metrics.shard(worker.id);
            series.connections.add(1);
            series.open.add(1);
            self.metrics = Some(Arc::clone(&route.metrics));
        }
    }

    /// Where its bytes are counted.
    pub(super) fn counted(&self) -> Option<Arc<TcpRouteMetrics>> {
        self.metrics.clone()
    }

    /// Leaves the log line and the counts.
    pub(super) fn end(self, worker: &Worker, failure: Option<Failure>) {
        let took = self.begun.elapsed();
        if let Some(failure) = &failure {
            worker.metrics.failures[failure.reason.index()].add(1);
        }
        if let Some(metrics) = &self.metrics {
            let series = metrics.shard(worker.id);
            series.open.sub(1);
            series.durations.record(took);
        }
        if worker.is_logging() {
            let event = ConnectionEvent {
                started: SystemTime::now() - took,
                id: self.id,
                listener: &self.listener.name,
                protocol: self.protocol.as_str(),
                client: self.client,
                sni: self.sni.as_deref(),
                tcp_route: self.route.as_deref(),
                service: self.service.as_deref(),
                endpoint: self.endpoint.as_ref().map(|endpoint| &*endpoint.label),
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                duration: took,
                connected: self.connected,
                failure: failure.as_ref(),
            };
            worker.log_line(|out| event.write_json(out));
        }
    }
}
