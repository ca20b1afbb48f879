//! TLS on either side: files, versions, cipher suites, curves, revocation lists.

use portcullis_core::tls::{Curve, Suite};

use super::{Scope, host};
use crate::model::{
    Certificate, ClientAuth, ClientCertHeader, ListenerTls, Revocation, ServiceTls, StoreTls,
    TlsChoices, TlsFile, TlsVersions,
};
use crate::raw::{
    CertificateSpec, ClientAuthModeSpec, ClientAuthSpec, ClientCertHeaderSpec, LeniencySpec,
    ListenerTlsSpec, OneOrMany, ServiceTlsSpec, Spanned, StoreTlsSpec, TlsVersionSpec,
};
use crate::report::nearest;

/// What stands before a certificate in PEM.
const CERTIFICATE: (&str, &str) = ("CERTIFICATE-----", "certificate");
/// What stands before a private key of any kind.
const KEY: (&str, &str) = ("PRIVATE KEY-----", "private key");
/// What stands before a revocation list.
const CRL: (&str, &str) = ("X509 CRL-----", "revocation list");

pub(super) fn listener(spec: &ListenerTlsSpec, scope: &mut Scope<'_>) -> ListenerTls {
    if spec.certificates.value.is_empty() && !scope.incomplete {
        scope.fault(spec.certificates.span, "TLS needs at least one certificate");
    }
    let written = Choices {
        min: spec.min_version.as_ref(),
        max: spec.max_version.as_ref(),
        ciphers: spec.ciphers.as_ref(),
        curves: spec.curves.as_ref(),
    };
    ListenerTls {
        certificates: spec.certificates.value.iter().map(|c| certificate(c, scope)).collect(),
        choices: written.check(scope),
        require_sni: spec.require_sni,
        client_auth: spec.client_auth.as_ref().map(|auth| client_auth(auth, scope)),
    }
}

pub(super) fn service(spec: &ServiceTlsSpec, scope: &mut Scope<'_>) -> ServiceTls {
    let written = Choices {
        min: spec.min_version.as_ref(),
        max: spec.max_version.as_ref(),
        ciphers: spec.ciphers.as_ref(),
        curves: spec.curves.as_ref(),
    };
    if let Some(ocsp) = spec.certificate.as_ref().and_then(|written| written.ocsp.as_ref()) {
        scope.fault(ocsp.span, "`ocsp` is for certificates that are shown to clients");
    }
    if let Some(list) = spec.crl.as_ref().and_then(|lists| lists.0.first())
        && spec.verify == Some(false)
    {
        scope.fault(list.span, "revocation is not checked where `verify` is false");
    }
    let (unknown, expired) = (spec.crl_unknown.as_ref(), spec.crl_expired.as_ref());
    ServiceTls {
        server_name: spec.server_name.as_ref().map(|name| host::server_name(name, scope)),
        ca: spec.ca.as_ref().map(|ca| pem(ca, CERTIFICATE, scope)),
        certificate: spec.certificate.as_ref().map(|written| certificate(written, scope)),
        verify: spec.verify.unwrap_or(true),
        choices: written.check(scope),
        revocation: revocation(spec.crl.as_ref(), unknown, expired, scope),
    }
}

pub(super) fn store(spec: &StoreTlsSpec, scope: &mut Scope<'_>) -> StoreTls {
    if let Some(ocsp) = spec.certificate.as_ref().and_then(|written| written.ocsp.as_ref()) {
        scope.fault(ocsp.span, "`ocsp` is for certificates that are shown to clients");
    }
    StoreTls {
        ca: spec.ca.as_ref().map(|ca| pem(ca, CERTIFICATE, scope)),
        certificate: spec.certificate.as_ref().map(|written| certificate(written, scope)),
    }
}

fn certificate(written: &CertificateSpec, scope: &mut Scope<'_>) -> Certificate {
    Certificate {
        cert: pem(&written.cert, CERTIFICATE, scope),
        key: pem(&written.key, KEY, scope),
        ocsp: written.ocsp.as_ref().map(|path| {
            let (path, content) = scope.file(path);
            TlsFile { path, content }
        }),
    }
}

