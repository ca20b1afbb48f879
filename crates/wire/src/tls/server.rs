//! TLS towards clients.

use std::fmt;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache};
use rustls::{ServerConfig, SignatureAlgorithm};

use super::certificate::Certificate;
use super::client_auth::{ClientAuth, ClientVerifier};
use super::expiry::{Expiry, Findings};
use super::provider::{Choices, Versions, provider};
use super::resolver::Resolver;
use super::{CertificatePem, TlsError, TlsWarning};

/// How many TLS 1.2 sessions are kept for clients that know session ids but no tickets.
const SESSIONS: usize = 1024;

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// At least one. The first answers when no certificate bears the client's server name.
    pub certificates: Vec<CertificatePem>,
    /// Versions, cipher suites and curves.
    pub choices: Choices,
    /// Refuse a handshake whose server name (SNI) no certificate bears.
    pub require_sni: bool,
    /// Protocols for ALPN (RFC 7301), the preferred first; empty leaves ALPN out.
    pub alpn: Vec<Vec<u8>>,
    /// Asks clients for a certificate.
    pub client_auth: Option<ClientAuth>,
}

/// TLS of a listener that can be used, and what is odd about it.
#[derive(Debug)]
pub struct Server {
    /// To be shared by all workers.
    pub config: Arc<ServerConfig>,
    /// Judges clients' certificates, if any are asked for.
    pub verifier: Option<ClientVerifier>,
    /// Worth a line in the log.
    pub warnings: Vec<TlsWarning>,
    /// Until when what was read is good.
    pub expiries: Vec<Expiry>,
}

/// The keys that seal session tickets (RFC 5077, RFC 8446). They are made at random, change every
/// six hours, and never leave the process.
///
/// All workers share one ticketer, so that a client may come back to any of them. A listener's new
/// configuration is given the old one's ticketer, so that its clients resume across a reload, unless
/// it judges clients' certificates in another way: who resumes is not asked again. Two listeners
/// never share one: a session of a lax listener must not open a strict one.
#[derive(Clone)]
pub struct Ticketer(Arc<dyn ProducesTickets>);

