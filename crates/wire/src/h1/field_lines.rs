//! Field lines (RFC 9112, 5), by `httparse` with the leniencies taken out.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::MAX_FIELDS;
use crate::{Fields, Malformed};

/// Parses a section of field lines with its closing empty line. `None` when it is not whole yet;
/// else its length.
pub(crate) fn parse(input: &[u8], fields: &mut Fields) -> Result<Option<usize>, Malformed> {
    if !ends_here(input)? {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    match httparse::parse_headers(input, &mut headers) {
        Ok(Status::Complete((length, headers))) => {
            take(input, length, 0, headers, fields)?;
            Ok(Some(length))
        }
        Ok(Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::ChunkOverhead),
        Err(_) => Err(Malformed::FieldLine),
    }
}

/// Looks for the empty line that ends a section. Every line must end in CRLF.
pub(crate) fn ends_here(input: &[u8]) -> Result<bool, Malformed> {
    let mut scan = Scan::default();
    scan.ends(input)
}

/// Finds the end of a head that arrives in pieces, looking at each byte once.
#[derive(Debug, Default, Clone, Copy)]
pub struct Scan {
    line: usize,
    seen: usize,
}

impl Scan {
    /// Whether `input`, which only ever grows between calls, holds the empty line that ends a head.
    pub(crate) fn ends(&mut self, input: &[u8]) -> Result<bool, Malformed> {
        while let Some(at) = memchr::memchr(b'\n', &input[self.seen..]) {
            let lf = self.seen + at;
            if lf == 0 || input[lf - 1] != b'\r' {
                return Err(Malformed::LineEnd);
            }
            if lf - 1 == self.line {
                return Ok(true);
            }
            self.line = lf + 1;
            self.seen = lf + 1;
        }
        self.seen = input.len();
        Ok(false)
    }

    /// Whether anything was looked at.
    pub(crate) fn is_begun(&self) -> bool {
        self.seen > 0
    }

    /// Where the line that has not ended yet begins; 0 while the first has not ended.
    pub(crate) fn line_start(&self) -> usize {
        self.line
    }
}

/// Room for the fields of a head; a function so that no caller keeps it across an await.
pub(crate) fn room<'b>() -> [MaybeUninit<Header<'b>>; MAX_FIELDS] {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// Takes parsed headers over into `fields` as offsets into `head[..length]`, and checks what
/// `httparse` lets pass: every line, from the start line's end at `lines_from`, ends in CRLF.
pub(crate) fn take(
    head: &[u8],
    length: usize,
    lines_from: usize,
    headers: &[Header<'_>],
    fields: &mut Fields,
) -> Result<(), Malformed> {
    // Every line ends in CRLF if the bytes before each name and at the end are: `httparse` lets a
    // bare LF pass, and nothing else that could stand there.
    if !head[lines_from..length].ends_with(b"\r\n")
        || (!headers.is_empty() && !head[..length].ends_with(b"\r\n\r\n"))
        || (headers.is_empty() && length != lines_from + 2)
    {
        return Err(Malformed::LineEnd);
    }
    fields.load(&head[..length]);
    let base = head.as_ptr() as usize;
    for (i, header) in headers.iter().enumerate() {
        // `httparse` returns slices of its input, so the differences are offsets into it.
        let name = header.name.as_ptr() as usize - base;
        let begins = match i {
            0 => name == lines_from,
            _ => name >= 2 && head.get(name - 2..name) == Some(b"\r\n"),
        };
        if !begins || header.name.len() > usize::from(u16::MAX) {
            return Err(Malformed::LineEnd);
        }
        let name_end = name + header.name.len();
        let (value, value_len) = match header.value {
            [] => (name_end, 0),
            value => (value.as_ptr() as usize - base, value.len()),
        };
        let next = headers.get(i + 1).map_or(length - 2, |next| next.name.as_ptr() as usize - base);
        // Nothing but `: ` before the value and CRLF behind it.
        let plain =
            value == name_end + 2 && head[name_end + 1] == b' ' && next == value + value_len + 2;
        fields.entry(name, header.name.len(), value, value_len, plain);
    }
    Ok(())
}
