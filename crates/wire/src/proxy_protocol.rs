//! The PROXY protocol, versions 1 and 2, as HAProxy's `proxy-protocol.txt` has it: how a proxy tells
//! in front of a connection's first byte whose connection it is.
//!
//! [`read`] is pure and says how many more bytes surely belong to the header, so that whoever asks for
//! exactly those never takes a byte of what follows, which may be TLS. Crates that read these
//! headers want all of it at once and check no checksum.

mod receive;
mod send;
mod v1;
mod v2;

use std::net::SocketAddr;

use thiserror::Error;

pub use receive::{ReceiveError, receive};
pub use send::send;
pub use v1::LONGEST as LONGEST_V1;
pub use v2::LONGEST as LONGEST_V2;

/// What a header says about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// It carries nobody else's traffic (`LOCAL`), or whose is not known (`UNKNOWN`,
    /// `AF_UNSPEC`): the addresses are those of the connection itself.
    Unknown,
    /// A client's connection over TCP.
    Tcp {
        /// Where the client is.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
    /// A client's connection over a Unix socket, so it has no address.
    Unix,
}

/// How far a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// At least so many more bytes belong to it; never 0.
    More(usize),
    /// It is whole.
    Whole(Proxied),
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Faulty {
    /// There is none: the connection begins with something else.
    #[error("the connection does not begin with a PROXY header")]
    Absent,
    /// A line of version 1 that is none.
    #[error("the PROXY line is malformed")]
    Line,
    /// Longer than version 1 allows, or than we let in of version 2.
    #[error("the PROXY header is too long")]
    TooLong,
    /// A version or command of the binary header that is not assigned.
    #[error("the PROXY header has an unknown version or command")]
    Command,
    /// A family or transport that is not assigned, or that is no stream's.
    #[error("the PROXY header is of an unknown family")]
    Family,
    /// The addresses do not fit in the header's length.
    #[error("the PROXY header is too short for its addresses")]
    Addresses,
    /// An extension that does not fit in the header's length.
    #[error("an extension of the PROXY header is malformed")]
    Extension,
    /// The checksum (CRC-32C) is another.
    #[error("the PROXY header's checksum is wrong")]
    Checksum,
}

/// A version of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Reads the header that a connection begins with. `bytes` is all that has come of it so far, and
/// never more than was asked for.
///
/// # Errors
/// It is none, or breaks the specification or our bounds.
pub fn read(bytes: &[u8]) -> Result<Progress, Faulty> {
    match bytes.first() {
        None => Ok(Progress::More(v1::SHORTEST.min(v2::FIXED))),
        Some(b'P') => v1::read(bytes),
        Some(b'\r') => v2::read(bytes),
        Some(_) => Err(Faulty::Absent),
    }
}

/// Appends the header of a connection from `source` to `destination`, in that order. Addresses that
/// are not known, or of two families that cannot be told as one, are told as unknown.
pub fn write(version: Version, addresses: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    let addresses = addresses.and_then(|(source, destination)| one_family(source, destination));
    match version {
        Version::V1 => v1::write(addresses, out),
        Version::V2 => v2::write(addresses, out),
    }
}