impl Ticketer {
    /// Makes fresh keys.
    ///
    /// # Errors
    /// [`TlsError::Setup`] if the system gives no randomness.
    pub fn new() -> Result<Self, TlsError> {
        rustls::crypto::aws_lc_rs::Ticketer::new().map(Self).map_err(setup)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

/// Builds what a listener's connections share.
///
/// A session may resume but never sends early data (0-RTT): a gateway cannot know which requests
/// may be replayed.
///
/// # Errors
/// Any [`TlsError`] that certificates and keys can cause; it names the text at fault.
pub fn server(options: &ServerOptions, ticketer: &Ticketer) -> Result<Server, TlsError> {
    let provider = provider(&options.choices);
    let mut findings = Findings::default();
    let mut certificates = Vec::with_capacity(options.certificates.len());
    for pem in &options.certificates {
        certificates.push(Certificate::load(pem, &provider, &mut findings)?);
    }
    let (first, others) = certificates.split_first().ok_or(TlsError::NoCertificates)?;
    let nameless = others.iter().filter(|other| other.names.is_empty());
    let unreachable = |other: &Certificate| TlsWarning::Unreachable { label: other.label.clone() };
    findings.warnings.extend(nameless.map(unreachable));
    check_suites(&certificates, &options.choices, &mut findings.warnings)?;

    let verifier = options
        .client_auth
        .as_ref()
        .map(|auth| ClientVerifier::new(auth, &provider, &mut findings))
        .transpose()?;
    let asks = match &verifier {
        Some(verifier) => Arc::clone(&verifier.0),
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(options.choices.versions.supported())
        .map_err(setup)?
        .with_client_cert_verifier(asks)
        .with_cert_resolver(Arc::new(Resolver::new(first, others, options.require_sni)));
    config.alpn_protocols.clone_from(&options.alpn);
    config.ignore_client_order = true;
    config.ticketer = ticketer.0.clone();
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // One ticket for one connection: a client can come back as often as it has come. Each costs
    // three microseconds and 190 bytes.
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    let Findings { warnings, expiries } = findings;
    Ok(Server { config: Arc::new(config), verifier, warnings, expiries })
}

/// A suite of TLS 1.2 names the kind of key that it signs with, those of TLS 1.3 do not: whether the
/// suites chosen leave each key something to sign with.
fn check_suites(
    certificates: &[Certificate],
    choices: &Choices,
    warnings: &mut Vec<TlsWarning>,
) -> Result<(), TlsError> {
    if choices.versions == Versions::Only13 || choices.suites.is_empty() {
        return Ok(());
    }
    let unused = certificates.iter().filter(|certificate| {
        let rsa = certificate.certified.key.algorithm() == SignatureAlgorithm::RSA;
        !choices.suites.iter().any(|suite| suite.signs_with_rsa() == Some(rsa))
    });
    let unused: Vec<&Certificate> = unused.collect();
    if choices.versions == Versions::Only12 && unused.len() == certificates.len() {
        return Err(TlsError::NoSuite { label: Arc::clone(&certificates[0].label) });
    }
    let label = |certificate: &&Certificate| Arc::clone(&certificate.label);
    warnings.extend(unused.iter().map(|unused| TlsWarning::NoSuite { label: label(unused) }));
    Ok(())
}

/// The error for what `rustls` refuses.
pub(super) fn setup(error: impl ToString) -> TlsError {
    TlsError::Setup { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use rustls::client::{Resumption, Tls12Resumption};
    use rustls::version::{TLS12, TLS13};
    use rustls::{CipherSuite, ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion};

    use super::super::testing::{
        Authority, Refused, believing, client_config, foreign_client, handshake, server_config,
        serving,
    };
    use super::super::verifier::NoVerification;
    use super::*;

    #[test]
    fn tls12_is_spoken_unless_refused() {
        let authority = Authority::new();
        let client = foreign_client(&authority, &[&TLS12], |_| ());
        let mut options = serving([authority.issue(&["a.test"])]);
        let pair = handshake(&client, &server_config(&options), "a.test").unwrap();
        assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
        options.choices.versions = Versions::Only13;
        let refused = handshake(&client, &server_config(&options), "a.test").unwrap_err();
        assert!(matches!(refused, Refused::ByServer(_)), "{refused:?}");
        let client = client_config(&believing(&authority));
        let pair = handshake(&client, &server_config(&options), "a.test").unwrap();
        assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }

    #[test]
    fn the_cheap_suite_and_group_are_taken() {
        let authority = Authority::new();
        let server = server_config(&serving([authority.issue(&["a.test"])]));
        // As OpenSSL lists them: the server's order counts, not the client's.
        let client = foreign_client(&authority, &[&TLS13], |config| {
            let mut provider = (**config.crypto_provider()).clone();
            provider.cipher_suites.reverse();
            let roots = config.clone();
            *config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&TLS13])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoVerification::new(
                    roots.crypto_provider(),
                )))
                .with_no_client_auth();
        });
        let pair = handshake(&client, &server, "a.test").unwrap();
        let suite = pair.server.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
        let group = pair.server.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519);
        assert_eq!(pair.server.handshake_kind(), Some(HandshakeKind::Full));
    }

    #[test]
    fn alpn_is_negotiated_when_given() {
        let authority = Authority::new();
        let mut options = serving([authority.issue(&["a.test"])]);
        let mut asking = believing(&authority);
        asking.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = client_config(&asking);
        let pair = handshake(&client, &server_config(&options), "a.test").unwrap();
        assert_eq!(pair.server.alpn_protocol(), None);
        options.alpn = vec![b"http/1.1".to_vec()];
        let pair = handshake(&client, &server_config(&options), "a.test").unwrap();
        assert_eq!(pair.server.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(pair.client.alpn_protocol(), Some(&b"http/1.1"[..]));
    }

    /// The kinds of two handshakes of one client, the second with `then`.
    fn twice(
        client: &Arc<ClientConfig>,
        first: &Arc<ServerConfig>,
        then: &Arc<ServerConfig>,
    ) -> [HandshakeKind; 2] {
        [first, then].map(|server| {
            let pair = handshake(client, server, "a.test").unwrap();
            assert_eq!(pair.client.handshake_kind(), pair.server.handshake_kind());
            pair.server.handshake_kind().unwrap()
        })
    }

    #[test]
    fn sessions_resume_in_both_versions() {
        let authority = Authority::new();
        let server = server_config(&serving([authority.issue(&["a.test"])]));
        for version in [&TLS12, &TLS13] {
            let client = foreign_client(&authority, &[version], |_| ());
            let kinds = twice(&client, &server, &server);
            assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{version:?}");
        }
    }

    #[test]
    fn tls12_sessions_resume_without_tickets() {
        let authority = Authority::new();
        let server = server_config(&serving([authority.issue(&["a.test"])]));
        let client = foreign_client(&authority, &[&TLS12], |config| {
            config.resumption =
                Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
        });
        let kinds = twice(&client, &server, &server);
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }

    #[test]
    fn tickets_outlive_a_reload_with_the_same_ticketer_only() {
        let authority = Authority::new();
        let (old, new) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
        let ticketer = Ticketer::new().unwrap();
        let with = |certificate: &CertificatePem, ticketer: &Ticketer| {
            server(&serving([certificate.clone()]), ticketer).unwrap().config
        };
        for (then, expected) in [
            (with(&new, &ticketer), HandshakeKind::Resumed),
            (with(&new, &Ticketer::new().unwrap()), HandshakeKind::Full),
        ] {
            let client = client_config(&believing(&authority));
            let kinds = twice(&client, &with(&old, &ticketer), &then);
            assert_eq!(kinds, [HandshakeKind::Full, expected]);
        }
    }

    #[test]
    fn a_certificate_is_needed() {
        let refused = server(&serving([]), &Ticketer::new().unwrap()).unwrap_err();
        assert_eq!(refused, TlsError::NoCertificates);
    }

    #[test]
    fn a_nameless_certificate_is_of_use_only_as_the_first() {
        let authority = Authority::new();
        let nameless = authority.issue(&[]);
        let named = authority.issue(&["a.test"]);
        let warnings = |certificates: [&CertificatePem; 2]| {
            let options = serving(certificates.map(Clone::clone));
            server(&options, &Ticketer::new().unwrap()).unwrap().warnings
        };
        assert_eq!(warnings([&nameless, &named]), []);
        let unreachable = TlsWarning::Unreachable { label: "/cert.pem".into() };
        assert_eq!(warnings([&named, &nameless]), [unreachable]);
    }
}
