//! Version 1: one line of text.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Faulty, Progress, Proxied};

/// The longest line with its CRLF, in bytes.
pub const LONGEST: usize = 107;
/// The shortest: `PROXY UNKNOWN` with its CRLF.
pub(super) const SHORTEST: usize = 15;

const START: &[u8] = b"PROXY ";

pub(super) fn read(bytes: &[u8]) -> Result<Progress, Faulty> {
    if !bytes.starts_with(&START[..bytes.len().min(START.len())]) {
        return Err(Faulty::Absent);
    }
    if bytes.len() < SHORTEST {
        return Ok(Progress::More(SHORTEST - bytes.len()));
    }
    let Some(end) = bytes.iter().position(|&b| b == b'\r' || b == b'\n') else {
        let more = more(bytes)?;
        let too_long = bytes.len() + more > LONGEST;
        return if too_long { Err(Faulty::TooLong) } else { Ok(Progress::More(more)) };
    };
    let rest = &bytes[START.len()..end];
    match &bytes[end..] {
        b"\r\n" => line(rest).map(Progress::Whole),
        b"\r" if bytes.len() < LONGEST => Ok(Progress::More(1)),
        b"\r" => Err(Faulty::TooLong),
        _ => Err(Faulty::Line),
    }
}

/// At least how many bytes the line still has: what the fields that have not come need.
fn more(bytes: &[u8]) -> Result<usize, Faulty> {
    let shortest: [usize; 5] = match &bytes[START.len()..] {
        [b'T', b'C', b'P', b'4', b' ', ..] => [4, 7, 7, 1, 1],
        [b'T', b'C', b'P', b'6', b' ', ..] => [4, 2, 2, 1, 1],
        // Whatever follows until the end of the line.
        [b'U', b'N', b'K', b'N', b'O', b'W', b'N', ..] => return Ok(2),
        _ => return Err(Faulty::Line),
    };
    let mut fields = bytes[START.len()..].split(|&b| b == b' ');
    let mut missing = 2;
    for (i, shortest) in shortest.into_iter().enumerate() {
        match fields.next() {
            Some(field) => missing += shortest.saturating_sub(field.len()),
            None => missing += shortest + usize::from(i > 0),
        }
    }
    match fields.next() {
        None => Ok(missing),
        Some(_) => Err(Faulty::Line),
    }
}

/// What stands behind `PROXY `.
fn line(rest: &[u8]) -> Result<Proxied, Faulty> {
    let text = std::str::from_utf8(rest).map_err(|_| Faulty::Line)?;
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Ok(Proxied::Unknown);
    }
    let fields: Vec<&str> = text.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = fields[..] else {
        return Err(Faulty::Line);
    };
    let ip = |text| match family {
        "TCP4" => parsed::<Ipv4Addr>(text).map(IpAddr::V4),
        "TCP6" => parsed::<Ipv6Addr>(text).map(IpAddr::V6),
        _ => Err(Faulty::Line),
    };
    Ok(Proxied::Tcp {
        source: SocketAddr::new(ip(source)?, port(source_port)?),
        destination: SocketAddr::new(ip(destination)?, port(destination_port)?),
    })
}

fn parsed<T: FromStr>(text: &str) -> Result<T, Faulty> {
    text.parse().map_err(|_| Faulty::Line)
}

/// A port in decimal digits, without leading zeros.
fn port(text: &str) -> Result<u16, Faulty> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { parsed(text) } else { Err(Faulty::Line) }
}

pub(super) fn write(addresses: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = match addresses {
        Some((a, b)) => {
            let family = if a.is_ipv4() { "TCP4" } else { "TCP6" };
            write!(out, "PROXY {family} {} {} {} {}\r\n", a.ip(), b.ip(), a.port(), b.port())
        }
        None => write!(out, "PROXY UNKNOWN\r\n"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, told};
    use super::*;

    fn tcp(source: &str, destination: &str) -> Result<Proxied, Faulty> {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Ok(Proxied::Tcp { source, destination })
    }

    #[test]
    fn lines_of_every_family() {
        assert_eq!(
            told(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
            tcp("192.0.2.1:56324", "198.51.100.2:443")
        );
        assert_eq!(
            told(b"PROXY TCP4 0.0.0.0 1.1.1.1 0 65535\r\n"),
            tcp("0.0.0.0:0", "1.1.1.1:65535")
        );
        assert_eq!(told(b"PROXY TCP6 :: ::1 1 2\r\n"), tcp("[::]:1", "[::1]:2"));
        assert_eq!(
            told(b"PROXY TCP6 2001:DB8::a ::ffff:192.0.2.1 1 2\r\n"),
            tcp("[2001:db8::a]:1", "[::ffff:192.0.2.1]:2")
        );
        let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY TCP6 {full} {full} 65535 65535\r\n");
        assert_eq!(
            told(longest.as_bytes()),
            tcp(&format!("[{full}]:65535"), &format!("[{full}]:65535"))
        );
        assert_eq!(told(b"PROXY UNKNOWN\r\n"), Ok(Proxied::Unknown));
        let unknown = format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n");
        assert_eq!((unknown.len(), told(unknown.as_bytes())), (LONGEST, Ok(Proxied::Unknown)));
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\rX",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 7\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +5632 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 05632 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 \t 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2  443\r\n",
            "PROXY TCP4 ::1 ::1 56324 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
            "PROXY TCP6 [::1] [::1] 56324 443\r\n",
            "PROXY TCP6 1:2:3:4:5:6:7 ::1 56324 443\r\n",
            "PROXY TCP6 ::1::2 ::1 56324 443\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY tcp4 192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY UNKNOWNX 192.0.2.1\r\n",
            "PROXY UNKNOWN\nX",
            "PROXY \r\n\r\n\r\n\r\n\r\n",
            "PROXY TCP4\r\n\r\n\r\n\r\n",
        ] {
            assert_eq!(told(line.as_bytes()), Err(Faulty::Line), "{line:?}");
        }
        let high = b"PROXY TCP4 192.0.2.\xff 198.51.100.2 56324 443\r\n";
        assert_eq!(told(high), Err(Faulty::Line));
    }

    #[test]
    fn a_line_has_an_end() {
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        let (read, taken) = fed(&endless, b"");
        assert_eq!(read, Err(Faulty::TooLong));
        assert!(taken <= LONGEST);
        let one_too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST - 15));
        assert_eq!(told(one_too_long.as_bytes()), Err(Faulty::TooLong));
        let just_right = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST - 16));
        assert_eq!(told(just_right.as_bytes()), Ok(Proxied::Unknown));
    }

    #[test]
    fn a_usual_line_takes_few_reads() {
        let line = b"PROXY TCP4 192.168.100.101 192.168.100.102 56324 443\r\n";
        let (mut taken, mut reads) = (0, 0);
        while let Ok(Progress::More(more)) = super::super::read(&line[..taken]) {
            (taken, reads) = (taken + more, reads + 1);
        }
        assert!(reads <= 9, "{reads}");
    }
}
