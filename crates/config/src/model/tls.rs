//! TLS on either side.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_core::tls::{Curve, Suite};

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first answers when no SNI name matches.
    pub certificates: Vec<Certificate>,
    /// What of TLS is spoken.
    pub choices: TlsChoices,
    /// Refuse a handshake whose SNI matches no certificate.
    pub require_sni: bool,
    /// Asks clients for a certificate.
    pub client_auth: Option<ClientAuth>,
}

/// TLS towards endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceTls {
    /// Name for SNI and verification; `None` takes the endpoint's host.
    pub server_name: Option<Arc<str>>,
    /// The accepted authorities; `None` takes the system's.
    pub ca: Option<TlsFile>,
    /// Certificate shown to the endpoint.
    pub certificate: Option<Certificate>,
    /// Whether the endpoint's certificate is verified.
    pub verify: bool,
    /// What of TLS is spoken.
    pub choices: TlsChoices,
    /// Which certificates are not valid any more.
    pub revocation: Revocation,
}

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFile {
    /// Where it was read.
    pub path: PathBuf,
    /// What stands in it.
    pub content: Arc<[u8]>,
}

impl fmt::Debug for TlsFile {
    /// Leaves the content out, for it may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM of the chain, leaf first.
    pub cert: TlsFile,
    /// PEM of the private key.
    pub key: TlsFile,
    /// DER of an OCSP response to staple.
    pub ocsp: Option<TlsFile>,
}

/// Certificates that clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Refuse clients that show none.
    pub required: bool,
    /// PEM of the authorities that clients' certificates come from.
    pub ca: TlsFile,
    /// Which of their certificates are not valid any more.
    pub revocation: Revocation,
    /// What services are told, each at most once.
    pub headers: Vec<ClientCertHeader>,
}

impl ClientAuth {
    /// Whether the same clients are let in as by `other`: what services are told of them is
    /// another matter.
    #[must_use]
    pub fn judges_as(&self, other: &ClientAuth) -> bool {
        self.required == other.required
            && self.ca == other.ca
            && self.revocation == other.revocation
    }
}

/// How it is found out whether a certificate was revoked; without lists it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocation {
    /// PEM of revocation lists.
    pub lists: Vec<TlsFile>,
    /// Take certificates for whose issuer there is no list.
    pub accept_unknown: bool,
    /// Go on using lists that are past their next update.
    pub accept_expired: bool,
}

/// A header that tells of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertHeader {
    /// `Client-Cert` (RFC 9440).
    ClientCert,
    /// `Client-Cert-Chain` (RFC 9440).
    ClientCertChain,
    /// `Client-Cert-Subject`
    Subject,
    /// `Client-Cert-Dns`
    Dns,
    /// `Client-Cert-Uri`
    Uri,
    /// `Client-Cert-Email`
    Email,
    /// `Client-Cert-Ip`
    Ip,
    /// `Client-Cert-Serial`
    Serial,
    /// `Client-Cert-Sha256`
    Fingerprint,
}

impl ClientCertHeader {
    /// The field's name. All begin with `Client-Cert`, so that copies from clients are known by it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClientCertHeader::ClientCert => "Client-Cert",
            ClientCertHeader::ClientCertChain => "Client-Cert-Chain",
            ClientCertHeader::Subject => "Client-Cert-Subject",
            ClientCertHeader::Dns => "Client-Cert-Dns",
            ClientCertHeader::Uri => "Client-Cert-Uri",
            ClientCertHeader::Email => "Client-Cert-Email",
            ClientCertHeader::Ip => "Client-Cert-Ip",
            ClientCertHeader::Serial => "Client-Cert-Serial",
            ClientCertHeader::Fingerprint => "Client-Cert-Sha256",
        }
    }
}

/// What of TLS is spoken. Each version has at least one suite and one curve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsChoices {
    /// The versions.
    pub versions: TlsVersions,
    /// The cipher suites, the preferred first; empty takes all.
    pub suites: Vec<Suite>,
    /// The curves, the preferred first; empty takes the usual ones.
    pub curves: Vec<Curve>,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Only12,
    /// TLS 1.3 alone.
    Only13,
}
