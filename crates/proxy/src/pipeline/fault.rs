//! Faults on purpose: requests that are held for a while, or refused.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::Faults;
use portcullis_core::{Failure, Reason};

use super::Exchange;

/// Does to the request what the route asks for.
///
/// # Errors
/// The request is to be refused, or nobody waits for it any more.
pub(super) async fn inject(
    exchange: &mut Exchange<'_, '_>,
    faults: &Faults,
) -> Result<(), Failure> {
    if let Some((time, _)) = faults.delay.filter(|(_, share)| fastrand::f64() < *share) {
        // Boxed: hardly any request is held, and all would carry the state.
        Box::pin(hold(exchange, time)).await?;
    }
    match faults.abort.filter(|(_, share)| fastrand::f64() < *share) {
        Some((status, _)) => {
            exchange.record.refusal = Some(status);
            Err(Failure::new(Reason::FaultInjected, "abort"))
        }
        None => Ok(()),
    }
}

async fn hold(exchange: &mut Exchange<'_, '_>, time: Duration) -> Result<(), Failure> {
    let Exchange { serving, client, .. } = exchange;
    client.deadline.set(Instant::now() + time);
    poll_fn(|cx| {
        if serving.worker.is_cut() {
            return Poll::Ready(Err(Reason::Shutdown.into()));
        }
        if client.down.tells_when_gone()
            && let Poll::Ready(error) = client.down.poll_gone(cx)
        {
            return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
        }
        client.deadline.poll(cx).map(Ok)
    })
    .await
}
