//! Whose certificate was refused: the word of TLS for a handshake that failed does not say it.
//!
//! A listener's verifier is shared by all connections, and the session is gone when a handshake has
//! failed. So the verifier leaves a note on its thread, and whoever drives the handshake takes it
//! once he has polled it. A certificate that is believed costs nothing.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::ClientCertificate;

thread_local! {
    static REFUSED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Whose certificate was refused last on this thread, as it claims; none if that was asked before.
#[must_use]
pub fn take_refused_client() -> Option<Box<str>> {
    REFUSED.take()
}

/// A verifier that notes whom it refuses.
#[derive(Debug)]
pub(super) struct Noting(pub(super) Arc<dyn ClientCertVerifier>);

fn noted<T>(judged: Result<T, Error>, shown: &CertificateDer<'_>) -> Result<T, Error> {
    if judged.is_err() {
        let claimed = ClientCertificate::new(std::slice::from_ref(shown)).name().map(Box::from);
        REFUSED.set(claimed);
    }
    judged
}

impl ClientCertVerifier for Noting {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        noted(self.0.verify_client_cert(leaf, issuers, now), leaf)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        noted(self.0.verify_tls12_signature(message, leaf, signed), leaf)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        noted(self.0.verify_tls13_signature(message, leaf, signed), leaf)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
