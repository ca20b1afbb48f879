//! Who the client is and what the upstream is told about it (RFC 7239, `X-Forwarded-*`, `Via`).
//!
//! What a peer that is not trusted says is never passed on: it is replaced by what we know.

use std::net::{IpAddr, SocketAddr};

use portcullis_config::model::{ClientAuth, ClientCertHeader, Forwarded, Listener, Trust};
use portcullis_wire::tls::ClientCertificate;
use portcullis_wire::{Fields, HeadWriter, Known, RequestHead, Scheme};

/// Most times that a request may pass through gateways of one pseudonym.
const MAX_PASSES: usize = 8;

/// The connection's peer, as far as forwarding goes: who connected here, or who a trusted PROXY
/// header says did so at the proxy in front.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address; none over a Unix socket.
    pub(crate) ip: Option<IpAddr>,
    /// The same as text, made once a connection.
    pub(crate) text: Box<str>,
    /// Where it connects from and to; none over a Unix socket.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
    /// How it came.
    pub(crate) scheme: Scheme,
    /// The certificate that it has shown, if one was asked for; verified.
    pub(crate) certificate: Option<Box<ClientCertificate>>,
}

impl Peer {
    /// The peer at these addresses.
    pub(crate) fn new(addresses: Option<(SocketAddr, SocketAddr)>, scheme: Scheme) -> Peer {
        let ip = addresses.map(|(source, _)| source.ip().to_canonical());
        let text = ip.map_or_else(|| "unknown".into(), |ip| ip.to_string().into());
        Peer { ip, text, addresses, scheme, certificate: None }
    }

    /// What its certificate calls it.
    pub(crate) fn certificate_name(&self) -> Option<&str> {
        self.certificate.as_ref()?.name()
    }

    /// The port that it came to.
    fn local_port(&self) -> Option<u16> {
        self.addresses.map(|(_, destination)| destination.port())
    }
}

/// Whether what the peer says about the client is believed.
pub(crate) fn is_trusted(trust: &Trust, peer: &Peer) -> bool {
    match trust {
        Trust::Nobody => false,
        Trust::Hops(_) => true,
        Trust::Networks(networks) => {
            peer.ip.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip)))
        }
    }
}

/// The client's address: the peer's, or what trusted hops say.
pub(crate) fn client_address(trust: &Trust, peer: &Peer, fields: &Fields) -> Option<IpAddr> {
    if !is_trusted(trust, peer) {
        return peer.ip;
    }
    // The nearest hop wrote last. X-Forwarded-For is what most hops write; Forwarded is read in its
    // absence.
    if fields.has(Known::XForwardedFor) {
        let said = elements(fields, Known::XForwardedFor).rev().map(address);
        nearest_untrusted(trust, peer.ip, said)
    } else {
        let said = elements(fields, Known::Forwarded).rev().map(forwarded_for).map(address);
        nearest_untrusted(trust, peer.ip, said)
    }
}

/// Follows what hops said, the nearest first, as far as they are believed.
fn nearest_untrusted(
    trust: &Trust,
    peer: Option<IpAddr>,
    said: impl Iterator<Item = Option<IpAddr>>,
) -> Option<IpAddr> {
    let hops = match trust {
        Trust::Hops(hops) => usize::from(*hops),
        Trust::Nobody | Trust::Networks(_) => usize::MAX,
    };
    let mut client = peer;
    for said in said.take(hops) {
        // Beyond something that is no address nothing can be known.
        let Some(ip) = said else { break };
        client = Some(ip);
        if let Trust::Networks(networks) = trust
            && !networks.iter().any(|network| network.contains(&ip))
        {
            break;
        }
    }
    client
}

/// Elements of every list-valued field of this name, in order.
fn elements(fields: &Fields, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> {
    fields.all_known(known).flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii)
}

