//! Stapled OCSP responses (RFC 6960): whether a file holds one that is of use.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::asn1::{AnyRef, GeneralizedTime};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, Tagged};

use super::certificate::date;
use super::{TlsError, TlsWarning};

/// A response of an authority that says that a certificate is not revoked.
#[derive(Clone, PartialEq, Eq)]
pub struct OcspResponse {
    /// DER, as responders send it and `openssl ocsp -respout` writes it.
    pub der: Arc<[u8]>,
    /// Where it came from, as a path, for messages.
    pub label: Arc<str>,
}

impl fmt::Debug for OcspResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcspResponse").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What is said of one certificate.
struct Said {
    serial: Vec<u8>,
    good: bool,
    next_update: Option<Duration>,
}

/// Checks that `response` is about the certificate with this serial number and says that it is
/// good. That it is past its time is only a warning: clients ignore it then.
///
/// Whether its signature is right is for clients to judge.
pub(super) fn check(
    response: &OcspResponse,
    serial: &[u8],
    warnings: &mut Vec<TlsWarning>,
) -> Result<(), TlsError> {
    let unusable = |reason: String| TlsError::Ocsp { label: response.label.clone(), reason };
    let said = match read(&response.der) {
        Err(error) => return Err(unusable(format!("it is no OCSP response in DER: {error}"))),
        Ok(None) => return Err(unusable("the responder did not answer the question".to_owned())),
        Ok(Some(said)) => said,
    };
    let Some(said) = said.iter().find(|said| unpadded(&said.serial) == unpadded(serial)) else {
        return Err(unusable("it is about another certificate".to_owned()));
    };
    if !said.good {
        return Err(unusable("it does not say that the certificate is good".to_owned()));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(next) = said.next_update.filter(|next| *next < now) {
        let label = response.label.clone();
        warnings.push(TlsWarning::ExpiredOcsp { label, on: date(next) });
    }
    Ok(())
}

/// Without the zeros that DER may put before a number.
fn unpadded(serial: &[u8]) -> &[u8] {
    &serial[serial.iter().take_while(|byte| **byte == 0).count()..]
}

/// What an `OCSPResponse` says; `None` when it is not a successful one.
fn read(bytes: &[u8]) -> der::Result<Option<Vec<Said>>> {
    let mut reader = SliceReader::new(bytes)?;
    let inner = reader.sequence(|response| {
        let status = AnyRef::decode(response)?;
        status.tag().assert_eq(Tag::Enumerated)?;
        if status.value() != [0] {
            response.drain(response.remaining_len())?;
            return der::Result::Ok(None);
        }
        let content = tagged(response, 0)?.ok_or(Tag::Sequence.value_error())?;
        SliceReader::new(content)?.sequence(|content| {
            let _kind = AnyRef::decode(content)?;
            let basic = AnyRef::decode(content)?;
            basic.tag().assert_eq(Tag::OctetString)?;
            Ok(Some(basic.value()))
        })
    })?;
    reader.finish()?;
    inner.map(basic).transpose()
}

/// What a `BasicOCSPResponse` says.
fn basic(bytes: &[u8]) -> der::Result<Vec<Said>> {
    let mut reader = SliceReader::new(bytes)?;
    reader.sequence(|response| {
        let said = response.sequence(|body| {
            let _version = tagged(body, 0)?;
            let (_responder, _produced) = (AnyRef::decode(body)?, AnyRef::decode(body)?);
            let said = body.sequence(|list| {
                let mut said = Vec::new();
                while !list.is_finished() {
                    said.push(list.sequence(single)?);
                }
                der::Result::Ok(said)
            })?;
            body.drain(body.remaining_len())?;
            der::Result::Ok(said)
        })?;
        response.drain(response.remaining_len())?;
        Ok(said)
    })
}

/// A `SingleResponse`.
fn single<'a>(reader: &mut SliceReader<'a>) -> der::Result<Said> {
    let serial = reader.sequence(|id| {
        let (_algorithm, _name, _key) =
            (AnyRef::decode(id)?, AnyRef::decode(id)?, AnyRef::decode(id)?);
        let serial = AnyRef::decode(id)?;
        serial.tag().assert_eq(Tag::Integer)?;
        der::Result::Ok(serial.value().to_vec())
    })?;
    let status = AnyRef::decode(reader)?;
    let _this_update = GeneralizedTime::decode(reader)?;
    let next = tagged(reader, 0)?.map(GeneralizedTime::from_der).transpose()?;
    reader.drain(reader.remaining_len())?;
    let good = matches!(status.tag(), Tag::ContextSpecific { number, .. } if number.value() == 0);
    Ok(Said { serial, good, next_update: next.map(|time| time.to_unix_duration()) })
}

/// What is in the field that is tagged with this number, if it comes next.
fn tagged<'a>(reader: &mut SliceReader<'a>, wanted: u32) -> der::Result<Option<&'a [u8]>> {
    if reader.is_finished() {
        return Ok(None);
    }
    match Tag::peek(reader)? {
        Tag::ContextSpecific { number, .. } if number.value() == wanted => {
            Ok(Some(AnyRef::decode(reader)?.value()))
        }
        _ => Ok(None),
    }
}
