//! The first message of TLS (RFC 8446, 4.1.2), read for the server name that the client asks for
//! (RFC 6066, 3). [`read`] is pure: the bytes go on as they came, and the endpoint judges all the rest.

mod receive;

use std::borrow::Cow;

use thiserror::Error;

pub use self::receive::{Alert, ReceiveError, receive, refuse};

/// The longest ClientHello that is let in, in bytes without record headers. What clients send, keys
/// of post-quantum exchanges included, is below 4 KiB.
pub const LONGEST: usize = 16 * 1024;
/// Most records that it may come in.
const MOST_RECORDS: usize = 64;
/// The most bytes that are read before a ClientHello is whole.
pub const MOST_BYTES: usize = LONGEST + MOST_RECORDS * RECORD_HEADER;

const RECORD_HEADER: usize = 5;
const LARGEST_RECORD: usize = 1 << 14;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// The longest server name (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;

/// What begins a connection and is no ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoHello {
    /// It is not TLS.
    #[error("the connection does not begin with a TLS handshake")]
    NotTls,
    /// More bytes or records than a ClientHello needs.
    #[error("the ClientHello is too long")]
    TooLong,
    /// Something in it does not fit.
    #[error("the ClientHello is malformed")]
    Malformed,
    /// The server name is no host name, or there are several.
    #[error("the server name of the ClientHello is malformed")]
    ServerName,
}

/// How far a ClientHello has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// More bytes belong to it.
    Partial,
    /// It is whole; the name that it asks for, lower case and without a last dot. An address is no
    /// name.
    Whole(Option<Box<str>>),
}

/// Reads the ClientHello that `bytes`, all that has come so far, begin with.
///
/// # Errors
/// They do not begin with one, or it breaks our bounds.
pub fn read(bytes: &[u8]) -> Result<Hello, NoHello> {
    let Some(message) = message(bytes)? else {
        return Ok(Hello::Partial);
    };
    let name = hello(&message).ok_or(NoHello::Malformed)?;
    match name {
        None => Ok(Hello::Whole(None)),
        Some(extension) => Ok(Hello::Whole(server_name(extension)?)),
    }
}

/// The handshake message out of its records; `None` while some of it is missing.
fn message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, NoHello> {
    let mut rest = bytes;
    let mut gathered: Cow<'_, [u8]> = Cow::default();
    for _ in 0..MOST_RECORDS {
        let whole = match record(rest)? {
            None => return Ok(None),
            Some((fragment, after)) => {
                rest = after;
                if gathered.is_empty() {
                    gathered = Cow::Borrowed(fragment);
                } else {
                    gathered.to_mut().extend_from_slice(fragment);
                }
                &gathered
            }
        };
        if whole[0] != CLIENT_HELLO {
            return Err(NoHello::NotTls);
        }
        let Some([_, length @ ..]) = whole.first_chunk::<4>() else { continue };
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        if length > LONGEST - 4 {
            return Err(NoHello::TooLong);
        }
        match whole.len().cmp(&(length + 4)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                return Ok(Some(match gathered {
                    Cow::Borrowed(message) => Cow::Borrowed(&message[4..]),
                    Cow::Owned(mut message) => Cow::Owned(message.split_off(4)),
                }));
            }
            // Nothing may follow it before the server has answered (RFC 8446, 5.1).
            std::cmp::Ordering::Greater => return Err(NoHello::Malformed),
        }
    }
    Err(NoHello::TooLong)
}

/// A record's fragment and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The fragment of the first record and what follows it; `None` while it is not whole.
fn record(bytes: &[u8]) -> Result<Option<Split<'_>>, NoHello> {
    // Refused by its first bytes, so that nobody waits for more of what is no TLS.
    if bytes.first().is_some_and(|&kind| kind != HANDSHAKE)
        || bytes.get(1).is_some_and(|&major| major != 3)
    {
        return Err(NoHello::NotTls);
    }
    let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    match length {
        0 => Err(NoHello::Malformed),
        1..=LARGEST_RECORD => Ok(rest.split_at_checked(length)),
        _ => Err(NoHello::TooLong),
    }
}

