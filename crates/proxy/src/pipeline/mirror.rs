//! Copies of requests for another service. Nobody sees the replies, and nobody waits for them: a
//! copy is sent once the request is whole, by a task of its own, with bounds of its own.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use portcullis_config::model::{Mirror, RewritePath};
use portcullis_core::metrics::RouteMetrics;
use portcullis_core::{Failure, MirrorOutcome, Reason};
use portcullis_wire::{BodyLength, Fields, RequestHead, ResponseHead, Stream, Upstream};
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use super::Exchange;
use super::content::Upload;
use super::forward::{Plan, authority};
use super::head::{self, Destination};
use crate::forwarding::Peer;
use crate::snapshot::{ActiveRequest, CompiledService, EndpointState, ListenerSettings};
use crate::upstream::acquire::{Wanted, acquire};
use crate::upstream::balance::{self, Choice};
use crate::worker::Worker;

/// Most content of a reply to a copy that is read to keep the connection, in bytes.
const MOST_READ: u64 = 1 << 20;

/// A copy that is to be sent.
pub(super) struct Copy {
    service: Arc<CompiledService>,
    request: RequestHead,
    /// The path for the endpoint, where it is not the one that came.
    path: Option<Vec<u8>>,
    host: Option<Arc<str>>,
    settings: Rc<ListenerSettings>,
    peer: Rc<Peer>,
    _counted: CountedCopy,
}

/// Draws whether the request is copied, and has its content kept if so. The path for the endpoint
/// is written already.
pub(super) fn draw(
    exchange: &Exchange<'_, '_>,
    plan: &Plan<'_>,
    upload: &mut Upload,
) -> Option<Copy> {
    let (mirror, slot) = plan.route.mirror.as_ref()?;
    let Exchange { serving, client, scratch, .. } = exchange;
    // A tunnel is nobody's to listen in on.
    if scratch.request.upgrade || fastrand::f64() >= mirror.share {
        return None;
    }
    let service = serving.snapshot.services.get(*slot)?.as_ref()?;
    if is_too_large(scratch.request.length, mirror) {
        serving.worker.metrics.mirrored[MirrorOutcome::TooLarge as usize].add(1);
        return None;
    }
    // From here on it counts: its content is kept, which is to have a bound as well.
    let Some(counted) = CountedCopy::begin(&plan.route.metrics, serving.worker.id, mirror.most)
    else {
        serving.worker.metrics.mirrored[MirrorOutcome::Busy as usize].add(1);
        return None;
    };
    upload.copy(mirror.body);
    let kept = matches!(plan.rewrite.path, RewritePath::Keep);
    Some(Copy {
        service: Arc::clone(service),
        request: scratch.request.clone(),
        path: (!kept).then(|| scratch.rewritten.clone()),
        host: plan.rewrite.host.clone(),
        settings: client.listener.settings(),
        peer: Rc::clone(&client.peer),
        _counted: counted,
    })
}

fn is_too_large(length: BodyLength, mirror: &Mirror) -> bool {
    matches!(length, BodyLength::Exact(length) if length > mirror.body as u64)
}

impl Copy {
    /// Sends it, if the content came whole and is not too much.
    pub(super) fn send(mut self, worker: &Rc<Worker>, content: Option<Vec<u8>>) {
        let Some(content) = content else {
            worker.metrics.mirrored[MirrorOutcome::TooLarge as usize].add(1);
            return;
        };
        if self.request.length != BodyLength::Empty {
            self.request.length = BodyLength::Exact(content.len() as u64);
        }
        self.request.expects_continue = false;
        let worker = Rc::clone(worker);
        spawn_local(async move {
            let outcome = match self.exchange(&worker, &content).await {
                Ok(()) => MirrorOutcome::Answered,
                Err(failure) => {
                    let service = &*self.service.service.name;
                    tracing::debug!(service, %failure, "a copy was not answered");
                    MirrorOutcome::Failed
                }
            };
            worker.metrics.mirrored[outcome as usize].add(1);
        });
    }

