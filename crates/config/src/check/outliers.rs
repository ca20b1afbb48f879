//! When endpoints are ejected for what requests meet there.

use std::time::Duration;

use super::Scope;
use crate::model::{LatencyOutlier, Outliers, SuccessRate};
use crate::node::Span;
use crate::raw::{LatencySpec, OffOr, OutliersSpec, Share, Spanned, SuccessRateSpec};

pub(super) fn outliers(
    spec: Option<&OffOr<OutliersSpec>>,
    endpoints: usize,
    scope: &mut Scope<'_>,
) -> Option<Outliers> {
    let absent = OutliersSpec::default();
    let spec = match spec {
        None => &absent,
        Some(OffOr::Off) => return None,
        Some(OffOr::On(spec)) => spec,
    };
    let base_ejection = scope.time(spec.base_ejection.as_ref(), Duration::from_secs(10));
    let longest = Duration::from_secs(300).max(base_ejection);
    let max_ejection = scope.time(spec.max_ejection.as_ref(), longest);
    if let Some(written) = spec.max_ejection.as_ref().filter(|_| max_ejection < base_ejection) {
        let fault = scope.fault(written.span, "`max_ejection` is shorter than `base_ejection`");
        fault.also =
            spec.base_ejection.as_ref().map(|base| (base.span, "`base_ejection` is here".into()));
    }
    let outliers = Outliers {
        consecutive_5xx: in_a_row(spec.consecutive_5xx.as_ref(), None, scope),
        consecutive_gateway_errors: in_a_row(
            spec.consecutive_gateway_errors.as_ref(),
            Some(5),
            scope,
        ),
        success_rate: on(spec.success_rate.as_ref())
            .map(|spec| success_rate(spec, endpoints, scope)),
        latency: on(spec.latency.as_ref()).map(|spec| latency(spec, endpoints, scope)),
        interval: scope.time(spec.interval.as_ref(), Duration::from_secs(10)),
        base_ejection,
        max_ejection,
        max_ejected: max_ejected(spec.max_ejected.as_ref(), scope),
    };
    let Outliers { consecutive_5xx, consecutive_gateway_errors, success_rate, latency, .. } =
        outliers;
    let any = consecutive_5xx.or(consecutive_gateway_errors).is_some()
        || success_rate.is_some()
        || latency.is_some();
    any.then_some(outliers)
}

fn on<T>(written: Option<&OffOr<T>>) -> Option<&T> {
    match written? {
        OffOr::Off => None,
        OffOr::On(value) => Some(value),
    }
}

/// A number of replies in a row, or none.
fn in_a_row(
    written: Option<&Spanned<OffOr<u32>>>,
    default: Option<u32>,
    scope: &mut Scope<'_>,
) -> Option<u32> {
    let Some(written) = written else { return default };
    match written.value {
        OffOr::Off => None,
        OffOr::On(count) => {
            if count == 0 {
                let fault = scope.fault(written.span, "none in a row are always there");
                fault.label = "expected at least 1".into();
                fault.help = Some("write `off` to count none".into());
            }
            Some(count)
        }
    }
}

fn success_rate(spec: &SuccessRateSpec, have: usize, scope: &mut Scope<'_>) -> SuccessRate {
    let minimum = spec.minimum.as_ref().map_or(0.0, |minimum| minimum.value.0);
    let deviations = spec.deviations.as_ref().map_or(1.9, |written| written.value);
    if let Some(written) =
        spec.deviations.as_ref().filter(|_| !(deviations > 0.0 && deviations.is_finite()))
    {
        scope.fault(written.span, "that many deviations make no sense here").label =
            "expected more than 0".into();
    }
    let (endpoints, at) = enough_endpoints(spec.endpoints.as_ref(), 5, scope);
    // One that lies lower than all the others, which are alike, lies so many deviations below the
    // mean and no more.
    if deviations >= f64::from(endpoints.max(1) - 1).sqrt()
        && let Some(at) = spec.deviations.as_ref().map(|written| written.span).or(at)
    {
        let text = format!(
            "of {endpoints} endpoints none can be {deviations} standard deviations below the mean"
        );
        scope.warn(at, text).help = Some("raise `endpoints`, or lower `deviations`".into());
    }
    if minimum <= 0.0 {
        too_few(at, endpoints, have, "success_rate", scope);
    }
    let requests = enough(spec.requests.as_ref(), 100, scope);
    SuccessRate { minimum, deviations, endpoints, requests }
}

fn latency(spec: &LatencySpec, have: usize, scope: &mut Scope<'_>) -> LatencyOutlier {
    let factor = spec.factor.as_ref().map_or(3.0, |written| written.value);
    if let Some(written) = spec.factor.as_ref().filter(|_| !(factor > 1.0 && factor.is_finite())) {
        scope.fault(written.span, "half of the endpoints are slower than the middle").label =
            "expected more than 1".into();
    }
    let (endpoints, at) = enough_endpoints(spec.endpoints.as_ref(), 3, scope);
    too_few(at, endpoints, have, "latency", scope);
    LatencyOutlier {
        factor,
        at_least: scope.time(spec.at_least.as_ref(), Duration::from_millis(100)),
        endpoints,
        requests: enough(spec.requests.as_ref(), 100, scope),
    }
}

/// Endpoints that it takes to compare, and where that is written.
fn enough_endpoints(
    written: Option<&Spanned<u32>>,
    default: u32,
    scope: &mut Scope<'_>,
) -> (u32, Option<Span>) {
    let Some(written) = written else { return (default, None) };
    if written.value < 3 {
        scope.fault(written.span, "of two that differ nobody knows which is the odd one").label =
            "expected at least 3".into();
    }
    (written.value, Some(written.span))
}

/// Says that a comparison never takes place.
fn too_few(at: Option<Span>, wanted: u32, have: usize, key: &str, scope: &mut Scope<'_>) {
    if have < wanted as usize && !scope.incomplete {
        let text = format!(
            "`outliers.{key}` compares {wanted} endpoints or more, and the service `{}` has {have}",
            scope.name
        );
        let at = at.unwrap_or(scope.name_span);
        scope.warn(at, text).label = "it has no effect".into();
    }
}

/// Requests that it takes to judge.
fn enough(written: Option<&Spanned<u32>>, default: u32, scope: &mut Scope<'_>) -> u32 {
    let Some(written) = written else { return default };
    if written.value == 0 {
        scope.fault(written.span, "nothing can be judged without requests").label =
            "expected at least 1".into();
    }
    written.value
}

fn max_ejected(written: Option<&Spanned<Share>>, scope: &mut Scope<'_>) -> f64 {
    let Some(written) = written else { return 0.5 };
    if written.value.0 <= 0.0 {
        scope.fault(written.span, "with nobody ever ejected nothing here has an effect").help =
            Some("write `outliers: off`".into());
    }
    written.value.0
}
