//! What follows from a try: the reply goes to the client, or the request is sent once more, and when.

use std::time::{Duration, Instant, SystemTime};

use portcullis_core::metrics::{RetryCause, RetryDenial};
use portcullis_core::{Failure, Reason};

use super::again::{is_idempotent, retire_if_dead};
use super::tries::{Tries, is_unreached};
use crate::pipeline::content::Upload;
use crate::pipeline::{Exchange, grpc};
use crate::upstream::MOST_TRIES;
use crate::upstream::acquire::Acquired;
use crate::upstream::balance::Tried;
use crate::upstream::outcome::End;
use crate::upstream::retry::{self, NoMore};
use crate::worker::Worker;

impl<'s> Tries<'_, 's> {
    /// No way to the endpoint: nothing was sent, so another may be asked at once.
    pub(super) fn unreached(
        &mut self,
        exchange: &Exchange<'s, '_>,
        upload: &mut Upload,
        chosen: usize,
        failure: Failure,
    ) -> Result<Option<Duration>, Failure> {
        if !is_unreached(failure.reason) {
            return Err(failure);
        }
        let worker = exchange.serving.worker;
        self.spend();
        self.tried.push(chosen);
        self.unreached += 1;
        if self.unreached < MOST_TRIES && self.find_another(worker) {
            self.count(worker, RetryCause::ConnectFailure);
            return Ok(Some(Duration::ZERO));
        }
        let wanted = self.retries.is_some_and(|retries| retries.on.connect_failure);
        // Where there is a backup, it is asked before anybody is asked twice.
        if wanted
            && self.service.backup.is_none()
            && let Some(wait) = self.again(exchange, upload, RetryCause::ConnectFailure, Ok(None))
        {
            (self.tried, self.unreached) = (Tried::default(), 0);
            return Ok(Some(wait));
        }
        Err(failure)
    }

    /// Decides who is asked next: one that was not tried, if there is any.
    fn find_another(&mut self, worker: &Worker) -> bool {
        self.next = self.choose(worker).filter(|next| !self.tried.as_slice().contains(next));
        self.next.is_some()
    }

    /// No reply came.
    pub(super) fn failed(
        &mut self,
        exchange: &Exchange<'s, '_>,
        upload: &mut Upload,
        (chosen, begun): (usize, Instant),
        way: Acquired,
        failure: Failure,
    ) -> Result<Option<Duration>, Failure> {
        let (worker, request) = (exchange.serving.worker, &exchange.scratch.request);
        self.spend();
        retire_if_dead(&way, failure.reason);
        let lost = failure.reason == Reason::UpstreamReset && !exchange.record.interim;
        let stale = lost && way.reused && way.up.is_lost() && !way.up.has_begun_reply();
        // That an idle connection had ended says nothing about the endpoint, and a request that
        // came too slowly is not its fault.
        let slow_client = failure.reason == Reason::TotalTimeout && !upload.is_over();
        if !stale && !slow_client {
            self.report(worker, &self.service.endpoints[chosen], begun, failure.reason);
        }
        if lost && way.up.is_refused() && self.may_repeat(worker, upload) {
            return Ok(self.repeat(worker, RetryCause::Refused));
        }
        if stale && !self.fresh && is_idempotent(request.method()) && upload.rewind() {
            return Ok(self.repeat(worker, RetryCause::Stale));
        }
        let Some(retries) = self.retries else { return Err(failure) };
        let cause = match failure.reason {
            Reason::UpstreamReset if way.up.is_refused() && retries.on.refused => {
                RetryCause::Refused
            }
            Reason::UpstreamReset if retries.on.reset => RetryCause::Reset,
            Reason::FirstByteTimeout | Reason::UpstreamStalled if retries.on.timeout => {
                RetryCause::Timeout
            }
            _ => return Err(failure),
        };
        self.tried.push(chosen);
        if retries.elsewhere && !self.find_another(worker) {
            return Err(failure);
        }
        if let Some(wait) = self.again(exchange, upload, cause, Ok(None)) {
            if self.place.is_none() {
                self.owing = Some(failure);
            }
            return Ok(Some(wait));
        }
        Err(failure)
    }

    /// A reply came, and perhaps another is wanted.
    pub(super) fn after_reply(
        &mut self,
        exchange: &Exchange<'s, '_>,
        upload: &mut Upload,
        chosen: usize,
        end: End,
    ) -> Option<Duration> {
        let on = &self.retries?.on;
        let cause = match end {
            End::Replied { grpc: Some(code), .. } if on.has_grpc(code) => RetryCause::GrpcStatus,
            End::Replied { status, .. } if on.has_status(status) => RetryCause::Status,
            _ => return None,
        };
        if cause == RetryCause::GrpcStatus && !grpc::is_grpc(&exchange.scratch.request) {
            return None;
        }
        self.tried.push(chosen);
        let asked = retry::asked_to_wait(&exchange.scratch.response, SystemTime::now());
        self.again(exchange, upload, cause, asked)
    }

    /// Whether a request that was certainly not worked on may be sent again: once in any case,
    /// more often only as the budget allows, for a service that refuses everything has enough to do.
    fn may_repeat(&mut self, worker: &Worker, upload: &mut Upload) -> bool {
        if self.unprocessed + 1 >= MOST_TRIES {
            return false;
        }
        if self.unprocessed > 0 {
            self.place = self.take_place(worker);
            if self.place.is_none() {
                self.deny(worker, RetryDenial::Budget);
                return false;
            }
        }
        upload.rewind()
    }

    /// At once, over a connection of its own: that the last one was ending says nothing about the
    /// endpoint; another one tells.
    fn repeat(&mut self, worker: &Worker, cause: RetryCause) -> Option<Duration> {
        self.unprocessed += 1;
        self.fresh = true;
        self.count(worker, cause);
        Some(Duration::ZERO)
    }

    /// How long to wait before the request is sent once more, if it may be.
    fn again(
        &mut self,
        exchange: &Exchange<'s, '_>,
        upload: &mut Upload,
        cause: RetryCause,
        asked: Result<Option<Duration>, NoMore>,
    ) -> Option<Duration> {
        let worker = exchange.serving.worker;
        match self.decide(exchange, upload, cause, asked) {
            Ok(wait) => {
                self.retried += 1;
                self.count(worker, cause);
                Some(wait)
            }
            Err(denial) => {
                self.deny(worker, denial);
                None
            }
        }
    }

    fn decide(
        &mut self,
        exchange: &Exchange<'s, '_>,
        upload: &mut Upload,
        cause: RetryCause,
        asked: Result<Option<Duration>, NoMore>,
    ) -> Result<Duration, RetryDenial> {
        let retries = self.retries.ok_or(RetryDenial::Method)?;
        let harmless = matches!(cause, RetryCause::ConnectFailure | RetryCause::Refused);
        // Calls of gRPC are all POST, so whoever names a code of it means them.
        if !harmless && !self.repeatable && cause != RetryCause::GrpcStatus {
            return Err(RetryDenial::Method);
        }
        if self.retried + 1 >= retries.attempts {
            return Err(RetryDenial::Attempts);
        }
        let asked = asked.map_err(|NoMore| RetryDenial::RetryAfter)?.unwrap_or_default();
        if asked > retries.retry_after {
            return Err(RetryDenial::RetryAfter);
        }
        let wait = retry::jitter(retry::backoff(retries, self.retried + 1)).max(asked);
        if self.total.is_some_and(|total| Instant::now() + wait >= total) {
            return Err(RetryDenial::Time);
        }
        if exchange.record.interim || !upload.can_rewind() {
            return Err(RetryDenial::Content);
        }
        self.place = self.take_place(exchange.serving.worker);
        if self.place.is_none() {
            // A burst, as when one of several endpoints dies, is waited out where others do well.
            self.good = self.good(exchange.serving.worker);
            if self.good == 0 || !matches!(cause, RetryCause::Reset | RetryCause::Timeout) {
                return Err(RetryDenial::Budget);
            }
        }
        upload.rewind();
        Ok(wait)
    }
}
