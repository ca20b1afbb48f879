//! Retries: how many there may be at once, and how long each waits. Pure but for the counters.

use std::time::{Duration, SystemTime};

use portcullis_config::model::{Retries, RetryBudget};
use portcullis_core::metrics::{ServiceMetrics, ServiceSeries};
use portcullis_wire::{Fields, ResponseHead};

/// How long a retry that failed counts as if it were under way, in milliseconds.
const COOLING_MS: u64 = 1000;

/// A retry's place in the budget, from when it is decided on until its reply begins.
#[derive(Debug)]
pub(crate) struct RetryPlace<'s>(&'s ServiceSeries);

impl<'s> RetryPlace<'s> {
    /// Takes a place, if there is one.
    ///
    /// What workers count elsewhere may be a moment old, so that a few retries more than allowed
    /// may begin at once.
    pub(crate) fn take(
        budget: Option<RetryBudget>,
        metrics: &ServiceMetrics,
        worker: usize,
        now_ms: u64,
    ) -> Option<RetryPlace<'_>> {
        let own = metrics.shard(worker);
        if now_ms > own.cooling_since_ms.value() + COOLING_MS {
            own.cooling.set(0);
        }
        let cooling = metrics.sum(|series| &series.cooling);
        let retrying = metrics.sum(|series| &series.retrying);
        let active = metrics.sum(|series| &series.active);
        if budget.is_some_and(|budget| !has_room(budget, active, retrying, cooling)) {
            return None;
        }
        own.retrying.add(1);
        Some(RetryPlace(own))
    }

    /// The retry failed as well: its place stays taken for a while, so that a service of which all
    /// fails sees few of them, however fast it fails.
    pub(crate) fn spend(self, now_ms: u64) {
        self.0.cooling.add(1);
        self.0.cooling_since_ms.set(now_ms);
    }
}

impl Drop for RetryPlace<'_> {
    fn drop(&mut self) {
        self.0.retrying.sub(1);
    }
}

/// Whether there may be another retry, with so many requests under way, retries among them.
///
/// The minimum counts what is under way and nothing else, so that a few requests are always sent as
/// often as configured; the share counts what has failed a moment ago as well.
fn has_room(budget: RetryBudget, active: u64, retrying: u64, cooling: u64) -> bool {
    let first_tries = active.saturating_sub(retrying);
    // Whole retries: a part of one is none.
    let share = (first_tries as f64 * budget.share) as u64;
    retrying < u64::from(budget.minimum) || retrying + cooling < share
}

/// How long the retry of this number, from 1, waits at most; what it waits is drawn from that.
pub(crate) fn backoff(retries: &Retries, number: u32) -> Duration {
    let doublings = number.saturating_sub(1).min(16);
    retries.backoff_base.saturating_mul(1 << doublings).min(retries.backoff_max)
}

/// A part of `most` at random, anything from nothing to all of it ("full jitter").
pub(crate) fn jitter(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}

/// How long a reply asks to wait (RFC 9110, 10.2.3; `grpc-retry-pushback-ms` of gRPC).
///
/// # Errors
/// It asks not to come back.
pub(crate) fn asked_to_wait(
    reply: &ResponseHead,
    now: SystemTime,
) -> Result<Option<Duration>, NoMore> {
    if let Some(pushback) = first(&reply.fields, b"grpc-retry-pushback-ms") {
        // What is no number means the same as a negative one (gRFC A6).
        let millis = text(pushback).and_then(|digits| digits.parse().ok()).ok_or(NoMore)?;
        return Ok(Some(Duration::from_millis(millis)));
    }
    let Some(value) = first(&reply.fields, b"retry-after").and_then(text) else { return Ok(None) };
    if let Ok(seconds) = value.parse() {
        return Ok(Some(Duration::from_secs(seconds)));
    }
    let date = httpdate::parse_http_date(value).ok();
    Ok(date.map(|date| date.duration_since(now).unwrap_or_default()))
}

