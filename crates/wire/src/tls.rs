//! TLS on both sides, by `rustls` with `aws-lc-rs`: written options become ready configurations.
//!
//! Everything here runs where configurations are built, never on a worker: parsing certificates
//! and reading the system's authorities takes milliseconds. Workers share the finished
//! [`ServerConfig`](rustls::ServerConfig) and [`ClientConfig`](rustls::ClientConfig).

mod certificate;
mod client;
mod client_auth;
mod client_certificate;
mod expiry;
mod fault;
mod ocsp;
mod parsed;
mod provider;
mod refusal;
mod refused;
mod resolver;
mod revocation;
mod server;
#[cfg(test)]
mod testing;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::ServerName;

pub use client::{ClientOptions, SystemRoots, client};
pub use client_auth::{ClientAuth, ClientVerifier};
pub use client_certificate::ClientCertificate;
pub use expiry::{Expiry, ExpiryKind};
pub use fault::{handshake_fault, of_tls};
pub use ocsp::OcspResponse;
pub use provider::{Choices, Versions};
pub use refusal::is_refusal;
pub(crate) use refusal::told_apart;
pub use refused::take_refused_client;
pub use revocation::Revocation;
pub use server::{Server, ServerOptions, Ticketer, server};

/// A text in PEM (RFC 7468) and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// The text.
    pub text: Arc<[u8]>,
    /// Its origin, as a path, for messages.
    pub label: Arc<str>,
}

impl fmt::Debug for Pem {
    /// Leaves the text out, for it may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePem {
    /// The chain, leaf first.
    pub chain: Pem,
    /// The key in PKCS #8, PKCS #1 or SEC 1; not encrypted.
    pub key: Pem,
    /// What is stapled to the certificate in handshakes.
    pub ocsp: Option<OcspResponse>,
}

/// A configuration that can be used, and what is odd about it.
#[derive(Debug)]
pub struct Configured<C> {
    /// To be shared by all workers.
    pub config: Arc<C>,
    /// Worth a line in the log.
    pub warnings: Vec<TlsWarning>,
    /// Until when what was read is good.
    pub expiries: Vec<Expiry>,
}

/// Why no configuration could be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A listener without certificates.
    #[error("TLS needs at least one certificate")]
    NoCertificates,
    /// The text holds no certificate.
    #[error("{label}: no certificate found (expected -----BEGIN CERTIFICATE-----)")]
    EmptyChain {
        /// Where the text came from.
        label: Arc<str>,
    },
    /// The text holds no private key.
    #[error("{label}: no private key found (expected -----BEGIN PRIVATE KEY-----)")]
    NoKey {
        /// Where the text came from.
        label: Arc<str>,
    },
    /// The private key needs a passphrase.
    #[error("{label}: the private key is encrypted; store it without a passphrase")]
    EncryptedKey {
        /// Where the text came from.
        label: Arc<str>,
    },
    /// The text is not PEM.
    #[error("{label}: not valid PEM: {reason}")]
    Pem {
        /// Where the text came from.
        label: Arc<str>,
        /// What the decoder says.
        reason: String,
    },
    /// A certificate cannot be read.
    #[error("{label}: certificate {position} cannot be used: {reason}")]
    Certificate {
        /// Where the text came from.
        label: Arc<str>,
        /// Which of the text's certificates, from 1.
        position: usize,
        /// What the parser says.
        reason: String,
    },
    /// The private key cannot be read, or is of a kind that is not supported.
    #[error("{label}: private key cannot be used: {reason}")]
    Key {
        /// Where the text came from.
        label: Arc<str>,
        /// What the parser says.
        reason: String,
    },
    /// Key and certificate do not belong together.
    #[error("{key}: the private key does not belong to the certificate in {chain}")]
    KeyMismatch {
        /// Where the certificate came from.
        chain: Arc<str>,
        /// Where the key came from.
        key: Arc<str>,
    },
    /// The key belongs to a certificate of the chain that is not its first.
    #[error(
        "{chain}: the key belongs to certificate {position}; put that one first and its issuers after it"
    )]
    LeafNotFirst {
        /// Where the certificate came from.
        chain: Arc<str>,
        /// Where in the chain the key's certificate stands, from 1.
        position: usize,
    },
    /// What shall judge clients is no authority's certificate.
    #[error(
        "{label}: certificate {position} is no authority's (basicConstraints CA), so no client's may be judged by it"
    )]
    NoAuthority {
        /// Where the text came from.
        label: Arc<str>,
        /// Which of the text's certificates, from 1.
        position: usize,
    },
    /// No cipher suite chosen signs with a key of the kind of any certificate.
    #[error("{label}: no cipher suite chosen works with this kind of key, and TLS 1.3 is off")]
    NoSuite {
        /// Where the certificate came from.
        label: Arc<str>,
    },
    /// The text holds no revocation list.
    #[error("{label}: no revocation list found (expected -----BEGIN X509 CRL-----)")]
    NoRevocationList {
        /// Where the text came from.
        label: Arc<str>,
    },
    /// A revocation list cannot be read.
    #[error("{label}: revocation list {position} cannot be used: {reason}")]
    RevocationList {
        /// Where the text came from.
        label: Arc<str>,
        /// Which of the text's lists, from 1.
        position: usize,
        /// What the parser says.
        reason: String,
    },
    /// An OCSP response is none, or not about the certificate that it stands with.
    #[error("{label}: OCSP response cannot be used: {reason}")]
    Ocsp {
        /// Where it came from.
        label: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },
    /// The system's certificate authorities cannot be read.
    #[error("the system's certificate authorities cannot be read: {reason}")]
    SystemRoots {
        /// What the system says.
        reason: String,
    },
    /// Neither a DNS name nor an IP address.
    #[error("`{name}` is neither a DNS name nor an IP address")]
    ServerName {
        /// The name.
        name: String,
    },
    /// `rustls` refuses the whole.
    #[error("TLS cannot be set up: {reason}")]
    Setup {
        /// What it says.
        reason: String,
    },
}

