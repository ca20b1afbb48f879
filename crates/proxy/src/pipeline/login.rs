//! Logins of browsers: whoever has no session is sent to log in, and the paths that they come back
//! to and log out at are the gateway's own.

use std::sync::Arc;

use portcullis_core::{Failure, Reason};
use portcullis_policies::{Identity, LoginFault, Redirect, RelyingParty};

use super::policies::unless_gone;
use super::{Exchange, browser, check_length, policies, respond, split};
use crate::logins::Purpose;
use crate::path::Normal;

/// Sends a browser to log in.
///
/// # Errors
/// It cannot be.
pub(super) async fn begin(
    exchange: &mut Exchange<'_, '_>,
    party: &RelyingParty,
) -> Result<(), Failure> {
    let secure = split::is_secure(exchange);
    match party.begin(&exchange.scratch.request, secure) {
        Ok(redirect) => send(exchange, redirect).await,
        Err(fault) => Err(failure(exchange, fault)),
    }
}

/// Answers on a path of logins. Policies for all requests that count are for these as well.
///
/// # Errors
/// Nothing comes of it.
pub(super) async fn serve(
    exchange: &mut Exchange<'_, '_>,
    purpose: Purpose,
    parties: &[&Arc<RelyingParty>],
    normal: Normal,
) -> Result<(), Failure> {
    let snapshot = exchange.serving.snapshot;
    browser::enter(exchange, browser::layers(snapshot, None, None))?;
    check_length(exchange.scratch.request.length, exchange.serving.settings.listener.limits.body)?;
    let applying = policies::applying(snapshot, &Identity::default(), None, None);
    policies::ask(exchange, applying, normal).await?;

    let secure = split::is_secure(exchange);
    let request = &exchange.scratch.request;
    let meant = parties.iter().find(|party| match purpose {
        Purpose::Callback => party.takes(request),
        Purpose::Logout => party.may_log_out(request),
    });
    // Who is meant by none is told so by any.
    let Some(party) = meant.or(parties.first()) else { return Err(Reason::NoRoute.into()) };
    // A future of its own, for few requests are these, and it is large.
    let answer = Box::pin(async {
        match purpose {
            Purpose::Callback => party.complete(request, secure).await,
            Purpose::Logout => party.log_out(request, secure).await,
        }
    });
    let answered = unless_gone(exchange.serving.worker, exchange.client, answer).await?;
    match answered {
        Ok(redirect) => send(exchange, redirect).await,
        Err(fault) => Err(failure(exchange, fault)),
    }
}

async fn send(exchange: &mut Exchange<'_, '_>, redirect: Redirect) -> Result<(), Failure> {
    let Redirect { location, cookies } = redirect;
    set(exchange, &cookies);
    // Nobody keeps it, nobody is told where it came from: the address has secrets in it.
    let added = &mut exchange.scratch.added;
    added.push(b"Cache-Control", b"no-store");
    added.push(b"Referrer-Policy", b"no-referrer");
    respond::see_other(exchange, location.as_bytes()).await
}

fn set(exchange: &mut Exchange<'_, '_>, cookies: &[String]) {
    let added = &mut exchange.scratch.added;
    cookies.iter().for_each(|cookie| added.push(b"Set-Cookie", cookie.as_bytes()));
}

/// The failure that a login ends with.
fn failure(exchange: &mut Exchange<'_, '_>, fault: LoginFault) -> Failure {
    match fault {
        LoginFault::Failed(why, cookies) => {
            set(exchange, &cookies);
            exchange.scratch.added.push(b"Cache-Control", b"no-store");
            Failure::new(Reason::LoginFailed, why)
        }
        LoginFault::Insecure => Reason::LoginInsecure.into(),
        LoginFault::CrossSite => Failure::new(Reason::CrossSite, "logout"),
        LoginFault::Method(allowed) => {
            exchange.record.allow = Some(allowed.to_owned());
            Reason::MethodNotAllowed.into()
        }
        LoginFault::Unavailable(why) => Failure::new(Reason::AuthUnavailable, why),
    }
}
