//! What an origin says of us after the handshake, as we see it, is over: in TLS 1.3 a server looks
//! at a client's certificate only then (RFC 8446, 4.4.2.4), so its refusal comes in place of a reply.

use std::io;

use rustls::{AlertDescription, Error};

/// The kind of the errors that say so. HTTP/2's crate passes on nothing else of an error.
const REFUSED: io::ErrorKind = io::ErrorKind::PermissionDenied;

/// Gives an error of a connection to an origin a kind of its own if the origin refuses us.
pub(crate) fn told_apart(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) if is_of_handshake(*alert) => {
            io::Error::new(REFUSED, error)
        }
        _ => error,
    }
}

/// Whether the origin refuses what we have shown in the handshake, or that we have shown nothing.
#[must_use]
pub fn is_refusal(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<h2::Error>());
    error.kind() == REFUSED
        || inner.and_then(h2::Error::get_io).is_some_and(|error| error.kind() == REFUSED)
}

/// Whether an alert is about the handshake (RFC 8446, 6.2) rather than about what came later.
fn is_of_handshake(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
            | AlertDescription::NoApplicationProtocol
            | AlertDescription::UnrecognisedName
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(alert: AlertDescription) -> io::Error {
        told_apart(io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(alert)))
    }

    #[test]
    fn alerts_about_the_handshake_are_refusals_and_others_are_not() {
        for alert in [AlertDescription::CertificateRequired, AlertDescription::UnknownCA] {
            let error = received(alert);
            assert!(is_refusal(&error), "{error}");
            assert!(error.to_string().contains("alert"), "{error}");
        }
        for alert in [AlertDescription::InternalError, AlertDescription::BadRecordMac] {
            assert!(!is_refusal(&received(alert)));
        }
        assert!(!is_refusal(&io::ErrorKind::ConnectionReset.into()));
    }
}
