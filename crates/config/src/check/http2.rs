//! HTTP/2 of a listener.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Scope;
use crate::model::Http2;
use crate::raw::{Http2Spec, OffOr, Size, Spanned, Switch, Time};

/// The smallest and largest window that RFC 9113, 6.9.2 makes sense of; smaller ones than the
/// initial one of the standard would only slow clients down.
const WINDOWS: RangeInclusive<u64> = 64 << 10..=1 << 30;

/// Most requests at once on a connection; some memory is kept for each.
const MOST_STREAMS: u32 = 10_000;

/// The first penalty, and the time after which one is forgotten.
const PENALTIES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

pub(super) fn http2(spec: Option<&Switch<Http2Spec>>, scope: &mut Scope<'_>) -> Option<Http2> {
    let absent = Http2Spec::default();
    let spec = match spec {
        None => &absent,
        Some(Switch(OffOr::Off)) => return None,
        Some(Switch(OffOr::On(spec))) => spec,
    };
    let count = |written: &Option<Spanned<u32>>, default: u32, scope: &mut Scope<'_>| match written
    {
        None => default,
        Some(written) => {
            if written.value == 0 {
                scope.fault(written.span, "a limit of 0 lets nothing in").label =
                    "expected at least 1; `http2: off` turns HTTP/2 off".into();
            }
            written.value
        }
    };
    let concurrent_streams = count(&spec.concurrent_streams, 100, scope);
    if let Some(written) = spec.concurrent_streams.as_ref().filter(|s| s.value > MOST_STREAMS) {
        scope.fault(written.span, "that many requests on one connection are never let in").label =
            format!("expected at most {MOST_STREAMS}");
    }
    let resets = count(&spec.resets, 200, scope);
    let control_frames = count(&spec.control_frames, 1000, scope);
    let continuations = spec.continuations.as_ref().map_or(16, |written| written.value);
    let stream = window(spec.window.as_ref(), 256 << 10, scope);
    let connection = window(spec.connection_window.as_ref(), 8 << 20, scope);
    let at =
        spec.connection_window.as_ref().map(|s| s.span).or(spec.window.as_ref().map(|s| s.span));
    if let Some(at) = at.filter(|_| connection < stream) {
        scope.fault(at, "`connection_window` is smaller than `window`").label =
            "no request could use its window".into();
    }
    Some(Http2 {
        concurrent_streams,
        window: stream,
        connection_window: connection,
        resets,
        control_frames,
        continuations,
        penalty: penalty(spec.penalty.as_ref(), scope),
    })
}

fn window(written: Option<&Spanned<Size>>, default: u32, scope: &mut Scope<'_>) -> u32 {
    let Some(written) = written else { return default };
    let bytes = written.value.0;
    if !WINDOWS.contains(&bytes) {
        scope.fault(written.span, "this cannot be a window of HTTP/2").label =
            "expected `64KiB` to `1GiB`".into();
    }
    u32::try_from(bytes).unwrap_or(default)
}

fn penalty(written: Option<&Spanned<OffOr<Time>>>, scope: &mut Scope<'_>) -> Option<Duration> {
    let Some(written) = written else { return Some(Duration::from_secs(1)) };
    let OffOr::On(Time(time)) = written.value else { return None };
    if !PENALTIES.contains(&time) {
        let fault = scope.fault(written.span, "connections are not held back for so long");
        fault.label = "expected `100ms` to `1m`".into();
        fault.help = Some("write `off` to hold none back".into());
    }
    Some(time)
}
