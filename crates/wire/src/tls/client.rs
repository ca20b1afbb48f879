//! TLS towards upstreams.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use super::certificate::{Certificate, certificates, unusable};
use super::expiry::{ExpiryKind, Findings};
use super::provider::{Choices, provider};
use super::revocation::{self, Revocation};
use super::server::setup;
use super::verifier::{NoVerification, PinnedOrIssued};
use super::{CertificatePem, Configured, Pem, TlsError, TlsWarning};

/// TLS towards the endpoints of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The authorities to believe instead of the system's. An endpoint's own certificate may stand
    /// here too and is then believed as it is.
    pub ca: Option<Pem>,
    /// What is shown to an endpoint that asks for a certificate.
    pub certificate: Option<CertificatePem>,
    /// Whether the endpoint's certificate is verified.
    pub verify: bool,
    /// Which certificates are not valid any more.
    pub revocation: Revocation,
    /// Versions, cipher suites and curves.
    pub choices: Choices,
    /// Protocols for ALPN (RFC 7301), the preferred first; empty leaves ALPN out.
    pub alpn: Vec<Vec<u8>>,
}

impl Default for ClientOptions {
    /// Verifies by the system's authorities, shows no certificate, speaks no ALPN.
    fn default() -> Self {
        Self {
            ca: None,
            certificate: None,
            verify: true,
            revocation: Revocation::default(),
            choices: Choices::default(),
            alpn: Vec::new(),
        }
    }
}

/// The system's certificate authorities, read when first needed and then shared. A new value per
/// loaded configuration picks up changes of the system's.
#[derive(Debug, Default)]
pub struct SystemRoots(OnceLock<Result<Roots, TlsError>>);

#[derive(Debug, Clone)]
struct Roots {
    store: Arc<RootCertStore>,
    built_in: bool,
}

impl SystemRoots {
    /// The system's store; where there is none (a bare container image), Mozilla's list as built
    /// into this program. A store that exists but cannot be read is an error, not a reason to
    /// believe others.
    fn read(&self) -> Result<Roots, TlsError> {
        self.0.get_or_init(|| roots(rustls_native_certs::load_native_certs())).clone()
    }
}

fn roots(found: rustls_native_certs::CertificateResult) -> Result<Roots, TlsError> {
    let mut store = RootCertStore::empty();
    // Stores of real systems hold odd certificates; the rest of them is still of use.
    let (added, _odd) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(Roots { store: Arc::new(store), built_in: false });
    }
    if let Some(error) = found.errors.first() {
        return Err(TlsError::SystemRoots { reason: error.to_string() });
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(Roots { store: Arc::new(store), built_in: true })
}

/// Builds what the connections to a service share. Sessions resume; early data (0-RTT) is never
/// sent.
///
/// # Errors
/// Any [`TlsError`] that authorities, certificates and keys can cause; it names the text at fault.
pub fn client(
    options: &ClientOptions,
    system: &SystemRoots,
) -> Result<Configured<ClientConfig>, TlsError> {
    let provider = provider(&options.choices);
    let mut findings = Findings::default();
    let verifier = verifier(options, system, &provider, &mut findings)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(options.choices.versions.supported())
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &options.certificate {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let certificate = Certificate::load(pem, &provider, &mut findings)?;
            let certified = SingleCertAndKey::from(certificate.certified);
            builder.with_client_cert_resolver(Arc::new(certified))
        }
    };
    config.alpn_protocols.clone_from(&options.alpn);
    config.enable_early_data = false;
    let Findings { warnings, expiries } = findings;
    Ok(Configured { config: Arc::new(config), warnings, expiries })
}

