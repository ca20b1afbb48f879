//! A circuit breaker: bounds that let something through, and times that fit together.

use std::time::Duration;

use super::Scope;
use crate::model::{Breaker, Trip, TripShare};
use crate::raw::{BreakerSpec, Share, Spanned, Time};

/// The shortest and the longest window.
const WINDOWS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));

pub(super) fn breaker(spec: Option<&Spanned<BreakerSpec>>, scope: &mut Scope<'_>) -> Breaker {
    let Some(written) = spec else { return Breaker::default() };
    let spec = &written.value;
    let limits = &spec.limits;
    let breaker = Breaker {
        connections: limit(limits.connections.as_ref(), scope),
        pending: limit(limits.pending.as_ref(), scope),
        requests: limit(limits.requests.as_ref(), scope),
        trip: trip(spec, scope),
    };
    if breaker == Breaker::default() && !scope.incomplete {
        scope.fault(written.span, "this breaker never does anything").label =
            "needs one of `limits`, `errors`, `slow`".into();
    }
    breaker
}

fn limit(written: Option<&Spanned<u32>>, scope: &mut Scope<'_>) -> Option<u32> {
    let written = written?;
    if written.value == 0 {
        scope.fault(written.span, "a limit of 0 lets nothing through").label =
            "expected at least 1".into();
    }
    Some(written.value)
}

fn trip(spec: &BreakerSpec, scope: &mut Scope<'_>) -> Option<Trip> {
    let errors = spec.errors.as_ref().map(|written| &written.value);
    let errors = errors.map(|errors| share(errors.share.as_ref(), errors.at_least.as_ref(), scope));
    let slow = spec.slow.as_ref().map(|written| &written.value).map(|slow| {
        let over = scope.time(Some(&slow.over), slow.over.value.0);
        (over, share(slow.share.as_ref(), slow.at_least.as_ref(), scope))
    });
    if errors.is_none() && slow.is_none() {
        of_nothing(spec, scope);
        return None;
    }
    let open = scope.time(spec.open.as_ref(), Duration::from_secs(5));
    let max_open = scope.time(spec.max_open.as_ref(), Duration::from_secs(60).max(open));
    if let Some(written) = spec.max_open.as_ref().filter(|_| !max_open.is_zero() && max_open < open)
    {
        let fault = scope.fault(written.span, "`max_open` is less than `open`");
        fault.also = spec.open.as_ref().map(|open| (open.span, "`open` is here".into()));
    }
    Some(Trip {
        errors,
        slow,
        window: window(spec, scope),
        open,
        max_open,
        probes: probes(spec, scope),
    })
}

/// Keys that mean nothing where the breaker never opens.
fn of_nothing(spec: &BreakerSpec, scope: &mut Scope<'_>) {
    let time = |name, written: &Option<Spanned<Time>>| (name, written.as_ref().map(|w| w.span));
    let keys = [
        time("window", &spec.window),
        time("open", &spec.open),
        time("max_open", &spec.max_open),
        ("probes", spec.probes.as_ref().map(|written| written.span)),
    ];
    for (name, span) in keys {
        if let Some(span) = span.filter(|_| !scope.incomplete) {
            scope.fault(span, format!("`{name}` means nothing: this breaker never opens")).label =
                "only with `errors` or `slow`".into();
        }
    }
}

fn share(
    part: Option<&Spanned<Share>>,
    at_least: Option<&Spanned<u32>>,
    scope: &mut Scope<'_>,
) -> TripShare {
    if let Some(part) = part.filter(|part| part.value.0 == 0.0) {
        scope.fault(part.span, "with a share of `0%` the breaker opens though all is well").label =
            "expected more than `0%`".into();
    }
    if let Some(at_least) = at_least.filter(|at_least| at_least.value == 0) {
        scope.fault(at_least.span, "a share of nothing says nothing").label =
            "expected at least 1".into();
    }
    TripShare {
        share: part.map_or(0.5, |part| part.value.0),
        at_least: at_least.map_or(20, |at_least| at_least.value),
    }
}

fn window(spec: &BreakerSpec, scope: &mut Scope<'_>) -> Duration {
    let window = spec.window.as_ref().map_or(Duration::from_secs(10), |window| window.value.0);
    if let Some(written) = &spec.window
        && (window < WINDOWS.0 || window > WINDOWS.1)
    {
        scope.fault(written.span, "so short or long a window tells nothing").label =
            "expected `100ms` to `1h`".into();
    }
    window
}

fn probes(spec: &BreakerSpec, scope: &mut Scope<'_>) -> u8 {
    let Some(written) = &spec.probes else { return 3 };
    if !(1..=100).contains(&written.value) {
        scope
            .fault(written.span, "without probes nobody learns that the service is well again")
            .label = "expected 1 to 100".into();
    }
    written.value
}
