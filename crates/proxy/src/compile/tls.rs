//! TLS from the configuration to what connections use, and the place of what is wrong with it.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_config::model::{
    Address, Certificate, ClientAuth, Config, ListenerTls, Name, Revocation, Service, ServiceTls,
    TlsChoices, TlsFile, TlsVersions,
};
use portcullis_wire::tls::{
    self, CertificatePem, Choices, ClientOptions, Configured, Expiry, OcspResponse, Pem, Server,
    ServerOptions, SystemRoots, Ticketer, TlsError, Versions,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// Whose TLS it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A listener's.
    Listener,
    /// A service's.
    Service,
}

/// Until when files are good, by whose they are and its name.
pub(super) type Expiries = HashMap<(Owner, Name), Vec<Expiry>>;

/// Takes out those of whom TLS, or all, is gone.
pub(super) fn forget_expiries(expiries: &mut Expiries, config: &Config) {
    expiries.retain(|(owner, name), _| match owner {
        Owner::Listener => config.listeners.get(name).is_some_and(|l| l.tls.is_some()),
        Owner::Service => config.services.get(name).is_some_and(|s| s.tls.is_some()),
    });
}

/// What a listener's connections share.
pub(super) fn server(
    written: &ListenerTls,
    ticketer: &Ticketer,
    alpn: &[&[u8]],
) -> Result<Server, TlsError> {
    let options = ServerOptions {
        certificates: written.certificates.iter().map(certificate).collect(),
        choices: choices(&written.choices),
        require_sni: written.require_sni,
        alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
        client_auth: written.client_auth.as_ref().map(client_auth),
    };
    tls::server(&options, ticketer)
}

/// What the connections to a service share.
pub(super) fn client(
    written: &ServiceTls,
    roots: &SystemRoots,
    alpn: &[&[u8]],
) -> Result<Configured<ClientConfig>, TlsError> {
    let options = ClientOptions {
        ca: written.ca.as_ref().map(pem),
        certificate: written.certificate.as_ref().map(certificate),
        verify: written.verify,
        revocation: revocation(&written.revocation),
        choices: choices(&written.choices),
        alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
    };
    tls::client(&options, roots)
}

/// Whether both let the same clients in, so that one's sessions may go on in the other.
pub(super) fn same_clients(old: Option<&ListenerTls>, new: &ListenerTls) -> bool {
    match (old.map(|old| &old.client_auth), &new.client_auth) {
        (Some(Some(old)), Some(new)) => old.judges_as(new),
        (Some(None), None) => true,
        _ => false,
    }
}

/// The name under which the certificates of a service's endpoints are verified, where it is the
/// same for all.
pub(super) fn service_name(service: &Service) -> Result<Option<ServerName<'static>>, TlsError> {
    let name = service.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    name.map(tls::server_name).transpose()
}

/// The name under which an endpoint's certificate is verified, where its service gives none.
pub(super) fn endpoint_name(address: &Address) -> Result<ServerName<'static>, TlsError> {
    match address {
        Address::Ip(address) => Ok(ServerName::IpAddress(address.ip().into())),
        Address::Name { host, .. } => tls::server_name(host),
        Address::Unix(_) => tls::server_name("localhost"),
    }
}

fn certificate(written: &Certificate) -> CertificatePem {
    CertificatePem {
        chain: pem(&written.cert),
        key: pem(&written.key),
        ocsp: written
            .ocsp
            .as_ref()
            .map(|file| OcspResponse { der: Arc::clone(&file.content), label: label(file).into() }),
    }
}

fn pem(file: &TlsFile) -> Pem {
    Pem { text: Arc::clone(&file.content), label: label(file).into() }
}

fn label(file: &TlsFile) -> String {
    file.path.to_string_lossy().into_owned()
}

fn client_auth(written: &ClientAuth) -> tls::ClientAuth {
    tls::ClientAuth {
        required: written.required,
        ca: pem(&written.ca),
        revocation: revocation(&written.revocation),
    }
}

fn revocation(written: &Revocation) -> tls::Revocation {
    tls::Revocation {
        lists: written.lists.iter().map(pem).collect(),
        accept_unknown: written.accept_unknown,
        accept_expired: written.accept_expired,
    }
}

fn choices(written: &TlsChoices) -> Choices {
    Choices {
        versions: match written.versions {
            TlsVersions::Both => Versions::Both,
            TlsVersions::Only12 => Versions::Only12,
            TlsVersions::Only13 => Versions::Only13,
        },
        suites: written.suites.clone(),
        curves: written.curves.clone(),
    }
}

/// Where a listener's file of this name stands, as keys below its `tls`; empty if nowhere.
pub(super) fn place_in_listener(tls: &ListenerTls, file: Option<&str>) -> Vec<String> {
    let certificates = tls.certificates.iter().enumerate().flat_map(|(index, certificate)| {
        let place = format!("certificates.{index}");
        files_of(certificate).map(move |(key, file)| (format!("{place}.{key}"), file))
    });
    let auth = tls.client_auth.iter().flat_map(|auth| {
        let ca = [("client_auth.ca".to_owned(), &auth.ca)];
        ca.into_iter().chain(lists("client_auth.crl", &auth.revocation))
    });
    find(certificates.chain(auth), file)
}

/// The same for a service.
pub(super) fn place_in_service(tls: &ServiceTls, file: Option<&str>) -> Vec<String> {
    let ca = tls.ca.iter().map(|ca| ("ca".to_owned(), ca));
    let own = tls.certificate.iter().flat_map(files_of);
    let own = own.map(|(key, file)| (format!("certificate.{key}"), file));
    find(ca.chain(own).chain(lists("crl", &tls.revocation)), file)
}

fn files_of(certificate: &Certificate) -> impl Iterator<Item = (&'static str, &TlsFile)> {
    let pair = [("cert", &certificate.cert), ("key", &certificate.key)];
    pair.into_iter().chain(certificate.ocsp.iter().map(|file| ("ocsp", file)))
}

fn lists<'a>(
    key: &'static str,
    revocation: &'a Revocation,
) -> impl Iterator<Item = (String, &'a TlsFile)> {
    let lists = revocation.lists.iter().enumerate();
    lists.map(move |(index, file)| (format!("{key}.{index}"), file))
}

fn find<'a>(
    mut files: impl Iterator<Item = (String, &'a TlsFile)>,
    wanted: Option<&str>,
) -> Vec<String> {
    let found = files.find(|(_, file)| Some(label(file).as_str()) == wanted);
    found.map(|(place, _)| place.split('.').map(str::to_owned).collect()).unwrap_or_default()
}
