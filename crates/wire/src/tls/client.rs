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
use super::verifier::{NoVerification, Pin, PinnedOrIssued};
use super::{CertificatePem, Configured, Pem, TlsError, TlsWarning};

/// TLS towards the endpoints of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The authorities to believe instead of the system's. An endpoint's own certificate may stand
    /// here too: it is then believed as it is, and nothing that its key has signed.
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
    let issued = |store: Arc<RootCertStore>, authorities: Option<&[_]>, findings: &mut Findings| {
        let lists = revocation::lists(&options.revocation, authorities, findings)?;
        if store.is_empty() {
            return Ok(None);
        }
        let mut builder =
            WebPkiServerVerifier::builder_with_provider(store, provider.clone()).with_crls(lists);
        if options.revocation.accept_unknown {
            builder = builder.allow_unknown_revocation_status();
        }
        if !options.revocation.accept_expired {
            builder = builder.enforce_revocation_expiration();
        }
        builder.build().map(Some).map_err(setup)
    };
    let Some(ca) = &options.ca else {
        let roots = system.read()?;
        findings.warnings.extend(roots.built_in.then_some(TlsWarning::BuiltInRoots));
        let issued = issued(roots.store, None, findings)?;
        return Ok(Arc::new(PinnedOrIssued::new(issued, Vec::new(), provider)));
    };
    let all = certificates(ca)?;
    findings.certificates(ExpiryKind::Authority, ca, &all);
    let (mut store, mut authorities, mut pins) = (RootCertStore::empty(), Vec::new(), Vec::new());
    for (index, der) in all.into_iter().enumerate() {
        let pin = Pin::new(&der).map_err(|reason| unusable(&ca.label, index, reason))?;
        if pin.may_issue() {
            store.add(der.clone()).map_err(|error| unusable(&ca.label, index, error))?;
            authorities.push(der);
        }
        pins.push(pin);
    }
    let issued = issued(Arc::new(store), Some(&authorities), findings)?;
    Ok(Arc::new(PinnedOrIssued::new(issued, pins, provider)))
}

#[cfg(test)]
mod tests;
