//! Request paths, normalised once before a route is looked for.
//!
//! Two paths that an origin could take for the same thing become the same bytes here, and what
//! origins are known to read differently is refused, so that no spelling of a path slips past the
//! route that guards it. The result still is percent-encoded. Normalising twice changes nothing.

use portcullis_config::model::{EncodedSlash, PathPolicy};
use thiserror::Error;

/// Where the normalised path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// The path was normal already; nothing was copied.
    AsIs,
    /// It is in the buffer that was given.
    Rewritten,
}

/// Why a path is refused; each is the client's fault (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathFault {
    /// It does not begin with `/`.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A byte that no path may hold: a control, a space, `#`, `?`, a backslash or not ASCII.
    #[error("byte 0x{0:02X} may not stand in a path")]
    IllegalByte(u8),
    /// `%` without two hexadecimal digits after it.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    BadEscape,
    /// `%00`, where C programs end a string.
    #[error("the path holds an encoded NUL")]
    EncodedNul,
    /// `%2F` where the listener's policy refuses it.
    #[error("the path holds an encoded slash")]
    EncodedSlash,
    /// More `..` than segments before them.
    #[error("the path climbs above the root")]
    AboveRoot,
    /// A segment like `..;x`, which servlet containers read as `..`.
    #[error("a dot segment carries a path parameter")]
    DotParameter,
    /// A segment like `a%2F..%2Fb`, which climbs once somebody decodes it.
    #[error("a dot segment hides between encoded slashes")]
    HiddenDots,
}

/// Normalises `raw`, a path without query. `out` is overwritten only when the result is
/// [`Normal::Rewritten`] or an error.
///
/// Escapes of unreserved characters (RFC 3986, 2.3) are decoded and all others kept in upper
/// case; dot segments go (5.2.4), also those written with `%2E`; `//` and `%2F` follow the policy.
///
/// # Errors
/// A [`PathFault`] for what is not a path or what origins read in different ways.
pub fn normalise(raw: &[u8], policy: PathPolicy, out: &mut Vec<u8>) -> Result<Normal, PathFault> {
    if raw.first() != Some(&b'/') {
        return Err(PathFault::NotAbsolute);
    }
    if is_plain(raw) {
        return Ok(Normal::AsIs);
    }
    out.clear();
    out.push(b'/');
    let mut writer = Writer { out, segment: 1, merge: policy.merge_slashes };
    let mut at = 1;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        match byte {
            b'/' => writer.slash()?,
            b'%' => {
                let code = raw.get(at..at + 2).and_then(unhex).ok_or(PathFault::BadEscape)?;
                at += 2;
                match code {
                    0 => return Err(PathFault::EncodedNul),
                    b'/' if policy.encoded_slash == EncodedSlash::Reject => {
                        return Err(PathFault::EncodedSlash);
                    }
                    b'/' if policy.encoded_slash == EncodedSlash::Decode => writer.slash()?,
                    _ if is_unreserved(code) => writer.out.push(code),
                    _ => writer.escape(code),
                }
            }
            _ if is_illegal(byte) => return Err(PathFault::IllegalByte(byte)),
            _ => writer.out.push(byte),
        }
    }
    writer.end()?;
    // Escapes that were normal already end here: the caller keeps what it has.
    Ok(if writer.out == raw { Normal::AsIs } else { Normal::Rewritten })
}

/// Whether nothing in the path asks for a closer look. Written without branches so that the
/// compiler looks at many bytes at once.
fn is_plain(raw: &[u8]) -> bool {
    let special = raw.iter().fold(false, |found, &byte| found | is_illegal(byte) | (byte == b'%'));
    let pairs = raw.iter().zip(raw.get(1..).unwrap_or_default());
    let dots =
        pairs.fold(false, |found, (&a, &b)| found | (a == b'/') & ((b == b'/') | (b == b'.')));
    !(special | dots)
}

fn is_illegal(byte: u8) -> bool {
    (byte <= b' ') | (byte >= 0x7f) | (byte == b'\\') | (byte == b'#') | (byte == b'?')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn unhex(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

/// The normalised path so far; always ends in the segment that is being written.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Where the current segment begins, right after a slash.
    segment: usize,
    merge: bool,
}

impl Writer<'_> {
    fn escape(&mut self, code: u8) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.out.extend([b'%', HEX[usize::from(code >> 4)], HEX[usize::from(code & 15)]]);
    }

    /// Ends the current segment at a slash and begins the next.
    fn slash(&mut self) -> Result<(), PathFault> {
        let vanishes = self.merge && self.segment == self.out.len();
        if self.end()? && !vanishes {
            self.out.push(b'/');
        }
        self.segment = self.out.len();
        Ok(())
    }

    /// Ends the current segment; says whether it stays, empty ones included.
    fn end(&mut self) -> Result<bool, PathFault> {
        match &self.out[self.segment..] {
            b"." => {
                self.out.truncate(self.segment);
                Ok(false)
            }
            b".." => {
                self.climb()?;
                Ok(false)
            }
            segment => check_tricks(segment).map(|()| true),
        }
    }

    /// Takes away the current segment and the one before it.
    fn climb(&mut self) -> Result<(), PathFault> {
        let before = &self.out[..self.segment - 1];
        let slash = memchr::memrchr(b'/', before).ok_or(PathFault::AboveRoot)?;
        self.out.truncate(slash + 1);
        Ok(())
    }
}

/// Refuses segments that some origins read as dot segments although they are none.
fn check_tricks(segment: &[u8]) -> Result<(), PathFault> {
    if memchr::memchr(b'.', segment).is_none() {
        return Ok(());
    }
    let after_dots = segment.strip_prefix(b"..").or_else(|| segment.strip_prefix(b"."));
    if after_dots.is_some_and(|rest| rest.starts_with(b";") || rest.starts_with(b"%3B")) {
        return Err(PathFault::DotParameter);
    }
    // `..` bounded by encoded slashes or backslashes, or by the ends of the segment.
    let bounded = memchr::memmem::find_iter(segment, b"..").any(|at| {
        let (left, right) = (&segment[..at], &segment[at + 2..]);
        let left = left.is_empty() || left.ends_with(b"%2F") || left.ends_with(b"%5C");
        let right = right.is_empty() || right.starts_with(b"%2F") || right.starts_with(b"%5C");
        left && right
    });
    if bounded { Err(PathFault::HiddenDots) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
