//! The endpoints as the admin listener tells of them: which ones take requests, and why not.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_proxy::snapshot::{CompiledService, EndpointState};
use serde_json::{Map, Value, json};

/// Every service with its endpoints, as JSON.
pub(crate) fn page<'a>(services: impl Iterator<Item = &'a Arc<CompiledService>>) -> String {
    let mut all: Vec<_> = services.collect();
    all.sort_by(|a, b| a.service.name.cmp(&b.service.name));
    let now = SystemTime::now();
    let mut told = Map::new();
    for service in all {
        let both = service.endpoints.iter().zip(&service.service.endpoints);
        let endpoints: Vec<Value> =
            both.map(|(state, written)| endpoint(service, state, written.weight, now)).collect();
        let available = service.endpoints.iter().filter(|e| e.health.is_available()).count();
        let facts = json!({ "available": available, "endpoints": endpoints });
        told.insert(service.service.name.to_string(), facts);
    }
    format!("{:#}\n", json!({ "services": told }))
}

fn endpoint(
    service: &CompiledService,
    state: &EndpointState,
    weight: u16,
    now: SystemTime,
) -> Value {
    let health = &state.health;
    let check = service.service.health.as_ref().map(|_| {
        let last = health.last_check().map(|last| {
            let ago = now.duration_since(last.at).unwrap_or_default();
            json!({
                "result": last.result.code(),
                "detail": last.detail,
                "ago_s": (ago.as_secs_f64() * 1000.0).round() / 1000.0,
                "took_ms": (last.took.as_secs_f64() * 1e6).round() / 1e3,
            })
        });
        json!({ "verdict": health.verdict().as_str(), "last": last })
    });
    let ejected = health.ejection().map(|ejection| {
        json!({
            "cause": ejection.cause,
            "ends_in_s": ejection.left.as_millis() as f64 / 1e3,
            "times": ejection.times,
        })
    });
    json!({
        "address": state.label,
        "weight": weight,
        "available": health.is_available(),
        "check": check,
        "ejected": ejected,
    })
}
