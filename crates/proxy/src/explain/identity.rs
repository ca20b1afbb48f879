//! Who calls, told instead of found out: nobody waits for a password or an issuer here.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use portcullis_core::{CredentialKind, Failure};
use portcullis_policies::{Answers, Asking, Identity, Known, nanos};
use portcullis_wire::Fields;

use super::{AuthStep, Explanation};
use crate::pipeline::authenticate::{asked_for, failure, now};
use crate::pipeline::policies::Asked;
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};

/// The step of authentication. Gives who calls.
///
/// # Errors
/// The request is refused.
pub(super) fn authenticate<'s>(
    snapshot: &'s Snapshot,
    route: &'s CompiledRoute,
    asked: &Asked<'_>,
    explanation: &mut Explanation<'s>,
) -> Result<Identity, Failure> {
    let mut identity = Identity::default();
    let services = route.services.iter().filter_map(|(slot, _)| snapshot.services.get(*slot));
    let service: Option<&CompiledService> = services.flatten().map(|service| &**service).next();
    let Some(authentication) = asked_for(snapshot, route, service) else { return Ok(identity) };
    let has = |policies: &portcullis_policies::RunningPolicies| policies.authentication.is_some();
    let scope = if has(&route.policies) {
        "route"
    } else if service.is_some_and(|service| has(&service.policies)) {
        "service"
    } else {
        "global"
    };
    let tokens = RefCell::default();
    let asking = Asking { directory: &snapshot.directory, tokens: &tokens, now: now() };
    let steady = nanos(Instant::now());
    let known = authentication.ask(asked, asking, &Answers::default(), steady, &mut identity);
    let mut login = None;
    let (found, result) = match known {
        Ok(Known::Yes) => (told(&identity), Ok(identity)),
        Ok(Known::Wait(_)) => (depends(identity.awaited).to_owned(), Ok(identity)),
        Err(denied) => {
            let failure = failure(&denied, &mut Fields::default());
            let party = authentication.login(&denied, &identity, asked.request);
            login = party.map(|party| Arc::clone(&party.written().issuer));
            let found = if login.is_some() { "the browser has to log in" } else { "refused" };
            (found.to_owned(), Err(failure))
        }
    };
    let asks = authentication.describe();
    explanation.authentication = Some(AuthStep { scope, asks, found, login });
    result
}

/// What only a request that waits finds out.
fn depends(awaited: Option<CredentialKind>) -> &'static str {
    match awaited {
        Some(CredentialKind::Basic) => "depends on the password",
        Some(CredentialKind::Jwt) => "depends on keys that are yet to be fetched from the issuer",
        Some(CredentialKind::Introspection) => "depends on what the issuer says of the token",
        Some(CredentialKind::Oidc) => "depends on the session in its store",
        _ => "depends on what others say of the credential",
    }
}

fn told(identity: &Identity) -> String {
    let mut text = format!("consumer {}", identity.consumer_name().unwrap_or("(none)"));
    if let Some(kind) = identity.kind {
        text = format!("{text}, by {}", kind.as_str());
    }
    if !identity.credential.is_empty() {
        text = format!("{text} {}", identity.credential);
    }
    if let Some(plan) = identity.plan() {
        text = format!("{text}, plan {plan}");
    }
    let groups: Vec<&str> = identity.groups().iter().map(|group| &**group).collect();
    if !groups.is_empty() {
        text = format!("{text}, groups {}", groups.join(", "));
    }
    text
}
