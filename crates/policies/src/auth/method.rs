//! Methods: ways to tell who calls, alone and in lists.

use std::sync::Arc;

use portcullis_config::model;
use portcullis_core::{AuthOutcome, CredentialKind};
use portcullis_wire::{Fields, RequestHead};

use super::api_key::ApiKey;
use super::basic::{self, Basic};
use super::introspection::Introspection;
use super::jwt::Jwt;
use super::mtls::Mtls;
use super::oidc::Oidc;
use super::{Answers, Around, Asking, Attempt, Denied, Refused, RelyingParty};
use crate::identity::Identity;
use crate::key::Facts;
/// A way to tell who calls.
#[derive(Debug)]
pub(crate) enum Method {
    ApiKey(ApiKey),
    Basic(Basic),
    Mtls(Mtls),
    Jwt(Jwt),
    Introspection(Box<Introspection>),
    Oidc(Box<Oidc>),
    AnyOf(Box<[Method]>),
    AllOf(Box<[Method]>),
}

impl Method {
    /// `count` numbers those that may have to wait.
    pub(super) fn new(written: &model::Method, count: &mut usize, around: &Around<'_>) -> Method {
        *count += 1;
        let mut each = |methods: &[model::Method]| -> Box<[Method]> {
            methods.iter().map(|method| Method::new(method, count, around)).collect()
        };
        match written {
            model::Method::ApiKey(written) => Method::ApiKey(ApiKey::new(written)),
            model::Method::Basic(written) => Method::Basic(Basic::new(written, *count)),
            model::Method::Mtls(written) => Method::Mtls(Mtls::new(written)),
            model::Method::Jwt(written) => Method::Jwt(Jwt::new(written, *count, around.issuers)),
            model::Method::Introspection(written) => {
                Method::Introspection(Box::new(Introspection::new(written, *count, around)))
            }
            model::Method::Oidc(written) => {
                Method::Oidc(Box::new(Oidc::new(written, *count, around)))
            }
            model::Method::AnyOf(methods) => Method::AnyOf(each(methods)),
            model::Method::AllOf(methods) => Method::AllOf(each(methods)),
        }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        answers: &Answers,
        identity: &mut Identity,
    ) -> Attempt {
        let (kind, attempt) = match self {
            Method::ApiKey(method) => {
                (CredentialKind::ApiKey, method.attempt(facts, asking, identity))
            }
            Method::Basic(method) => {
                (CredentialKind::Basic, method.attempt(facts, asking, answers, identity))
            }
            Method::Mtls(method) => (CredentialKind::Mtls, method.attempt(facts, asking, identity)),
            Method::Jwt(method) => {
                (CredentialKind::Jwt, method.attempt(facts, asking, answers, identity))
            }
            Method::Introspection(method) => {
                (CredentialKind::Introspection, method.attempt(facts, asking, answers, identity))
            }
            Method::Oidc(method) => {
                (CredentialKind::Oidc, method.attempt(facts, asking, answers, identity))
            }
            Method::AnyOf(methods) => return any_of(methods, facts, asking, answers, identity),
            Method::AllOf(methods) => return all_of(methods, facts, asking, answers, identity),
        };
        identity.tried[kind as usize] = match &attempt {
            Attempt::Known => Some(AuthOutcome::Accepted),
            Attempt::Nothing => Some(AuthOutcome::Missing),
            Attempt::Refused(_) | Attempt::Incomplete(_) | Attempt::Insufficient(_) => {
                Some(AuthOutcome::Refused)
            }
            Attempt::Unavailable(..) => Some(AuthOutcome::Failed),
            Attempt::Wait(_) => None,
        };
        identity.awaited = matches!(attempt, Attempt::Wait(_)).then_some(kind);
        attempt
    }

