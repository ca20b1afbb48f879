//! What may happen to a request besides its being forwarded.

use portcullis_config::model::{self, Route, SplitBy};
use serde_json::{Value, json};

/// In lines; none where nothing may.
pub(super) fn lines(route: &Route, held: Option<&str>) -> Vec<String> {
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
    lines
}

/// The same for programs.
pub(super) fn json(route: &Route, held: Option<&str>) -> Value {
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
