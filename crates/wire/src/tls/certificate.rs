//! A certificate chain and its key: decoded, matched with each other, and their names read.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::expiry::{ExpiryKind, Findings};
use super::{CertificatePem, Pem, TlsError, TlsWarning, ocsp};

/// A certificate ready for handshakes.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The chain and its key.
    pub(super) certified: Arc<CertifiedKey>,
    /// The leaf's DNS names in lower case; a wildcard starts with `*.`.
    pub(super) names: Vec<Box<str>>,
    /// Where the chain came from.
    pub(super) label: Arc<str>,
}

impl Certificate {
    /// Decodes `pem`. A certificate outside its time is only a warning: better an alert in one
    /// client than a gateway that does not start.
    pub(super) fn load(
        pem: &CertificatePem,
        provider: &CryptoProvider,
        findings: &mut Findings,
    ) -> Result<Self, TlsError> {
        let label = &pem.chain.label;
        let chain = certificates(&pem.chain)?;
        let key = private_key(&pem.key, provider)?;
        check_pair(&chain, key.as_ref(), pem)?;
        let leaf = EndEntityCert::try_from(&chain[0]).map_err(|error| unusable(label, 0, error))?;
        findings.warnings.extend(validity_warning(&leaf, label));
        findings.certificates(ExpiryKind::Certificate, &pem.chain, &chain);
        let names = leaf
            .valid_dns_names()
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase().into_boxed_str())
            .collect();
        if let Some(response) = &pem.ocsp {
            ocsp::check(response, leaf.serial(), &mut findings.warnings)?;
        }
        drop(leaf);
        let mut certified = CertifiedKey::new(chain, key);
        certified.ocsp = pem.ocsp.as_ref().map(|response| response.der.to_vec());
        Ok(Self { certified: Arc::new(certified), names, label: label.clone() })
    }
}

/// All certificates of `pem`, at least one.
pub(super) fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem.text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(pem, &error))?;
    if chain.is_empty() {
        return Err(TlsError::EmptyChain { label: pem.label.clone() });
    }
    Ok(chain)
}

/// The error for certificate `index` (from 0) of `label`.
pub(super) fn unusable(label: &Arc<str>, index: usize, reason: impl ToString) -> TlsError {
    TlsError::Certificate { label: label.clone(), position: index + 1, reason: reason.to_string() }
}

fn private_key(pem: &Pem, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let label = pem.label.clone();
    if is_encrypted(&pem.text) {
        return Err(TlsError::EncryptedKey { label });
    }
    let key = match PrivateKeyDer::from_pem_slice(&pem.text) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) => return Err(TlsError::NoKey { label }),
        Err(error) => return Err(not_pem(pem, &error)),
    };
    provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::Key { label, reason: error.to_string() })
}

/// Whether `text` holds an encrypted key in today's form (RFC 5958) or OpenSSL's older one.
fn is_encrypted(text: &[u8]) -> bool {
    [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| memchr::memmem::find(text, mark).is_some())
}

fn not_pem(pem: &Pem, error: &pem::Error) -> TlsError {
    TlsError::Pem { label: pem.label.clone(), reason: error.to_string() }
}

/// Checks that `key` belongs to the first certificate of `chain`.
fn check_pair(
    chain: &[CertificateDer<'_>],
    key: &dyn SigningKey,
    pem: &CertificatePem,
) -> Result<(), TlsError> {
    let label = &pem.chain.label;
    let public_key = key.public_key();
    let mut owner = None;
    for (index, der) in chain.iter().enumerate() {
        let parsed =
            ParsedCertificate::try_from(der).map_err(|error| unusable(label, index, error))?;
        if owner.is_none() && Some(parsed.subject_public_key_info()) == public_key {
            owner = Some(index);
        }
    }
    match owner {
        Some(0) => Ok(()),
        Some(index) => Err(TlsError::LeafNotFirst { chain: label.clone(), position: index + 1 }),
        None => Err(TlsError::KeyMismatch { chain: label.clone(), key: pem.key.label.clone() }),
    }
}

/// Whether `leaf` is outside its time.
///
/// `webpki` shows no dates, but it checks them before it looks for an issuer; so a search that can
/// find none (there are no authorities) tells whether they are right.
fn validity_warning(leaf: &EndEntityCert<'_>, label: &Arc<str>) -> Option<TlsWarning> {
    let usage = KeyUsage::server_auth();
    let label = label.clone();
    match leaf.verify_for_usage(&[], &[], &[], UnixTime::now(), usage, None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Some(TlsWarning::Expired { label, on: date(since(not_after)) })
        }
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Some(TlsWarning::NotYetValid { label, from: date(since(not_before)) })
        }
        _ => None,
    }
}

fn since(time: UnixTime) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// A time since the Unix epoch as an HTTP date (RFC 9110, 5.6.7).
pub(super) fn date(time: Duration) -> String {
    // Beyond the year 9999 there is no HTTP date.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST)))
}

