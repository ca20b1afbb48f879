//! Field names that the gateway acts upon, recognised once when a head is read.

/// A field that means something to the gateway itself; all others are [`Known::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Known {
    /// Any other field.
    Other,
    /// Looks like one of the fields below once `_` is read as `-`. Origins that map both to one
    /// variable (CGI, WSGI) would take it for the real one, so it is never passed on.
    Alias,
    /// `Authorization`
    Authorization,
    /// `Client-Cert`, `Client-Cert-Chain` (RFC 9440) and whatever else begins with `Client-Cert`:
    /// what a gateway that has verified a client's certificate tells of it.
    ClientCert,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Cookie`
    Cookie,
    /// `Date`
    Date,
    /// `Expect`
    Expect,
    /// `Forwarded` (RFC 7239)
    Forwarded,
    /// `Host`
    Host,
    /// `HTTP2-Settings`, of the h2c upgrade that RFC 9113 took out
    Http2Settings,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy`, which CGI would turn into `HTTP_PROXY`
    Proxy,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `Via`
    Via,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `X-Forwarded-Port`
    XForwardedPort,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// Any other `X-Forwarded-*`
    XForwardedOther,
    /// `X-Real-IP`
    XRealIp,
    /// `X-Request-Id`
    XRequestId,
}

impl Known {
    /// Its place in a set of bits.
    pub(crate) fn bit(self) -> u32 {
        1 << (self as u32)
    }

    /// What `name`, in any case, means.
    #[must_use]
    pub fn of(name: &[u8]) -> Known {
        // One comparison for most names: length and last letter pick the only candidate.
        let Some(&last) = name.last() else {
            return Known::Other;
        };
        let (candidate, known): (&[u8], Known) = match (name.len(), last | 0x20) {
            (2, b'e') => (b"te", Known::Te),
            (3, b'a') => (b"via", Known::Via),
            (4, b't') => (b"host", Known::Host),
            (4, b'e') => (b"date", Known::Date),
            (5, b'y') => (b"proxy", Known::Proxy),
            (6, b't') => (b"expect", Known::Expect),
            (6, b'e') => (b"cookie", Known::Cookie),
            (7, b'r') => (b"trailer", Known::Trailer),
            (7, b'e') => (b"upgrade", Known::Upgrade),
            (9, b'd') => (b"forwarded", Known::Forwarded),
            (9, b'p') => (b"x-real-ip", Known::XRealIp),
            (10, b'n') => (b"connection", Known::Connection),
            (10, b'e') => (b"keep-alive", Known::KeepAlive),
            (12, b'd') => (b"x-request-id", Known::XRequestId),
            (13, b'n') => (b"authorization", Known::Authorization),
            (14, b'h') => (b"content-length", Known::ContentLength),
            (14, b's') => (b"http2-settings", Known::Http2Settings),
            (15, b'r') => (b"x-forwarded-for", Known::XForwardedFor),
            (16, b't') if name[12] | 0x20 == b'h' => (b"x-forwarded-host", Known::XForwardedHost),
            (16, b't') => (b"x-forwarded-port", Known::XForwardedPort),
            (16, b'n') => (b"proxy-connection", Known::ProxyConnection),
            (17, b'g') => (b"transfer-encoding", Known::TransferEncoding),
            (17, b'o') => (b"x-forwarded-proto", Known::XForwardedProto),
            _ => return Known::by_prefix(name),
        };
        match likeness(name, candidate) {
            Likeness::Same => known,
            Likeness::Alias => Known::Alias,
            Likeness::None => Known::by_prefix(name),
        }
    }

    /// A name that is known by how it begins alone.
    fn by_prefix(name: &[u8]) -> Known {
        let (prefix, known): (&[u8], Known) = match name {
            [b'x' | b'X', ..] => (b"x-forwarded-", Known::XForwardedOther),
            // Many names begin with a `c`.
            [b'c' | b'C', b'l' | b'L', ..] => (b"client-cert", Known::ClientCert),
            _ => return Known::Other,
        };
        match name.get(..prefix.len()).map(|start| likeness(start, prefix)) {
            Some(Likeness::Same) => known,
            Some(Likeness::Alias) => Known::Alias,
            Some(Likeness::None) | None => Known::Other,
        }
    }

    /// Whether the field belongs to one connection only and is never passed on as it came
    /// (RFC 9110, 7.6.1), or must not be passed on for safety.
    #[must_use]
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Alias
                | Known::Connection
                | Known::Http2Settings
                | Known::KeepAlive
                | Known::Proxy
                | Known::ProxyConnection
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade
        )
    }
}

enum Likeness {
    Same,
    Alias,
    None,
}

/// Compares `name` in any case with `lower`, which has the same length.
fn likeness(name: &[u8], lower: &[u8]) -> Likeness {
    if same(name, lower) {
        return Likeness::Same;
    }
    let alias = name
        .iter()
        .zip(lower)
        .all(|(&n, &l)| n.eq_ignore_ascii_case(&l) || (n == b'_' && l == b'-'));
    if alias { Likeness::Alias } else { Likeness::None }
}

