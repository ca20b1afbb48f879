use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, HandshakeKind, ServerConfig};
use rustls_native_certs::CertificateResult;

use super::super::testing::{
    Authority, Refused, believing, client_config, handshake, pem, server_config, serving, signed,
};
use super::*;

/// What a client with `options` says to a server that shows `certificate`.
fn verdict(options: &ClientOptions, certificate: &CertificatePem, name: &str) -> Result<(), Error> {
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
        let other = |fault: &_| matches!(fault, CertificateError::NotValidForNameContext { .. });
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
    assert!(is_about(verdict, |fault| matches!(fault, CertificateError::ExpiredContext { .. })));
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
    let pinned = ClientOptions { ca: Some(certificate.chain.clone()), ..ClientOptions::default() };
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

/// A certificate for `a.test` with a key of its own that the holder of another has signed.
fn forged_by(issuer: &rcgen::Issuer<'_, rcgen::KeyPair>) -> CertificatePem {
    let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    signed(&params, &rcgen::KeyPair::generate().unwrap(), issuer)
}

/// Believes these texts, one after the other in one file.
fn trusting(texts: &[&Pem]) -> ClientOptions {
    let text: Vec<u8> = texts.iter().flat_map(|pem| pem.text.to_vec()).collect();
    let ca = pem("/ca.pem", std::str::from_utf8(&text).unwrap());
    ClientOptions { ca: Some(ca), ..ClientOptions::default() }
}

#[test]
fn a_pinned_certificate_is_believed_and_not_what_its_key_signs() {
    let authority = Authority::new();
    for self_signed in [false, true] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
        let mut leaf = authority.sign(&params, &key);
        if self_signed {
            leaf.chain = pem("/cert.pem", &params.self_signed(&key).unwrap().pem());
        }
        // Whoever has the leaf's key: as the leaf itself, and as an authority of its own.
        let thief = rcgen::Issuer::new(params, key);
        let forged = forged_by(&thief);
        let other = Authority::new();
        for options in [trusting(&[&leaf.chain]), trusting(&[&other.certificate, &leaf.chain])] {
            assert_eq!(verdict(&options, &leaf, "a.test"), Ok(()));
            let wrong = verdict(&options, &leaf, "b.test");
            assert!(is_about(wrong, |fault| matches!(
                fault,
                CertificateError::NotValidForNameContext { .. }
            )));
            let refused = verdict(&options, &forged, "a.test");
            assert!(is_about(refused, |fault| *fault == CertificateError::UnknownIssuer));
        }
    }
}

#[test]
fn a_pinned_certificate_that_its_authority_took_back_is_refused() {
    let authority = Authority::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = authority.issue_with(&["a.test"], &key, |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(8));
    });
    let mut options = trusting(&[&authority.certificate, &leaf.chain]);
    assert_eq!(verdict(&options, &leaf, "a.test"), Ok(()));
    options.revocation.lists = vec![authority.revoking(&[8], 4000)];
    let refused = verdict(&options, &leaf, "a.test");
    assert!(is_about(refused, |fault| *fault == CertificateError::Revoked));
}

#[test]
fn an_authority_that_may_not_sign_certificates_is_none() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let ca = pem("/ca.pem", &params.self_signed(&key).unwrap().pem());
    let options = ClientOptions { ca: Some(ca), ..ClientOptions::default() };
    let issued = forged_by(&rcgen::Issuer::new(params, key));
    let refused = verdict(&options, &issued, "a.test");
    assert!(is_about(refused, |fault| *fault == CertificateError::UnknownIssuer));
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
    let stolen = rustls::sign::CertifiedKey::new(load(&shown).cert.clone(), load(&own).key.clone());
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
    let asking =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider(&Choices::default()));
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