/// A PEM file that holds at least one block of a kind. What is in the block is for TLS to judge.
fn pem(written: &Spanned<String>, (mark, what): (&str, &str), scope: &mut Scope<'_>) -> TlsFile {
    let faults = scope.findings.len();
    let (path, content) = scope.file(written);
    let found = content.windows(mark.len()).any(|window| window == mark.as_bytes());
    if !found && scope.findings.len() == faults {
        let is_der = content.first() == Some(&0x30);
        let fault = scope.fault(written.span, format!("there is no {what} in this file"));
        fault.label = format!("expected PEM with a `{mark}` line");
        fault.help = is_der.then(|| "`openssl` turns DER into PEM: `-inform der`".to_owned());
    }
    TlsFile { path, content }
}

fn client_auth(spec: &ClientAuthSpec, scope: &mut Scope<'_>) -> ClientAuth {
    let (unknown, expired) = (spec.crl_unknown.as_ref(), spec.crl_expired.as_ref());
    let mut headers: Vec<ClientCertHeader> = Vec::new();
    for written in spec.headers.as_deref().unwrap_or(&[ClientCertHeaderSpec::ClientCert]) {
        let header = header(*written);
        if !headers.contains(&header) {
            headers.push(header);
        }
    }
    ClientAuth {
        required: !matches!(spec.mode, Some(ClientAuthModeSpec::Optional)),
        ca: pem(&spec.ca, CERTIFICATE, scope),
        revocation: revocation(spec.crl.as_ref(), unknown, expired, scope),
        headers,
    }
}

fn header(written: ClientCertHeaderSpec) -> ClientCertHeader {
    match written {
        ClientCertHeaderSpec::ClientCert => ClientCertHeader::ClientCert,
        ClientCertHeaderSpec::ClientCertChain => ClientCertHeader::ClientCertChain,
        ClientCertHeaderSpec::Subject => ClientCertHeader::Subject,
        ClientCertHeaderSpec::Dns => ClientCertHeader::Dns,
        ClientCertHeaderSpec::Uri => ClientCertHeader::Uri,
        ClientCertHeaderSpec::Email => ClientCertHeader::Email,
        ClientCertHeaderSpec::Ip => ClientCertHeader::Ip,
        ClientCertHeaderSpec::Serial => ClientCertHeader::Serial,
        ClientCertHeaderSpec::Fingerprint => ClientCertHeader::Fingerprint,
    }
}

fn revocation(
    lists: Option<&OneOrMany<Spanned<String>>>,
    unknown: Option<&Spanned<LeniencySpec>>,
    expired: Option<&Spanned<LeniencySpec>>,
    scope: &mut Scope<'_>,
) -> Revocation {
    let lists: Vec<TlsFile> =
        lists.iter().flat_map(|lists| &lists.0).map(|list| pem(list, CRL, scope)).collect();
    for (key, written) in [("crl_unknown", unknown), ("crl_expired", expired)] {
        if let Some(written) = written.filter(|_| lists.is_empty()) {
            scope.fault(written.span, format!("`{key}` says nothing without `crl`"));
        }
    }
    let accepts = |written: Option<&Spanned<LeniencySpec>>| {
        written.is_some_and(|written| written.value == LeniencySpec::Accept)
    };
    Revocation { lists, accept_unknown: accepts(unknown), accept_expired: accepts(expired) }
}

/// What of TLS is to be spoken, as written.
struct Choices<'a> {
    min: Option<&'a Spanned<TlsVersionSpec>>,
    max: Option<&'a Spanned<TlsVersionSpec>>,
    ciphers: Option<&'a Spanned<Vec<Spanned<String>>>>,
    curves: Option<&'a Spanned<Vec<Spanned<String>>>>,
}

