//! How an upstream's certificate is judged where `rustls`' own verifier does not do.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::parsed::Parsed;

/// Takes any certificate, whoever issued it and for whatever name and time. The peer must still
/// prove that it holds the certificate's key. For `verify: false` alone: who sits between the
/// gateway and the endpoint can read and change everything.
#[derive(Debug)]
pub(super) struct NoVerification {
    algorithms: WebPkiSupportedAlgorithms,
}

impl NoVerification {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate that stands in the file of authorities.
#[derive(Debug)]
pub(super) struct Pin {
    der: CertificateDer<'static>,
    parsed: Parsed,
}

impl Pin {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Why it can be neither an authority's nor an endpoint's.
    pub(super) fn new(der: &CertificateDer<'static>) -> Result<Self, String> {
        let read = ParsedCertificate::try_from(der);
        let Some(parsed) = Parsed::of(der) else {
            return Err(read.err().map_or("it is malformed".into(), |error| error.to_string()));
        };
        match read {
            Err(error) if !parsed.may_issue => Err(error.to_string()),
            _ => Ok(Self { der: der.clone(), parsed }),
        }
    }

    /// Whether it is an authority's: what it has issued is believed too.
    pub(super) fn may_issue(&self) -> bool {
        self.parsed.may_issue
    }

    /// Whether it may be shown now, and for `name`.
    fn verify(&self, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        let unix = |time: Duration| UnixTime::since_unix_epoch(time);
        let (not_before, not_after) = (unix(self.parsed.not_before), unix(self.parsed.not_after));
        if now < not_before {
            return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
        }
        if now > not_after {
            return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
        }
        verify_server_name(&ParsedCertificate::try_from(&self.der)?, name)
    }
}

/// Takes what the given authorities issued, and also the very certificates that stand among them.
///
/// `webpki` refuses an authority's that serves for an endpoint, which is what `openssl req -x509`
/// makes, and knows no others but authorities. Whoever writes a certificate down as trusted means
/// it, so then only its time, its name and its key's signature count, and that no list of an
/// authority beside it says that it was revoked.
#[derive(Debug)]
pub(super) struct PinnedOrIssued {
    /// None where there are no authorities.
    issued: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedOrIssued {
    pub(super) fn new(
        issued: Option<Arc<WebPkiServerVerifier>>,
        pinned: Vec<Pin>,
        provider: &CryptoProvider,
    ) -> Self {
        Self { issued, pinned, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for PinnedOrIssued {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.issued {
            Some(issued) => issued.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match (verdict, self.pinned.iter().find(|pin| pin.der == *end_entity)) {
            (Err(error), Some(pin))
                if error != Error::InvalidCertificate(CertificateError::Revoked) =>
            {
                pin.verify(server_name, now).map(|()| ServerCertVerified::assertion())
            }
            (verdict, _) => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
