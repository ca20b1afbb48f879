//! Rules that others decide: they are asked one after the other, and each hears what the ones before
//! have said of the request.

use std::sync::Arc;

use portcullis_core::{Failure, Reason};
use portcullis_policies::ext_authz::{self, About, Answer, Denial, ExtAuthz, Question};
use portcullis_policies::{RunningPolicies, RunningRule};

use super::super::policies::unless_gone;
use super::super::{Exchange, grpc, split};
use crate::path::Normal;

/// Asks all of them. Gives what the client is told, if the request may not pass.
///
/// # Errors
/// One gives no answer, or what its answer comes to has to be told in other words.
pub(super) async fn ask<'s>(
    exchange: &mut Exchange<'s, '_>,
    layers: [&'s RunningPolicies; 3],
    normal: Normal,
) -> Result<Option<Arc<Denial>>, Failure> {
    for rule in super::applying(layers) {
        let Some(external) = &rule.external else { continue };
        let answered = ask_one(exchange, rule, external, normal).await;
        let passes = matches!(answered, Ok(None));
        rule.count(passes, exchange.serving.worker.id);
        if !passes {
            exchange.record.policy = Some(rule.rule.name());
            return answered;
        }
    }
    Ok(None)
}

async fn ask_one<'s>(
    exchange: &mut Exchange<'s, '_>,
    rule: &'s RunningRule,
    external: &'s ExtAuthz,
    normal: Normal,
) -> Result<Option<Arc<Denial>>, Failure> {
    let failure =
        |reason, why: &str| Failure::new(reason, format_args!("{}: {why}", rule.judged.id));
    let secure = split::is_secure(exchange);
    let Exchange { serving, client, scratch, record, .. } = exchange;
    let written = &*external.written;
    if ext_authz::nominates(written, &scratch.request) {
        return Err(failure(Reason::Forbidden, "`Connection` names a field of the answer"));
    }
    let about = About {
        request: &scratch.request,
        path: if normal == Normal::AsIs { scratch.request.path() } else { &scratch.path },
        secure,
        client: record.client,
    };
    let question = Question::new(written, &about);
    let answer = external.answer(&question, serving.worker.id);
    let answered = unless_gone(serving.worker, client, answer).await?;
    ext_authz::take_out(written, &mut scratch.request);
    match answered {
        Ok(Answer::Pass(told)) => {
            for field in told.iter() {
                scratch.request.fields.push(field.name, field.value);
            }
            Ok(None)
        }
        Ok(Answer::Deny(denial)) => {
            let reason =
                if denial.status == 401 { Reason::Unauthenticated } else { Reason::Forbidden };
            let failure = failure(reason, &format!("it says {}", denial.status));
            // A call of gRPC understands nothing but its own terms.
            if grpc::is_grpc(&scratch.request) {
                return Err(failure);
            }
            record.failure = Some(failure);
            Ok(Some(denial))
        }
        Err(_) if written.open => Ok(None),
        Err(why) => Err(failure(Reason::AuthUnavailable, &why)),
    }
}
