//! Keys from PEM: public keys (RFC 7468 section 13) and the keys of certificates.
//!
//! A certificate is only a wrapping here: whoever wrote it into the configuration trusts its key, so
//! that neither its dates nor its issuer are looked at.

use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::KeyError;
use super::key::{Curve, Key};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Every key of a text, in order. There is at least one.
pub(super) fn read(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|_| KeyError::Pem)?;
        let der = Zeroizing::new(der);
        keys.push(match kind {
            SectionKind::PublicKey => public_key(&der)?,
            SectionKind::Certificate => certificate(&der)?,
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(KeyError::Private);
            }
            _ => return Err(KeyError::Pem),
        });
    }
    if keys.is_empty() { Err(KeyError::Pem) } else { Ok(keys) }
}

fn certificate(der: &[u8]) -> Result<Key, KeyError> {
    let certificate = CertificateInner::<Raw>::from_der(der).map_err(|_| KeyError::Der)?;
    let public_key = certificate.tbs_certificate().subject_public_key_info().to_der();
    self::public_key(&public_key.map_err(|_| KeyError::Der)?)
}

/// A key as X.509 has it: `SubjectPublicKeyInfo` (RFC 5280 section 4.1, RFC 5480, RFC 8410).
fn public_key(der: &[u8]) -> Result<Key, KeyError> {
    let info = SubjectPublicKeyInfo::<AnyRef<'_>, BitStringRef<'_>>::from_der(der)
        .map_err(|_| KeyError::Der)?;
    let key = info.subject_public_key.as_bytes().ok_or(KeyError::Der)?;
    match info.algorithm.oid {
        RSA => {
            let (n, e) = rsa_numbers(key).map_err(|_| KeyError::Der)?;
            Key::rsa(n, e, None)
        }
        EC => {
            let curve = info.algorithm.parameters.and_then(|curve| curve.decode_as().ok());
            let curve = match curve {
                Some(P256) => Curve::P256,
                Some(P384) => Curve::P384,
                Some(P521) => Curve::P521,
                _ => return Err(KeyError::Curve),
            };
            // Only uncompressed points, as everyone writes them.
            let (&4, point) = key.split_first().ok_or(KeyError::Der)? else {
                return Err(KeyError::Der);
            };
            let (x, y) = point.split_at_checked(curve.size()).ok_or(KeyError::Der)?;
            Key::ec(curve, x, y, None)
        }
        ED25519 => Key::ed25519(key, None),
        _ => Err(KeyError::Kind),
    }
}

/// Modulus and exponent of `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn rsa_numbers(der: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(der)?;
    let numbers = reader.sequence(|reader| {
        let n = UintRef::decode(reader)?;
        let e = UintRef::decode(reader)?;
        Ok::<_, der::Error>((n.as_bytes(), e.as_bytes()))
    })?;
    reader.finish()?;
    Ok(numbers)
}