fn verifier(
    options: &ClientOptions,
    system: &SystemRoots,
    provider: &Arc<CryptoProvider>,
    findings: &mut Findings,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if !options.verify {
        return Ok(Arc::new(NoVerification::new(provider)));
    }
    let pinned = options.ca.as_ref().map(certificates).transpose()?;
    let lists = revocation::lists(&options.revocation, pinned.as_deref(), findings)?;
    let issued = |store| {
        let mut builder =
            WebPkiServerVerifier::builder_with_provider(store, provider.clone()).with_crls(lists);
        if options.revocation.accept_unknown {
            builder = builder.allow_unknown_revocation_status();
        }
        if !options.revocation.accept_expired {
            builder = builder.enforce_revocation_expiration();
        }
        builder.build().map_err(setup)
    };
    let (Some(ca), Some(pinned)) = (&options.ca, pinned) else {
        let roots = system.read()?;
        findings.warnings.extend(roots.built_in.then_some(TlsWarning::BuiltInRoots));
        return Ok(issued(roots.store)?);
    };
    findings.certificates(ExpiryKind::Authority, ca, &pinned);
    let mut store = RootCertStore::empty();
    for (index, der) in pinned.iter().enumerate() {
        store.add(der.clone()).map_err(|error| unusable(&ca.label, index, error))?;
    }
    Ok(Arc::new(PinnedOrIssued::new(issued(Arc::new(store))?, pinned)))
}

#[cfg(test)]
mod tests {
    use rustls::server::WebPkiClientVerifier;
    use rustls::version::{TLS12, TLS13};
    use rustls::{CertificateError, Error, HandshakeKind, ServerConfig};
    use rustls_native_certs::CertificateResult;

    use super::super::testing::{
        Authority, Refused, believing, client_config, handshake, pem, server_config, serving,
    };
    use super::*;

