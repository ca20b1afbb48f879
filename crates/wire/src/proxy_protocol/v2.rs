//! Version 2: a binary header of fixed part, addresses and extensions (TLVs).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Faulty, Progress, Proxied};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
pub(super) const FIXED: usize = 16;
/// The longest header that is let in, in bytes. The format has room for 64 KiB; what proxies send,
/// client certificates included, is far below this.
pub const LONGEST: usize = 16 * 1024;

const UNIX_ADDRESSES: usize = 2 * 108;
const TLV_CRC32C: u8 = 0x03;

pub(super) fn read(bytes: &[u8]) -> Result<Progress, Faulty> {
    if !bytes.starts_with(&SIGNATURE[..bytes.len().min(SIGNATURE.len())]) {
        return Err(Faulty::Absent);
    }
    let Some((fixed, block)) = bytes.split_at_checked(FIXED) else {
        return Ok(Progress::More(FIXED - bytes.len()));
    };
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Faulty::Command),
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > LONGEST {
        return Err(Faulty::TooLong);
    }
    let addresses = if is_local { Addresses::Ignored } else { family(fixed[13])? };
    if length < addresses.length() {
        return Err(Faulty::Addresses);
    }
    if block.len() < length {
        return Ok(Progress::More(length - block.len()));
    }
    if is_local {
        // What a proxy's own connection carries is to be passed over, whatever it is.
        return Ok(Progress::Whole(Proxied::Unknown));
    }
    let (told, extensions) = block.split_at(addresses.length());
    check_extensions(bytes, FIXED + told.len(), extensions)?;
    Ok(Progress::Whole(addresses.read(told)))
}

#[derive(Debug, Clone, Copy)]
enum Addresses {
    Ignored,
    V4,
    V6,
    Unix,
}

/// The second half-byte is the transport: only streams (1) come over a stream.
fn family(byte: u8) -> Result<Addresses, Faulty> {
    match byte {
        0x00 => Ok(Addresses::Ignored),
        0x11 => Ok(Addresses::V4),
        0x21 => Ok(Addresses::V6),
        0x31 => Ok(Addresses::Unix),
        _ => Err(Faulty::Family),
    }
}

impl Addresses {
    fn length(self) -> usize {
        match self {
            Addresses::Ignored => 0,
            Addresses::V4 => 12,
            Addresses::V6 => 36,
            Addresses::Unix => UNIX_ADDRESSES,
        }
    }

    /// From bytes of just this length.
    fn read(self, bytes: &[u8]) -> Proxied {
        fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            let mut part = [0; N];
            part.copy_from_slice(&bytes[at..at + N]);
            part
        }
        let port = |at| u16::from_be_bytes(part(bytes, at));
        match self {
            Addresses::Ignored => Proxied::Unknown,
            Addresses::Unix => Proxied::Unix,
            Addresses::V4 => Proxied::Tcp {
                source: (Ipv4Addr::from(part(bytes, 0)), port(8)).into(),
                destination: (Ipv4Addr::from(part(bytes, 4)), port(10)).into(),
            },
            Addresses::V6 => Proxied::Tcp {
                source: (Ipv6Addr::from(part::<16>(bytes, 0)), port(32)).into(),
                destination: (Ipv6Addr::from(part::<16>(bytes, 16)), port(34)).into(),
            },
        }
    }
}

