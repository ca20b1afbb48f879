//! TLS on both sides, by `rustls` with `aws-lc-rs`: written options become ready configurations.
//!
//! Everything here runs where configurations are built, never on a worker: parsing certificates
//! and reading the system's authorities takes milliseconds. Workers share the finished
//! [`ServerConfig`](rustls::ServerConfig) and [`ClientConfig`](rustls::ClientConfig).

mod certificate;
mod client;
mod provider;
mod resolver;
mod server;
#[cfg(test)]
mod testing;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::ServerName;

pub use client::{ClientOptions, SystemRoots, client};
pub use server::{ServerOptions, Ticketer, server};

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
}

/// A configuration that can be used, and what is odd about it.
#[derive(Debug)]
pub struct Configured<C> {
    /// To be shared by all workers.
    pub config: Arc<C>,
    /// Worth a line in the log.
    pub warnings: Vec<TlsWarning>,
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
    /// The system has no certificate authorities.
    #[error("the system has no certificate authorities; using the built-in list of Mozilla's")]
    BuiltInRoots,
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
