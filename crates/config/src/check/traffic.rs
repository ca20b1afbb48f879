//! What happens to a route's traffic besides its being forwarded.

use super::{Scope, http};
use crate::model::{Faults, Importance, Mirror, Overload, SplitBy};
use crate::raw::{
    AbortSpec, DelaySpec, FaultsSpec, ImportanceSpec, MirrorSpec, OverloadSpec, RouteSpec, Share,
    Spanned, SplitBySpec,
};

/// Largest body that is copied; it waits in memory.
const LARGEST_COPY: u64 = 1 << 20;

/// Keys that mean something only where a request is forwarded.
pub(super) fn only_forwarded(spec: &RouteSpec, scope: &mut Scope<'_>) {
    if spec.service.is_some() || spec.split.is_some() {
        return;
    }
    let keys = [
        ("mirror", spec.mirror.as_ref().map(|written| written.span)),
        ("split_by", spec.split_by.as_ref().map(|written| written.span)),
    ];
    for (key, at) in keys {
        if let Some(at) = at.filter(|_| !scope.incomplete) {
            scope.fault(at, format!("`{key}` has no meaning where nothing is forwarded")).label =
                "only with `service` or `split`".into();
        }
    }
}

pub(super) fn split_by(spec: &RouteSpec, scope: &mut Scope<'_>) -> SplitBy {
    let Some(written) = &spec.split_by else { return SplitBy::Random };
    if spec.split.is_none() && spec.service.is_some() {
        scope
            .fault(written.span, "with a single service there is nothing to hold a client to")
            .label = "only with `split`".into();
    }
    let SplitBySpec { cookie, max_age, header } = &written.value;
    let age = scope.own_time(max_age.as_ref());
    match (cookie, header) {
        (Some(cookie), None) => SplitBy::Cookie(token(cookie, "cookie", scope).into(), age),
        (None, Some(header)) => {
            if let Some(age) = max_age {
                scope.fault(age.span, "`max_age` is about a cookie").label =
                    "only with `cookie`".into();
            }
            SplitBy::Header(token(header, "header field", scope).to_ascii_lowercase().into())
        }
        _ => {
            scope.fault(written.span, "what holds a client is either a `cookie` or a `header`");
            SplitBy::Random
        }
    }
}

fn token<'a>(written: &'a Spanned<String>, what: &str, scope: &mut Scope<'_>) -> &'a str {
    let text = written.as_str();
    if !http::is_token(text) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} cannot be the name of a {what}")).label =
            "expected letters, digits, `-` and `_`".into();
    }
    text
}

pub(super) fn mirror(
    written: Option<&Spanned<MirrorSpec>>,
    scope: &mut Scope<'_>,
) -> Option<Mirror> {
    let MirrorSpec { service, share, body, most } = &written?.value;
    if let Some(written) = body.as_ref().filter(|written| written.value.0 > LARGEST_COPY) {
        scope.fault(written.span, "bodies that are copied wait in memory").label =
            "expected at most `1MiB`".into();
    }
    if let Some(written) = most.as_ref().filter(|written| written.value == 0) {
        scope.fault(written.span, "with none at once nothing is copied").label =
            "expected at least 1".into();
    }
    Some(Mirror {
        service: service.as_str().into(),
        share: some_share(share.as_ref(), scope),
        body: body.as_ref().map_or(64 << 10, |size| size.value.0.min(LARGEST_COPY) as usize),
        most: most.as_ref().map_or(64, |most| most.value as usize),
    })
}

pub(super) fn faults(written: Option<&Spanned<FaultsSpec>>, scope: &mut Scope<'_>) -> Faults {
    let Some(written) = written else { return Faults::default() };
    let FaultsSpec { delay, abort } = &written.value;
    if delay.is_none() && abort.is_none() {
        scope.fault(written.span, "no fault is named").label = "expected `delay` or `abort`".into();
    }
    let delay = delay.as_ref().map(|DelaySpec { time, share }| {
        (scope.time(Some(time), time.value.0), some_share(share.as_ref(), scope))
    });
    let abort = abort.as_ref().map(|AbortSpec { status, share }| {
        let code = status.as_ref().map_or(503, |status| status.value);
        if let Some(at) = status.as_ref().filter(|_| !(400..=599).contains(&code)) {
            scope.fault(at.span, format!("{code} is no status of an error")).label =
                "expected 400 to 599".into();
        }
        (code, some_share(share.as_ref(), scope))
    });
    Faults { delay, abort }
}

/// A share that is not nothing.
fn some_share(written: Option<&Spanned<Share>>, scope: &mut Scope<'_>) -> f64 {
    let Some(written) = written else { return 1.0 };
    if written.value.0 <= 0.0 {
        let fault = scope.fault(written.span, "a share of nothing has no effect");
        fault.label = "expected more than `0%`".into();
        fault.help = Some("leave the key out that this share is part of".into());
    }
    written.value.0
}

pub(super) fn importance(written: Option<ImportanceSpec>) -> Importance {
    match written {
        Some(ImportanceSpec::Low) => Importance::Low,
        None | Some(ImportanceSpec::Normal) => Importance::Normal,
        Some(ImportanceSpec::High) => Importance::High,
    }
}

pub(super) fn overload(spec: Option<&OverloadSpec>, scope: &mut Scope<'_>) -> Option<Overload> {
    let OverloadSpec { least, most, tolerance } = spec?;
    let count = |written: &Option<Spanned<u32>>, default, scope: &mut Scope<'_>| {
        let Some(written) = written else { return default };
        if written.value == 0 {
            scope.fault(written.span, "with none under way nothing is ever sent").label =
                "expected at least 1".into();
        }
        written.value
    };
    let (low, high) = (count(least, 4, scope), count(most, 1000, scope));
    if let Some(at) = most.as_ref().or(least.as_ref()).filter(|_| low > high) {
        scope.fault(at.span, format!("at least {low} and at most {high} cannot both hold")).label =
            "expected `least` to be no more than `most`".into();
    }
    let factor = tolerance.as_ref().map_or(2.0, |written| written.value);
    if let Some(at) = tolerance.as_ref().filter(|_| !(1.1..=10.0).contains(&factor)) {
        scope.fault(at.span, "this cannot be a tolerance").label = "expected 1.1 to 10".into();
    }
    Some(Overload { least: low, most: high, tolerance: factor })
}