    /// What a client with `options` says to a server that shows `certificate`.
    fn verdict(
        options: &ClientOptions,
        certificate: &CertificatePem,
        name: &str,
    ) -> Result<(), Error> {
        let server = server_config(&serving([certificate.clone()]));
        match handshake(&client_config(options), &server, name) {
            Ok(_) => Ok(()),
            Err(Refused::ByClient(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn is_about(verdict: Result<(), Error>, fault: fn(&CertificateError) -> bool) -> bool {
        matches!(&verdict, Err(Error::InvalidCertificate(error)) if fault(error))
    }

    #[test]
    fn only_the_given_authority_is_believed() {
        let authority = Authority::new();
        let certificate = authority.issue(&["a.test", "192.0.2.1"]);
        assert_eq!(verdict(&believing(&authority), &certificate, "a.test"), Ok(()));
        assert_eq!(verdict(&believing(&authority), &certificate, "192.0.2.1"), Ok(()));
        let system = ClientOptions::default();
        for options in [believing(&Authority::new()), system] {
            let verdict = verdict(&options, &certificate, "a.test");
            assert!(is_about(verdict, |fault| matches!(
                fault,
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            )));
        }
    }

    #[test]
    fn the_name_must_be_in_the_certificate() {
        let authority = Authority::new();
        let certificate = authority.issue(&["a.test"]);
        for name in ["b.test", "x.a.test", "192.0.2.1"] {
            let verdict = verdict(&believing(&authority), &certificate, name);
            let other =
                |fault: &_| matches!(fault, CertificateError::NotValidForNameContext { .. });
            assert!(is_about(verdict, other), "{name}");
        }
    }

    #[test]
    fn time_counts() {
        let authority = Authority::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let past = authority.issue_with(&["a.test"], &key, |params| {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        });
        let verdict = verdict(&believing(&authority), &past, "a.test");
        assert!(is_about(verdict, |fault| matches!(
            fault,
            CertificateError::ExpiredContext { .. }
        )));
    }

    /// As `openssl req -x509` makes it: self-signed and marked as an authority.
    fn self_signed(names: &[&str], not_after: i32) -> CertificatePem {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
        CertificatePem {
            chain: pem("/cert.pem", &params.self_signed(&key).unwrap().pem()),
            key: pem("/key.pem", &key.serialize_pem()),
            ocsp: None,
        }
    }

    #[test]
    fn a_self_signed_certificate_may_be_pinned() {
        let certificate = self_signed(&["a.test"], 4000);
        let pinned =
            ClientOptions { ca: Some(certificate.chain.clone()), ..ClientOptions::default() };
        assert_eq!(verdict(&pinned, &certificate, "a.test"), Ok(()));
        assert!(is_about(verdict(&pinned, &certificate, "b.test"), |fault| matches!(
            fault,
            CertificateError::NotValidForNameContext { .. }
        )));
        assert!(verdict(&pinned, &self_signed(&["a.test"], 4000), "a.test").is_err());
        assert!(verdict(&ClientOptions::default(), &certificate, "a.test").is_err());

        let expired = self_signed(&["a.test"], 2001);
        let pinned = ClientOptions { ca: Some(expired.chain.clone()), ..ClientOptions::default() };
        assert!(is_about(verdict(&pinned, &expired, "a.test"), |fault| matches!(
            fault,
            CertificateError::ExpiredContext { .. }
        )));
    }

    #[test]
    fn without_verification_any_certificate_will_do_but_not_any_signature() {
        let authority = Authority::new();
        let options = ClientOptions { verify: false, ..ClientOptions::default() };
        assert_eq!(verdict(&options, &authority.issue(&["b.test"]), "a.test"), Ok(()));
        assert_eq!(verdict(&options, &self_signed(&["b.test"], 2001), "a.test"), Ok(()));

        // A thief has the certificate and signs with a key of his own.
        let (shown, own) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
        let load = |pem: &CertificatePem| {
            Certificate::load(pem, &provider(&Choices::default()), &mut Findings::default())
                .unwrap()
                .certified
        };
        let stolen =
            rustls::sign::CertifiedKey::new(load(&shown).cert.clone(), load(&own).key.clone());
        for version in [&TLS12, &TLS13] {
            let server = ServerConfig::builder_with_provider(provider(&Choices::default()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen.clone())));
            let refused = handshake(&client_config(&options), &Arc::new(server), "a.test");
            let bad = Error::InvalidCertificate(CertificateError::BadSignature);
            assert_eq!(refused.unwrap_err(), Refused::ByClient(bad));
        }
    }

    #[test]
    fn the_client_certificate_is_shown_when_asked_for() {
        let (authority, clients) = (Authority::new(), Authority::new());
        let mut roots = RootCertStore::empty();
        roots.add(certificates(&clients.certificate).unwrap().remove(0)).unwrap();
        let asking = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider(&Choices::default()),
        );
        let own = authority.issue(&["a.test"]);
        let own = Certificate::load(&own, &provider(&Choices::default()), &mut Findings::default())
            .unwrap()
            .certified;
        let server = ServerConfig::builder_with_provider(provider(&Choices::default()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .unwrap()
            .with_client_cert_verifier(asking.build().unwrap())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        let server = Arc::new(server);

        let mut options = believing(&authority);
        let refused = handshake(&client_config(&options), &server, "a.test").unwrap_err();
        assert_eq!(refused, Refused::ByServer(Error::NoCertificatesPresented));

        let shown = clients.issue(&["gateway.test"]);
        options.certificate = Some(shown.clone());
        let pair = handshake(&client_config(&options), &server, "a.test").unwrap();
        let expected = certificates(&shown.chain).unwrap();
        assert_eq!(pair.server.peer_certificates().unwrap(), expected);
    }

    #[test]
    fn sessions_resume() {
        let authority = Authority::new();
        let server = server_config(&serving([authority.issue(&["a.test"])]));
        let client = client_config(&believing(&authority));
        let kind = || handshake(&client, &server, "a.test").unwrap().client.handshake_kind();
        assert_eq!(kind(), Some(HandshakeKind::Full));
        assert_eq!(kind(), Some(HandshakeKind::Resumed));
        assert_eq!(kind(), Some(HandshakeKind::Resumed));
    }

    #[test]
    fn a_broken_authority_is_named() {
        let broken = |text| {
            let options = ClientOptions { ca: Some(pem("/ca.pem", text)), ..Default::default() };
            client(&options, &SystemRoots::default()).unwrap_err()
        };
        assert_eq!(broken(""), TlsError::EmptyChain { label: "/ca.pem".into() });
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(broken(junk), TlsError::Certificate { position: 1, .. }));
    }

    #[test]
    fn built_in_authorities_stand_in_only_for_an_absent_store() {
        let absent = roots(CertificateResult::default()).unwrap();
        assert!(absent.built_in && !absent.store.is_empty());

        let mut present = CertificateResult::default();
        present.certs = certificates(&Authority::new().certificate).unwrap();
        let present = roots(present).unwrap();
        assert!(!present.built_in);
        assert_eq!(present.store.len(), 1);
    }
}