/// The content of the server-name extension, if there is one. `None` when something does not fit.
fn hello(message: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = message;
    let version = take(&mut rest, 2)?;
    take(&mut rest, 32)?;
    let session = vector::<1>(&mut rest)?;
    let suites = vector::<2>(&mut rest)?;
    let compressions = vector::<1>(&mut rest)?;
    let odd = version[0] != 3
        || session.len() > 32
        || suites.is_empty()
        || suites.len() % 2 != 0
        || compressions.is_empty();
    if odd {
        return None;
    }
    if rest.is_empty() {
        return Some(None);
    }
    let mut extensions = vector::<2>(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    let mut found = None;
    while !extensions.is_empty() {
        let kind = number(take(&mut extensions, 2)?);
        let content = vector::<2>(&mut extensions)?;
        if kind == usize::from(EXTENSION_SERVER_NAME) && found.replace(content).is_some() {
            return None;
        }
    }
    Some(found)
}

/// The one name in a server-name extension.
fn server_name(mut extension: &[u8]) -> Result<Option<Box<str>>, NoHello> {
    let mut only = || {
        let mut list = vector::<2>(&mut extension)?;
        let kind = take(&mut list, 1)?;
        let name = vector::<2>(&mut list)?;
        (kind == [HOST_NAME] && list.is_empty() && extension.is_empty()).then_some(name)
    };
    let name = only().and_then(|name| std::str::from_utf8(name).ok()).ok_or(NoHello::ServerName)?;
    // Some clients put an address there, which RFC 6066 does not allow and nobody needs.
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = name.len() <= LONGEST_NAME
        && name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(legal));
    if !is_name {
        return Err(NoHello::ServerName);
    }
    Ok(Some(name.to_ascii_lowercase().into()))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// A vector whose length stands before it in `N` bytes.
fn vector<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(take(rest, N)?);
    take(rest, length)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sized<const N: usize>(content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - N..], content].concat()
    }

    fn sni(name: &[u8]) -> Vec<u8> {
        sized::<2>(&[&[HOST_NAME], &sized::<2>(name)[..]].concat())
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &sized::<2>(content)].concat()
    }

    /// A handshake message with these extensions.
    fn message_with(extensions: &[u8]) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[7; 32],
            &sized::<1>(&[9; 32]),
            &sized::<2>(&[0x13, 0x01]),
            &sized::<1>(&[0]),
            &sized::<2>(extensions),
        ];
        [&[CLIENT_HELLO], &sized::<3>(&body.concat())[..]].concat()
    }

    fn in_records(message: &[u8], size: usize) -> Vec<u8> {
        message
            .chunks(size)
            .flat_map(|part| [&[HANDSHAKE, 3, 1], &sized::<2>(part)[..]].concat())
            .collect()
    }

    fn asking(name: &[u8]) -> Vec<u8> {
        in_records(&message_with(&extension(0, &sni(name))), LARGEST_RECORD)
    }

    fn name_of(bytes: &[u8]) -> Result<Option<String>, NoHello> {
        match read(bytes)? {
            Hello::Whole(name) => Ok(name.map(String::from)),
            Hello::Partial => panic!("not whole"),
        }
    }

    #[test]
    fn the_name_is_found_among_others_and_lower_case() {
        assert_eq!(name_of(&asking(b"Mail.Example.com.")), Ok(Some("mail.example.com".into())));
        let many =
            [extension(10, &[0; 9]), extension(0, &sni(b"a.b")), extension(43, b"")].concat();
        let hello = in_records(&message_with(&many), LARGEST_RECORD);
        assert_eq!(name_of(&hello), Ok(Some("a.b".into())));
        // What follows is the client's next flight.
        assert_eq!(name_of(&[&hello[..], &[20, 3, 3, 0, 1, 1]].concat()), Ok(Some("a.b".into())));
    }

    #[test]
    fn none_asked_for_is_none() {
        assert_eq!(name_of(&in_records(&message_with(b""), 99999)), Ok(None));
        let mut bare = message_with(b"");
        bare.truncate(bare.len() - 2);
        let length = bare.len() - 4;
        bare[1..4].copy_from_slice(&length.to_be_bytes()[5..]);
        assert_eq!(name_of(&in_records(&bare, LARGEST_RECORD)), Ok(None));
        for address in ["192.0.2.1", "::1"] {
            assert_eq!(name_of(&asking(address.as_bytes())), Ok(None));
        }
    }

    #[test]
    fn every_part_is_partial_and_records_do_not_matter() {
        let message = message_with(&extension(0, &sni(b"a.example")));
        for size in [1, 3, 4, 5, 17, message.len() - 1, message.len()] {
            let hello = in_records(&message, size);
            if message.len().div_ceil(size) > MOST_RECORDS {
                assert_eq!(read(&hello), Err(NoHello::TooLong));
                continue;
            }
            for cut in 0..hello.len() {
                assert_eq!(read(&hello[..cut]), Ok(Hello::Partial), "{size} {cut}");
            }
            assert_eq!(name_of(&hello), Ok(Some("a.example".into())), "{size}");
        }
    }

    #[test]
    fn a_large_one_has_a_bound() {
        let bare = message_with(&extension(21, &[])).len();
        let padding = |count| [extension(21, &vec![0; count]), extension(0, &sni(b"a.b"))].concat();
        let extra = extension(0, &sni(b"a.b")).len();
        let fits = message_with(&padding(LONGEST - bare - extra));
        assert_eq!(fits.len(), LONGEST);
        let hello = in_records(&fits, 300);
        assert!(hello.len() <= MOST_BYTES);
        assert_eq!(name_of(&hello), Ok(Some("a.b".into())));
        let too_long = in_records(&message_with(&padding(LONGEST - bare - extra + 1)), 300);
        assert_eq!(
            read(&too_long[..305]),
            Err(NoHello::TooLong),
            "its length is in the first record"
        );
        assert_eq!(read(&[22, 3, 1, 0x40, 1]), Err(NoHello::TooLong));
    }

    #[test]
    fn what_is_no_tls_is_refused_by_its_first_bytes() {
        for bytes in [
            &b"G"[..],
            b"SSH-2.0-x\r\n",
            b"\x16\x02",
            b"\x15\x03\x01\0\x02\x02\x28",
            b"\x80\x2e\x01",
        ] {
            assert_eq!(read(bytes), Err(NoHello::NotTls), "{bytes:?}");
        }
        assert_eq!(read(&in_records(&[2, 0, 0, 1, 0], 99)), Err(NoHello::NotTls), "a ServerHello");
        assert_eq!(read(&[22, 3, 1, 0, 0]), Err(NoHello::Malformed), "an empty record");
    }

    #[test]
    fn what_does_not_fit_is_malformed() {
        let good = message_with(&extension(0, &sni(b"a.example")));
        let of = |message: &[u8]| read(&in_records(message, LARGEST_RECORD));
        for (at, value) in [(4, 2), (38, 33), (38, 255), (72, 3), (72, 0), (75, 0), (77, 255)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(of(&bad), Err(NoHello::Malformed), "{at}");
        }
        let twice = extension(0, &sni(b"a.b")).repeat(2);
        assert_eq!(of(&message_with(&twice)), Err(NoHello::Malformed));
        assert_eq!(of(&message_with(&[0, 0, 0, 9, 1])), Err(NoHello::Malformed));
        let mut behind = good;
        behind.push(0);
        assert_eq!(of(&behind), Err(NoHello::Malformed), "bytes behind the message");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let label = "a".repeat(64);
        let long = "a.".repeat(130);
        for name in ["", ".", "a..b", ".a", "a b", "*.a", "a/b", "a\0b", "\u{e9}.fr", &label, &long]
        {
            assert_eq!(read(&asking(name.as_bytes())), Err(NoHello::ServerName), "{name:?}");
        }
        assert_eq!(read(&asking(b"\xff.a")), Err(NoHello::ServerName));
        let two = sized::<2>(&[&[0], &sized::<2>(b"a.b")[..], &[0], &sized::<2>(b"c.d")].concat());
        for content in [&two[..], b"", &[0, 0], &sized::<2>(&[1, 0, 1, b'a']), &[0, 1, 0]] {
            let hello = in_records(&message_with(&extension(0, content)), LARGEST_RECORD);
            assert_eq!(read(&hello), Err(NoHello::ServerName), "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            patches in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6),
            near in any::<bool>(),
        ) {
            if near {
                bytes = asking(b"mail.example.com");
                for (at, value) in patches {
                    let at = at % bytes.len();
                    bytes[at] = value;
                }
            }
            for cut in 0..=bytes.len() {
                let _ = read(&bytes[..cut]);
            }
        }
    }
}
