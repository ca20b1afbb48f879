//! Content on its way: the request's to the endpoint, the reply's to the client. Each side reads
//! only when the other has taken what was read before, so a slow reader costs one buffer.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use portcullis_core::{Failure, Reason};
use portcullis_wire::{Downstream, ReadError, RequestHead, Stream, Upstream};

/// A request's content on its way to the endpoint.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Where it begins, and begins again.
    begins: State,
    state: State,
    /// Bytes taken from the client.
    pub(crate) bytes: u64,
    /// Most bytes that the route takes.
    limit: Option<u64>,
    /// Whether anything moved since [`Upload::moved`] was asked last.
    moved: bool,
    /// What it waits for.
    pub(crate) waits_for: Side,
    /// The client may wait for 100 (Continue) before it sends anything.
    held: bool,
    /// What was sent so far, for as long as it can be sent again.
    replay: Replay,
    /// All that came, for another service, up to so many bytes.
    copy: Option<(Vec<u8>, usize)>,
}

/// Content that was sent and may have to be sent once more.
#[derive(Debug, Default)]
struct Replay {
    kept: Vec<u8>,
    /// How much of it the endpoint under way has got.
    sent: usize,
    /// All that came is kept.
    whole: bool,
    /// Most that may be, in bytes.
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Content,
    Flush,
    Done,
    /// The endpoint takes no more; it may still have replied.
    Broken,
}

/// One side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Endpoint,
}

impl Upload {
    /// The upload of a request whose head waits in the endpoint's connection. Where a tunnel is asked
    /// for, there is no content: what follows belongs to the tunnel.
    pub(crate) fn new(limit: Option<u64>, request: &RequestHead) -> Upload {
        Upload {
            begins: if request.upgrade { State::Flush } else { State::Content },
            state: if request.upgrade { State::Flush } else { State::Content },
            bytes: 0,
            limit,
            moved: false,
            waits_for: Side::Client,
            held: request.expects_continue,
            replay: Replay::default(),
            copy: None,
        }
    }

    /// Copies what comes, as long as it is no more than `most` bytes.
    pub(crate) fn copy(&mut self, most: usize) {
        self.copy = Some((Vec::new(), most));
    }

    /// The copy, if all of the content came and was not too much.
    pub(crate) fn take_copy(&mut self) -> Option<Vec<u8>> {
        let whole = self.is_done();
        self.copy.take().filter(|_| whole).map(|(copy, _)| copy)
    }

    /// Keeps what will be sent, as long as it is no more than so many bytes.
    pub(crate) fn keep(&mut self, most: usize) {
        self.replay.most = most.max(self.replay.kept.len());
        self.replay.whole = self.bytes == self.replay.kept.len() as u64;
    }

    /// Whether all that was sent is still there.
    pub(crate) fn can_rewind(&self) -> bool {
        self.bytes == 0 || self.replay.whole
    }

    /// Begins anew, towards another endpoint; `false` when what was sent is not there any more.
    pub(crate) fn rewind(&mut self) -> bool {
        let whole = self.can_rewind();
        if whole {
            self.state = self.begins;
            self.replay.sent = 0;
        }
        whole
    }

    /// Nothing will be sent again: a reply has begun.
    pub(crate) fn forget(&mut self) {
        self.replay = Replay::default();
    }

    /// The endpoint has said 100 (Continue).
    pub(crate) fn release(&mut self) {
        self.held = false;
    }