/// `name.eq_ignore_ascii_case(lower)` for names of one length, eight bytes at a time, the last eight
/// over again what came before: names of the length and last letter of a known one nearly always are
/// that one.
fn same(name: &[u8], lower: &[u8]) -> bool {
    let (names, _) = name.as_chunks::<8>();
    let (lowers, _) = lower.as_chunks::<8>();
    let whole = names.iter().zip(lowers);
    match (name.last_chunk::<8>(), lower.last_chunk::<8>()) {
        (Some(name_end), Some(lower_end)) => {
            whole.chain([(name_end, lower_end)]).all(|(n, l)| is_same(*n, *l))
        }
        _ => is_same(padded(name), padded(lower)),
    }
}

fn is_same(name: [u8; 8], lower: [u8; 8]) -> bool {
    let (name, lower) = (u64::from_le_bytes(name), u64::from_le_bytes(lower));
    // Where they differ, it may be in the bit that tells cases apart, and only in letters.
    let differ = name ^ lower;
    differ & !CASE == 0 && differ & !letters(lower) == 0
}

/// A name of less than eight bytes.
fn padded(name: &[u8]) -> [u8; 8] {
    let mut padded = [0; 8];
    if let (Some(start), Some(end)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        padded[..4].copy_from_slice(start);
        padded[4..].copy_from_slice(end);
    } else {
        padded[..name.len()].copy_from_slice(name);
    }
    padded
}

/// The bit that tells lower from upper case, in each byte.
const CASE: u64 = 0x2020_2020_2020_2020;

/// That bit in each byte of a known name that is a letter: those have the next higher bit set as
/// well, which hyphens and digits have not.
fn letters(lower: u64) -> u64 {
    (lower & (CASE << 1)) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_recognised() {
        assert_eq!(Known::of(b"HOST"), Known::Host);
        assert_eq!(Known::of(b"Content-Length"), Known::ContentLength);
        assert_eq!(Known::of(b"x-forwarded-HOST"), Known::XForwardedHost);
        assert_eq!(Known::of(b"x-forwarded-port"), Known::XForwardedPort);
        assert_eq!(Known::of(b"Transfer-Encoding"), Known::TransferEncoding);
    }

    #[test]
    fn an_underscore_makes_an_alias() {
        assert_eq!(Known::of(b"X_Forwarded-For"), Known::Alias);
        assert_eq!(Known::of(b"content_length"), Known::Alias);
        assert_eq!(Known::of(b"x_custom"), Known::Other);
        assert_eq!(Known::of(b"x_forwarded_prefix"), Known::Alias);
    }

    #[test]
    fn all_that_begins_with_client_cert_is_about_the_certificate() {
        for name in ["Client-Cert", "client-cert-chain", "CLIENT-CERT-SUBJECT", "Client-Certify"] {
            assert_eq!(Known::of(name.as_bytes()), Known::ClientCert, "{name}");
        }
        for name in ["Client_Cert", "client-cert_chain", "client_cert-subject"] {
            let known = Known::of(name.as_bytes());
            assert!(matches!(known, Known::Alias | Known::ClientCert), "{name}");
        }
        for name in ["client-cer", "Client-Id", "x-client-cert", "clientcert-a"] {
            assert_eq!(Known::of(name.as_bytes()), Known::Other, "{name}");
        }
    }

    #[test]
    fn names_are_compared_as_the_standard_library_does() {
        let names = ["te", "via", "host", "proxy", "cookie", "upgrade", "x-real-ip", "keep-alive"];
        let longer = ["content-length", "http2-settings", "x-forwarded-for", "x-forwarded-port"];
        for lower in names.iter().chain(&longer).map(|name| name.as_bytes()) {
            for at in 0..lower.len() {
                for b in 0..=u8::MAX {
                    let mut name = lower.to_vec();
                    name[at] = b;
                    let expected = name.eq_ignore_ascii_case(lower);
                    assert_eq!(same(&name, lower), expected, "{}", name.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn near_names_are_other() {
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::of(b"most"), Known::Other);
        assert_eq!(Known::of(b"x-forwarded-hosu"), Known::XForwardedOther);
        assert_eq!(Known::of(b"X-Forwarded-Prefix"), Known::XForwardedOther);
        // `|0x20` maps some punctuation onto letters; the full comparison must still refuse it.
        assert_eq!(Known::of(b"hosT"), Known::Host);
        assert_eq!(Known::of(b"ho\x53T"), Known::Host);
        assert_eq!(Known::of(b"HOS\x14"), Known::Other);
        assert_eq!(Known::of(b"content\rlength"), Known::Other);
        assert_eq!(Known::of(b"cONtenT-lEngTh"), Known::ContentLength);
    }
}