/// The value of `for=` in an element of `Forwarded`, unquoted.
fn forwarded_for(element: &[u8]) -> &[u8] {
    for pair in element.split(|&b| b == b';') {
        let pair = pair.trim_ascii();
        if let Some((name, value)) = pair.split_at_checked(4)
            && name.eq_ignore_ascii_case(b"for=")
        {
            return value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        }
    }
    b""
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let ip = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.0.parse().ok(),
        None => text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse().ok()),
    };
    ip.map(|ip: IpAddr| ip.to_canonical())
}

/// Whether a field is about forwarding and so written by [`write`] rather than copied. `Via` is
/// copied: it is nobody's secret and a loop shows in it.
pub(crate) fn is_managed(listener: &Listener, trusted: bool, known: Known) -> bool {
    let forwarded = &listener.forwarded;
    match known {
        Known::XForwardedFor
        | Known::XForwardedHost
        | Known::XForwardedPort
        | Known::XForwardedProto => forwarded.x_forwarded || !trusted,
        Known::Forwarded => forwarded.rfc7239 || !trusted,
        Known::XForwardedOther | Known::XRealIp => !trusted,
        // Where certificates are asked for, nobody else has seen the client's (RFC 9440, 4.1).
        Known::ClientCert => !trusted || client_auth(listener).is_some(),
        _ => false,
    }
}

/// Whether the request went round in a circle.
pub(crate) fn is_loop(forwarded: &Forwarded, fields: &Fields) -> bool {
    let Some(via) = &forwarded.via else {
        return false;
    };
    let passed = |element: &&[u8]| {
        let mut words = element.split(|&b| b == b' ').filter(|word| !word.is_empty());
        words.nth(1) == Some(via.as_bytes())
    };
    elements(fields, Known::Via).filter(passed).count() >= MAX_PASSES
}

/// Writes the forwarding fields of a request.
pub(crate) fn write(
    out: &mut HeadWriter<'_>,
    listener: &Listener,
    trusted: bool,
    peer: &Peer,
    head: &RequestHead,
) {
    let forwarded = &listener.forwarded;
    if forwarded.x_forwarded {
        write_x_forwarded(out, trusted, peer, head);
    }
    if forwarded.rfc7239 {
        out.field_with(b"Forwarded", |out| {
            if trusted {
                append_list(out, &head.fields, Known::Forwarded);
            }
            write_element(out, peer, head.authority());
        });
    }
    if let (Some(certificate), Some(auth)) = (&peer.certificate, client_auth(listener)) {
        write_certificate(out, &auth.headers, certificate);
    }
    if let Some(via) = &forwarded.via {
        out.field_with(b"Via", |out| {
            out.extend_from_slice(head.version.as_str().as_bytes());
            out.push(b' ');
            out.extend_from_slice(via.as_bytes());
        });
    }
}

fn client_auth(listener: &Listener) -> Option<&ClientAuth> {
    listener.tls.as_ref()?.client_auth.as_ref()
}

/// Writes what is to be told of the client's certificate.
fn write_certificate(
    out: &mut HeadWriter<'_>,
    headers: &[ClientCertHeader],
    certificate: &ClientCertificate,
) {
    for header in headers {
        let value = match header {
            ClientCertHeader::ClientCert => certificate.encoded(),
            ClientCertHeader::ClientCertChain => certificate.encoded_issuers(),
            ClientCertHeader::Subject => certificate.subject(),
            ClientCertHeader::Dns => certificate.dns(),
            ClientCertHeader::Uri => certificate.uris(),
            ClientCertHeader::Email => certificate.emails(),
            ClientCertHeader::Ip => certificate.ips(),
            ClientCertHeader::Serial => certificate.serial(),
            ClientCertHeader::Fingerprint => certificate.fingerprint(),
        };
        if let Some(value) = value {
            out.field(header.name().as_bytes(), value.as_bytes());
        }
    }
}

