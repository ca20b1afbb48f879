//! What rules make of a request.

use super::JudgeStep;
use super::steps::services;
use crate::pipeline::browser::layers;
use crate::pipeline::policies::Asked;
use crate::pipeline::rules::{Variables, applying, asker};
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};

/// The rules that are asked, in order, for every service that may get the request.
pub(super) fn judges(
    snapshot: &Snapshot,
    route: Option<&CompiledRoute>,
    asked: &Asked<'_>,
    secure: bool,
) -> Vec<JudgeStep> {
    let mut steps: Vec<JudgeStep> = Vec::new();
    for service in services(snapshot, route) {
        let name = service.map(|service| &*service.service.name);
        for step in of_service(snapshot, route, service, &Asked { service: name, ..*asked }, secure)
        {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

fn of_service(
    snapshot: &Snapshot,
    route: Option<&CompiledRoute>,
    service: Option<&CompiledService>,
    asked: &Asked<'_>,
    secure: bool,
) -> Vec<JudgeStep> {
    let Some(identity) = asked.identity else { return Vec::new() };
    let (asker, variables) = (asker(asked, identity), Variables { asked, identity, secure });
    let step = |rule: &portcullis_policies::RunningRule| {
        // Nobody is asked for an explanation.
        let asks = rule.external.as_ref().map(|external| match external.written.open {
            true => "decides; without an answer it passes",
            false => "decides; without an answer 503",
        });
        let decided = match asks {
            Some(_) => Ok(()),
            None => rule.decide(&asker, &variables),
        };
        JudgeStep {
            id: rule.judged.id.clone(),
            rule: rule.describe(),
            passes: decided.is_ok(),
            verdict: match decided {
                Ok(()) => asks.unwrap_or("lets it pass").to_owned(),
                Err(refused) => format!("403: {}", refused.why),
            },
        }
    };
    applying(layers(snapshot, route, service)).map(step).collect()
}
