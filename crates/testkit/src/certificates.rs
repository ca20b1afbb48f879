//! A certificate authority for tests, and both sides' TLS settings.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RevokedCertParams, SerialNumber,
};
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::TempDir;

/// How many authorities there are.
static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate that an [`Authority`] issued, with its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM.
    pub cert: String,
    /// PEM.
    pub key: String,
    /// DER.
    pub der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

/// How a client does TLS; connections made with clones of one share their sessions.
#[derive(Debug, Clone)]
pub struct TlsClient {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    /// Asked for by SNI, and verified.
    pub name: String,
}

impl Authority {
    /// A new authority that nobody knows.
    ///
    /// # Panics
    /// No randomness.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "every authority is another one")]
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Issuers and their revocation lists are found by name, so that each has its own.
        let name = format!("Test authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// PEM of its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names or addresses, with an ECDSA key.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, &KeyPair::generate().expect("a key"))
    }

    /// The same with an RSA key.
    #[must_use]
    pub fn issue_rsa(&self, names: &[&str]) -> Issued {
        self.issue_with(names, &KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key"))
    }

    /// A certificate as `change` wants it, with an ECDSA key.
    ///
    /// # Panics
    /// There can be no such certificate.
    #[must_use]
    pub fn issue_as(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::default();
        change(&mut params);
        self.sign(&params, &KeyPair::generate().expect("a key"))
    }

    /// A client's certificate: its common name, serial number, and the year that it ends before.
    #[must_use]
    pub fn issue_client(&self, name: &str, serial: u64, until: i32) -> Issued {
        self.issue_as(|params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.serial_number = Some(SerialNumber::from(serial));
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        })
    }

    /// PEM of a list of revoked serial numbers, good until the first day of a year.
    ///
    /// # Panics
    /// No randomness.
    #[must_use]
    pub fn revoking(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("a list as PEM")
    }

    fn issue_with(&self, names: &[&str], key: &KeyPair) -> Issued {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.sign(&CertificateParams::new(names).expect("legal names"), key)
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Issued {
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Issued {
            cert: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// Clients that know this authority and ask for `name`.
    #[must_use]
    pub fn client(&self, name: &str) -> TlsClient {
        self.client_with(name, rustls::ALL_VERSIONS)
    }

    /// The same, for these versions of TLS alone.
    #[must_use]
    pub fn client_with(
        &self,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsClient {
        let config = self.building_client(versions).with_no_client_auth();
        TlsClient { config: Arc::new(config), name: name.to_owned() }
    }

    /// The same, with a certificate to show to servers that ask for one.
    ///
    /// # Panics
    /// Never for what an [`Authority`] issued.
    #[must_use]
    pub fn client_showing(
        &self,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
        own: &Issued,
    ) -> TlsClient {
        let config = self
            .building_client(versions)
            .with_client_auth_cert(vec![own.der.clone()], own.private_key())
            .expect("a key that fits its certificate");
        TlsClient { config: Arc::new(config), name: name.to_owned() }
    }

    fn building_client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions that the provider knows")
            .with_root_certificates(self.roots())
    }

    /// A server with this certificate that asks every client for one of this authority.
    #[must_use]
    pub fn server_asking_for_certificates(&self, own: &Issued) -> Arc<ServerConfig> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider())
                .build()
                .expect("a verifier");
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions that the provider knows")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.der.clone()], own.private_key());
        Arc::new(config.expect("a key that fits its certificate"))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate");
        roots
    }
}

impl Issued {
    /// A server with this certificate.
    ///
    /// # Panics
    /// Never for what an [`Authority`] issued.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions that the provider knows")
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], self.private_key());
        Arc::new(config.expect("a key that fits its certificate"))
    }

    /// Writes `NAME.crt` and `NAME.key`, over older ones if need be.
    pub fn write(&self, dir: &TempDir, name: &str) -> (PathBuf, PathBuf) {
        // One file is replaced before the other, as everywhere: whoever watches must cope.
        let key = dir.write(&format!("{name}.key"), &self.key);
        let cert = dir.write(&format!("{name}.crt"), &self.cert);
        (cert, key)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }
}

/// The one provider of cryptography. Making it costs; sharing it does not.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}
