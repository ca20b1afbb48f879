//! How long a message's content is (RFC 9112, 6), and reading it.

use super::chunked::Decoder;
use crate::{Fields, Known, Malformed};

/// What the framing fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Reads the framing fields: one plain `Content-Length`, or one `Transfer-Encoding: chunked`, or
/// neither. Anything else could be read in two ways.
pub(crate) fn declared(fields: &Fields) -> Result<Declared, Malformed> {
    if !fields.has(Known::ContentLength) && !fields.has(Known::TransferEncoding) {
        return Ok(Declared::Nothing);
    }
    let mut lengths = fields.all_known(Known::ContentLength);
    let mut codings = fields.all_known(Known::TransferEncoding);
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() {
        return Err(Malformed::ContentLength);
    }
    if codings.next().is_some() {
        return Err(Malformed::TransferEncoding);
    }
    match (length, coding) {
        (None, None) => Ok(Declared::Nothing),
        (Some(_), Some(_)) => Err(Malformed::BothLengths),
        (Some(digits), None) => decimal(digits).map(Declared::Length),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Declared::Chunked),
        (None, Some(_)) => Err(Malformed::TransferEncoding),
    }
}

/// `1*DIGIT` that also fits where others keep lengths, a signed 64-bit number.
fn decimal(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::ContentLength);
    }
    let value = digits.iter().fold(0u64, |value, b| value * 10 + u64::from(b - b'0'));
    if value > i64::MAX as u64 { Err(Malformed::ContentLength) } else { Ok(value) }
}

/// What `Connection` says (RFC 9110, 7.6.1).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ConnectionOptions {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

/// Reads every `Connection` field.
pub(crate) fn connection_options(fields: &Fields) -> ConnectionOptions {
    let mut options = ConnectionOptions::default();
    for value in fields.all_known(Known::Connection) {
        if value == b"keep-alive" {
            options.keep_alive = true;
            continue;
        }
        for option in value.split(|&b| b == b',') {
            let option = option.trim_ascii();
            options.close |= option.eq_ignore_ascii_case(b"close");
            options.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            options.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
    options
}

/// What is still to be read of a message's content.
#[derive(Debug, Default)]
pub(crate) enum Reader {
    /// Nothing.
    #[default]
    Done,
    /// So many bytes.
    Exact(u64),
    /// Chunks.
    Chunked(Decoder),
    /// All until the peer closes.
    UntilClose,
}
