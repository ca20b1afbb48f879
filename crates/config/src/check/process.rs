//! What is not a named collection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::ClaimPath;

use super::{Scope, address, token};
use crate::model::{AccessLog, Name, Process, Shutdown, State, Upgrade};
use crate::raw::{
    AccessLogSpec, AdminSpec, GatewayOverloadSpec, OffOr, ShutdownSpec, Spanned, UpgradeSpec,
};

/// The most worker threads.
const MOST_WORKERS: u16 = 1024;
/// The shortest lag that tells of too much to do.
const SHORTEST_LAG: Duration = Duration::from_millis(10);
/// Most claims that a line tells.
const MOST_CLAIMS: usize = 16;
/// The longest name of one of them, in bytes.
const LONGEST_NAME: usize = 64;

pub(crate) fn admin(spec: &OffOr<AdminSpec>, scope: &mut Scope<'_>) -> Option<SocketAddr> {
    let OffOr::On(AdminSpec { address }) = spec else {
        return None;
    };
    match address {
        None => Process::default().admin,
        Some(Spanned { value: OffOr::Off, .. }) => None,
        Some(Spanned { value: OffOr::On(text), span, hidden }) => {
            let written = Spanned { value: text.clone(), span: *span, hidden: *hidden };
            Some(address::socket(&written, scope))
        }
    }
}

pub(crate) fn access_log(spec: &OffOr<AccessLogSpec>, scope: &mut Scope<'_>) -> AccessLog {
    let OffOr::On(AccessLogSpec { to, .. }) = spec else {
        return AccessLog::Off;
    };
    match to {
        None => AccessLog::Stdout,
        Some(Spanned { value: OffOr::Off, .. }) => AccessLog::Off,
        Some(Spanned { value: OffOr::On(text), span, .. }) => match text.as_str() {
            "stdout" => AccessLog::Stdout,
            "" => {
                scope.fault(*span, "an access log needs a place to go").label =
                    "expected `stdout`, a path, or `off`".into();
                AccessLog::Off
            }
            path => AccessLog::File(scope.inputs.path(path)),
        },
    }
}

/// The claims that lines tell, by name.
pub(crate) fn logged_claims(
    spec: &OffOr<AccessLogSpec>,
    scope: &mut Scope<'_>,
) -> Arc<[(Name, ClaimPath)]> {
    let OffOr::On(AccessLogSpec { claims: Some(written), .. }) = spec else {
        return Arc::default();
    };
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let mut claims: Vec<(Name, ClaimPath)> = Vec::new();
    for (name, claim) in written {
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(legal) {
            let fault = scope.fault(claim.span, "the name of this claim cannot stand in a line");
            fault.label = format!("expected 1 to {LONGEST_NAME} of `a` to `z`, `0` to `9` and `_`");
        }
        claims.extend(token::path(claim, scope).map(|path| (name.as_str().into(), path)));
    }
    if let Some((_, claim)) = written.iter().nth(MOST_CLAIMS) {
        scope.fault(claim.span, format!("a line tells {MOST_CLAIMS} claims at most"));
    }
    claims.into()
}

/// Where state is kept; none is `off`.
pub(crate) fn state(spec: &Spanned<OffOr<String>>, scope: &mut Scope<'_>) -> State {
    match &spec.value {
        OffOr::Off => State::Off,
        OffOr::On(text) if text.is_empty() => {
            scope.fault(spec.span, "state needs a place to be").label =
                "expected the path of a folder, or `off`".into();
            State::Off
        }
        OffOr::On(text) => State::Folder(scope.inputs.path(text)),
    }
}

pub(crate) fn workers(spec: &Spanned<u16>, scope: &mut Scope<'_>) -> usize {
    if spec.value > MOST_WORKERS {
        scope.fault(spec.span, format!("at most {MOST_WORKERS} workers"));
    }
    spec.value.into()
}

pub(crate) fn shutdown(spec: &ShutdownSpec) -> Shutdown {
    let Shutdown { deadline, delay } = Shutdown::default();
    Shutdown {
        deadline: spec.deadline.map_or(deadline, |deadline| deadline.0),
        delay: spec.delay.map_or(delay, |delay| delay.0),
    }
}

pub(crate) fn overload(spec: &GatewayOverloadSpec, scope: &mut Scope<'_>) -> Option<Duration> {
    match &spec.lag {
        None => Process::default().lag,
        Some(Spanned { value: OffOr::Off, .. }) => None,
        Some(Spanned { value: OffOr::On(time), span, .. }) => {
            if time.0 < SHORTEST_LAG {
                let fault = scope.fault(*span, "a worker is later than that without any need");
                fault.label = "expected at least `10ms`, or `off`".into();
            }
            Some(time.0)
        }
    }
}

pub(crate) fn upgrade(spec: &UpgradeSpec, scope: &mut Scope<'_>) -> Upgrade {
    let mut timeout = Upgrade::default().timeout;
    if let Some(written) = &spec.timeout {
        timeout = written.value.0;
        if timeout.is_zero() {
            scope.fault(written.span, "a new process needs some time");
        }
    }
    Upgrade { timeout, deadline: spec.deadline.map(|deadline| deadline.0) }
}
