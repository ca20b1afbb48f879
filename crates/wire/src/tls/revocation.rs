//! Certificate revocation lists (RFC 5280, 5): read, and looked at where they are odd.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls_pki_types::pem::{self, PemObject};
use webpki::OwnedCertRevocationList;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader};
use x509_cert::time::Time;

use super::certificate::date;
use super::expiry::{ExpiryKind, Findings, now};
use super::parsed::Parsed;
use super::{Pem, TlsError, TlsWarning};

/// How it is found out whether a certificate was revoked.
///
/// With at least one list, every certificate on the way to the authority must be known not to be
/// revoked: each issuer needs a list, and one that is not past its next update. Without lists
/// nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revocation {
    /// The lists, each text one or more.
    pub lists: Vec<Pem>,
    /// Take certificates for whose issuer there is no list.
    pub accept_unknown: bool,
    /// Go on using lists that are past their next update.
    pub accept_expired: bool,
}

/// The lists in all the texts, and what is odd about them. Where the authorities are known, so is
/// whose lists are of use.
pub(super) fn lists(
    revocation: &Revocation,
    authorities: Option<&[CertificateDer<'_>]>,
    findings: &mut Findings,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut all = Vec::new();
    let known: Option<Vec<Parsed>> =
        authorities.map(|all| all.iter().filter_map(|der| Parsed::of(der)).collect());
    for text in &revocation.lists {
        let lists = read(text)?;
        let mut first = None;
        for (index, list) in lists.iter().enumerate() {
            let unusable = |reason: String| TlsError::RevocationList {
                label: text.label.clone(),
                position: index + 1,
                reason,
            };
            OwnedCertRevocationList::from_der(list).map_err(|error| unusable(error.to_string()))?;
            let start = Start::of(list).map_err(|error| unusable(error.to_string()))?;
            if let Some(next) = start.next_update {
                first = Some(first.map_or(next, |first: Duration| first.min(next)));
                findings.warnings.extend(expired(next, text));
            }
            if let Some(known) = &known
                && !known.iter().any(|authority| authority.subject == start.issuer)
            {
                let label = Arc::clone(&text.label);
                findings.warnings.push(TlsWarning::StrangeRevocationList { label });
            }
        }
        findings.ends(ExpiryKind::RevocationList, text, first);
        all.extend(lists);
    }
    Ok(all)
}

fn read(text: &Pem) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let not_pem =
        |error: pem::Error| TlsError::Pem { label: text.label.clone(), reason: error.to_string() };
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&text.text)
        .collect::<Result<_, _>>()
        .map_err(not_pem)?;
    if lists.is_empty() {
        return Err(TlsError::NoRevocationList { label: text.label.clone() });
    }
    Ok(lists)
}

fn expired(next: Duration, text: &Pem) -> Option<TlsWarning> {
    let label = Arc::clone(&text.label);
    (next < now()).then(|| TlsWarning::ExpiredRevocationList { label, on: date(next) })
}

/// The start of a list: it may have a million entries, so no more of it is read.
struct Start {
    /// The issuer's name in DER.
    issuer: Vec<u8>,
    /// The moment by which the issuer promised the next list, since the Unix epoch.
    next_update: Option<Duration>,
}

impl Start {
    fn of(list: &[u8]) -> der::Result<Start> {
        let mut reader = SliceReader::new(list)?;
        reader.sequence(|list| {
            let start = list.sequence(|body| {
                let _version: Option<u8> = Option::decode(body)?;
                let (_algorithm, issuer) = (AnyRef::decode(body)?, AnyRef::decode(body)?);
                let _this_update = Time::decode(body)?;
                let next: Option<Time> = Option::decode(body)?;
                body.drain(body.remaining_len())?;
                let next_update = next.map(Time::to_unix_duration);
                der::Result::Ok(Start { issuer: issuer.to_der()?, next_update })
            })?;
            list.drain(list.remaining_len())?;
            Ok(start)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::certificates;
    use super::super::testing::{Authority, pem};
    use super::*;

    fn load(text: Pem) -> Result<Vec<TlsWarning>, TlsError> {
        let mut findings = Findings::default();
        let revocation = Revocation { lists: vec![text], ..Revocation::default() };
        lists(&revocation, None, &mut findings).map(|_| findings.warnings)
    }

    #[test]
    fn a_list_of_nobody_who_is_believed_is_a_warning() {
        let (ours, other) = (Authority::new(), Authority::new());
        let known = certificates(&ours.certificate).unwrap();
        for (authority, warnings) in [(&ours, 0), (&other, 1)] {
            let lists_of = vec![authority.revoking(&[], 4000)];
            let revocation = Revocation { lists: lists_of, ..Revocation::default() };
            let mut findings = Findings::default();
            lists(&revocation, Some(&known), &mut findings).unwrap();
            assert_eq!(findings.warnings.len(), warnings, "{:?}", findings.warnings);
            assert_eq!(findings.expiries.len(), 1);
        }
    }

    #[test]
    fn a_list_past_its_next_update_is_a_warning() {
        let authority = Authority::new();
        assert_eq!(load(authority.revoking(&[], 4000)), Ok(Vec::new()));
        let warnings = load(authority.revoking(&[], 2001)).unwrap();
        assert_eq!(
            warnings[0].to_string(),
            "/ca.crl: the revocation list has expired on Mon, 01 Jan 2001 00:00:00 GMT"
        );
    }

    #[test]
    fn what_is_no_list_is_told() {
        let label = || Arc::from("/ca.crl");
        let error = load(pem("/ca.crl", "nothing")).unwrap_err();
        assert_eq!(error, TlsError::NoRevocationList { label: label() });
        let junk = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        let good = Authority::new().revoking(&[], 4000);
        let good = std::str::from_utf8(&good.text).unwrap();
        let error = load(pem("/ca.crl", &format!("{good}{junk}"))).unwrap_err();
        assert!(matches!(error, TlsError::RevocationList { position: 2, .. }), "{error:?}");
    }
}
