//! Active health checks of a service.

use std::sync::Arc;
use std::time::Duration;

use super::matching::regex_within;
use super::{Scope, host, http};
use crate::model::{ActiveCheck, Address, BodyTest, CheckKind, Endpoint, HttpCheck};
use crate::raw::{
    ActiveSpec, BodyTestSpec, GrpcCheckSpec, HealthSpec, HttpCheckSpec, InitialSpec, OffOr, Size,
    Spanned,
};

/// Most content that a check may look at, in bytes.
const MOST_BODY: u64 = 16 << 20;
/// The shortest time between two checks of an endpoint.
const SHORTEST: Duration = Duration::from_millis(10);
/// The largest share by which waits may differ.
const MOST_JITTER: f64 = 0.5;

pub(super) fn active(
    spec: Option<&HealthSpec>,
    endpoints: &[Endpoint],
    scope: &mut Scope<'_>,
) -> Option<Arc<ActiveCheck>> {
    let spec = match spec?.active.as_ref()? {
        OffOr::Off => return None,
        OffOr::On(spec) => spec,
    };
    let kind = kind(spec, scope);
    let interval = interval(spec, scope);
    let fast_interval = match &spec.fast_interval {
        None => Duration::from_secs(1).min(interval),
        Some(written) => {
            let fast = scope.time(Some(written), interval);
            if fast > interval {
                scope.fault(written.span, "`fast_interval` is longer than `interval`");
            }
            fast
        }
    };
    if let Some(written) = spec
        .fast_interval
        .as_ref()
        .filter(|fast| !fast.value.0.is_zero() && fast.value.0 < SHORTEST)
    {
        too_often(written.span, scope);
    }
    Some(Arc::new(ActiveCheck {
        kind,
        interval,
        fast_interval,
        jitter: jitter(spec, scope),
        timeout: scope.time(spec.timeout.as_ref(), Duration::from_secs(3).min(interval)),
        healthy: threshold(spec.healthy.as_ref(), 2, scope),
        unhealthy: threshold(spec.unhealthy.as_ref(), 3, scope),
        initially_healthy: !matches!(spec.initial, Some(InitialSpec::Unhealthy)),
        port: port(spec.port.as_ref(), endpoints, scope),
    }))
}

fn interval(spec: &ActiveSpec, scope: &mut Scope<'_>) -> Duration {
    let interval = scope.time(spec.interval.as_ref(), Duration::from_secs(10));
    if let Some(written) =
        spec.interval.as_ref().filter(|_| !interval.is_zero() && interval < SHORTEST)
    {
        too_often(written.span, scope);
    }
    interval
}

fn too_often(at: crate::node::Span, scope: &mut Scope<'_>) {
    scope.fault(at, "checks that often would be load").label = "expected at least `10ms`".into();
}

/// The one kind of check that is written.
fn kind(spec: &ActiveSpec, scope: &mut Scope<'_>) -> CheckKind {
    let written = [
        ("path", spec.path.as_ref().map(|written| written.span)),
        ("http", spec.http.as_ref().map(|written| written.span)),
        ("tcp", spec.tcp.as_ref().map(|written| written.span)),
        ("grpc", spec.grpc.as_ref().map(|written| written.span)),
    ];
    let mut written = written.into_iter().filter_map(|(key, at)| Some((key, at?)));
    if let (Some((first, first_at)), Some((second, at))) = (written.next(), written.next()) {
        let fault = scope.fault(at, format!("a check is either `{first}` or `{second}`"));
        fault.also = Some((first_at, format!("`{first}` is here")));
        if (first, second) == ("path", "http") {
            fault.help = Some("write `path` inside of `http`".into());
        }
    }
    if let Some(grpc) = &spec.grpc {
        return grpc_kind(&grpc.value, scope);
    }
    if spec.tcp.is_some() {
        return CheckKind::Tcp;
    }
    let absent = HttpCheckSpec::default();
    let http = spec.http.as_ref().map_or(&absent, |http| &http.value);
    CheckKind::Http(http_check(http, spec.path.as_ref().or(http.path.as_ref()), scope))
}

fn grpc_kind(spec: &GrpcCheckSpec, scope: &mut Scope<'_>) -> CheckKind {
    CheckKind::Grpc {
        service: spec.service.as_ref().map_or("", |service| service.as_str()).into(),
        host: spec.host.as_ref().map(|host| host::authority(host, scope)),
    }
}

