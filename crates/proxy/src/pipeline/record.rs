//! What is remembered of a request for its log line and its counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use portcullis_config::model::Name;
use portcullis_core::metrics::RouteSeries;
use portcullis_core::{Failure, RequestEvent, RequestId, ToldClaims};
use portcullis_jose::ClaimPath;
use portcullis_policies::Identity;

use super::Exchange;
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
    pub(crate) service: Option<&'s Arc<CompiledService>>,
    pub(crate) endpoint: Option<&'s EndpointState>,
    /// The policy that refused it.
    pub(crate) policy: Option<&'s str>,
    /// The status sent, 0 before.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) failure: Option<Failure>,
    /// The endpoint has cancelled its reply.
    pub(crate) cancelled: bool,
    /// An interim reply of an endpoint went to the client.
    pub(crate) interim: bool,
    /// How often it was sent, or a connection for it could not be opened.
    pub(crate) tries: u32,
    /// The client got the route's fallback.
    pub(crate) fallback: bool,
    /// Seconds for the `Retry-After` of a 503.
    pub(crate) retry_after: Option<u64>,
    /// The status that a failure is answered with, where it is not its reason's own.
    pub(crate) refusal: Option<u16>,
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
            policy: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            first_byte: None,
            failure: None,
            cancelled: false,
            interim: false,
            tries: 0,
            fallback: false,
            retry_after: None,
            refusal: None,
            allow: None,
        }
    }

    fn count(&self, series: &RouteSeries, took: Duration) {
        series.by_class[usize::from(self.status / 100).min(5)].add(1);
        series.durations.record(took);
        series.bytes_in.add(self.bytes_in);
        series.bytes_out.add(self.bytes_out);
    }
}

impl Exchange<'_, '_> {
    /// Leaves the log line and the counts.
    pub(crate) fn leave_record(&self) {
        let worker = self.serving.worker;
        let counted = self.serving.snapshot.metrics;
        if let Some(failure) = &self.record.failure {
            worker.metrics.failures[failure.reason.index()].add(1);
        }
        let logged = worker.is_logging();
        if !counted && !logged {
            return;
        }
        let took = self.record.started.elapsed();
        if let (true, Some(route)) = (counted, self.record.route) {
            self.record.count(route.metrics.shard(worker.id), took);
        }
        if logged {
            self.log(took);
        }
    }

    fn log(&self, took: Duration) {
        let Exchange { serving, client, scratch, record, .. } = self;
        let request = &scratch.request;
        let told = Told { claims: &serving.snapshot.logged_claims, identity: &scratch.identity };
        let event = RequestEvent {
            started: SystemTime::now() - took,
            id: record.id,
            listener: &client.listener.name,
            client: record.client.or(client.peer.ip),
            client_cert: client.peer.certificate_name(),
            method: request.method(),
            host: request.authority(),
            path: request.path(),
            version: request.version.as_str(),
            route: record.route.map(|route| &*route.route.name),
            service: record.service.map(|service| &*service.service.name),
            endpoint: record.endpoint.map(|endpoint| &*endpoint.label),
            consumer: scratch.identity.consumer_name(),
            credential: Some(&*scratch.identity.credential).filter(|shown| !shown.is_empty()),
            auth: scratch.identity.kind.map(|kind| kind.as_str()),
            claims: (!told.claims.is_empty()).then_some(&told as &dyn ToldClaims),
            policy: record.policy,
            store_bypassed: scratch.work.without_store().map(|without| without.as_str()),
            status: record.status,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration: took,
            first_byte: record.first_byte,
            failure: record.failure.as_ref(),
            tries: record.tries,
            fallback: record.fallback,
        };
        serving.worker.log_line(|out| event.write_json(out));
    }
}

/// What lines tell of the claims of whoever calls.
#[derive(Debug)]
struct Told<'a> {
    claims: &'a [(Name, ClaimPath)],
    identity: &'a Identity,
}

impl ToldClaims for Told<'_> {
    fn each(&self, each: &mut dyn FnMut(&str, &[u8])) {
        for (name, path) in self.claims {
            self.identity.claim(path, &mut |value| each(name, value));
        }
    }
}
