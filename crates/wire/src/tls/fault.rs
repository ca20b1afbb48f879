//! What a failed handshake with a client failed of.

use std::io;

use portcullis_core::tls::HandshakeFault;
use rustls::{CertificateError, Error};

/// Sorts what the acceptor of a TLS connection reports. What it says itself is for the log.
#[must_use]
pub fn handshake_fault(error: &io::Error) -> HandshakeFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => of_tls(error),
        // Whatever the socket says, the client is not there any more.
        None => HandshakeFault::ClientGone,
    }
}

/// The same for an error of TLS itself.
#[must_use]
pub fn of_tls(error: &Error) -> HandshakeFault {
    match error {
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => HandshakeFault::NotTls,
        Error::PeerIncompatible(_) => HandshakeFault::NothingInCommon,
        Error::NoApplicationProtocol => HandshakeFault::NoCommonAlpn,
        Error::NoCertificatesPresented => HandshakeFault::NoClientCertificate,
        Error::AlertReceived(_) => HandshakeFault::ClientAlert,
        // The only error without a kind of its own: the resolver had no certificate to give.
        Error::General(text) if text.contains("no server certificate") => {
            HandshakeFault::UnknownServerName
        }
        Error::InvalidCertificate(error) => of_certificate(error),
        // A list of that issuer's name that the issuer has not signed.
        Error::InvalidCertRevocationList(_) => HandshakeFault::RevocationUnknown,
        _ => HandshakeFault::Other,
    }
}

fn of_certificate(error: &CertificateError) -> HandshakeFault {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => HandshakeFault::ClientCertificateExpired,
        CertificateError::Revoked => HandshakeFault::ClientCertificateRevoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            HandshakeFault::RevocationUnknown
        }
        _ => HandshakeFault::BadClientCertificate,
    }
}