/// Both addresses as IPv4 if they are, else both as IPv6. `None` when there is no IPv6 form.
fn one_family(a: SocketAddr, b: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (a, b) = (canonical(a), canonical(b));
    (a.is_ipv4() == b.is_ipv4()).then_some((a, b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds a reader as little as it asks for, as a connection would, with `behind` following.
    /// What it understood and how much it took.
    pub(super) fn fed(header: &[u8], behind: &[u8]) -> (Result<Proxied, Faulty>, usize) {
        let all = [header, behind].concat();
        let mut taken = 0;
        loop {
            match read(&all[..taken]) {
                Ok(Progress::Whole(proxied)) => return (Ok(proxied), taken),
                Err(faulty) => return (Err(faulty), taken),
                Ok(Progress::More(more)) => {
                    assert!(more > 0);
                    taken += more;
                    assert!(taken <= all.len(), "it asks for {more} beyond the end");
                }
            }
        }
    }

    /// The addresses that a header tells, which must be all that is taken.
    pub(super) fn told(header: &[u8]) -> Result<Proxied, Faulty> {
        // The junk is longer than any header, so that nothing asks for more than there is.
        let (read, taken) = fed(header, &[b'x'; LONGEST_V2 + 16]);
        if read.is_ok() {
            assert_eq!(taken, header.len(), "a byte too much or too few");
        }
        read
    }

    fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
        let v4 = any::<([u8; 4], u16, [u8; 4], u16)>()
            .prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
        let v6 = any::<([u16; 8], u16, [u16; 8], u16)>()
            .prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (source, destination) in addresses(),
            version in prop_oneof![Just(Version::V1), Just(Version::V2)],
        ) {
            let mut header = Vec::new();
            write(version, Some((source, destination)), &mut header);
            let expected = one_family(source, destination).map_or(
                Proxied::Unknown,
                |(source, destination)| Proxied::Tcp { source, destination },
            );
            prop_assert_eq!(told(&header), Ok(expected));
        }

        #[test]
        fn no_bytes_make_it_panic_or_ask_for_more_than_a_header_has(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
            start in prop_oneof![
                Just(&b""[..]), Just(&b"PROXY "[..]), Just(&b"PROXY TCP4 1.2.3.4 "[..]),
                Just(&b"PROXY TCP6 :: "[..]), Just(&b"PROXY UNKNOWN"[..]),
                Just(&b"\r\n\r\n\0\r\nQUIT\n"[..]), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20"[..]),
                Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x40"[..]),
                Just(&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x04"[..]),
            ],
        ) {
            bytes.splice(0..0, start.iter().copied());
            let behind = vec![0; LONGEST_V2 + 16];
            let (read, taken) = fed(&bytes, &behind);
            let longest = if bytes.first() == Some(&b'P') { LONGEST_V1 } else { LONGEST_V2 };
            prop_assert!(taken <= longest, "{read:?} after {taken}");
        }

        /// Every start of a header asks for more, and never beyond its end.
        #[test]
        fn a_part_of_a_header_is_no_header((source, destination) in addresses(), cut in any::<usize>()) {
            for version in [Version::V1, Version::V2] {
                let mut header = Vec::new();
                write(version, Some((source, destination)), &mut header);
                let cut = cut % header.len();
                match read(&header[..cut]) {
                    Ok(Progress::More(more)) => prop_assert!(cut + more <= header.len()),
                    other => prop_assert!(false, "{other:?} of {:?}", &header[..cut]),
                }
            }
        }
    }

    #[test]
    fn what_begins_otherwise_is_no_header() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\0", b"\n", b" PROXY", b"proxy "]
        {
            assert_eq!(read(bytes), Err(Faulty::Absent), "{bytes:?}");
        }
        assert_eq!(read(b"POST / HTTP/1.1"), Err(Faulty::Absent));
        assert_eq!(read(b"PRI * HTTP/2.0\r\n"), Err(Faulty::Absent));
        assert_eq!(read(b"\r\nGET / HTTP/1."), Err(Faulty::Absent));
    }

    #[test]
    fn mixed_families_are_unknown_unless_one_is_mapped() {
        let mut out = Vec::new();
        let v4: SocketAddr = "192.0.2.1:5".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.2]:6".parse().unwrap();
        write(Version::V1, Some((mapped, v4)), &mut out);
        assert_eq!(out, b"PROXY TCP4 192.0.2.2 192.0.2.1 6 5\r\n");
        out.clear();
        write(Version::V1, Some((v4, "[2001:db8::1]:6".parse().unwrap())), &mut out);
        assert_eq!(out, b"PROXY UNKNOWN\r\n");
    }
}
