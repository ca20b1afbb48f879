//! Which cryptography is offered, and in what order.

use std::sync::Arc;

use portcullis_core::tls::{Curve, Suite};
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group as group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// What of TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choices {
    /// The versions.
    pub versions: Versions,
    /// The cipher suites, the preferred first; empty takes [`Suite::ALL`].
    pub suites: Vec<Suite>,
    /// The key exchange groups, the preferred first; empty takes [`Curve::DEFAULT`].
    pub curves: Vec<Curve>,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Only12,
    /// TLS 1.3 alone.
    Only13,
}

impl Versions {
    /// The same for `rustls`.
    pub(super) fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Versions::Both => &BOTH,
            Versions::Only13 => &BOTH[..1],
            Versions::Only12 => &BOTH[1..],
        }
    }
}

/// The `aws-lc-rs` provider with these choices.
///
/// A server takes the first group of the client's own order that it knows, so X25519MLKEM768 (16
/// microseconds more) costs only those who ask for it. Towards upstreams X25519 is offered first,
/// and X25519MLKEM768 is there for servers that insist.
pub(super) fn provider(choices: &Choices) -> Arc<CryptoProvider> {
    let suites = or_default(&choices.suites, &Suite::ALL);
    let curves = or_default(&choices.curves, &Curve::DEFAULT);
    Arc::new(CryptoProvider {
        cipher_suites: suites.iter().copied().map(cipher_suite).collect(),
        kx_groups: curves.iter().copied().map(kx_group).collect(),
        ..aws_lc_rs::default_provider()
    })
}

fn or_default<'a, T>(chosen: &'a [T], default: &'a [T]) -> &'a [T] {
    if chosen.is_empty() { default } else { chosen }
}

fn cipher_suite(chosen: Suite) -> SupportedCipherSuite {
    match chosen {
        Suite::Tls13Aes128GcmSha256 => suite::TLS13_AES_128_GCM_SHA256,
        Suite::Tls13Aes256GcmSha384 => suite::TLS13_AES_256_GCM_SHA384,
        Suite::Tls13Chacha20Poly1305Sha256 => suite::TLS13_CHACHA20_POLY1305_SHA256,
        Suite::EcdheEcdsaAes128GcmSha256 => suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdheEcdsaAes256GcmSha384 => suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdheEcdsaChacha20Poly1305Sha256 => {
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        Suite::EcdheRsaAes128GcmSha256 => suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdheRsaAes256GcmSha384 => suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdheRsaChacha20Poly1305Sha256 => suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn kx_group(chosen: Curve) -> &'static dyn SupportedKxGroup {
    match chosen {
        Curve::X25519 => group::X25519,
        Curve::Secp256r1 => group::SECP256R1,
        Curve::Secp384r1 => group::SECP384R1,
        Curve::X25519MlKem768 => group::X25519MLKEM768,
        Curve::Secp256r1MlKem768 => group::SECP256R1MLKEM768,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_what_its_name_says() {
        for suite in Suite::ALL {
            let supported = cipher_suite(suite);
            let name = format!("{:?}", supported.suite());
            assert!(suite.names().contains(&name.as_str()), "{name}");
            assert_eq!(supported.tls13().is_some(), suite.is_tls13());
        }
        for curve in Curve::ALL {
            let name = format!("{:?}", kx_group(curve).name());
            let is = |known: &&str| known.eq_ignore_ascii_case(&name);
            assert!(curve.names().iter().any(is), "{name}");
        }
    }

    #[test]
    fn nothing_chosen_is_the_default() {
        let provider = provider(&Choices::default());
        assert_eq!(provider.cipher_suites.len(), Suite::ALL.len());
        let groups: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
        let theirs: Vec<_> =
            aws_lc_rs::DEFAULT_KX_GROUPS.iter().map(|group| group.name()).collect();
        assert_eq!(groups, theirs);
    }
}
