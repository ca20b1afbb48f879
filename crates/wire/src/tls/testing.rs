//! For the tests of this module: an authority that issues certificates, and handshakes in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::client::ClientConnection;
use rustls::server::ServerConnection;
use rustls::{ClientConfig, Error, ServerConfig, SupportedProtocolVersion};

use super::{
    CertificatePem, Choices, ClientOptions, Pem, ServerOptions, SystemRoots, Ticketer, client,
    server, server_name,
};

/// How many there are.
static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// A certificate authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: Pem,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Lists of revoked certificates are found by their issuer's name.
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = pem("/ca.pem", &params.self_signed(&key).unwrap().pem());
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for `names` that an ECDSA key signs for.
    pub(super) fn issue(&self, names: &[&str]) -> CertificatePem {
        self.issue_with(names, &KeyPair::generate().unwrap(), |_| ())
    }

    /// The same with a 2048 bit RSA key.
    pub(super) fn issue_rsa(&self, names: &[&str]) -> CertificatePem {
        self.issue_with(names, &KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(), |_| ())
    }

    pub(super) fn issue_with(
        &self,
        names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificatePem {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        signed(&params, key, &self.issuer)
    }

    /// A certificate for `params` and the key.
    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> CertificatePem {
        signed(params, key, &self.issuer)
    }

    /// A list of the certificates with these serial numbers, good until the first day of a year.
    pub(super) fn revoking(&self, serials: &[u64], until: i32) -> Pem {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2000, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2000, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        pem("/ca.crl", &params.signed_by(&self.issuer).unwrap().pem().unwrap())
    }
}

/// A certificate that whoever has the issuer's key signs, authority or not.
pub(super) fn signed(
    params: &CertificateParams,
    key: &KeyPair,
    issuer: &Issuer<'_, KeyPair>,
) -> CertificatePem {
    let chain = params.signed_by(key, issuer).unwrap().pem();
    CertificatePem {
        chain: pem("/cert.pem", &chain),
        key: pem("/key.pem", &key.serialize_pem()),
        ocsp: None,
    }
}

/// A text as if read from `label`.
pub(super) fn pem(label: &str, text: &str) -> Pem {
    Pem { text: text.as_bytes().into(), label: label.into() }
}

/// Options with these certificates and nothing else out of the ordinary.
pub(super) fn serving(certificates: impl Into<Vec<CertificatePem>>) -> ServerOptions {
    ServerOptions {
        certificates: certificates.into(),
        choices: Choices::default(),
        require_sni: false,
        alpn: Vec::new(),
        client_auth: None,
    }
}

/// Options that believe `authority`.
pub(super) fn believing(authority: &Authority) -> ClientOptions {
    ClientOptions { ca: Some(authority.certificate.clone()), ..ClientOptions::default() }
}

pub(super) fn server_config(options: &ServerOptions) -> Arc<ServerConfig> {
    server(options, &Ticketer::new().unwrap()).unwrap().config
}

pub(super) fn client_config(options: &ClientOptions) -> Arc<ClientConfig> {
    client(options, &SystemRoots::default()).unwrap().config
}

/// A client as `change` wants it, for what the gateway's own client never does.
pub(super) fn foreign_client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ClientConfig),
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for der in super::certificate::certificates(&authority.certificate).unwrap() {
        roots.add(der).unwrap();
    }
    let mut config =
        ClientConfig::builder_with_provider(super::provider::provider(&Choices::default()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    change(&mut config);
    Arc::new(config)
}

/// Two ends after their handshake.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

/// Whose check failed, and how.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    ByClient(Error),
    ByServer(Error),
}

/// Shakes hands in memory until neither side has more to say, tickets included.
pub(super) fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Pair, Refused> {
    let name = server_name(name).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut flight = Vec::new();
    while client.wants_write() || server.wants_write() {
        flight.clear();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(Refused::ByServer)?;
        }
        flight.clear();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(Refused::ByClient)?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Pair { client, server })
}
