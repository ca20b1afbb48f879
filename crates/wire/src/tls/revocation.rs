//! Certificate revocation lists (RFC 5280, 5): read, and looked at where they are odd.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::{self, PemObject};
use webpki::OwnedCertRevocationList;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{self, Decode, Reader, SliceReader};
use x509_cert::time::Time;

use super::certificate::date;
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

/// The lists in all the texts, and what is odd about them.
pub(super) fn lists(
    revocation: &Revocation,
    warnings: &mut Vec<TlsWarning>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut all = Vec::new();
    for text in &revocation.lists {
        let lists = read(text)?;
        for (index, list) in lists.iter().enumerate() {
            let unusable = |reason: String| TlsError::RevocationList {
                label: text.label.clone(),
                position: index + 1,
                reason,
            };
            OwnedCertRevocationList::from_der(list).map_err(|error| unusable(error.to_string()))?;
            let next = next_update(list).map_err(|error| unusable(error.to_string()))?;
            warnings.extend(next.and_then(|next| expired(next, text)));
        }
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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let label = Arc::clone(&text.label);
    (next < now).then(|| TlsWarning::ExpiredRevocationList { label, on: date(next) })
}

/// The moment by which the issuer promised the next list, since the Unix epoch. Only the start of
/// the list is read: it may have a million entries.
fn next_update(list: &[u8]) -> der::Result<Option<Duration>> {
    let mut reader = SliceReader::new(list)?;
    reader.sequence(|list| {
        let next = list.sequence(|body| {
            // Version, signature algorithm, issuer and the time of this list.
            let _version: Option<u8> = Option::decode(body)?;
            let (_algorithm, _issuer) = (AnyRef::decode(body)?, AnyRef::decode(body)?);
            let _this_update = Time::decode(body)?;
            let next: Option<Time> = Option::decode(body)?;
            body.drain(body.remaining_len())?;
            der::Result::Ok(next)
        })?;
        list.drain(list.remaining_len())?;
        Ok(next.map(Time::to_unix_duration))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, pem};
    use super::*;

    fn load(text: Pem) -> Result<Vec<TlsWarning>, TlsError> {
        let mut warnings = Vec::new();
        let revocation = Revocation { lists: vec![text], ..Revocation::default() };
        lists(&revocation, &mut warnings).map(|_| warnings)
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