#[cfg(test)]
mod tests {
    use super::super::provider::{Choices, provider};
    use super::super::testing::{Authority, pem};
    use super::*;

    fn load(pem: &CertificatePem) -> Result<(Certificate, Vec<TlsWarning>), TlsError> {
        let mut findings = Findings::default();
        Certificate::load(pem, &provider(&Choices::default()), &mut findings)
            .map(|loaded| (loaded, findings.warnings))
    }

    fn with_chain(mut certificate: CertificatePem, text: &str) -> CertificatePem {
        certificate.chain = pem("/cert.pem", text);
        certificate
    }

    fn with_key(mut certificate: CertificatePem, text: &str) -> CertificatePem {
        certificate.key = pem("/key.pem", text);
        certificate
    }

    fn text(pem: &Pem) -> &str {
        std::str::from_utf8(&pem.text).unwrap()
    }

    #[test]
    fn names_are_read_in_lower_case() {
        let issued = Authority::new().issue(&["Example.COM", "*.Example.com", "192.0.2.1"]);
        let (loaded, warnings) = load(&issued).unwrap();
        assert_eq!(loaded.names, ["example.com".into(), "*.example.com".into()]);
        assert_eq!(warnings, []);
    }

    #[test]
    fn key_of_another_certificate_is_named() {
        let authority = Authority::new();
        let mut issued = authority.issue(&["a.test"]);
        issued.key = authority.issue(&["a.test"]).key;
        assert_eq!(
            load(&issued).unwrap_err().to_string(),
            "/key.pem: the private key does not belong to the certificate in /cert.pem"
        );
    }

    #[test]
    fn chain_in_the_wrong_order_is_told() {
        let authority = Authority::new();
        let issued = authority.issue(&["a.test"]);
        let (leaf, ca) = (text(&issued.chain), text(&authority.certificate));
        let right = with_chain(issued.clone(), &format!("{leaf}{ca}"));
        assert_eq!(load(&right).unwrap().0.certified.cert.len(), 2);
        let wrong = with_chain(issued.clone(), &format!("{ca}{leaf}"));
        let expected = TlsError::LeafNotFirst { chain: "/cert.pem".into(), position: 2 };
        assert_eq!(load(&wrong).unwrap_err(), expected);
    }

    #[test]
    fn empty_and_broken_texts_are_told_apart() {
        let issued = Authority::new().issue(&["a.test"]);
        let cert = || Arc::from("/cert.pem");
        let key = || Arc::from("/key.pem");
        for empty in ["", "no PEM at all", text(&issued.key)] {
            let error = load(&with_chain(issued.clone(), empty)).unwrap_err();
            assert_eq!(error, TlsError::EmptyChain { label: cert() });
        }
        for empty in ["", "no PEM at all", text(&issued.chain)] {
            let error = load(&with_key(issued.clone(), empty)).unwrap_err();
            assert_eq!(error, TlsError::NoKey { label: key() });
        }
        let cut = text(&issued.chain).replace("-----END CERTIFICATE-----", "");
        let error = load(&with_chain(issued.clone(), &cut)).unwrap_err();
        assert!(matches!(error, TlsError::Pem { label, .. } if label == cert()));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = load(&with_chain(issued.clone(), junk)).unwrap_err();
        assert!(matches!(error, TlsError::Certificate { position: 1, .. }));
        let behind = format!("{}{junk}", text(&issued.chain));
        let error = load(&with_chain(issued.clone(), &behind)).unwrap_err();
        assert!(matches!(error, TlsError::Certificate { position: 2, .. }));
        let junk = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let error = load(&with_key(issued, junk)).unwrap_err();
        assert!(matches!(error, TlsError::Key { label, .. } if label == key()));
    }

    #[test]
    fn encrypted_keys_are_told() {
        let issued = Authority::new().issue(&["a.test"]);
        let new =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                   DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
        for encrypted in [new, old] {
            let error = load(&with_key(issued.clone(), encrypted)).unwrap_err();
            assert_eq!(error, TlsError::EncryptedKey { label: "/key.pem".into() }, "{encrypted}");
        }
    }

    #[test]
    fn a_certificate_outside_its_time_is_a_warning() {
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = Authority::new();
        let past = authority.issue_with(&["a.test"], &key, |params| {
            params.not_after = rcgen::date_time_ymd(2001, 2, 3);
        });
        let expired = "/cert.pem: the certificate expired on Sat, 03 Feb 2001 00:00:00 GMT";
        assert_eq!(load(&past).unwrap().1[0].to_string(), expired);
        let future = authority.issue_with(&["a.test"], &key, |params| {
            params.not_before = rcgen::date_time_ymd(4000, 1, 1);
        });
        let warnings = load(&future).unwrap().1;
        assert!(matches!(&warnings[..], [TlsWarning::NotYetValid { .. }]), "{warnings:?}");
    }
}