/// The endpoint does not want to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMore;

fn first<'a>(fields: &'a Fields, name: &'static [u8]) -> Option<&'a [u8]> {
    fields.all(name).next()
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use portcullis_config::model::RetryOn;

    use super::*;

    const BUDGET: RetryBudget = RetryBudget { share: 0.2, minimum: 3 };

    #[test]
    fn a_fifth_of_the_first_tries_but_three_always() {
        let most = |active: u64| {
            (0..).find(|&retrying| !has_room(BUDGET, active + retrying, retrying, 0)).unwrap()
        };
        assert_eq!([0, 15, 19, 20, 100].map(most), [3, 3, 3, 4, 20]);
        assert!(!has_room(BUDGET, 3, 5, 0));
    }

    #[test]
    fn places_are_given_back_and_counted_over_all_workers() {
        let metrics = ServiceMetrics::new(2);
        metrics.shard(0).active.add(4);
        let take = |worker| RetryPlace::take(Some(BUDGET), &metrics, worker, 5000);
        let places = (take(0), take(1), take(1));
        assert!(places.0.is_some() && places.1.is_some() && places.2.is_some());
        assert!(take(0).is_none() && take(1).is_none());
        drop(places);
        assert!(take(0).is_some());
        let unlimited = (0..100).filter_map(|_| RetryPlace::take(None, &metrics, 0, 5000));
        assert_eq!(unlimited.collect::<Vec<_>>().len(), 100);
    }

    #[test]
    fn what_failed_counts_for_a_while() {
        let metrics = ServiceMetrics::new(1);
        metrics.shard(0).active.add(100);
        let take = |now_ms| RetryPlace::take(Some(BUDGET), &metrics, 0, now_ms);
        (0..20).for_each(|_| take(5000).unwrap().spend(5000));
        // The minimum stays: three at once, one after the other.
        let held: Vec<_> = (0..3).map(|_| take(6000).unwrap()).collect();
        assert!(take(6000).is_none());
        assert!(take(6001).is_some());
        drop(held);
    }

    fn retries() -> Retries {
        Retries {
            attempts: 5,
            on: RetryOn::default(),
            methods: Vec::new(),
            idempotency_key: false,
            per_try_timeout: None,
            backoff_base: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            retry_after: Duration::from_secs(1),
            buffer: 0,
            elsewhere: false,
        }
    }

    #[test]
    fn waits_double_up_to_the_most_and_are_drawn_from_all_of_it() {
        let waits: Vec<u128> =
            [1, 2, 3, 4, 5, 100].map(|n| backoff(&retries(), n).as_millis()).to_vec();
        assert_eq!(waits, [25, 50, 100, 200, 250, 250]);
        let most = Duration::from_millis(100);
        let drawn: Vec<Duration> = (0..1000).map(|_| jitter(most)).collect();
        assert!(drawn.iter().all(|&wait| wait <= most));
        let low = drawn.iter().filter(|&&wait| wait < most / 2).count();
        assert!((350..650).contains(&low), "{low}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |name: &[u8], value: &str| {
            let mut reply = ResponseHead::default();
            reply.fields.push(name, value.as_bytes());
            asked_to_wait(&reply, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
        };
        assert_eq!(asked(b"Retry-After", "2"), Ok(Some(Duration::from_secs(2))));
        let date = "Sun, 06 Nov 1994 08:49:40 GMT";
        assert_eq!(asked(b"Retry-After", date), Ok(Some(Duration::from_secs(3))));
        let past = "Sun, 06 Nov 1994 08:49:30 GMT";
        assert_eq!(asked(b"Retry-After", past), Ok(Some(Duration::ZERO)));
        assert_eq!(asked(b"Retry-After", "soon"), Ok(None));
        assert_eq!(asked(b"Grpc-Retry-Pushback-Ms", "40"), Ok(Some(Duration::from_millis(40))));
        assert_eq!(asked(b"grpc-retry-pushback-ms", "-1"), Err(NoMore));
    }
}
