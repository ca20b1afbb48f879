//! Which certificate a client gets: by the server name that it asks for (SNI, RFC 6066, 3) and by
//! the signatures that it understands.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The certificates of a listener by server name.
#[derive(Debug)]
pub(super) struct Resolver {
    exact: HashMap<Box<str>, Choices>,
    /// Keyed by what follows `*.`; the star stands for one label (RFC 6125, 6.4.3).
    wildcard: HashMap<Box<str>, Choices>,
    default: Choices,
    require_sni: bool,
}

/// Certificates for one name, the preferred first.
type Choices = Vec<Arc<CertifiedKey>>;

impl Resolver {
    /// `first` is the default, together with those of `others` that bear the same names (an RSA
    /// twin beside an ECDSA certificate).
    pub(super) fn new(first: &Certificate, others: &[Certificate], require_sni: bool) -> Self {
        let mut resolver = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: vec![first.certified.clone()],
            require_sni,
        };
        resolver.add(first);
        for other in others {
            resolver.add(other);
            if same_names(first, other) {
                resolver.default.push(other.certified.clone());
            }
        }
        let tables = resolver.exact.values_mut().chain(resolver.wildcard.values_mut());
        for choices in tables.chain([&mut resolver.default]) {
            // ECDSA and EdDSA sign at a fraction of what RSA costs. The sort is stable: among
            // equals the written order decides.
            choices.sort_by_key(|choice| choice.key.algorithm() == SignatureAlgorithm::RSA);
        }
        resolver
    }

    fn add(&mut self, certificate: &Certificate) {
        for name in &certificate.names {
            let choices = match name.strip_prefix("*.") {
                Some(parent) => self.wildcard.entry(parent.into()).or_default(),
                None => self.exact.entry(name.clone()).or_default(),
            };
            choices.push(certificate.certified.clone());
        }
    }

    /// The certificates for a server name in lower case; `None` refuses the handshake.
    fn choices(&self, name: Option<&str>) -> Option<&Choices> {
        let found = name.and_then(|name| {
            let wildcard = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(wildcard)
        });
        found.or_else(|| (!self.require_sni).then_some(&self.default))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choices = self.choices(hello.server_name())?;
        let schemes = hello.signature_schemes();
        let fits = |choice: &&Arc<CertifiedKey>| choice.key.choose_scheme(schemes).is_some();
        // If none fits, any will do: `rustls` then ends the handshake with the right alert.
        choices.iter().find(fits).or(choices.first()).cloned()
    }
}

fn same_names(a: &Certificate, b: &Certificate) -> bool {
    let sorted = |certificate: &Certificate| {
        let mut names = certificate.names.clone();
        names.sort_unstable();
        names.dedup();
        names
    };
    !a.names.is_empty() && sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::version::{TLS12, TLS13};
    use rustls::{PeerIncompatible, SignatureScheme};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::super::testing::{
        Authority, Refused, believing, client_config, foreign_client, handshake, server_config,
        serving,
    };
    use super::super::verifier::NoVerification;
    use super::super::{CertificatePem, ServerOptions};

    fn leaf(certificate: &CertificatePem) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&certificate.chain.text).unwrap()
    }

    #[test]
    fn the_name_chooses() {
        let authority = Authority::new();
        let default = authority.issue(&["default.test"]);
        let wild = authority.issue(&["*.Example.test"]);
        let exact = authority.issue(&["www.example.test", "example.test"]);
        let server = server_config(&serving([default.clone(), wild.clone(), exact.clone()]));
        let client = foreign_client(&authority, &[&TLS13], |config| {
            let anything = NoVerification::new(config.crypto_provider());
            config.dangerous().set_certificate_verifier(Arc::new(anything));
        });
        for (name, expected) in [
            ("default.test", &default),
            ("example.test", &exact),
            ("www.example.test", &exact),
            ("WWW.Example.Test", &exact),
            ("api.example.test", &wild),
            ("API.example.test", &wild),
            ("a.b.example.test", &default),
            ("notexample.test", &default),
            ("other", &default),
            ("192.0.2.1", &default), // an address is never sent as SNI
        ] {
            let pair = handshake(&client, &server, name).unwrap();
            let shown = &pair.client.peer_certificates().unwrap()[0];
            assert_eq!(*shown, leaf(expected), "{name}");
        }
    }

    #[test]
    fn a_name_may_be_required() {
        let authority = Authority::new();
        let certificate = authority.issue(&["a.test", "192.0.2.1"]);
        let options = ServerOptions { require_sni: true, ..serving([certificate]) };
        let server = server_config(&options);
        let client = client_config(&believing(&authority));
        handshake(&client, &server, "a.test").unwrap();
        for name in ["b.test", "x.a.test", "192.0.2.1"] {
            let refused = handshake(&client, &server, name).unwrap_err();
            assert!(matches!(refused, Refused::ByServer(_)), "{name}: {refused:?}");
        }
    }

    /// A client of `versions` that knows only RSA or only ECDSA signatures.
    fn limited_client(
        authority: &Authority,
        versions: &[&'static rustls::SupportedProtocolVersion],
        rsa: bool,
    ) -> Arc<rustls::ClientConfig> {
        foreign_client(authority, versions, |config| {
            let mut provider = (**config.crypto_provider()).clone();
            let mapping: Vec<_> = provider
                .signature_verification_algorithms
                .mapping
                .iter()
                .filter(|(scheme, _)| is_rsa(*scheme) == rsa)
                .copied()
                .collect();
            provider.signature_verification_algorithms.mapping = mapping.leak();
            let anything = NoVerification::new(&provider);
            config.dangerous().set_certificate_verifier(Arc::new(anything));
        })
    }

    fn is_rsa(scheme: SignatureScheme) -> bool {
        format!("{scheme:?}").starts_with("RSA")
    }

    #[test]
    fn the_signatures_that_a_client_knows_choose_the_kind() {
        let authority = Authority::new();
        // RSA stands first, and still ECDSA is preferred.
        let rsa = authority.issue_rsa(&["a.test", "b.test"]);
        let ecdsa = authority.issue(&["b.test", "a.test"]);
        let server = server_config(&serving([rsa.clone(), ecdsa.clone()]));
        let both = client_config(&believing(&authority));
        for name in ["a.test", "b.test"] {
            let pair = handshake(&both, &server, name).unwrap();
            assert_eq!(pair.client.peer_certificates().unwrap()[0], leaf(&ecdsa));
        }
        for versions in [[&TLS12], [&TLS13]] {
            // The last name gets the default, which has an RSA twin.
            for name in ["a.test", "b.test", "192.0.2.1"] {
                for (only_rsa, expected) in [(true, &rsa), (false, &ecdsa)] {
                    let client = limited_client(&authority, &versions, only_rsa);
                    let pair = handshake(&client, &server, name).unwrap();
                    let shown = &pair.client.peer_certificates().unwrap()[0];
                    assert_eq!(*shown, leaf(expected), "{name}, {versions:?}, rsa: {only_rsa}");
                }
            }
        }
    }

    #[test]
    fn nothing_in_common_is_a_failed_handshake() {
        let authority = Authority::new();
        let server = server_config(&serving([authority.issue(&["a.test"])]));
        let client = limited_client(&authority, &[&TLS13], true);
        let expected = PeerIncompatible::NoSignatureSchemesInCommon.into();
        let refused = handshake(&client, &server, "a.test").unwrap_err();
        assert_eq!(refused, Refused::ByServer(expected));
    }
}