    pub(super) fn parties<'m>(&'m self, all: &mut Vec<&'m Arc<RelyingParty>>) {
        match self {
            Method::Oidc(method) => all.push(&method.party),
            Method::AnyOf(methods) | Method::AllOf(methods) => {
                methods.iter().for_each(|method| method.parties(all));
            }
            Method::ApiKey(_)
            | Method::Basic(_)
            | Method::Mtls(_)
            | Method::Jwt(_)
            | Method::Introspection(_) => {}
        }
    }

    /// Whether the request shows anything of this kind.
    pub(super) fn is_shown(&self, facts: &impl Facts) -> bool {
        match self {
            Method::ApiKey(method) => method.is_shown(facts),
            Method::Basic(_) => basic::is_shown(facts),
            Method::Mtls(_) => facts.certificate().is_some(),
            Method::Jwt(method) => method.is_shown(facts),
            Method::Introspection(method) => method.is_shown(facts),
            Method::Oidc(method) => method.is_shown(facts),
            Method::AnyOf(methods) | Method::AllOf(methods) => {
                methods.iter().any(|method| method.is_shown(facts))
            }
        }
    }

    pub(super) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        match self {
            Method::ApiKey(method) => method.hide(request, text),
            Method::Basic(method) => method.hide(request),
            Method::Mtls(_) => {}
            Method::Jwt(method) => method.hide(request, text),
            Method::Introspection(method) => method.hide(request, text),
            Method::Oidc(method) => method.hide(request),
            Method::AnyOf(methods) | Method::AllOf(methods) => {
                methods.iter().for_each(|method| method.hide(request, text));
            }
        }
    }

    /// Writes what is known of who calls.
    pub(super) fn tell(&self, request: &mut RequestHead, text: &mut Vec<u8>, identity: &Identity) {
        match self {
            Method::ApiKey(_) | Method::Basic(_) | Method::Mtls(_) => {}
            Method::Jwt(method) => method.tell(request, text, identity),
            Method::Introspection(method) => method.tell(request, text, identity),
            Method::Oidc(method) => method.tell(request, text, identity),
            Method::AnyOf(methods) | Method::AllOf(methods) => {
                methods.iter().for_each(|method| method.tell(request, text, identity));
            }
        }
    }

    pub(super) fn challenge(&self, denied: &Denied, out: &mut Fields) {
        let challenge = match self {
            Method::ApiKey(method) => method.challenge(denied),
            Method::Basic(method) => &method.challenge,
            Method::Mtls(method) => &method.challenge,
            Method::Jwt(method) => return method.challenge(denied, out),
            Method::Introspection(method) => return method.challenge(denied, out),
            Method::Oidc(method) => return method.challenge(denied, out),
            Method::AnyOf(methods) | Method::AllOf(methods) => {
                return methods.iter().for_each(|method| method.challenge(denied, out));
            }
        };
        if !out.all(b"www-authenticate").any(|there| there == challenge) {
            out.push(b"WWW-Authenticate", challenge);
        }
    }
}

/// The first that is known counts. What is not good does not stand in the way of what is.
fn any_of(
    methods: &[Method],
    facts: &impl Facts,
    asking: Asking<'_>,
    answers: &Answers,
    identity: &mut Identity,
) -> Attempt {
    let mut worst = Attempt::Nothing;
    for method in methods {
        match method.attempt(facts, asking, answers, identity) {
            Attempt::Nothing => {}
            incomplete @ Attempt::Incomplete(_) => {
                identity.forget();
                if matches!(worst, Attempt::Nothing) {
                    worst = incomplete;
                }
            }
            refused @ Attempt::Refused(_) => {
                identity.forget();
                if matches!(worst, Attempt::Nothing | Attempt::Incomplete(_)) {
                    worst = refused;
                }
            }
            insufficient @ Attempt::Insufficient(_) => {
                identity.forget();
                if !matches!(worst, Attempt::Unavailable(..)) {
                    worst = insufficient;
                }
            }
            unavailable @ Attempt::Unavailable(..) => {
                identity.forget();
                worst = unavailable;
            }
            done @ (Attempt::Known | Attempt::Wait(_)) => return done,
        }
    }
    worst
}

/// All must be known, and be the same consumer. The first says more than that: its credential is the
/// one that is logged. If only some are shown, one is missing.
fn all_of(
    methods: &[Method],
    facts: &impl Facts,
    asking: Asking<'_>,
    answers: &Answers,
    identity: &mut Identity,
) -> Attempt {
    let mut found: Option<Identity> = None;
    let mut missing = false;
    for method in methods {
        let mut one = Identity { tried: identity.tried, ..Identity::default() };
        let attempt = method.attempt(facts, asking, answers, &mut one);
        (identity.tried, identity.awaited) = (one.tried, one.awaited);
        match attempt {
            Attempt::Known => {}
            Attempt::Nothing => {
                missing = true;
                continue;
            }
            other => return other,
        }
        let Some(before) = &mut found else {
            found = Some(one);
            continue;
        };
        if let (Some(this), Some(that)) = (before.consumer_name(), one.consumer_name())
            && this != that
        {
            let kind = one.kind.unwrap_or(CredentialKind::Anonymous);
            return Attempt::Refused(Refused::new(kind, "of another consumer"));
        }
        before.consumer = before.consumer.take().or(one.consumer);
        before.granted = before.granted.take().or(one.granted);
        before.claims = before.claims.take().or(one.claims);
        before.session = before.session.take().or(one.session);
        before.cookies.append(&mut one.cookies);
    }
    match found {
        Some(known) if !missing => {
            *identity = Identity { tried: identity.tried, ..known };
            Attempt::Known
        }
        Some(known) => {
            let kind = known.kind.unwrap_or(CredentialKind::Anonymous);
            Attempt::Incomplete(kind)
        }
        None => Attempt::Nothing,
    }
}