impl Choices<'_> {
    fn check(&self, scope: &mut Scope<'_>) -> TlsChoices {
        let faults = scope.findings.len();
        let versions = self.versions(scope);
        let suites = chosen(self.ciphers, "cipher suite", Suite::named, &suite_names(), scope);
        let curves = chosen(self.curves, "curve", Curve::named, &curve_names(), scope);
        let choices = TlsChoices { versions, suites, curves };
        if scope.findings.len() == faults {
            self.check_versions(&choices, scope);
        }
        choices
    }

    fn versions(&self, scope: &mut Scope<'_>) -> TlsVersions {
        let min = self.min.map_or(TlsVersionSpec::Tls12, |written| written.value);
        let max = self.max.map_or(TlsVersionSpec::Tls13, |written| written.value);
        if let (Some(low), Some(high)) = (self.min, self.max)
            && min > max
        {
            scope.fault(low.span, "`min_version` is above `max_version`").also =
                Some((high.span, "`max_version` is here".into()));
        }
        match (min, max) {
            (TlsVersionSpec::Tls12, TlsVersionSpec::Tls13) => TlsVersions::Both,
            (_, TlsVersionSpec::Tls12) => TlsVersions::Only12,
            (TlsVersionSpec::Tls13, TlsVersionSpec::Tls13) => TlsVersions::Only13,
        }
    }

    /// A version that is spoken must have something to speak with.
    fn check_versions(&self, choices: &TlsChoices, scope: &mut Scope<'_>) {
        let TlsChoices { versions, suites, curves } = choices;
        let only = |key, version| match versions {
            TlsVersions::Both => format!("add one, or set `{key}: \"{version}\"`"),
            TlsVersions::Only12 | TlsVersions::Only13 => "add one".to_owned(),
        };
        if let Some(written) = self.ciphers {
            if *versions != TlsVersions::Only13 && suites.iter().all(|suite| suite.is_tls13()) {
                scope.fault(written.span, "no cipher suite of TLS 1.2 is left").help =
                    Some(only("min_version", "1.3"));
            }
            if *versions != TlsVersions::Only12 && !suites.iter().any(|suite| suite.is_tls13()) {
                scope.fault(written.span, "no cipher suite of TLS 1.3 is left").help =
                    Some(only("max_version", "1.2"));
            }
        }
        if let Some(written) = self.curves
            && *versions != TlsVersions::Only13
            && curves.iter().all(|curve| curve.needs_tls13())
        {
            scope.fault(written.span, "no curve of TLS 1.2 is left").help =
                Some(only("min_version", "1.3"));
        }
    }
}

/// The choices of these names, in order; empty when nothing is written.
fn chosen<T: PartialEq>(
    written: Option<&Spanned<Vec<Spanned<String>>>>,
    what: &str,
    named: fn(&str) -> Option<T>,
    names: &[&'static str],
    scope: &mut Scope<'_>,
) -> Vec<T> {
    let Some(written) = written else {
        return Vec::new();
    };
    if written.value.is_empty() && !scope.incomplete {
        scope.fault(written.span, format!("TLS needs at least one {what}"));
    }
    let mut chosen = Vec::new();
    for item in &written.value {
        match named(item.as_str()) {
            Some(choice) if chosen.contains(&choice) => {
                let shown = item.shown();
                scope.fault(item.span, format!("the {what} {shown} is here twice"));
            }
            Some(choice) => chosen.push(choice),
            None => {
                let shown = item.shown();
                let near = nearest(item.as_str(), names.iter().copied()).filter(|_| !item.hidden);
                let fault = scope.fault(item.span, format!("{shown} is no {what} that is spoken"));
                fault.help = Some(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("spoken are {}", list(names)),
                });
            }
        }
    }
    chosen
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// IANA's names; the others are read as well.
fn suite_names() -> Vec<&'static str> {
    Suite::ALL.into_iter().map(|suite| suite.names()[0]).collect()
}

fn curve_names() -> Vec<&'static str> {
    Curve::ALL.into_iter().filter_map(|curve| curve.names().first().copied()).collect()
}
