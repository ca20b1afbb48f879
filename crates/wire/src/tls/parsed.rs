//! What of a certificate `webpki` does not show: its times, its names as they are encoded, and whether
//! it may issue others.

use std::time::Duration;

use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// A certificate that could be read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its first moment, since the Unix epoch.
    pub(super) not_before: Duration,
    /// Its last moment, since the Unix epoch.
    pub(super) not_after: Duration,
    /// Its subject in DER.
    pub(super) subject: Vec<u8>,
    /// It says that it may issue certificates (RFC 5280, 4.2.1.3 and 4.2.1.9), or is of version 1,
    /// which cannot say so, and has issued itself.
    pub(super) may_issue: bool,
}

impl Parsed {
    /// Reads a certificate; `None` where it is too odd for that, which others shall judge.
    pub(super) fn of(der: &[u8]) -> Option<Parsed> {
        let read = CertificateInner::<Raw>::from_der(der).ok()?;
        let body = read.tbs_certificate();
        let constraints = body.get_extension::<BasicConstraints>().ok()?;
        let usage = body.get_extension::<KeyUsage>().ok()?;
        let is_self_issued = body.subject() == body.issuer();
        let may_issue = constraints.is_some_and(|(_, constraints)| constraints.ca)
            && usage.is_none_or(|(_, usage)| usage.key_cert_sign());
        Some(Parsed {
            not_before: body.validity().not_before.to_unix_duration(),
            not_after: body.validity().not_after.to_unix_duration(),
            subject: body.subject().to_der().ok()?,
            may_issue: may_issue || (body.version() == Version::V1 && is_self_issued),
        })
    }
}