/// Walks over the extensions, which begin at `at` of the header; only the checksum means anything
/// to us.
fn check_extensions(header: &[u8], mut at: usize, mut rest: &[u8]) -> Result<(), Faulty> {
    let mut checksum = None;
    while !rest.is_empty() {
        let [kind, high, low, after @ ..] = rest else {
            return Err(Faulty::Extension);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = after.split_at_checked(length).ok_or(Faulty::Extension)?;
        if *kind == TLV_CRC32C {
            let value = <[u8; 4]>::try_from(value).map_err(|_| Faulty::Extension)?;
            if checksum.replace((at + 3, u32::from_be_bytes(value))).is_some() {
                return Err(Faulty::Extension);
            }
        }
        at += 3 + length;
        rest = next;
    }
    match checksum {
        Some((at, told)) if crc32c(header, at) != told => Err(Faulty::Checksum),
        _ => Ok(()),
    }
}

/// CRC-32C (RFC 3720, B.4) of a header in which the four bytes at `hole` count as zero.
fn crc32c(bytes: &[u8], hole: usize) -> u32 {
    let mut crc = u32::MAX;
    for (i, &byte) in bytes.iter().enumerate() {
        let byte = if (hole..hole + 4).contains(&i) { 0 } else { byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

pub(super) fn write(addresses: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    let (command, length): ([u8; 2], u16) = match addresses {
        None => ([0x20, 0x00], 0),
        Some((SocketAddr::V4(_), _)) => ([0x21, 0x11], 12),
        Some((SocketAddr::V6(_), _)) => ([0x21, 0x21], 36),
    };
    out.extend_from_slice(&command);
    out.extend_from_slice(&length.to_be_bytes());
    let Some((source, destination)) = addresses else { return };
    for address in [source, destination] {
        match address {
            SocketAddr::V4(v4) => out.extend_from_slice(&v4.ip().octets()),
            SocketAddr::V6(v6) => out.extend_from_slice(&v6.ip().octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, told};
    use super::*;

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, block].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

    fn v4() -> Result<Proxied, Faulty> {
        Ok(Proxied::Tcp {
            source: "192.0.2.1:56324".parse().unwrap(),
            destination: "198.51.100.2:443".parse().unwrap(),
        })
    }

    fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind], &length[..], value].concat()
    }

    fn with(extensions: &[u8]) -> Vec<u8> {
        header(0x21, 0x11, &[&V4, extensions].concat())
    }

    #[test]
    fn every_family() {
        assert_eq!(told(&header(0x21, 0x11, &V4)), v4());
        let mut v6 = [0; 36];
        (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 80, 90);
        assert_eq!(
            told(&header(0x21, 0x21, &v6)),
            Ok(Proxied::Tcp {
                source: "[::1]:80".parse().unwrap(),
                destination: "[::2]:90".parse().unwrap(),
            })
        );
        assert_eq!(told(&header(0x21, 0x31, &[b'a'; 216])), Ok(Proxied::Unix));
        assert_eq!(told(&header(0x21, 0x00, &[])), Ok(Proxied::Unknown));
        assert_eq!(told(&header(0x21, 0x00, &tlv(0x04, b"pad"))), Ok(Proxied::Unknown));
    }

    #[test]
    fn a_proxys_own_connection_is_passed_over_with_all_it_carries() {
        for (family, block) in [(0x00, &b""[..]), (0x11, &V4), (0xff, b"junk, of no meaning")] {
            assert_eq!(told(&header(0x20, family, block)), Ok(Proxied::Unknown), "{family}");
        }
    }

    #[test]
    fn unknown_commands_and_families_are_refused_at_once() {
        for command in [0x00, 0x11, 0x22, 0x2f, 0x31, 0xff] {
            assert_eq!(told(&header(command, 0x11, &V4)), Err(Faulty::Command), "{command}");
        }
        for family in [0x01, 0x10, 0x12, 0x13, 0x22, 0x32, 0x41, 0xff] {
            let (read, taken) = fed(&header(0x21, family, &[0; 216]), b"");
            assert_eq!((read, taken), (Err(Faulty::Family), FIXED), "{family}");
        }
    }

    #[test]
    fn addresses_must_fit() {
        for (family, needed) in [(0x11, 12), (0x21, 36), (0x31, 216)] {
            let short = header(0x21, family, &vec![0; needed - 1]);
            assert_eq!(told(&short), Err(Faulty::Addresses), "{family}");
        }
    }

    #[test]
    fn extensions_are_passed_over_but_must_fit() {
        let many = [tlv(0x02, b"a.example"), tlv(0x20, &[7; 300]), tlv(0xe0, b"")].concat();
        assert_eq!(told(&with(&many)), v4());
        for broken in [&[0x02][..], &[0x02, 0], &[0x02, 0, 2, 1], &[0x02, 0xff, 0xff, 0]] {
            assert_eq!(told(&with(broken)), Err(Faulty::Extension), "{broken:?}");
        }
        // One that is fine and one that reaches beyond the header.
        let second = [tlv(0x04, b"x"), vec![0x04, 0, 9, 0]].concat();
        assert_eq!(told(&with(&second)), Err(Faulty::Extension));
    }

    #[test]
    fn a_header_has_a_bound() {
        let largest = vec![0x04, ((LONGEST - 31) >> 8) as u8, (LONGEST - 31) as u8];
        let largest = [largest, vec![0; LONGEST - 31]].concat();
        assert_eq!(told(&with(&largest)), v4());
        let (read, taken) = fed(&header(0x21, 0x11, &vec![0; LONGEST - FIXED + 1]), b"");
        assert_eq!((read, taken), (Err(Faulty::TooLong), FIXED));
    }

    #[test]
    fn a_checksum_is_checked() {
        // "123456789" is the customary check of CRC-32C.
        assert_eq!(crc32c(b"123456789", usize::MAX - 4), 0xe306_9283);
        let mut summed = with(&[tlv(0x04, b"x"), tlv(0x03, &[0; 4])].concat());
        let at = summed.len() - 4;
        let crc = crc32c(&summed, at).to_be_bytes();
        summed[at..].copy_from_slice(&crc);
        assert_eq!(told(&summed), v4());
        for bit in [17 * 8, at * 8, summed.len() * 8 - 1] {
            let mut other = summed.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(told(&other), Err(Faulty::Checksum), "{bit}");
        }
        assert_eq!(told(&with(&tlv(0x03, &[0; 3]))), Err(Faulty::Extension));
        let twice = [tlv(0x03, &crc), tlv(0x03, &crc)].concat();
        assert_eq!(told(&with(&twice)), Err(Faulty::Extension));
    }
}
