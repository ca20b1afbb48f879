//! What is told of a client's certificate: to services in header fields, to the log.
//!
//! Every text here is visible ASCII and bounded, whatever stands in the certificate: what cannot be
//! told so is escaped where its format has a way (RFC 4514), and left out where it has none.

use std::cell::OnceCell;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The longest text of a subject or of alternative names; a longer one is left out.
const LONGEST: usize = 4096;
/// The same for a certificate, or for its issuers together, in base64.
const LONGEST_ENCODED: usize = 16384;

/// A certificate that a client has shown and proven to hold, and that was verified.
#[derive(Debug, Default)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    subject: Option<Box<str>>,
    serial: Option<Box<str>>,
    dns: Option<Box<str>>,
    uris: Option<Box<str>>,
    emails: Option<Box<str>>,
    ips: Option<Box<str>>,
    encoded: OnceCell<Option<Box<str>>>,
    encoded_issuers: OnceCell<Option<Box<str>>>,
    fingerprint: OnceCell<Option<Box<str>>>,
}

impl ClientCertificate {
    /// Reads what can be told. `chain` begins with the client's own certificate.
    #[must_use]
    pub fn new(chain: &[CertificateDer<'_>]) -> Self {
        let mut told = Self {
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            ..Self::default()
        };
        // It was verified, but what verified it is more lenient than what reads its names. One
        // that cannot be read has none: nothing is told of it but the certificate itself.
        let read = chain.first().and_then(|der| CertificateInner::<Raw>::from_der(der).ok());
        if let Some(read) = read {
            told.read(&read);
        }
        told
    }

    fn read(&mut self, certificate: &CertificateInner<Raw>) {
        let body = certificate.tbs_certificate();
        self.subject = bounded(ascii(&body.subject().to_string()), LONGEST);
        let serial = body.serial_number().as_bytes();
        // DER puts a zero before a number that would look negative.
        self.serial = bounded(upper_hex(serial.strip_prefix(&[0]).unwrap_or(serial)), LONGEST);
        let Ok(Some((_, SubjectAltName(names)))) = body.get_extension::<SubjectAltName>() else {
            return;
        };
        let list = |of: fn(&GeneralName) -> Option<String>| {
            bounded(names.iter().filter_map(of).collect::<Vec<_>>().join(", "), LONGEST)
        };
        self.dns = list(|name| match name {
            GeneralName::DnsName(name) => plain(name.as_str(), ""),
            _ => None,
        });
        self.uris = list(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => plain(uri.as_str(), ""),
            _ => None,
        });
        self.emails = list(|name| match name {
            GeneralName::Rfc822Name(email) => plain(email.as_str(), "\""),
            _ => None,
        });
        self.ips = list(|name| match name {
            GeneralName::IpAddress(ip) => address(ip.as_bytes()),
            _ => None,
        });
    }

    /// What a person would know it by: its subject, else its alternative names, else its
    /// fingerprint.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let names = [self.subject(), self.uris(), self.dns(), self.emails(), self.ips()];
        names.into_iter().flatten().next().or_else(|| self.fingerprint())
    }

    /// The subject's distinguished name as RFC 4514 writes it; none if it is empty.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The serial number in hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// DNS names among the subject alternative names, with `, ` between them.
    #[must_use]
    pub fn dns(&self) -> Option<&str> {
        self.dns.as_deref()
    }

    /// URIs among the subject alternative names (SPIFFE), likewise.
    #[must_use]
    pub fn uris(&self) -> Option<&str> {
        self.uris.as_deref()
    }

    /// Mail addresses among the subject alternative names, likewise.
    #[must_use]
    pub fn emails(&self) -> Option<&str> {
        self.emails.as_deref()
    }

    /// IP addresses among the subject alternative names, likewise.
    #[must_use]
    pub fn ips(&self) -> Option<&str> {
        self.ips.as_deref()
    }

    /// The certificate as the field `Client-Cert` has it (RFC 9440, 2.2).
    #[must_use]
    pub fn encoded(&self) -> Option<&str> {
        self.encoded.get_or_init(|| encode(self.chain.get(..1)?)).as_deref()
    }

    /// The other certificates that the client sent as `Client-Cert-Chain` has them (RFC 9440, 2.3);
    /// none if there were none.
    #[must_use]
    pub fn encoded_issuers(&self) -> Option<&str> {
        self.encoded_issuers.get_or_init(|| encode(self.chain.get(1..)?)).as_deref()
    }

    /// SHA-256 of the certificate in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        let digest = || {
            let digest = digest::digest(&digest::SHA256, self.chain.first()?);
            Some(upper_hex(digest.as_ref()).to_ascii_lowercase().into())
        };
        self.fingerprint.get_or_init(digest).as_deref()
    }
}

fn bounded(text: String, longest: usize) -> Option<Box<str>> {
    (!text.is_empty() && text.len() <= longest).then(|| text.into())
}

