//! TLS on either side as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::{OneOrMany, Spanned};

/// TLS of a listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTlsSpec {
    /// At least one. The names a certificate answers for come from its subject alternative names;
    /// the first certificate is the default.
    #[schemars(length(min = 1))]
    pub(crate) certificates: Spanned<Vec<CertificateSpec>>,
    /// The oldest TLS version taken: `1.2` or `1.3`. Default: `1.2`.
    pub(crate) min_version: Option<Spanned<TlsVersionSpec>>,
    /// The newest TLS version taken: `1.2` or `1.3`. Default: `1.3`.
    pub(crate) max_version: Option<Spanned<TlsVersionSpec>>,
    /// The cipher suites taken, by the names that IANA or OpenSSL gives them, the preferred first.
    /// Default: all that have forward secrecy and authenticated encryption, AES-128-GCM first.
    pub(crate) ciphers: Option<Spanned<Vec<Spanned<String>>>>,
    /// The curves (key exchange groups) taken: `x25519`, `secp256r1`, `secp384r1`,
    /// `X25519MLKEM768`, `SecP256r1MLKEM768`; the client's order decides among them. Default: all
    /// but the last.
    pub(crate) curves: Option<Spanned<Vec<Spanned<String>>>>,
    /// Refuse a handshake whose server name matches no certificate. Default: false.
    #[serde(default)]
    pub(crate) require_sni: bool,
    /// Ask clients for a certificate (mutual TLS). Default: none.
    pub(crate) client_auth: Option<ClientAuthSpec>,
}

/// A certificate chain and its private key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateSpec {
    /// Path of the PEM chain, leaf first.
    pub(crate) cert: Spanned<String>,
    /// Path of the PEM private key.
    pub(crate) key: Spanned<String>,
    /// Path of an OCSP response in DER to staple to the certificate; something else must renew it.
    /// Only for what a listener shows. Default: none.
    pub(crate) ocsp: Option<Spanned<String>>,
}

/// Certificates that clients show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientAuthSpec {
    /// What becomes of a client that shows no certificate: `required` refuses it, `optional` lets
    /// it in. One that is shown must be valid in either case. Default: `required`.
    pub(crate) mode: Option<ClientAuthModeSpec>,
    /// Path of the PEM certificates of the authorities that clients' certificates come from.
    pub(crate) ca: Spanned<String>,
    /// Paths of PEM revocation lists: one for each issuer of clients' certificates. Default: none,
    /// and revocation is not checked.
    pub(crate) crl: Option<OneOrMany<Spanned<String>>>,
    /// What becomes of a certificate for whose issuer there is no list. Default: `refuse`.
    pub(crate) crl_unknown: Option<Spanned<LeniencySpec>>,
    /// What a list says that is past its next update. Default: `refuse`.
    pub(crate) crl_expired: Option<Spanned<LeniencySpec>>,
    /// What services are told of a verified certificate: `client_cert` and `client_cert_chain` (RFC
    /// 9440), `subject`, `dns`, `uri`, `email`, `ip`, `serial`, `fingerprint`. Default:
    /// `[client_cert]`.
    pub(crate) headers: Option<Vec<ClientCertHeaderSpec>>,
}

/// What becomes of a client that shows no certificate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthModeSpec {
    /// It is refused.
    Required,
    /// It is let in.
    Optional,
}

/// What becomes of a certificate of which it is not known whether it was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeniencySpec {
    /// It is refused.
    Refuse,
    /// It is accepted: an expired list still counts, and without a list nothing is revoked.
    Accept,
}

/// A header that tells of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientCertHeaderSpec {
    /// `Client-Cert`: the certificate (RFC 9440).
    ClientCert,
    /// `Client-Cert-Chain`: the other certificates that the client sent (RFC 9440).
    ClientCertChain,
    /// `Client-Cert-Subject`: the subject's distinguished name (RFC 4514).
    Subject,
    /// `Client-Cert-Dns`: DNS names among the subject alternative names, separated by `, `.
    Dns,
    /// `Client-Cert-Uri`: URIs among them, such as SPIFFE IDs.
    Uri,
    /// `Client-Cert-Email`: mail addresses among them.
    Email,
    /// `Client-Cert-Ip`: IP addresses among them.
    Ip,
    /// `Client-Cert-Serial`: the serial number in hexadecimal digits.
    Serial,
    /// `Client-Cert-Sha256`: SHA-256 of the certificate in hexadecimal digits.
    Fingerprint,
}

/// TLS towards the endpoints.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceTlsSpec {
    /// Name for SNI and for verifying the endpoint's certificate. Default: the endpoint's host.
    pub(crate) server_name: Option<Spanned<String>>,
    /// Path of the PEM certificates that are trusted: authorities, and endpoints' own, which are
    /// believed as they are. Default: the system's.
    pub(crate) ca: Option<Spanned<String>>,
    /// Certificate to show to the endpoint. Default: none.
    pub(crate) certificate: Option<CertificateSpec>,
    /// Verify the endpoint's certificate. Default: true.
    pub(crate) verify: Option<bool>,
    /// The oldest TLS version spoken: `1.2` or `1.3`. Default: `1.2`.
    pub(crate) min_version: Option<Spanned<TlsVersionSpec>>,
    /// The newest TLS version spoken: `1.2` or `1.3`. Default: `1.3`.
    pub(crate) max_version: Option<Spanned<TlsVersionSpec>>,
    /// The cipher suites offered, by the names that IANA or OpenSSL gives them, the preferred
    /// first. Default: all that have forward secrecy and authenticated encryption.
    pub(crate) ciphers: Option<Spanned<Vec<Spanned<String>>>>,
    /// The curves (key exchange groups) offered, the preferred first: `x25519`, `secp256r1`,
    /// `secp384r1`, `X25519MLKEM768`, `SecP256r1MLKEM768`. Default: all but the last.
    pub(crate) curves: Option<Spanned<Vec<Spanned<String>>>>,
    /// Paths of PEM revocation lists: one for each issuer of endpoints' certificates. Default:
    /// none, and revocation is not checked.
    pub(crate) crl: Option<OneOrMany<Spanned<String>>>,
    /// What becomes of a certificate for whose issuer there is no list. Default: `refuse`.
    pub(crate) crl_unknown: Option<Spanned<LeniencySpec>>,
    /// What a list says that is past its next update. Default: `refuse`.
    pub(crate) crl_expired: Option<Spanned<LeniencySpec>>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersionSpec {
    Tls12,
    Tls13,
}

impl<'de> Deserialize<'de> for TlsVersionSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TlsVersionVisitor)
    }
}

struct TlsVersionVisitor;

impl Visitor<'_> for TlsVersionVisitor {
    type Value = TlsVersionSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`1.2` or `1.3`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TlsVersionSpec, E> {
        match text {
            "1.2" => Ok(TlsVersionSpec::Tls12),
            "1.3" => Ok(TlsVersionSpec::Tls13),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    /// Without quotes YAML reads a number.
    fn visit_f64<E: Error>(self, number: f64) -> Result<TlsVersionSpec, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for TlsVersionSpec {
    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["1.2", "1.3", 1.2, 1.3] })
    }
}