    async fn exchange(&self, worker: &Rc<Worker>, content: &[u8]) -> Result<(), Failure> {
        let service = &self.service;
        let timeouts = &service.service.timeouts;
        let due = Instant::now() + timeouts.connect + timeouts.first_byte;
        let choice = Choice::default();
        let chosen = balance::choose(service, worker, &choice).ok_or(Reason::NoEndpoint)?;
        let endpoint = &service.endpoints[chosen];
        let _active = ActiveRequest::begin(service, &**endpoint, &*service.state, worker.id);
        let wanted = Wanted {
            client: &self.peer,
            fresh: false,
            upgrade: false,
            connect: timeouts.connect,
            patience: timeouts.first_byte,
            total: Some(due),
        };
        service.token()?;
        let mut way = acquire(worker, service, endpoint, wanted).await?;
        self.write_head(endpoint, &mut way.up)?;
        let begun = Instant::now();
        let mut copied =
            Copied { content, finished: false, response: ResponseHead::default(), read: 0 };
        let copied = poll_fn(|cx| copied.poll(cx, &mut way.up));
        match timeout_at(due.into(), copied).await {
            Ok(result) => result?,
            Err(_) => return Err(Reason::FirstByteTimeout.into()),
        }
        if way.up.is_reusable() {
            worker.keep(service, endpoint, (way.up, way.place), begun);
        }
        Ok(())
    }

    fn write_head(&self, endpoint: &EndpointState, up: &mut Upstream) -> Result<(), Failure> {
        let (request, token) = (&self.request, self.service.token()?);
        let to = Destination {
            path: self.path.as_deref().unwrap_or(request.path()),
            query: request.query(),
            authority: authority(self.host.as_deref(), &self.service, endpoint, request),
            upgrade: None,
            websocket_key: None,
            authorization: token.as_deref(),
        };
        head::write_request(up, request, &to, &self.settings, &self.peer);
        Ok(())
    }
}

/// A copy on its way.
struct Copied<'a> {
    content: &'a [u8],
    finished: bool,
    response: ResponseHead,
    read: u64,
}

impl Copied<'_> {
    /// Ready when the reply was read, or is more than is worth reading.
    fn poll(&mut self, cx: &mut Context<'_>, up: &mut Upstream) -> Poll<Result<(), Failure>> {
        let lost = |error| Failure::new(Reason::UpstreamReset, error);
        while !self.content.is_empty() {
            match up.poll_send(cx, self.content) {
                Poll::Ready(Ok(sent)) => self.content = &self.content[sent..],
                Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
                Poll::Pending => break,
            }
        }
        if self.content.is_empty() {
            if !std::mem::replace(&mut self.finished, true) {
                up.finish(&Fields::default());
            }
            if let Poll::Ready(Err(error)) = up.poll_flush(cx) {
                return Poll::Ready(Err(lost(error)));
            }
        }
        while self.response.status < 200 {
            let read = ready!(up.poll_response(cx, &mut self.response));
            read.map_err(|error| Failure::new(Reason::UpstreamReset, error))?;
        }
        loop {
            match ready!(up.poll_content(cx)) {
                Ok(true) => {
                    let here = up.content().len();
                    up.consume(here);
                    self.read += here as u64;
                    if self.read > MOST_READ {
                        return Poll::Ready(Ok(()));
                    }
                }
                Ok(false) => return Poll::Ready(Ok(())),
                Err(error) => {
                    return Poll::Ready(Err(Failure::new(Reason::UpstreamTruncated, error)));
                }
            }
        }
    }
}

/// Counts a copy for as long as it lives, with its route and this worker.
struct CountedCopy {
    metrics: Arc<RouteMetrics>,
    worker: usize,
}

impl CountedCopy {
    /// `None` where there are `most` already.
    fn begin(metrics: &Arc<RouteMetrics>, worker: usize, most: usize) -> Option<CountedCopy> {
        let copies = &metrics.shard(worker).copies;
        if copies.value() >= most as u64 {
            return None;
        }
        copies.add(1);
        Some(CountedCopy { metrics: Arc::clone(metrics), worker })
    }
}

impl Drop for CountedCopy {
    fn drop(&mut self) {
        self.metrics.shard(self.worker).copies.sub(1);
    }
}
