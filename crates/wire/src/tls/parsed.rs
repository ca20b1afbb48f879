//! What of a certificate `webpki` does not show: its times, its names as they are encoded, and whether
//! it may issue others.

use std::time::Duration;

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::BasicConstraints;

/// A certificate that could be read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its last moment, since the Unix epoch.
    pub(super) not_after: Duration,
    /// Its subject in DER.
    pub(super) subject: Vec<u8>,
    /// It may issue certificates, or it is one that nobody else has issued.
    pub(super) is_authority: bool,
}

impl Parsed {
    /// Reads a certificate; `None` where it is too odd for that, which others shall judge.
    pub(super) fn of(der: &[u8]) -> Option<Parsed> {
        let read = CertificateInner::<Raw>::from_der(der).ok()?;
        let body = read.tbs_certificate();
        let constraints = body.get_extension::<BasicConstraints>().ok()?;
        let issues = constraints.is_some_and(|(_, constraints)| constraints.ca);
        Some(Parsed {
            not_after: body.validity().not_after.to_unix_duration(),
            subject: body.subject().to_der().ok()?,
            is_authority: issues || body.subject() == body.issuer(),
        })
    }
}