/// A distinguished name with every byte that is not visible ASCII as `\XX` (RFC 4514, 2.4).
fn ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:02x}");
            }
        }
    }
    text
}

/// A name if it can stand in a list as it is: visible ASCII without blanks, commas and what is in
/// `not`. One name must never look like two.
fn plain(name: &str, not: &str) -> Option<String> {
    let legal =
        |byte: u8| byte.is_ascii_graphic() && byte != b',' && !not.as_bytes().contains(&byte);
    (!name.is_empty() && name.bytes().all(legal)).then(|| name.to_owned())
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(octets).ok().map(|v6| Ipv6Addr::from(v6).to_string())
}

fn upper_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// Byte sequences of structured fields (RFC 8941, 3.3.5), as a list.
fn encode(chain: &[CertificateDer<'_>]) -> Option<Box<str>> {
    let items: Vec<String> =
        chain.iter().map(|der| format!(":{}:", STANDARD.encode(der))).collect();
    bounded(items.join(", "), LONGEST_ENCODED)
}

#[cfg(test)]
mod tests {
    use rcgen::{DnType, DnValue, SanType, SerialNumber};

    use super::super::certificate::certificates;
    use super::super::testing::Authority;
    use super::*;

    fn told(change: impl FnOnce(&mut rcgen::CertificateParams)) -> ClientCertificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = Authority::new().issue_with(&[], &key, change);
        ClientCertificate::new(&certificates(&issued.chain).unwrap())
    }

    #[test]
    fn a_certificate_is_told_whole() {
        let told = told(|params| {
            let name = &mut params.distinguished_name;
            *name = rcgen::DistinguishedName::new();
            name.push(DnType::CountryName, "DE");
            name.push(DnType::OrganizationName, "Example, Inc.");
            name.push(DnType::CommonName, "client 7");
            params.serial_number = Some(SerialNumber::from_slice(&[0xab, 1, 2]));
            params.subject_alt_names = vec![
                SanType::DnsName("a.test".try_into().unwrap()),
                SanType::DnsName("b.test".try_into().unwrap()),
                SanType::URI("spiffe://example/ns/a".try_into().unwrap()),
                SanType::Rfc822Name("me@example.org".try_into().unwrap()),
                SanType::IpAddress("192.0.2.1".parse().unwrap()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
            ];
        });
        assert_eq!(told.subject(), Some("CN=client 7,O=Example\\, Inc.,C=DE"));
        assert_eq!(told.serial(), Some("AB0102"));
        assert_eq!(told.dns(), Some("a.test, b.test"));
        assert_eq!(told.uris(), Some("spiffe://example/ns/a"));
        assert_eq!(told.emails(), Some("me@example.org"));
        assert_eq!(told.ips(), Some("192.0.2.1, 2001:db8::1"));
        let encoded = told.encoded().unwrap();
        let inner = encoded.strip_prefix(':').unwrap().strip_suffix(':').unwrap();
        assert_eq!(STANDARD.decode(inner).unwrap(), told.chain[0].as_ref());
        assert_eq!(told.encoded_issuers(), None);
        assert_eq!(told.fingerprint().unwrap().len(), 64);
    }

    #[test]
    fn hostile_names_do_no_harm() {
        let told = told(|params| {
            let name = &mut params.distinguished_name;
            let value = "x\r\nAdmin: yes\0,O=root\u{7f}é\\";
            name.push(DnType::CommonName, DnValue::Utf8String(value.into()));
            params.subject_alt_names = vec![
                SanType::URI("spiffe://a,spiffe://admin".try_into().unwrap()),
                SanType::Rfc822Name("a@b, admin@b".try_into().unwrap()),
                SanType::DnsName("a\r\nb".try_into().unwrap()),
            ];
        });
        let subject = told.subject().unwrap();
        assert_eq!(subject, "CN=x\\0d\\0aAdmin: yes\\00\\,O=root\\7f\\c3\\a9\\\\");
        assert_eq!((told.uris(), told.emails(), told.dns()), (None, None, None));
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let told = told(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CommonName, "x".repeat(5000));
            name.push(DnType::OrganizationName, "y".repeat(20_000));
        });
        assert_eq!((told.subject(), told.encoded()), (None, None));
        assert!(told.fingerprint().is_some());
    }

    #[test]
    fn what_cannot_be_read_has_no_names() {
        let told = ClientCertificate::new(&[CertificateDer::from(vec![0x30, 0x00])]);
        assert_eq!((told.subject(), told.serial()), (None, None));
        assert_eq!(told.encoded(), Some(":MAA=:"));
        let issuers = [vec![1], vec![2], vec![3]].map(CertificateDer::from);
        assert_eq!(ClientCertificate::new(&issuers).encoded_issuers(), Some(":Ag==:, :Aw==:"));
    }
}
