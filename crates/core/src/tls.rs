//! What can be chosen about TLS, by the names that IANA gave, and why handshakes fail.

/// A cipher suite. None is without forward secrecy and authenticated encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `TLS_AES_128_GCM_SHA256`
    Tls13Aes128GcmSha256,
    /// `TLS_AES_256_GCM_SHA384`
    Tls13Aes256GcmSha384,
    /// `TLS_CHACHA20_POLY1305_SHA256`
    Tls13Chacha20Poly1305Sha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`
    EcdheEcdsaAes128GcmSha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`
    EcdheEcdsaAes256GcmSha384,
    /// `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdheEcdsaChacha20Poly1305Sha256,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
    EcdheRsaAes128GcmSha256,
    /// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`
    EcdheRsaAes256GcmSha384,
    /// `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdheRsaChacha20Poly1305Sha256,
}

impl Suite {
    /// Every suite in the order of preference, which is the default.
    ///
    /// AES-128-GCM with SHA-256 comes first: no attack on it is in sight, and a full handshake
    /// costs a server a quarter less CPU than with the SHA-384 suites that clients like to list
    /// first (64 against 88 microseconds, P-256 certificate, X25519).
    pub const ALL: [Suite; 9] = [
        Suite::Tls13Aes128GcmSha256,
        Suite::Tls13Aes256GcmSha384,
        Suite::Tls13Chacha20Poly1305Sha256,
        Suite::EcdheEcdsaAes128GcmSha256,
        Suite::EcdheEcdsaAes256GcmSha384,
        Suite::EcdheEcdsaChacha20Poly1305Sha256,
        Suite::EcdheRsaAes128GcmSha256,
        Suite::EcdheRsaAes256GcmSha384,
        Suite::EcdheRsaChacha20Poly1305Sha256,
    ];

    /// Its names: IANA's first, then what OpenSSL (for TLS 1.3: `rustls`) calls it.
    #[must_use]
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Suite::Tls13Aes128GcmSha256 => ["TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256"],
            Suite::Tls13Aes256GcmSha384 => ["TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384"],
            Suite::Tls13Chacha20Poly1305Sha256 => {
                ["TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"]
            }
            Suite::EcdheEcdsaAes128GcmSha256 => {
                ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]
            }
            Suite::EcdheEcdsaAes256GcmSha384 => {
                ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"]
            }
            Suite::EcdheEcdsaChacha20Poly1305Sha256 => {
                ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]
            }
            Suite::EcdheRsaAes128GcmSha256 => {
                ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]
            }
            Suite::EcdheRsaAes256GcmSha384 => {
                ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"]
            }
            Suite::EcdheRsaChacha20Poly1305Sha256 => {
                ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]
            }
        }
    }

    /// Whether it is of TLS 1.3; all others are of 1.2.
    #[must_use]
    pub fn is_tls13(self) -> bool {
        matches!(
            self,
            Suite::Tls13Aes128GcmSha256
                | Suite::Tls13Aes256GcmSha384
                | Suite::Tls13Chacha20Poly1305Sha256
        )
    }

    /// Whether it takes RSA keys to sign, or those of curves; a suite of TLS 1.3 leaves that open.
    #[must_use]
    pub fn signs_with_rsa(self) -> Option<bool> {
        (!self.is_tls13()).then(|| self.names()[0].contains("_RSA_"))
    }

    /// The suite of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| is_called(&suite.names(), name))
    }
}

/// A key exchange group, which most call a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// `x25519`
    X25519,
    /// `secp256r1`
    Secp256r1,
    /// `secp384r1`
    Secp384r1,
    /// `X25519MLKEM768`: safe even from who will have a quantum computer.
    X25519MlKem768,
    /// `SecP256r1MLKEM768`
    Secp256r1MlKem768,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Curve; 5] = [
        Curve::X25519,
        Curve::Secp256r1,
        Curve::Secp384r1,
        Curve::X25519MlKem768,
        Curve::Secp256r1MlKem768,
    ];

    /// What is offered by default, in this order.
    pub const DEFAULT: [Curve; 4] =
        [Curve::X25519, Curve::Secp256r1, Curve::Secp384r1, Curve::X25519MlKem768];

    /// Its names: IANA's first, then what NIST and OpenSSL call it.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Curve::X25519 => &["x25519"],
            Curve::Secp256r1 => &["secp256r1", "P-256", "prime256v1"],
            Curve::Secp384r1 => &["secp384r1", "P-384"],
            Curve::X25519MlKem768 => &["X25519MLKEM768"],
            Curve::Secp256r1MlKem768 => &["SecP256r1MLKEM768"],
        }
    }

    /// Whether only TLS 1.3 knows it.
    #[must_use]
    pub fn needs_tls13(self) -> bool {
        matches!(self, Curve::X25519MlKem768 | Curve::Secp256r1MlKem768)
    }

    /// The curve of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Curve> {
        Curve::ALL.into_iter().find(|curve| is_called(curve.names(), name))
    }
}

