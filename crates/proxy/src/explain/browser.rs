//! What policies for the sake of browsers make of a request.

use portcullis_policies::PolicyId;
use portcullis_policies::browser::{Preflight, RunningCors, narrowest};
use portcullis_wire::{Fields, RequestHead};

use crate::pipeline::browser::{first_service, layers};
use crate::router::{Params, Request};
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};

/// A policy that lets a request pass or not, and counts nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeStep {
    /// Its name, and where it is written.
    pub id: PolicyId,
    /// What it asks of requests.
    pub rule: String,
    /// What it makes of this one.
    pub verdict: String,
    /// Whether it lets this one pass.
    pub passes: bool,
}

/// A preflight that the gateway answers.
#[derive(Debug)]
pub struct PreflightStep<'s> {
    /// The method that it asks about.
    pub method: String,
    /// The route that would take the request which it announces.
    pub route: Option<&'s CompiledRoute>,
    /// The policy that answers.
    pub cors: JudgeStep,
    /// What it answers.
    pub fields: Vec<(String, String)>,
}

/// The policies that judge a request, in order.
pub(super) fn judges(
    snapshot: &Snapshot,
    route: Option<&CompiledRoute>,
    service: Option<&CompiledService>,
    request: &RequestHead,
    secure: bool,
) -> Vec<JudgeStep> {
    let layers = layers(snapshot, route, service);
    let mut steps = Vec::new();
    if let Some(cors) = narrowest(layers.map(|layer| &layer.cors)) {
        steps.push(step(cors, request));
    }
    if let Some(rule) = narrowest(layers.map(|layer| &layer.security_headers)) {
        let verdict = if secure { "all of them" } else { "for a client without TLS" };
        let (id, verdict) = (rule.id.clone(), verdict.to_owned());
        steps.push(JudgeStep { id, rule: rule.rule(), verdict, passes: true });
    }
    if let Some(csrf) = narrowest(layers.map(|layer| &layer.csrf)) {
        let (passes, verdict) = csrf.verdict(request, secure);
        let (id, verdict) = (csrf.judged.id.clone(), verdict.to_owned());
        steps.push(JudgeStep { id, rule: csrf.rule(), verdict, passes });
    }
    steps
}

fn step(cors: &RunningCors, request: &RequestHead) -> JudgeStep {
    let (id, rule) = (cors.judged.id.clone(), cors.rule());
    JudgeStep { id, rule, verdict: cors.verdict(request), passes: true }
}

/// What the gateway answers, if the request is a preflight that a policy answers.
pub(super) fn preflight<'s>(
    snapshot: &'s Snapshot,
    request: &RequestHead,
    asked: &Request<'_>,
) -> Option<PreflightStep<'s>> {
    let preflight = Preflight::of(request)?;
    let announced = Request { method: preflight.method, ..*asked };
    let route = snapshot.router.find(&announced, &mut Params::default()).ok();
    let route: Option<&CompiledRoute> = route.map(|route| &**route);
    let service = route.and_then(|route| first_service(snapshot, route));
    let cors = narrowest(layers(snapshot, route, service).map(|layer| &layer.cors))?;
    let mut fields = Fields::default();
    let passes = cors.preview(&preflight, &mut fields);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(PreflightStep {
        method: text(preflight.method),
        route,
        cors: JudgeStep { passes, ..step(cors, request) },
        fields: fields.iter().map(|field| (text(field.name), text(field.value))).collect(),
    })
}