impl TlsError {
    /// The file at fault, if it is one alone.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            TlsError::EmptyChain { label }
            | TlsError::NoKey { label }
            | TlsError::EncryptedKey { label }
            | TlsError::Pem { label, .. }
            | TlsError::Certificate { label, .. }
            | TlsError::Key { label, .. }
            | TlsError::NoAuthority { label, .. }
            | TlsError::NoSuite { label }
            | TlsError::NoRevocationList { label }
            | TlsError::RevocationList { label, .. }
            | TlsError::Ocsp { label, .. }
            | TlsError::KeyMismatch { key: label, .. }
            | TlsError::LeafNotFirst { chain: label, .. } => Some(label),
            TlsError::NoCertificates
            | TlsError::SystemRoots { .. }
            | TlsError::ServerName { .. }
            | TlsError::Setup { .. } => None,
        }
    }

    /// What may help.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            TlsError::NoAuthority { .. } => Some(
                "name the certificate of the authority that issued the clients'; a certificate that \
                 issued itself counts only if it is made for an authority (CA:TRUE)",
            ),
            _ => None,
        }
    }
}

/// What does not stop a configuration from being used but should be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsWarning {
    /// Clients will refuse this certificate.
    #[error("{label}: the certificate expired on {on}")]
    Expired {
        /// Where it came from.
        label: Arc<str>,
        /// Its last moment, as an HTTP date (RFC 9110, 5.6.7).
        on: String,
    },
    /// It is time to get another certificate.
    #[error("{label}: the certificate ends within 14 days, on {on}")]
    EndsSoon {
        /// Where it came from.
        label: Arc<str>,
        /// Its last moment, as an HTTP date (RFC 9110, 5.6.7).
        on: String,
    },
    /// Clients that speak TLS 1.2 cannot be served with this certificate.
    #[error("{label}: no cipher suite of TLS 1.2 chosen works with this kind of key")]
    NoSuite {
        /// Where it came from.
        label: Arc<str>,
    },
    /// A revocation list is of none of the authorities.
    #[error(
        "{label}: the revocation list is of none of the authorities in `ca`, so it only counts for intermediates that are shown"
    )]
    StrangeRevocationList {
        /// Where it came from.
        label: Arc<str>,
    },
    /// Clients will refuse this certificate for now.
    #[error("{label}: the certificate is not valid before {from}")]
    NotYetValid {
        /// Where it came from.
        label: Arc<str>,
        /// Its first moment, as an HTTP date (RFC 9110, 5.6.7).
        from: String,
    },
    /// No server name leads to this certificate, and it is not the first of its listener.
    #[error("{label}: the certificate names no DNS name, so no client will ever get it")]
    Unreachable {
        /// Where it came from.
        label: Arc<str>,
    },
    /// Certificates of its issuer are refused, unless that is switched off.
    #[error("{label}: the revocation list has expired on {on}")]
    ExpiredRevocationList {
        /// Where it came from.
        label: Arc<str>,
        /// By when the next list was promised, as an HTTP date (RFC 9110, 5.6.7).
        on: String,
    },
    /// Clients will not heed it.
    #[error("{label}: the OCSP response has expired on {on}")]
    ExpiredOcsp {
        /// Where it came from.
        label: Arc<str>,
        /// By when the next one was promised, as an HTTP date (RFC 9110, 5.6.7).
        on: String,
    },
    /// The system has no certificate authorities.
    #[error("the system has no certificate authorities; using the built-in list of Mozilla's")]
    BuiltInRoots,
}

impl TlsWarning {
    /// The file that it is about, if it is about one.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            TlsWarning::Expired { label, .. }
            | TlsWarning::NotYetValid { label, .. }
            | TlsWarning::EndsSoon { label, .. }
            | TlsWarning::NoSuite { label }
            | TlsWarning::StrangeRevocationList { label }
            | TlsWarning::Unreachable { label }
            | TlsWarning::ExpiredRevocationList { label, .. }
            | TlsWarning::ExpiredOcsp { label, .. } => Some(label),
            TlsWarning::BuiltInRoots => None,
        }
    }
}

/// The name under which an upstream's certificate is verified, from a host name, an IPv4 address
/// or an IPv6 address with or without brackets.
///
/// # Errors
/// [`TlsError::ServerName`] if it is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    ServerName::try_from(bare.unwrap_or(host))
        .map(|name| name.to_owned())
        .map_err(|_| TlsError::ServerName { name: host.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_names_or_addresses() {
        for name in ["example.com", "localhost", "xn--bcher-kva.example"] {
            assert!(matches!(server_name(name), Ok(ServerName::DnsName(_))), "{name}");
        }
        for address in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
            assert!(matches!(server_name(address), Ok(ServerName::IpAddress(_))), "{address}");
        }
        for bad in ["", "a b", "example.com:443", "[example.com", "*.example.com"] {
            let error = server_name(bad).unwrap_err();
            assert_eq!(error, TlsError::ServerName { name: bad.to_owned() });
        }
    }

    #[test]
    fn debug_output_hides_the_text() {
        let pem = Pem { text: Arc::from(&b"secret"[..]), label: "/key.pem".into() };
        let shown = format!("{pem:?}");
        assert!(shown.contains("/key.pem") && !shown.contains("secret") && !shown.contains("115"));
    }
}