fn write_x_forwarded(out: &mut HeadWriter<'_>, trusted: bool, peer: &Peer, head: &RequestHead) {
    // The nearest hop writes last: what stands before may be the client's own.
    let said = |known| if trusted { elements(&head.fields, known).next_back() } else { None };
    if peer.ip.is_some() || said(Known::XForwardedFor).is_some() {
        out.field_with(b"X-Forwarded-For", |out| {
            if trusted {
                append_list(out, &head.fields, Known::XForwardedFor);
            }
            out.extend_from_slice(peer.text.as_bytes());
        });
    }
    let proto = said(Known::XForwardedProto).unwrap_or(peer.scheme.as_str().as_bytes());
    out.field(b"X-Forwarded-Proto", proto);
    let host = said(Known::XForwardedHost).unwrap_or(head.authority());
    if !host.is_empty() {
        out.field(b"X-Forwarded-Host", host);
    }
    if let Some(port) = said(Known::XForwardedPort) {
        out.field(b"X-Forwarded-Port", port);
    } else if let Some(port) = peer.local_port() {
        out.field(b"X-Forwarded-Port", itoa::Buffer::new().format(port).as_bytes());
    }
}

/// Appends the values of a list field, each with a comma behind it.
fn append_list(out: &mut Vec<u8>, fields: &Fields, known: Known) {
    for value in fields.all_known(known).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
}

/// Appends one element of `Forwarded`. IPv6 addresses are bracketed and quoted (RFC 7239, 6).
fn write_element(out: &mut Vec<u8>, peer: &Peer, host: &[u8]) {
    match peer.ip {
        None => out.extend_from_slice(b"for=unknown"),
        Some(IpAddr::V4(_)) => {
            out.extend_from_slice(b"for=");
            out.extend_from_slice(peer.text.as_bytes());
        }
        Some(IpAddr::V6(_)) => {
            out.extend_from_slice(b"for=\"[");
            out.extend_from_slice(peer.text.as_bytes());
            out.extend_from_slice(b"]\"");
        }
    }
    if !host.is_empty() {
        // An authority that was accepted holds no quote or backslash.
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.push(b'"');
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(peer.scheme.as_str().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer {
            ip: Some(ip.parse().unwrap()),
            text: ip.into(),
            addresses: None,
            scheme: Scheme::Http,
            certificate: None,
        }
    }

    fn client(trust: &Trust, xff: &[&str]) -> String {
        let mut fields = Fields::default();
        for value in xff {
            fields.push(b"X-Forwarded-For", value.as_bytes());
        }
        client_address(trust, &peer("10.0.0.9"), &fields).unwrap().to_string()
    }

    fn networks() -> Trust {
        Trust::Networks(["10.0.0.0/8".parse().unwrap()].into())
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(client(&Trust::Nobody, &["1.2.3.4"]), "10.0.0.9");
    }

    #[test]
    fn trusted_networks_are_peeled_from_the_right() {
        assert_eq!(client(&networks(), &[]), "10.0.0.9");
        assert_eq!(client(&networks(), &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&networks(), &["6.6.6.6, 1.2.3.4, 10.1.1.1"]), "1.2.3.4");
        assert_eq!(client(&networks(), &["6.6.6.6", "1.2.3.4", "10.1.1.1"]), "1.2.3.4");
        assert_eq!(client(&networks(), &["10.2.2.2, 10.1.1.1"]), "10.2.2.2");
        assert_eq!(client(&networks(), &["1.2.3.4, bogus, 10.1.1.1"]), "10.1.1.1");
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        assert_eq!(client(&Trust::Hops(1), &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&Trust::Hops(2), &["6.6.6.6, 1.2.3.4"]), "6.6.6.6");
        assert_eq!(client(&Trust::Hops(9), &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn the_nearest_hop_has_the_last_word() {
        let mut fields = Fields::default();
        fields.push(b"X-Forwarded-Proto", b"https");
        fields.push(b"X-Forwarded-Proto", b"https, http");
        assert_eq!(elements(&fields, Known::XForwardedProto).next_back(), Some(&b"http"[..]));
    }

    #[test]
    fn addresses_come_in_several_forms() {
        for (text, ip) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:8080", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(address(text.as_bytes()), Some(ip.parse().unwrap()), "{text}");
        }
        assert_eq!(address(b"unknown"), None);
        assert_eq!(forwarded_for(b"proto=http; For=\"[2001:db8::1]:4711\""), b"[2001:db8::1]:4711");
    }
}
