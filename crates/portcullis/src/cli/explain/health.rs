//! How a service finds out which endpoints are well, in words. How they are just now only a running
//! gateway knows: `GET /endpoints` of its admin listener tells.

use portcullis_config::model::{ActiveCheck, CheckKind, Outliers, Service};
use serde_json::{Value, json};

/// Where an explanation ends: it reads a configuration and asks nobody.
const LIVE: &str = "who is well just now, the running gateway tells: GET /endpoints (admin)";

/// A line for the checks and one for the ejections, as far as there are any, and one on where the
/// state of the day is to be seen.
pub(super) fn lines(service: &Service) -> impl Iterator<Item = String> + use<> {
    let checks = service.health.as_ref().map(|active| checks(active));
    let ejections = service.outliers.as_ref().map(ejections);
    let live = (checks.is_some() || ejections.is_some()).then(|| LIVE.to_owned());
    checks.into_iter().chain(ejections).chain(live)
}

/// The same as facts.
pub(super) fn facts(service: &Service) -> Value {
    let check = service.health.as_ref().map(|active| {
        json!({
            "asks": asks(active),
            "interval_s": active.interval.as_secs_f64(),
            "timeout_s": active.timeout.as_secs_f64(),
            "healthy": active.healthy,
            "unhealthy": active.unhealthy,
            "initially_healthy": active.initially_healthy,
        })
    });
    let outliers = service.outliers.map(|outliers| {
        json!({
            "consecutive_5xx": outliers.consecutive_5xx,
            "consecutive_gateway_errors": outliers.consecutive_gateway_errors,
            "success_rate": outliers.success_rate.is_some(),
            "latency": outliers.latency.is_some(),
            "base_ejection_s": outliers.base_ejection.as_secs_f64(),
            "max_ejected": outliers.max_ejected,
        })
    });
    json!({ "check": check, "outliers": outliers })
}

fn asks(active: &ActiveCheck) -> String {
    let what = match &active.kind {
        CheckKind::Http(http) => {
            let query = http.query.as_deref().map(|query| format!("?{query}"));
            format!("{} {}{}", http.method, http.path, query.unwrap_or_default())
        }
        CheckKind::Tcp => "a connection".to_owned(),
        CheckKind::Grpc { service, .. } if service.is_empty() => "grpc.health.v1".to_owned(),
        CheckKind::Grpc { service, .. } => format!("grpc.health.v1 of {service}"),
    };
    active.port.map_or_else(|| what.clone(), |port| format!("{what} at port {port}"))
}

fn checks(active: &ActiveCheck) -> String {
    let ActiveCheck { interval, timeout, healthy, unhealthy, .. } = active;
    let first = if active.initially_healthy { "" } else { "; nothing before the first" };
    format!(
        "checked by {} every {interval:?} (timeout {timeout:?}); unhealthy after {unhealthy} that \
         fail, healthy after {healthy} that pass{first}",
        asks(active)
    )
}

fn ejections(outliers: &Outliers) -> String {
    let row =
        |count: Option<u32>, what: &str| count.map(|count| format!("{count} {what} in a row"));
    let causes = [
        row(outliers.consecutive_gateway_errors, "gateway errors"),
        row(outliers.consecutive_5xx, "errors"),
        outliers.success_rate.map(|_| "too few successes".to_owned()),
        outliers.latency.map(|_| "slow replies".to_owned()),
    ];
    let causes: Vec<String> = causes.into_iter().flatten().collect();
    format!(
        "ejected for {:?} and longer after {}, at most {} % at once",
        outliers.base_ejection,
        causes.join(", "),
        (outliers.max_ejected * 100.0).round()
    )
}
