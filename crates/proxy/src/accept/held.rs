//! Connections that wait before they are served, since their address floods this listener: unread, at
//! the price of a timer.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_core::metrics::WorkerMetrics;

use crate::deadline::Deadline;
use crate::worker::{LocalListener, Worker};

/// Most connections of a worker that wait at once; others are closed. Each may have filled a
/// socket's buffer with what nobody reads.
const MOST_HELD: u64 = 1024;

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is served at once.
    No,
    /// It waits for so long.
    For(Duration),
    /// Too many wait already.
    Full,
}

/// Whether a new connection of this address has to wait.
pub(crate) fn hold(worker: &Worker, listener: &LocalListener, ip: Option<IpAddr>) -> Hold {
    let Some(wait) = ip.and_then(|ip| listener.penalty_of(ip)) else { return Hold::No };
    if worker.metrics.connections_held.value() < MOST_HELD { Hold::For(wait) } else { Hold::Full }
}

/// Waits. Who drains waits no longer: what the client has asked for is still answered.
pub(crate) async fn wait(worker: &Rc<Worker>, listener: &LocalListener, time: Duration) {
    let held = Held::count(worker);
    let waker = worker.register_waker().await;
    let mut deadline = Deadline::default();
    deadline.set(Instant::now() + time);
    poll_fn(|cx| {
        if worker.is_draining() || listener.is_closed() {
            return Poll::Ready(());
        }
        deadline.poll(cx)
    })
    .await;
    drop((waker, held));
}

/// Counts a connection as held for as long as it lives.
struct Held<'a>(&'a WorkerMetrics);

impl Held<'_> {
    fn count(worker: &Worker) -> Held<'_> {
        worker.metrics.connections_held.add(1);
        worker.metrics.connections_held_total.add(1);
        Held(&worker.metrics)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.connections_held.sub(1);
    }
}
