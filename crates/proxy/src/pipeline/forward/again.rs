//! What becomes of requests and connections around a try that is not the last: which requests may be
//! sent twice, and which connections go on.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use portcullis_config::model::Retries;
use portcullis_core::Reason;
use portcullis_wire::{BodyLength, RequestHead, Stream, Upstream};

use crate::snapshot::{CompiledService, EndpointState};
use crate::upstream::acquire::Acquired;
use crate::worker::Worker;

/// Most content of a reply that is thrown away to keep its connection, in bytes.
const MOST_DRAINED: usize = 64 * 1024;

/// Whether a request may be sent again though it may have been worked on.
pub(super) fn is_repeatable(retries: &Retries, request: &RequestHead) -> bool {
    retries.methods.iter().any(|method| method.as_bytes() == request.method())
        || (retries.idempotency_key && request.fields.all(b"idempotency-key").next().is_some())
}

/// Whether doing it twice is the same as once (RFC 9110, 9.2.2).
pub(super) fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

/// Whether content of a length that is known can be kept.
pub(super) fn fits(request: &RequestHead, most: usize) -> bool {
    match request.length {
        BodyLength::Exact(length) => length <= most as u64,
        BodyLength::Empty | BodyLength::Unknown => true,
    }
}

/// Has a shared connection take no more requests that may be dead without anybody having noticed.
pub(super) fn retire_if_dead(way: &Acquired, reason: Reason) {
    let silence =
        matches!(reason, Reason::FirstByteTimeout | Reason::UpstreamStalled | Reason::TotalTimeout);
    if let Some(hold) = way.hold.as_ref().filter(|_| silence || way.up.is_lost()) {
        hold.retire();
    }
}

/// Throws away the content of a reply that nobody gets, as far as it is here already, so that its
/// connection may carry the next request; one that would have to be waited for is closed.
pub(super) async fn drain(
    worker: &Worker,
    service: &CompiledService,
    endpoint: &Arc<EndpointState>,
    mut way: Acquired,
) {
    let mut drained = 0;
    let up: &mut Upstream = &mut way.up;
    let whole = poll_fn(|cx| {
        loop {
            match up.poll_content(cx) {
                Poll::Ready(Ok(true)) if drained <= MOST_DRAINED => {
                    let here = up.content().len();
                    up.consume(here);
                    drained += here;
                }
                Poll::Ready(Ok(false)) => return Poll::Ready(true),
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(false),
            }
        }
    });
    if whole.await && way.up.is_reusable() {
        worker.keep(service, endpoint, (way.up, way.place), Instant::now());
    }
}
