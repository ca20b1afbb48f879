//! Certificates that clients show: whether they are believed.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::certificate::{certificates, unusable};
use super::expiry::{ExpiryKind, Findings};
use super::parsed::Parsed;
use super::refused::Noting;
use super::revocation::{self, Revocation};
use super::server::setup;
use super::{Pem, TlsError};

/// Whom a listener asks for a certificate, and which it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Refuse clients that show none.
    pub required: bool,
    /// The authorities to believe.
    pub ca: Pem,
    /// Which of their certificates are not valid any more.
    pub revocation: Revocation,
}

/// Judges certificates of clients.
#[derive(Clone)]
pub struct ClientVerifier(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientVerifier {
    pub(super) fn new(
        options: &ClientAuth,
        provider: &Arc<CryptoProvider>,
        findings: &mut Findings,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let authorities = certificates(&options.ca)?;
        for (index, der) in authorities.iter().enumerate() {
            if Parsed::of(der).is_some_and(|parsed| !parsed.may_issue) {
                // Whoever has its key could make certificates that we would believe, though it was
                // made for one client alone.
                let (label, position) = (Arc::clone(&options.ca.label), index + 1);
                return Err(TlsError::NoAuthority { label, position });
            }
            roots.add(der.clone()).map_err(|error| unusable(&options.ca.label, index, error))?;
        }
        findings.certificates(ExpiryKind::Authority, &options.ca, &authorities);
        let revocation = &options.revocation;
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .with_crls(revocation::lists(revocation, Some(&authorities), findings)?);
        if !options.required {
            builder = builder.allow_unauthenticated();
        }
        if revocation.accept_unknown {
            builder = builder.allow_unknown_revocation_status();
        }
        if !revocation.accept_expired {
            builder = builder.enforce_revocation_expiration();
        }
        builder.build().map(|verifier| Self(Arc::new(Noting(verifier)))).map_err(setup)
    }

    /// Judges once more what a client showed when its session began, for a session that resumes
    /// brings no certificate and proves nothing anew: the certificate may have expired since, or
    /// the revocation list.
    ///
    /// # Errors
    /// What is wrong with it now, as in a full handshake.
    pub fn recheck(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        match chain.and_then(<[_]>::split_first) {
            Some((leaf, issuers)) => {
                self.0.verify_client_cert(leaf, issuers, UnixTime::now()).map(|_| ())
            }
            None if self.0.client_auth_mandatory() => Err(Error::NoCertificatesPresented),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::tls::HandshakeFault;
    use rcgen::SerialNumber;
    use rustls::{ClientConfig, HandshakeKind, ServerConfig};

    use super::super::testing::{
        Authority, Pair, Refused, believing, client_config, handshake, serving,
    };
    use super::super::{
        CertificatePem, Choices, Server, Ticketer, Versions, of_tls, server, take_refused_client,
    };
    use super::*;

    /// A server that asks clients for a certificate of `clients`.
    fn asking(
        own: &Authority,
        clients: &Authority,
        change: impl FnOnce(&mut ClientAuth),
    ) -> Server {
        let mut auth = ClientAuth {
            required: true,
            ca: clients.certificate.clone(),
            revocation: Revocation::default(),
        };
        change(&mut auth);
        let mut options = serving([own.issue(&["a.test"])]);
        options.client_auth = Some(auth);
        server(&options, &Ticketer::new().unwrap()).unwrap()
    }

    fn showing(
        own: &Authority,
        certificate: Option<CertificatePem>,
        versions: Versions,
    ) -> Arc<ClientConfig> {
        let choices = Choices { versions, ..Choices::default() };
        client_config(&super::super::ClientOptions { certificate, choices, ..believing(own) })
    }

    fn issue(clients: &Authority, serial: u64, until: i32) -> CertificatePem {
        let key = rcgen::KeyPair::generate().unwrap();
        clients.issue_with(&["client.test"], &key, |params| {
            params.serial_number = Some(SerialNumber::from(serial));
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        })
    }

    /// What both versions of TLS say, which must be the same.
    fn verdict(
        own: &Authority,
        server: &Arc<ServerConfig>,
        certificate: Option<&CertificatePem>,
    ) -> Result<Option<usize>, HandshakeFault> {
        let [a, b] = [Versions::Only12, Versions::Only13].map(|versions| {
            let client = showing(own, certificate.cloned(), versions);
            match handshake(&client, server, "a.test") {
                Ok(Pair { server, .. }) => Ok(server.peer_certificates().map(<[_]>::len)),
                Err(Refused::ByServer(error)) => Err(of_tls(&error)),
                Err(other) => panic!("{other:?}"),
            }
        });
        assert_eq!(a, b);
        a
    }

    #[test]
    fn only_certificates_of_the_authority_are_let_in() {
        let (own, clients) = (Authority::new(), Authority::new());
        let good = issue(&clients, 7, 4000);
        let expired = issue(&clients, 7, 2001);
        let stranger = issue(&own, 7, 4000);
        for required in [true, false] {
            let server = asking(&own, &clients, |auth| auth.required = required).config;
            assert_eq!(verdict(&own, &server, Some(&good)), Ok(Some(1)));
            let anonymous = verdict(&own, &server, None);
            assert_eq!(anonymous.is_ok(), !required);
            if required {
                assert_eq!(anonymous, Err(HandshakeFault::NoClientCertificate));
            }
            let fault = Err(HandshakeFault::ClientCertificateExpired);
            assert_eq!(verdict(&own, &server, Some(&expired)), fault);
            let fault = Err(HandshakeFault::BadClientCertificate);
            assert_eq!(verdict(&own, &server, Some(&stranger)), fault);
            assert!(take_refused_client().is_some());
            assert_eq!(verdict(&own, &server, Some(&good)), Ok(Some(1)));
            assert_eq!(take_refused_client(), None);
        }
    }

    #[test]
    fn revocation_is_strict_unless_told_otherwise() {
        let (own, clients) = (Authority::new(), Authority::new());
        let (good, revoked) = (issue(&clients, 7, 4000), issue(&clients, 8, 4000));
        let with = |list: Pem, change: fn(&mut Revocation)| {
            let auth = |auth: &mut ClientAuth| {
                auth.revocation.lists = vec![list];
                change(&mut auth.revocation);
            };
            asking(&own, &clients, auth).config
        };
        let unknown = Err(HandshakeFault::RevocationUnknown);
        let gone = Err(HandshakeFault::ClientCertificateRevoked);

        let current = with(clients.revoking(&[8], 4000), |_| ());
        assert_eq!(verdict(&own, &current, Some(&good)), Ok(Some(1)));
        assert_eq!(verdict(&own, &current, Some(&revoked)), gone);

        let expired = with(clients.revoking(&[8], 2001), |_| ());
        assert_eq!(verdict(&own, &expired, Some(&good)), unknown);
        let expired = with(clients.revoking(&[8], 2001), |r| r.accept_expired = true);
        assert_eq!(verdict(&own, &expired, Some(&good)), Ok(Some(1)));
        assert_eq!(verdict(&own, &expired, Some(&revoked)), gone);

        // A list of another authority says nothing.
        let other = with(own.revoking(&[8], 4000), |_| ());
        assert_eq!(verdict(&own, &other, Some(&good)), unknown);
        let other = with(own.revoking(&[8], 4000), |r| r.accept_unknown = true);
        assert_eq!(verdict(&own, &other, Some(&revoked)), Ok(Some(1)));
    }

    #[test]
    fn a_resumed_session_keeps_its_certificate_and_can_be_judged_again() {
        let (own, clients) = (Authority::new(), Authority::new());
        let shown = issue(&clients, 8, 4000);
        let first = asking(&own, &clients, |_| ());
        let stricter = asking(&own, &clients, |auth| {
            auth.revocation.lists = vec![clients.revoking(&[8], 4000)];
        });
        for versions in [Versions::Only12, Versions::Only13] {
            let client = showing(&own, Some(shown.clone()), versions);
            handshake(&client, &first.config, "a.test").unwrap();
            let again = handshake(&client, &first.config, "a.test").unwrap().server;
            assert_eq!(again.handshake_kind(), Some(HandshakeKind::Resumed));
            let chain = again.peer_certificates();
            assert_eq!(chain.map(<[_]>::len), Some(1));
            assert_eq!(first.verifier.as_ref().unwrap().recheck(chain), Ok(()));
            let refused = stricter.verifier.as_ref().unwrap().recheck(chain).unwrap_err();
            assert_eq!(of_tls(&refused), HandshakeFault::ClientCertificateRevoked);
            // Another ticketer, and so no resumption: the whole handshake is made, and refused.
            let refused = handshake(&client, &stricter.config, "a.test").unwrap_err();
            assert!(matches!(refused, Refused::ByServer(_)), "{refused:?}");
        }
        assert!(first.verifier.unwrap().recheck(None).is_err());
    }
}
