//! A connection of a listener that does not speak HTTP, from its first byte to its last: who takes
//! it, which endpoint, and then bytes both ways until both sides have ended.

mod opening;
mod record;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_core::metrics::TcpRouteSeries;
use portcullis_core::{Failure, Reason};
use portcullis_wire::{Relay, RelayError};

use self::opening::Opened;
use self::record::Record;
use crate::accept::{Accepted, Counted};
use crate::admit::{Admitted, admit};
use crate::deadline::Deadline;
use crate::worker::{LocalListener, Worker};

/// Serves a connection that was just accepted. It outlives the configuration and the listener that
/// let it in, and ends at the latest with the worker.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    accepted: Accepted,
    _counted: Counted,
) {
    let begun = Instant::now();
    let Some(Admitted { io, peer, .. }) = admit(&worker, &listener, accepted).await else { return };
    let _waker = worker.register_waker().await;
    let mut record = Record::begin(&worker, &listener, &peer, begun);
    // Boxed: what it takes to open a connection is large and short-lived.
    let opening = Box::pin(opening::open(&worker, &listener, &peer, io, &mut record));
    let ended = match unless_cut(&worker, opening).await {
        Ok(Ok(opened)) => relay(&worker, opened, &mut record).await,
        Ok(Err(failure)) | Err(failure) => Err(failure),
    };
    record.end(&worker, ended.err());
}

/// Waits for `future`, unless the worker's drain deadline comes first.
async fn unless_cut<T>(worker: &Worker, future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if worker.is_cut() => Poll::Ready(Err(Reason::Shutdown.into())),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Passes bytes on both ways until both sides have ended.
///
/// # Errors
/// Either side failed, neither moved anything for too long, or the worker ends.
async fn relay(worker: &Worker, opened: Opened, record: &mut Record) -> Result<(), Failure> {
    let Opened { client, upstream, received, idle, held: _held } = opened;
    let mut relay = Relay::new(client, upstream, received);
    let counted = record.counted();
    let series = counted.as_ref().map(|metrics| metrics.shard(worker.id));
    let ended = run(worker, &mut relay, idle, series).await;
    (record.bytes_in, record.bytes_out) = relay.bytes();
    if ended.is_err() {
        // What was cut short must not look like an end.
        relay.reset_on_close();
    }
    ended
}

async fn run(
    worker: &Worker,
    relay: &mut Relay,
    idle: Duration,
    series: Option<&TcpRouteSeries>,
) -> Result<(), Failure> {
    let mut deadline = Deadline::default();
    deadline.set(Instant::now() + idle);
    let mut moved = (0, 0);
    poll_fn(|cx| {
        let polled = relay.poll(cx);
        let bytes = relay.bytes();
        if bytes != moved {
            if let Some(series) = series {
                series.bytes_in.add(bytes.0 - moved.0);
                series.bytes_out.add(bytes.1 - moved.1);
            }
            moved = bytes;
            deadline.set(Instant::now() + idle);
        }
        match polled {
            Poll::Ready(ended) => Poll::Ready(ended.map_err(failure)),
            Poll::Pending if worker.is_cut() => Poll::Ready(Err(Reason::Shutdown.into())),
            Poll::Pending => deadline.poll(cx).map(|()| Err(Reason::IdleTimeout.into())),
        }
    })
    .await
}

fn failure(error: RelayError) -> Failure {
    let reason = match error {
        RelayError::Client(_) => Reason::ClientGone,
        RelayError::Upstream(_) => Reason::UpstreamTruncated,
    };
    Failure::new(reason, error)
}
