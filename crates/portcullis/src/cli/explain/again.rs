//! What becomes of a request that its endpoint fails, in words: another try, another service, a reply
//! of the route's own; and what spares the service.

use std::fmt::Write as _;

use portcullis_config::model::{Retries, Route, Service};
use portcullis_proxy::Phase;
use portcullis_proxy::explain::Share;
use portcullis_proxy::snapshot::CompiledService;
use serde_json::{Value, json};

/// In lines; `method` is the request's.
pub(super) fn lines(route: &Route, share: &Share<'_>, method: &str) -> Vec<String> {
    let service = &*share.service.service;
    let mut lines = vec![match retries(route, service) {
        None => "retries: off".to_owned(),
        Some(retries) => format!("retries: {}", told(retries, service, method)),
    }];
    lines.extend(breaker(share.service));
    if let Some(backup) = &service.backup {
        lines.push(format!("backup: {backup}, when no endpoint is well or can be connected to"));
    }
    if let Some(fallback) = &route.fallback {
        let bytes = fallback.body.len();
        lines.push(format!("fallback: {} with {bytes} bytes, for 502 to 504", fallback.status));
    }
    lines
}

/// The same for programs.
pub(super) fn json(route: &Route, share: &Share<'_>, method: &str) -> Value {
    let service = &*share.service.service;
    let retries = retries(route, service).map(|retries| {
        json!({
            "attempts": retries.attempts,
            "only_elsewhere": retries.elsewhere,
            "method_allowed": allows(retries, method),
            "on": causes(retries),
            "per_try_timeout_s": retries.per_try_timeout.map(|limit| limit.as_secs_f64()),
            "buffer": retries.buffer,
            "budget": service.retry_budget.map(|budget| json!({
                "share": budget.share,
                "minimum": budget.minimum,
            })),
        })
    });
    let limits = service.breaker;
    json!({
        "retries": retries,
        "breaker": {
            "connections": limits.connections,
            "pending": limits.pending,
            "requests": limits.requests,
            "state": share.service.breaker().map(|(phase, _)| phase.as_str()),
        },
        "backup": service.backup,
        "fallback": route.fallback.as_ref().map(|fallback| fallback.status),
    })
}

/// Those that hold: the route's, else the service's.
fn retries<'a>(route: &'a Route, service: &'a Service) -> Option<&'a Retries> {
    route.retries.as_ref().unwrap_or(&service.retries).as_deref()
}

fn told(retries: &Retries, service: &Service, method: &str) -> String {
    let mut text = match retries.elsewhere {
        true => "once, at another endpoint".to_owned(),
        false => format!("up to {} attempts", retries.attempts),
    };
    let _ = write!(text, ", for {}", causes(retries).join(", "));
    if let Some(limit) = retries.per_try_timeout {
        let _ = write!(text, ", each within {limit:?}");
    }
    match service.retry_budget {
        None => text.push_str(", without a budget"),
        Some(budget) => {
            let percent = (budget.share * 1000.0).round() / 10.0;
            let _ = write!(text, ", at most {percent} % of requests or {}", budget.minimum);
        }
    }
    if !allows(retries, method) {
        let key = if retries.idempotency_key { " without an Idempotency-Key" } else { "" };
        let _ = write!(text, "; {method}{key} only where nothing was done with it");
    }
    text
}

fn allows(retries: &Retries, method: &str) -> bool {
    retries.methods.iter().any(|allowed| **allowed == *method)
}

fn causes(retries: &Retries) -> Vec<String> {
    let on = &retries.on;
    let words = [
        ("connect_failure", on.connect_failure),
        ("refused", on.refused),
        ("reset", on.reset),
        ("timeout", on.timeout),
    ];
    let words = words.into_iter().filter(|(_, on)| *on).map(|(word, _)| word.to_owned());
    let statuses = on.statuses.iter().map(u16::to_string);
    let codes = (1..17).filter(|&code| on.has_grpc(code)).map(|code| format!("gRPC {code}"));
    words.chain(statuses).chain(codes).collect()
}

fn breaker(service: &CompiledService) -> Option<String> {
    let breaker = service.service.breaker;
    let bounds = [
        ("connections", breaker.connections),
        ("waiting", breaker.pending),
        ("requests", breaker.requests),
    ];
    let bounds = bounds.into_iter().filter_map(|(of, most)| Some(format!("{of} {}", most?)));
    let trip = service.breaker().map(|(phase, _)| match phase {
        Phase::Closed => "opens for errors or slowness".to_owned(),
        Phase::HalfOpen | Phase::Open => phase.as_str().to_owned(),
    });
    let parts: Vec<String> = bounds.chain(trip).collect();
    (!parts.is_empty()).then(|| format!("breaker: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_config::model::RetryOn;

    use super::*;

    #[test]
    fn causes_are_told_as_they_are_written() {
        let on = RetryOn { reset: true, statuses: vec![503], grpc: 1 << 14, ..RetryOn::default() };
        let retries = Retries {
            attempts: 3,
            on,
            methods: vec!["GET".into()],
            idempotency_key: false,
            per_try_timeout: None,
            backoff_base: Duration::ZERO,
            backoff_max: Duration::ZERO,
            retry_after: Duration::ZERO,
            buffer: 0,
            elsewhere: false,
        };
        assert_eq!(causes(&retries), ["reset", "503", "gRPC 14"]);
        assert!(allows(&retries, "GET") && !allows(&retries, "POST"));
    }
}