    /// Whether the client is right to send nothing yet.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether the whole request was sent.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether there is nothing more to do, well or badly.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Broken)
    }

    /// Whether anything moved since the last call.
    pub(crate) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Moves what can be moved.
    ///
    /// # Errors
    /// The client is at fault: it sent too much, badly, or went away.
    pub(crate) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut Downstream,
        up: &mut Upstream,
    ) -> Result<(), Failure> {
        loop {
            match self.state {
                State::Done | State::Broken => return Ok(()),
                State::Flush => {
                    self.waits_for = Side::Endpoint;
                    match up.poll_flush(cx) {
                        Poll::Ready(Ok(())) => self.enter(State::Done),
                        Poll::Ready(Err(_)) => self.enter(State::Broken),
                        Poll::Pending => return Ok(()),
                    }
                }
                State::Content => {
                    if self.content(cx, down, up)?.is_pending() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether so many bytes more are too many.
    fn exceeds(&self, more: usize) -> bool {
        self.limit.is_some_and(|limit| self.bytes + more as u64 > limit)
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.moved = true;
    }

    fn content(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut Downstream,
        up: &mut Upstream,
    ) -> Result<Poll<()>, Failure> {
        if self.replay.sent < self.replay.kept.len() {
            return Ok(self.send_again(cx, up));
        }
        match down.poll_content(cx) {
            Poll::Ready(Ok(true)) if self.exceeds(down.content().len()) => {
                return Err(Reason::BodyTooLarge.into());
            }
            Poll::Ready(Ok(true)) => match up.poll_send(cx, down.content()) {
                Poll::Ready(Ok(sent)) => {
                    if self.replay.whole {
                        self.replay.note(&down.content()[..sent]);
                    }
                    self.note_copy(&down.content()[..sent]);
                    down.consume(sent);
                    self.moved = true;
                    self.held = false;
                    self.bytes += sent as u64;
                }
                Poll::Ready(Err(_)) => self.enter(State::Broken),
                Poll::Pending => {
                    self.waits_for = Side::Endpoint;
                    return Ok(Poll::Pending);
                }
            },
            Poll::Ready(Ok(false)) => {
                up.finish(down.trailers());
                self.enter(State::Flush);
            }
            Poll::Ready(Err(error)) => return Err(client_fault(error)),
            Poll::Pending => {
                self.waits_for = if self.held { Side::Endpoint } else { Side::Client };
                // What is here goes out now: more may take its time.
                if let Poll::Ready(Err(_)) = up.poll_flush(cx) {
                    self.enter(State::Broken);
                }
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(()))
    }

    fn note_copy(&mut self, sent: &[u8]) {
        match &mut self.copy {
            Some((copy, most)) if copy.len() + sent.len() <= *most => copy.extend_from_slice(sent),
            Some(_) => self.copy = None,
            None => {}
        }
    }

    fn send_again(&mut self, cx: &mut Context<'_>, up: &mut Upstream) -> Poll<()> {
        match up.poll_send(cx, &self.replay.kept[self.replay.sent..]) {
            Poll::Ready(Ok(sent)) => {
                self.replay.sent += sent;
                self.moved = true;
            }
            Poll::Ready(Err(_)) => self.enter(State::Broken),
            Poll::Pending => {
                self.waits_for = Side::Endpoint;
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Replay {
    /// Keeps what is being sent, or nothing at all once it is too much.
    fn note(&mut self, sent: &[u8]) {
        if self.kept.len() + sent.len() > self.most {
            *self = Replay::default();
        } else {
            self.kept.extend_from_slice(sent);
            self.sent = self.kept.len();
        }
    }
}

/// Why a request's content cannot be read.
fn client_fault(error: ReadError) -> Failure {
    match error {
        ReadError::Malformed(malformed) => Failure::new(Reason::BadBody, malformed),
        error => Failure::new(Reason::ClientGone, error),
    }
}

/// A reply's content on its way to the client.
#[derive(Debug, Default)]
pub(crate) struct Download {
    /// Bytes given to the client.
    pub(crate) bytes: u64,
    finished: bool,
    moved: bool,
}

impl Download {
    /// Whether anything moved since the last call.
    pub(crate) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Moves what can be moved. Ready when all has left; pending with the side that is waited for
    /// in `waits_for`.
    ///
    /// # Errors
    /// Either side failed.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        down: &mut Downstream,
        up: &mut Upstream,
        waits_for: &mut Side,
    ) -> Poll<Result<(), Failure>> {
        while !self.finished {
            match up.poll_content(cx) {
                Poll::Ready(Ok(true)) => {
                    *waits_for = Side::Client;
                    let sent = ready!(down.poll_send(cx, up.content())).map_err(gone)?;
                    up.consume(sent);
                    self.bytes += sent as u64;
                    self.moved = true;
                }
                Poll::Ready(Ok(false)) => {
                    down.finish(up.trailers());
                    self.finished = true;
                }
                Poll::Ready(Err(ReadError::Malformed(malformed))) => {
                    return Poll::Ready(Err(Failure::new(Reason::UpstreamMalformed, malformed)));
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Failure::new(Reason::UpstreamTruncated, error)));
                }
                Poll::Pending => {
                    // What is here goes out now: server-sent events must not wait for the next.
                    *waits_for = Side::Client;
                    ready!(down.poll_flush(cx)).map_err(gone)?;
                    *waits_for = Side::Endpoint;
                    return Poll::Pending;
                }
            }
        }
        *waits_for = Side::Client;
        down.poll_flush(cx).map_err(gone)
    }
}

fn gone(error: std::io::Error) -> Failure {
    Failure::new(Reason::ClientGone, error)
}

/// Holds a client to a minimum rate: its content must have averaged so many bytes a second over
/// the time that it, and not the endpoint, was waited for.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the content would have begun had the endpoint never been slow.
    begun: Instant,
    /// Since when the endpoint is waited for.
    blocked: Option<Instant>,
    rate: u64,
    grace: Duration,
}

impl Pace {
    pub(crate) fn new(begun: Instant, rate: u64, grace: Duration) -> Pace {
        Pace { begun, blocked: None, rate, grace }
    }

    /// When the client is too slow unless more than `bytes` will have come; `None` while the
    /// endpoint is waited for.
    pub(crate) fn due(&mut self, bytes: u64, waits_for: Side, now: Instant) -> Option<Instant> {
        if waits_for == Side::Endpoint {
            self.blocked.get_or_insert(now);
            return None;
        }
        if let Some(since) = self.blocked.take() {
            self.begun += now.saturating_duration_since(since);
        }
        let earned = Duration::from_millis(bytes.saturating_mul(1000).checked_div(self.rate)?);
        Some(self.begun + self.grace.max(earned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_earn_time_beyond_the_grace() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 100, 5 * SECOND);
        assert_eq!(pace.due(0, Side::Client, start), Some(start + 5 * SECOND));
        assert_eq!(pace.due(100, Side::Client, start + SECOND), Some(start + 5 * SECOND));
        assert_eq!(pace.due(1000, Side::Client, start + SECOND), Some(start + 10 * SECOND));
    }

    #[test]
    fn time_that_the_endpoint_took_does_not_count() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 100, 5 * SECOND);
        assert_eq!(pace.due(0, Side::Endpoint, start), None);
        assert_eq!(pace.due(0, Side::Client, start + 20 * SECOND), Some(start + 25 * SECOND));
    }

    #[test]
    fn rate_zero_is_no_rate() {
        let start = Instant::now();
        assert_eq!(Pace::new(start, 0, SECOND).due(0, Side::Client, start), None);
    }
}
