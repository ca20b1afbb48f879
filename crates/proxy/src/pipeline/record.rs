//! What is remembered of a request for its log line and its counts.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use portcullis_core::metrics::RouteSeries;
use portcullis_core::{Failure, RequestEvent, RequestId};

use super::{Scratch, Serving};
use crate::client::Client;
use crate::snapshot::{CompiledRoute, CompiledService, EndpointState};
use crate::worker::Worker;

/// A request as it goes along.
#[derive(Debug)]
pub(crate) struct Record<'s> {
    pub(crate) id: RequestId,
    /// When the head had arrived.
    pub(crate) started: Instant,
    pub(crate) client: Option<IpAddr>,
    pub(crate) route: Option<&'s CompiledRoute>,
    pub(crate) service: Option<&'s CompiledService>,
    pub(crate) endpoint: Option<&'s EndpointState>,
    /// The status sent, 0 before.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) failure: Option<Failure>,
    /// The endpoint has cancelled its reply.
    pub(crate) cancelled: bool,
    /// For the `Allow` of a 405.
    pub(crate) allow: Option<String>,
}

impl<'s> Record<'s> {
    pub(crate) fn begin(worker: &Worker) -> Record<'s> {
        Record {
            id: worker.next_id(),
            started: Instant::now(),
            client: None,
            route: None,
            service: None,
            endpoint: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            first_byte: None,
            failure: None,
            cancelled: false,
            allow: None,
        }
    }

    /// Leaves the log line and the counts.
    pub(crate) fn end(&self, serving: &Serving<'_>, client: &Client, scratch: &Scratch) {
        let worker = serving.worker;
        let counted = serving.snapshot.metrics;
        if let Some(failure) = &self.failure {
            worker.metrics.failures[failure.reason.index()].add(1);
        }
        let logged = worker.is_logging();
        if !counted && !logged {
            return;
        }
        let took = self.started.elapsed();
        if let (true, Some(route)) = (counted, self.route) {
            self.count(route.metrics.shard(worker.id), took);
        }
        if logged {
            self.log(serving, client, scratch, took);
        }
    }

    fn count(&self, series: &RouteSeries, took: Duration) {
        series.by_class[usize::from(self.status / 100).min(5)].add(1);
        series.durations.record(took);
        series.bytes_in.add(self.bytes_in);
        series.bytes_out.add(self.bytes_out);
    }

    fn log(&self, serving: &Serving<'_>, client: &Client, scratch: &Scratch, took: Duration) {
        let request = &scratch.request;
        let event = RequestEvent {
            started: SystemTime::now() - took,
            id: self.id,
            listener: &client.listener.name,
            client: self.client.or(client.peer.ip),
            client_cert: client.peer.certificate_name(),
            method: request.method(),
            host: request.authority(),
            path: request.path(),
            version: request.version.as_str(),
            route: self.route.map(|route| &*route.route.name),
            service: self.service.map(|service| &*service.service.name),
            endpoint: self.endpoint.map(|endpoint| &*endpoint.label),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration: took,
            first_byte: self.first_byte,
            failure: self.failure.as_ref(),
        };
        serving.worker.log_line(|out| event.write_json(out));
    }
}