fn is_called(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Why a TLS handshake with a client failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HandshakeFault {
    /// It took longer than `timeouts.head`.
    Timeout,
    /// The client ended the connection.
    ClientGone,
    /// What came is no TLS, such as plain HTTP.
    NotTls,
    /// No version, cipher suite, curve or signature scheme that both sides know.
    NothingInCommon,
    /// No application protocol (ALPN) that both sides know.
    NoCommonAlpn,
    /// The server name is in no certificate, and `require_sni` is set.
    UnknownServerName,
    /// The client refused: it does not believe our certificate, for one.
    ClientAlert,
    /// A certificate is required and the client has shown none.
    NoClientCertificate,
    /// The client's certificate is past its time, or before it.
    ClientCertificateExpired,
    /// The client's certificate, or one of its issuers', was revoked.
    ClientCertificateRevoked,
    /// Whether it was revoked is not known: there is no revocation list of its issuer, or only an
    /// expired one.
    RevocationUnknown,
    /// The client's certificate cannot be believed: another issuer, a wrong signature, not for
    /// clients.
    BadClientCertificate,
    /// Anything else.
    Other,
}

/// All of them, in the order of their numbers.
pub const HANDSHAKE_FAULTS: [HandshakeFault; 13] = [
    HandshakeFault::Timeout,
    HandshakeFault::ClientGone,
    HandshakeFault::NotTls,
    HandshakeFault::NothingInCommon,
    HandshakeFault::NoCommonAlpn,
    HandshakeFault::UnknownServerName,
    HandshakeFault::ClientAlert,
    HandshakeFault::NoClientCertificate,
    HandshakeFault::ClientCertificateExpired,
    HandshakeFault::ClientCertificateRevoked,
    HandshakeFault::RevocationUnknown,
    HandshakeFault::BadClientCertificate,
    HandshakeFault::Other,
];

impl HandshakeFault {
    /// Its place in [`HANDSHAKE_FAULTS`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in metrics and in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            HandshakeFault::Timeout => "timeout",
            HandshakeFault::ClientGone => "client_gone",
            HandshakeFault::NotTls => "not_tls",
            HandshakeFault::NothingInCommon => "nothing_in_common",
            HandshakeFault::NoCommonAlpn => "no_common_alpn",
            HandshakeFault::UnknownServerName => "unknown_server_name",
            HandshakeFault::ClientAlert => "client_alert",
            HandshakeFault::NoClientCertificate => "no_client_certificate",
            HandshakeFault::ClientCertificateExpired => "client_certificate_expired",
            HandshakeFault::ClientCertificateRevoked => "client_certificate_revoked",
            HandshakeFault::RevocationUnknown => "revocation_unknown",
            HandshakeFault::BadClientCertificate => "bad_client_certificate",
            HandshakeFault::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_one_choice_each() {
        for suite in Suite::ALL {
            for name in suite.names() {
                assert_eq!(Suite::named(name), Some(suite), "{name}");
                assert_eq!(Suite::named(&name.to_lowercase()), Some(suite), "{name}");
            }
        }
        for curve in Curve::ALL {
            for name in curve.names() {
                assert_eq!(Curve::named(name), Some(curve), "{name}");
            }
        }
        assert_eq!(Suite::named("TLS_RSA_WITH_AES_128_CBC_SHA"), None);
        assert_eq!(Curve::named("secp521r1"), None);
    }

    #[test]
    fn faults_stand_at_their_index_and_have_a_name_of_their_own() {
        let mut codes = Vec::new();
        for (index, fault) in HANDSHAKE_FAULTS.into_iter().enumerate() {
            assert_eq!(fault.index(), index);
            codes.push(fault.code());
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), HANDSHAKE_FAULTS.len());
    }
}
