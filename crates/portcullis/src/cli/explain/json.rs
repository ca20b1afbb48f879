//! An explanation for programs: the same steps as the text has, as one JSON object.

use portcullis_proxy::explain::{
    Action, JudgeStep, Outcome, PolicyStep, Reached, Routed, Share, Source, Timeouts, Why,
};
use portcullis_proxy::router::Verdict;
use serde_json::{Value, json};

use super::{Told, again, connection, endpoints, health, patterns, text, traffic};

/// The whole explanation.
pub(super) fn render(told: &Told<'_>) -> Value {
    let Told { question, explanation, chosen, .. } = told;
    let listener = chosen.listener;
    let mut page = json!({
        "request": {
            "method": question.method,
            "target": question.target,
            "host": explanation.authority,
        },
        "listener": {
            "name": listener.name,
            "place": told.place(&["listeners", &listener.name]),
            "address": text::bind(listener),
            "tls": listener.tls.is_some(),
            "connection": connection::listener_facts(listener),
            "why": chosen.why,
        },
        "head": {
            "target": { "bytes": explanation.head.target, "limit": listener.limits.uri },
            "fields": { "count": explanation.head.fields, "limit": listener.limits.fields },
            "section": { "bytes": explanation.head.section, "limit": listener.limits.head },
        },
        "path": explanation.path.as_ref().map(|step| json!({ "raw": step.raw, "normal": step.normal })),
        "client": explanation.client.as_ref().map(|step| json!({
            "address": step.address,
            "peer": step.peer,
            "trusted": step.trusted,
        })),
        "candidates": candidates(told),
    });
    let (outcome, value) = match &explanation.outcome {
        Outcome::Refused(failure, methods) => (
            "refused",
            json!({
                "status": failure.reason.status(),
                "code": failure.reason.code(),
                "detail": failure.detail,
                "allow": methods,
                "policies": policies(told),
            }),
        ),
        Outcome::Own => ("answered", json!({ "status": 204 })),
        Outcome::Login(what, issuer) => ("login", json!({ "does": what, "issuer": **issuer })),
        Outcome::Preflight(step) => (
            "preflight",
            json!({
                "method": step.method,
                "route": step.route.map(|route| &route.route.name),
                "policy": judge(told, &step.cors),
                "status": if step.cors.passes { 204 } else { 403 },
                "headers": step.fields,
            }),
        ),
        Outcome::Routed(routed) => ("routed", route(told, routed)),
    };
    page[outcome] = value;
    page
}

fn candidates(told: &Told<'_>) -> Vec<Value> {
    let candidate = |candidate: &portcullis_proxy::router::Candidate<'_, _>| {
        let (verdict, why) = match &candidate.verdict {
            Verdict::Won => ("won", None),
            Verdict::Lost(loss) => ("lost", Some(loss.to_string())),
            Verdict::Rejected(refusal) => ("rejected", Some(refusal.to_string())),
        };
        json!({
            "route": candidate.route.name,
            "place": told.place(&["routes", &candidate.route.name]),
            "host": patterns::host(candidate.host),
            "path": patterns::path(candidate.path),
            "verdict": verdict,
            "why": why,
        })
    };
    told.explanation.candidates.iter().map(candidate).collect()
}

fn route(told: &Told<'_>, routed: &Routed<'_>) -> Value {
    let name = &routed.route.route.name;
    let params = routed.params.iter().map(|(name, value)| (name.clone(), json!(value)));
    let mut page = json!({
        "route": name,
        "place": told.place(&["routes", name]),
        "params": serde_json::Map::from_iter(params),
        "verdicts": verdicts(told),
        "policies": policies(told),
        "body_limit": sourced(json!(routed.body_limit.0), routed.body_limit.1),
    });
    let (action, value) = match &routed.action {
        Action::Forward { target, upgrade, services, held } => {
            let services: Vec<Value> = services
                .iter()
                .map(|share| {
                    let mut page = service(told, share);
                    let method = told.question.method;
                    page["failing"] = again::json(&routed.route.route, share, method);
                    page
                })
                .collect();
            page["traffic"] = traffic::json(routed, *held);
            ("forward", json!({ "target": target, "upgrade": upgrade, "services": services }))
        }
        Action::Redirect { status, location } => {
            ("redirect", json!({ "status": status, "location": location }))
        }
        Action::Reply(reply) => (
            "reply",
            json!({
                "status": reply.status,
                "headers": reply.headers,
                "body_bytes": reply.body.len(),
            }),
        ),
    };
    page[action] = value;
    page
}

fn judge(told: &Told<'_>, step: &JudgeStep) -> Value {
    json!({
        "kind": step.id.kind,
        "scope": step.id.scope.to_string(),
        "place": told.place(&patterns::policies_of(&step.id.scope)),
        "rule": step.rule,
        "verdict": step.verdict,
        "passes": step.passes,
    })
}

fn verdicts(told: &Told<'_>) -> Vec<Value> {
    told.explanation.judges.iter().map(|step| judge(told, step)).collect()
}

fn policies(told: &Told<'_>) -> Vec<Value> {
    told.explanation.policies.iter().map(|step| policy(told, step)).collect()
}

fn policy(told: &Told<'_>, step: &PolicyStep<'_>) -> Value {
    let id = &step.running.counted().id;
    json!({
        "kind": id.kind,
        "name": id.name,
        "scope": id.scope.to_string(),
        "place": told.place(&patterns::policies_of(&id.scope)),
        "only_for": step.only_for,
        "rule": step.running.rule(),
        "key": step.key,
    })
}

fn service(told: &Told<'_>, share: &Share<'_>) -> Value {
    let service = &share.service.service;
    let Timeouts { connect, first_byte, stall, tunnel, total } = share.timeouts;
    let endpoint = |reached: &Reached<'_>| {
        json!({
            "address": reached.address,
            "weight": reached.weight,
            "share": reached.share,
            "why": reached.why.map(Why::as_str),
            "host": reached.host,
        })
    };
    json!({
        "name": service.name,
        "place": told.place(&["services", &service.name]),
        "weight": share.weight,
        "tls": service.tls.as_ref().map(|tls| json!({
            "server_name": tls.server_name,
            "verify": tls.verify,
        })),
        "connection": connection::service_facts(service),
        "balance": service.balance.name(),
        "chosen": endpoints::chosen_by(share),
        "panicking": share.panicking,
        "health": health::facts(service),
        "overload": traffic::overload_json(service),
        "timeouts_s": {
            "connect": sourced(json!(connect.0.as_secs_f64()), connect.1),
            "first_byte": sourced(json!(first_byte.0.as_secs_f64()), first_byte.1),
            "stall": sourced(json!(stall.0.as_secs_f64()), stall.1),
            "tunnel": sourced(json!(tunnel.0.as_secs_f64()), tunnel.1),
            "total": sourced(json!(total.0.map(|total| total.as_secs_f64())), total.1),
        },
        "endpoints": share.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn sourced(value: Value, source: Source) -> Value {
    json!({ "value": value, "from": source.as_str() })
}
