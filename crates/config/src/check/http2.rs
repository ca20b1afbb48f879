//! HTTP/2 of a listener.

use super::Scope;
use crate::model::Http2;
use crate::raw::{Http2Spec, OffOr, Size, Spanned};

/// The smallest and largest window that RFC 9113, 6.9.2 makes sense of; smaller ones than the
/// initial one of the standard would only slow clients down.
const WINDOWS: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

pub(super) fn http2(spec: Option<&OffOr<Http2Spec>>, scope: &mut Scope<'_>) -> Option<Http2> {
    let absent = Http2Spec::default();
    let spec = match spec {
        None => &absent,
        Some(OffOr::Off) => return None,
        Some(OffOr::On(spec)) => spec,
    };
    let mut count = |written: &Option<Spanned<u32>>, default: u32| match written {
        None => default,
        Some(written) => {
            if written.value == 0 {
                scope.fault(written.span, "a limit of 0 lets nothing in").label =
                    "expected at least 1; `http2: off` turns HTTP/2 off".into();
            }
            written.value
        }
    };
    let concurrent_streams = count(&spec.concurrent_streams, 100);
    let resets = count(&spec.resets, 200);
    let control_frames = count(&spec.control_frames, 1000);
    let continuations = spec.continuations.as_ref().map_or(16, |written| written.value);
    Some(Http2 {
        concurrent_streams,
        window: window(spec.window.as_ref(), 256 << 10, scope),
        connection_window: window(spec.connection_window.as_ref(), 8 << 20, scope),
        resets,
        control_frames,
        continuations,
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