fn http_check(
    spec: &HttpCheckSpec,
    path: Option<&Spanned<String>>,
    scope: &mut Scope<'_>,
) -> HttpCheck {
    let (path, query) = path.map_or(("/".into(), None), |path| target(path, scope));
    HttpCheck {
        path,
        query,
        method: method(spec.method.as_ref(), scope),
        host: spec.host.as_ref().map(|host| host::authority(host, scope)),
        headers: http::request_headers(&spec.headers, scope),
        status: statuses(spec, scope),
        body: spec.body.as_ref().and_then(|body| body_test(body, scope)),
        max_body: max_body(spec.max_body.as_ref(), scope),
    }
}

/// A path and what stands behind its `?`.
fn target(written: &Spanned<String>, scope: &mut Scope<'_>) -> (Arc<str>, Option<Arc<str>>) {
    let text = written.as_str();
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !text.starts_with('/') || !text.bytes().all(legal) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no path that can be asked for")).label =
            "expected `/path` or `/path?query`, percent-encoded where needed".into();
    }
    match text.split_once('?') {
        Some((path, query)) => (path.into(), Some(query.into())),
        None => (text.into(), None),
    }
}

fn method(written: Option<&Spanned<String>>, scope: &mut Scope<'_>) -> Arc<str> {
    let Some(written) = written else { return "GET".into() };
    if written.as_str() == "CONNECT" {
        scope.fault(written.span, "`CONNECT` asks for a tunnel, which checks nothing");
        return "GET".into();
    }
    // With `GET` comes `HEAD`, which is none of ours.
    let methods = http::methods(std::slice::from_ref(written), scope);
    methods.into_iter().next().unwrap_or_else(|| "GET".into())
}

fn statuses(spec: &HttpCheckSpec, scope: &mut Scope<'_>) -> Vec<(u16, u16)> {
    let Some(written) = &spec.status else { return vec![(200, 299)] };
    if written.0.is_empty() {
        let at = scope.name_span;
        scope.fault(at, "`status` is an empty list").help =
            Some("leave `status` out to pass 200 to 299".into());
    }
    let mut ranges = Vec::with_capacity(written.0.len());
    for status in &written.0 {
        let (first, last) = (status.value.first, status.value.last);
        if first > last {
            scope.fault(status.span, format!("the range {first}-{last} is empty")).label =
                "expected the lower status first".into();
        } else if first < 200 || last > 599 {
            scope.fault(status.span, "no reply ends with such a status").label =
                "expected 200 to 599".into();
        }
        ranges.push((first, last));
    }
    ranges
}

fn body_test(written: &Spanned<BodyTestSpec>, scope: &mut Scope<'_>) -> Option<BodyTest> {
    match &written.value {
        BodyTestSpec::Regex(source) => regex_within(source, scope).map(BodyTest::Regex),
        BodyTestSpec::Contains(text) => {
            if text.is_empty() {
                scope.fault(written.span, "the empty text is in any content").help =
                    Some("leave `body` out to take any".into());
            }
            Some(BodyTest::Contains(text.as_str().into()))
        }
    }
}

fn max_body(written: Option<&Spanned<Size>>, scope: &mut Scope<'_>) -> usize {
    let Some(written) = written else { return 64 << 10 };
    let bytes = written.value.0;
    if !(1..=MOST_BODY).contains(&bytes) {
        scope.fault(written.span, "this cannot be a limit for the content of a check").label =
            "expected 1 byte to `16MiB`".into();
    }
    usize::try_from(bytes.min(MOST_BODY)).unwrap_or(64 << 10)
}

fn jitter(spec: &ActiveSpec, scope: &mut Scope<'_>) -> f64 {
    let Some(written) = &spec.jitter else { return 0.1 };
    if written.value.0 > MOST_JITTER {
        scope.fault(written.span, "waits that differ by so much are no interval any more").label =
            "expected at most `50%`".into();
    }
    written.value.0
}

/// A number of checks in a row.
fn threshold(written: Option<&Spanned<u8>>, default: u32, scope: &mut Scope<'_>) -> u32 {
    let Some(written) = written else { return default };
    if !(1..=100).contains(&written.value) {
        scope.fault(written.span, "so many checks in a row say nothing").label =
            "expected 1 to 100".into();
    }
    written.value.into()
}

fn port(
    written: Option<&Spanned<u16>>,
    endpoints: &[Endpoint],
    scope: &mut Scope<'_>,
) -> Option<u16> {
    let written = written?;
    if written.value == 0 {
        scope.fault(written.span, "0 is no port that can be connected to");
    }
    let unix = endpoints.iter().find(|endpoint| matches!(endpoint.address, Address::Unix(_)));
    if let Some(endpoint) = unix {
        let address = &endpoint.address;
        scope.fault(written.span, format!("the endpoint `{address}` has no ports"));
    }
    Some(written.value)
}
