//! Authentication: who calls is found out before anything else is asked of a request, for limits and
//! rules may go by it.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_core::{AuthOutcome, CredentialKind, Failure, Reason};
use portcullis_policies::{
    Answers, Asking, Authentication, Denied, Identity, Known, RelyingParty, RunningPolicies,
    Waiting, nanos,
};
use portcullis_wire::Fields;

use super::policies::{Asked, unless_gone};
use super::{Exchange, Scratch};
use crate::path::Normal;
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};
use crate::worker::Worker;

/// What a request must show: what the narrowest scope says that says anything.
pub(crate) fn asked_for<'s>(
    snapshot: &'s Snapshot,
    route: &'s CompiledRoute,
    service: Option<&'s CompiledService>,
) -> Option<&'s Authentication> {
    let scopes = [Some(&route.policies), service.map(|service| &service.policies)];
    let wider = scopes.into_iter().flatten().chain([&snapshot.policies]);
    wider.map(|policies: &Arc<RunningPolicies>| &policies.authentication).find_map(Option::as_ref)
}

/// Finds out who calls, where anybody wants to know. Gives who sends a browser to log in, if that is
/// what it lacks.
///
/// # Errors
/// Nobody knows, or nobody can tell now; the reply has the challenges.
pub(super) async fn authenticate<'s>(
    exchange: &mut Exchange<'s, '_>,
    route: &'s CompiledRoute,
    service: Option<&'s CompiledService>,
    normal: Normal,
) -> Result<Option<&'s RelyingParty>, Failure> {
    let snapshot = exchange.serving.snapshot;
    let Some(authentication) = asked_for(snapshot, route, service) else {
        hide_sessions(exchange);
        return Ok(None);
    };
    let known = ask(exchange, authentication, &Answers::default(), normal);
    let result = match known {
        Ok(Known::Yes) => Ok(()),
        // A future of its own, for few have to wait, and it is large.
        Ok(Known::Wait(waiting)) => {
            Box::pin(wait(exchange, authentication, waiting, normal)).await?
        }
        Err(denied) => Err(denied),
    };
    let Scratch { identity, request, rewritten, added, .. } = &mut *exchange.scratch;
    count(exchange.serving.worker, identity);
    match result {
        Ok(()) => {
            authentication.hide(request, rewritten, identity);
            identity.cookies.iter().for_each(|line| added.push(b"Set-Cookie", line.as_bytes()));
            hide_sessions(exchange);
            Ok(None)
        }
        Err(denied) => {
            if let Some(party) = authentication.login(&denied, identity, request) {
                return Ok(Some(party));
            }
            authentication.challenge(&denied, added);
            Err(failure(&denied, added))
        }
    }
}

/// What sessions are known by is for no service to see, on whatever route.
fn hide_sessions(exchange: &mut Exchange<'_, '_>) {
    let Scratch { request, rewritten, .. } = &mut *exchange.scratch;
    if let Some(logins) = &exchange.serving.snapshot.logins {
        logins.hide(request, rewritten);
    }
}

fn ask(
    exchange: &mut Exchange<'_, '_>,
    authentication: &Authentication,
    answers: &Answers,
    normal: Normal,
) -> Result<Known, Denied> {
    let Exchange { serving, client, scratch, record, .. } = exchange;
    let Scratch { request, path, params, identity, .. } = &mut **scratch;
    let asked = Asked {
        request,
        path: if normal == Normal::AsIs { request.path() } else { path },
        params,
        client: record.client,
        listener: &serving.settings.listener.name,
        route: record.route.map(|route| &*route.route.name),
        service: record.service.map(|service| &*service.service.name),
        identity: None,
        certificate: client.peer.certificate.as_deref(),
    };
    let tokens = &serving.worker.tokens;
    let asking = Asking { directory: &serving.snapshot.directory, tokens, now: now() };
    authentication.ask(&asked, asking, answers, nanos(record.started), identity)
}

/// Waits for what must be known first, and asks again.
async fn wait(
    exchange: &mut Exchange<'_, '_>,
    authentication: &Authentication,
    mut waiting: Waiting,
    normal: Normal,
) -> Result<Result<(), Denied>, Failure> {
    let mut answers = Answers::default();
    loop {
        let worker = exchange.serving.worker;
        unless_gone(worker, exchange.client, answers.wait(waiting)).await?;
        match ask(exchange, authentication, &answers, normal) {
            Ok(Known::Yes) => return Ok(Ok(())),
            Ok(Known::Wait(more)) => waiting = more,
            Err(denied) => return Ok(Err(denied)),
        }
    }
}

fn count(worker: &Worker, identity: &Identity) {
    for (kind, outcome) in identity.tried() {
        let outcome: AuthOutcome = outcome;
        worker.metrics.auth[kind as usize][outcome as usize].add(1);
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The failure that a denied request ends with.
pub(crate) fn failure(denied: &Denied, added: &mut Fields) -> Failure {
    match denied {
        Denied::Missing => Reason::Unauthenticated.into(),
        Denied::Refused(refused) => {
            let detail = format_args!("{}: {}", refused.kind.as_str(), refused.detail);
            Failure::new(Reason::BadCredentials, detail)
        }
        Denied::Insufficient(CredentialKind::Oidc) => {
            Failure::new(Reason::Forbidden, "oidc: no such consumer")
        }
        Denied::Insufficient(kind) => {
            Failure::new(Reason::Forbidden, format_args!("{}: lacks a scope", kind.as_str()))
        }
        Denied::Guessing(wait) => {
            let seconds = wait.div_ceil(1_000_000_000).max(1);
            let mut digits = itoa::Buffer::new();
            added.push(b"Retry-After", digits.format(seconds).as_bytes());
            Reason::Guessing.into()
        }
        Denied::Unavailable(kind, why) => {
            Failure::new(Reason::AuthUnavailable, format_args!("{}: {why}", kind.as_str()))
        }
    }
}
