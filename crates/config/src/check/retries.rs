//! Retries: what is worth another try, and bounds that make sense.

use std::sync::Arc;
use std::time::Duration;

use super::{Scope, http};
use crate::model::{Retries, RetryBudget, RetryOn};
use crate::raw::{BackoffSpec, OffOr, RetriesSpec, RetryOnSpec, Spanned};

/// Most content that may be kept to be sent again, in bytes.
const LARGEST_BUFFER: u64 = 16 << 20;

/// Methods that may be sent twice whatever they are for (RFC 9110, 9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/// A service's retries and their budget.
pub(super) fn of_service(
    written: Option<&Spanned<OffOr<RetriesSpec>>>,
    scope: &mut Scope<'_>,
) -> (Option<Arc<Retries>>, Option<RetryBudget>) {
    match written.map(|written| &written.value) {
        None => (Some(elsewhere(scope).into()), Some(RetryBudget::default())),
        Some(OffOr::On(spec)) => (Some(retries(spec, scope).into()), budget(spec, scope)),
        Some(_) => (None, Some(RetryBudget::default())),
    }
}

/// What holds where nothing is written: that an endpoint dies is no reason for a request to fail
/// that another can answer just as well.
fn elsewhere(scope: &mut Scope<'_>) -> Retries {
    let on = RetryOn { reset: true, refused: true, ..RetryOn::default() };
    let usual = retries(&RetriesSpec::default(), scope);
    Retries { attempts: 2, on, elsewhere: true, backoff_base: Duration::ZERO, ..usual }
}

/// A route's retries; `None` leaves the service's, `Some(None)` is "off".
pub(super) fn of_route(
    written: Option<&Spanned<OffOr<RetriesSpec>>>,
    scope: &mut Scope<'_>,
) -> Option<Option<Arc<Retries>>> {
    let OffOr::On(spec) = &written?.value else { return Some(None) };
    if let Some(budget) = &spec.budget {
        scope.fault(budget.span, "a route has no retry budget of its own").help =
            Some("set it on the service, whose endpoints it protects".into());
    }
    Some(Some(retries(spec, scope).into()))
}

fn retries(spec: &RetriesSpec, scope: &mut Scope<'_>) -> Retries {
    let (backoff_base, backoff_max) = backoff(&spec.backoff, scope);
    Retries {
        attempts: attempts(spec, scope),
        on: retry_on(spec, scope),
        methods: methods(spec, scope),
        idempotency_key: spec.idempotency_key.unwrap_or(false),
        per_try_timeout: scope.own_time(spec.per_try_timeout.as_ref()),
        backoff_base,
        backoff_max,
        retry_after: spec.retry_after.as_ref().map_or(Duration::from_secs(1), |w| w.value.0),
        buffer: buffer(spec, scope),
        elsewhere: false,
    }
}

fn attempts(spec: &RetriesSpec, scope: &mut Scope<'_>) -> u32 {
    let Some(written) = &spec.attempts else { return 3 };
    match written.value {
        0 | 1 => {
            let fault = scope.fault(written.span, "one attempt leaves nothing to retry");
            fault.label = "expected 2 to 10, the first included".into();
            fault.help = Some("write `retries: off` for none".into());
        }
        2..=10 => {}
        _ => {
            scope.fault(written.span, "a request is sent at most 10 times").label =
                "expected 2 to 10".into();
        }
    }
    written.value.into()
}

fn retry_on(spec: &RetriesSpec, scope: &mut Scope<'_>) -> RetryOn {
    let Some(written) = &spec.on else {
        return RetryOn {
            connect_failure: true,
            refused: true,
            reset: true,
            timeout: true,
            statuses: vec![502, 503, 504],
            grpc: 0,
        };
    };
    let mut on = RetryOn::default();
    if written.value.is_empty() && !scope.incomplete {
        scope.fault(written.span, "`on` is an empty list, so nothing is retried").help =
            Some("write `retries: off`, or leave `on` out for the default".into());
    }
    for cause in &written.value {
        match cause.value {
            RetryOnSpec::ConnectFailure => on.connect_failure = true,
            RetryOnSpec::Refused => on.refused = true,
            RetryOnSpec::Reset => on.reset = true,
            RetryOnSpec::Timeout => on.timeout = true,
            RetryOnSpec::Grpc(0) => {
                scope.fault(cause.span, "a call that ended with `OK` is no failure");
            }
            RetryOnSpec::Grpc(code) => on.grpc |= 1 << code,
            RetryOnSpec::Status(status) => status_to_retry(status, cause, &mut on, scope),
        }
    }
    on
}

fn status_to_retry(
    status: u16,
    cause: &Spanned<RetryOnSpec>,
    on: &mut RetryOn,
    scope: &mut Scope<'_>,
) {
    if !(400..=599).contains(&status) {
        scope.fault(cause.span, format!("a reply of status {status} is no failure")).label =
            "expected 400 to 599".into();
    } else if !on.statuses.contains(&status) {
        on.statuses.push(status);
    }
}

fn methods(spec: &RetriesSpec, scope: &mut Scope<'_>) -> Vec<Arc<str>> {
    match &spec.methods {
        Some(written) if written.0.is_empty() && !scope.incomplete => {
            let at = scope.name_span;
            scope.fault(at, "`retries.methods` is an empty list").help =
                Some("leave it out for the idempotent methods".into());
            Vec::new()
        }
        Some(written) => http::methods(&written.0, scope),
        None => IDEMPOTENT.map(Arc::from).to_vec(),
    }
}

fn backoff(spec: &BackoffSpec, scope: &mut Scope<'_>) -> (Duration, Duration) {
    let base = scope.time(spec.base.as_ref(), Duration::from_millis(25));
    let usual = Duration::from_millis(250).max(base);
    let max = scope.time(spec.max.as_ref(), usual);
    if let Some(written) = spec.max.as_ref().filter(|_| !max.is_zero() && max < base) {
        let fault = scope.fault(written.span, "`max` is less than `base`");
        fault.also = spec.base.as_ref().map(|base| (base.span, "`base` is here".into()));
    }
    (base, max)
}

fn buffer(spec: &RetriesSpec, scope: &mut Scope<'_>) -> usize {
    let Some(written) = &spec.buffer else { return 64 << 10 };
    if written.value.0 > LARGEST_BUFFER {
        let fault = scope.fault(written.span, "every request with content may take so much memory");
        fault.label = "expected at most 16MiB".into();
    }
    usize::try_from(written.value.0).unwrap_or(usize::MAX)
}

fn budget(spec: &RetriesSpec, scope: &mut Scope<'_>) -> Option<RetryBudget> {
    let mut budget = RetryBudget::default();
    let Some(written) = &spec.budget else { return Some(budget) };
    let OffOr::On(found) = &written.value else { return None };
    if let Some(share) = &found.share {
        budget.share = share.value.0;
    }
    if let Some(minimum) = &found.minimum {
        budget.minimum = minimum.value;
    }
    if budget.share == 0.0 && budget.minimum == 0 {
        scope.fault(written.span, "a budget of nothing allows no retry").help =
            Some("write `retries: off` for none".into());
    }
    Some(budget)
}
