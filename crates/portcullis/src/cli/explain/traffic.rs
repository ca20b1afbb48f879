//! What may happen to a request besides its being forwarded.

use portcullis_config::model::{self, Route, Service, SplitBy};
use portcullis_proxy::explain::Routed;
use serde_json::{Value, json};

/// In lines; none where nothing may.
pub(super) fn lines(routed: &Routed<'_>, held: Option<&str>) -> Vec<String> {
    let route = &*routed.route.route;
    let mut lines = Vec::new();
    let (split_by, mirror) = parts(route);
    let by = match split_by {
        Some(SplitBy::Cookie(name, _)) => Some(format!("the cookie {name}")),
        Some(SplitBy::Header(name)) => Some(format!("the header field {name}")),
        Some(SplitBy::Random) | None => None,
    };
    match (by, held) {
        (Some(by), Some(service)) => lines.push(format!("held to {service} by {by}")),
        (Some(by), None) => lines.push(format!("drawn by weight: the request lacks {by}")),
        (None, _) => {}
    }
    if let Some(mirror) = mirror {
        let share = percent(mirror.share);
        let most = mirror.body;
        lines.push(format!("{share} copied for {} (content up to {most} bytes)", mirror.service));
    }
    if let Some((time, share)) = route.faults.delay {
        lines.push(format!("{} held for {time:?} on purpose", percent(share)));
    }
    if let Some((status, share)) = route.faults.abort {
        lines.push(format!("{} refused with {status} on purpose", percent(share)));
    }
    if route.importance != model::Importance::default() {
        lines.push(format!("of {} importance", route.importance.as_str()));
    }
    if let Some(bearable) = routed.bearable {
        lines.push(format!("turned away by a worker that is late by more than {bearable:?}"));
    }
    lines
}

/// The same for programs.
pub(super) fn json(routed: &Routed<'_>, held: Option<&str>) -> Value {
    let route = &*routed.route.route;
    let (split_by, mirror) = parts(route);
    json!({
        "split_by": match split_by {
            Some(SplitBy::Cookie(name, _)) => json!({ "cookie": name, "held_to": held }),
            Some(SplitBy::Header(name)) => json!({ "header": name, "held_to": held }),
            Some(SplitBy::Random) | None => Value::Null,
        },
        "mirror": mirror.map(|mirror| json!({
            "service": mirror.service,
            "share": mirror.share,
            "body": mirror.body,
        })),
        "delay": route.faults.delay.map(|(time, share)| json!({
            "seconds": time.as_secs_f64(),
            "share": share,
        })),
        "abort": route.faults.abort.map(|(status, share)| json!({
            "status": status,
            "share": share,
        })),
        "importance": route.importance.as_str(),
        "lag_s": routed.bearable.map(|bearable| bearable.as_secs_f64()),
    })
}

/// What a service may have under way, where that adapts.
pub(super) fn overload(service: &Service) -> Option<String> {
    let overload = service.overload?;
    Some(format!(
        "turned away while slower than {} times the usual: {} to {} under way at each worker",
        overload.tolerance, overload.least, overload.most
    ))
}

/// The same for programs.
pub(super) fn overload_json(service: &Service) -> Value {
    service.overload.map_or(Value::Null, |overload| {
        json!({
            "least": overload.least,
            "most": overload.most,
            "tolerance": overload.tolerance,
        })
    })
}

fn parts(route: &Route) -> (Option<&SplitBy>, Option<&model::Mirror>) {
    match &route.action {
        model::Action::Forward { split_by, mirror, .. } => (Some(split_by), mirror.as_deref()),
        model::Action::Redirect { .. } | model::Action::Reply(_) => (None, None),
    }
}

fn percent(share: f64) -> String {
    // Three digits behind the point, and none where they say nothing.
    format!("{} %", (share * 1e5).round() / 1e3)
}
