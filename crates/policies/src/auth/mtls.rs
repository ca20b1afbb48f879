//! Certificates of clients: the listener has verified them, so only whose they are is left to say.

use portcullis_config::model;
use portcullis_core::CredentialKind;

use super::{Asking, Attempt, Refused, challenge};
use crate::identity::Identity;
use crate::key::Facts;

/// A client's certificate.
#[derive(Debug)]
pub(crate) struct Mtls {
    pub(super) challenge: Box<[u8]>,
}

impl Mtls {
    pub(super) fn new(written: &model::Mtls) -> Mtls {
        // There is no scheme for this (RFC 9110, 11.1), but a 401 must have a challenge.
        Mtls { challenge: challenge("ClientCertificate", &written.realm, "") }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        identity: &mut Identity,
    ) -> Attempt {
        let Some(certificate) = facts.certificate() else { return Attempt::Nothing };
        match asking.directory.certificate(certificate) {
            Some(consumer) => {
                let name = certificate.name().unwrap_or_default();
                identity.found(CredentialKind::Mtls, consumer, &[name]);
                Attempt::Known
            }
            None => {
                let why = "no consumer has this certificate";
                Attempt::Refused(Refused::new(CredentialKind::Mtls, why))
            }
        }
    }
}
