//! After 101 (Switching Protocols): bytes both ways until both sides have ended.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use portcullis_core::{Failure, Reason};
use portcullis_wire::{ReadError, Stream, Upstream};

use super::record::Record;
use crate::client::Client;
use crate::worker::Worker;

/// One direction of a tunnel.
#[derive(Debug, Default)]
struct Direction {
    bytes: u64,
    /// The reader has ended; its end is being passed on.
    ended: bool,
    done: bool,
}

/// Which end of a direction failed.
#[derive(Debug)]
enum Fault {
    Reading(ReadError),
    Writing(io::Error),
}

impl Direction {
    /// Moves what can be moved; ready when the direction has ended.
    ///
    /// # Errors
    /// Either end failed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Stream,
        to: &mut impl Stream,
    ) -> Poll<Result<(), Fault>> {
        while !self.ended {
            match from.poll_content(cx) {
                Poll::Ready(Ok(true)) => {
                    let sent = ready!(to.poll_send(cx, from.content())).map_err(Fault::Writing)?;
                    from.consume(sent);
                    self.bytes += sent as u64;
                }
                Poll::Ready(Ok(false)) => self.ended = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Reading(error))),
                Poll::Pending => {
                    ready!(to.poll_flush(cx)).map_err(Fault::Writing)?;
                    return Poll::Pending;
                }
            }
        }
        if !self.done {
            ready!(to.poll_shutdown(cx)).map_err(Fault::Writing)?;
            self.done = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// Runs the tunnel to its end; it is closed when nothing moved for `idle`.
///
/// # Errors
/// Either side failed, or neither moved anything for too long.
pub(crate) async fn run(
    worker: &Worker,
    client: &mut Client,
    up: &mut Upstream,
    record: &mut Record<'_>,
    idle: Duration,
) -> Result<(), Failure> {
    client.down.become_tunnel();
    up.become_tunnel();
    let (mut to_up, mut to_client) = (Direction::default(), Direction::default());
    let mut moved = 0;
    client.deadline.set(Instant::now() + idle);
    let ended = poll_fn(|cx| {
        let inward = to_up.poll(cx, &mut client.down, up);
        let outward = to_client.poll(cx, up, &mut client.down);
        match (inward, outward) {
            (Poll::Ready(Err(Fault::Reading(error))), _) => {
                return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
            }
            (_, Poll::Ready(Err(Fault::Writing(error)))) => {
                return Poll::Ready(Err(Failure::new(Reason::ClientGone, error)));
            }
            (_, Poll::Ready(Err(Fault::Reading(error)))) => {
                return Poll::Ready(Err(Failure::new(Reason::UpstreamTruncated, error)));
            }
            (Poll::Ready(Err(Fault::Writing(error))), _) => {
                return Poll::Ready(Err(Failure::new(Reason::UpstreamTruncated, error)));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        if worker.is_cut() {
            return Poll::Ready(Err(Reason::Shutdown.into()));
        }
        if to_up.bytes + to_client.bytes > moved {
            moved = to_up.bytes + to_client.bytes;
            client.deadline.set(Instant::now() + idle);
        }
        // Nothing moved for as long as was agreed: a proper end, not a failure.
        client.deadline.poll(cx).map(Ok)
    })
    .await;
    record.bytes_in = to_up.bytes;
    record.bytes_out = to_client.bytes;
    ended
}
