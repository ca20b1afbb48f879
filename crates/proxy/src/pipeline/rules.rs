//! Who may do what: rules are asked when it is known who calls, before anything counts the request.

mod claims;
mod external;
mod maps;
mod variables;

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_core::{Failure, Reason};
use portcullis_policies::ext_authz::Denial;
use portcullis_policies::{Asker, RunningPolicies, RunningRule};

use super::Exchange;
use super::policies::Asked;
use crate::path::Normal;
pub(crate) use variables::Variables;

/// The rules of a request, the narrowest scope first, without those that a narrower one replaces.
pub(crate) fn applying(layers: [&RunningPolicies; 3]) -> impl Iterator<Item = &RunningRule> {
    let rules = layers.map(|layer| &*layer.rules);
    rules.into_iter().enumerate().flat_map(move |(layer, list)| {
        let narrower = rules.into_iter().take(layer);
        list.iter().filter(move |rule| {
            !narrower.clone().flatten().any(|other| {
                // Where a scope is missing, another stands twice.
                std::ptr::eq(other, *rule) || other.replaces(rule)
            })
        })
    })
}

/// Asks all rules: those that others decide come last, for that costs a call. Gives what the client
/// is told, where one of those has something to tell it.
///
/// # Errors
/// The first that does not let the request pass.
pub(super) async fn ask<'s>(
    exchange: &mut Exchange<'s, '_>,
    layers: [&'s RunningPolicies; 3],
    normal: Normal,
) -> Result<Option<Arc<Denial>>, Failure> {
    if layers.iter().all(|layer| layer.rules.is_empty()) {
        return Ok(None);
    }
    judge(exchange, layers, normal)?;
    if applying(layers).all(|rule| rule.external.is_none()) {
        return Ok(None);
    }
    // A future of its own, for few requests wait for others, and it is large.
    Box::pin(external::ask(exchange, layers, normal)).await
}

/// Asks the rules that can be decided at once.
fn judge<'s>(
    exchange: &mut Exchange<'s, '_>,
    layers: [&'s RunningPolicies; 3],
    normal: Normal,
) -> Result<(), Failure> {
    let secure = super::split::is_secure(exchange);
    let Exchange { serving, client, scratch, record, .. } = exchange;
    let request = &scratch.request;
    let asked = Asked {
        request,
        path: if normal == Normal::AsIs { request.path() } else { &scratch.path },
        params: &scratch.params,
        client: record.client,
        listener: &serving.settings.listener.name,
        route: record.route.map(|route| &*route.route.name),
        service: record.service.map(|service| &*service.service.name),
        identity: Some(&scratch.identity),
        certificate: client.peer.certificate.as_deref(),
    };
    let asker = asker(&asked, &scratch.identity);
    let variables = Variables { asked: &asked, identity: &scratch.identity, secure };
    for rule in applying(layers).filter(|rule| rule.external.is_none()) {
        let Err(refused) = rule.judge(&asker, &variables, serving.worker.id) else { continue };
        record.policy = Some(rule.rule.name());
        if !refused.scopes.is_empty() {
            let scopes = refused.scopes.join(" ");
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"");
            scratch.added.push(b"WWW-Authenticate", challenge.as_bytes());
        }
        let detail = format_args!("{}: {}", rule.judged.id, refused.why);
        return Err(Failure::new(Reason::Forbidden, detail));
    }
    Ok(())
}

/// What rules can ask.
pub(crate) fn asker<'a>(
    asked: &Asked<'a>,
    identity: &'a portcullis_policies::Identity,
) -> Asker<'a> {
    Asker { identity, client: asked.client, method: asked.request.method(), now: Timestamp::now }
}
