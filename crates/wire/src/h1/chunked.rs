//! The chunked coding (RFC 9112, 7.1), read strictly: every byte that two parsers could take
//! differently is refused.

use super::field_lines;
use crate::{Fields, Malformed};

/// Longest size line, extensions included.
const MAX_SIZE_LINE: usize = 1024;
/// Largest trailer section.
const MAX_TRAILERS: usize = 8 * 1024;
/// Extension bytes that a body may carry for nothing (CVE-2023-39326 was a body made of them).
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Reads one chunked body.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    extensions: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// What stands at the start of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Not enough to tell.
    More,
    /// So many bytes of framing; skip them.
    Skip(usize),
    /// So many bytes of content. Report each as taken by [`Decoder::took`].
    Data(usize),
    /// The body ended before this input.
    End,
}

impl Decoder {
    /// Looks at `input`, which begins where the last step ended. Trailer fields go to `trailers`.
    ///
    /// # Errors
    /// The coding is malformed or carries too much besides content.
    pub fn step(&mut self, input: &[u8], trailers: &mut Fields) -> Result<Step, Malformed> {
        match self.state {
            State::Size => self.size_line(input),
            State::Data(left) if input.is_empty() => {
                debug_assert!(left > 0);
                Ok(Step::More)
            }
            State::Data(left) => {
                let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                Ok(Step::Data(here))
            }
            State::DataEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::More),
                _ => Err(Malformed::Chunk),
            },
            State::Trailers => self.trailers(input, trailers),
            State::Done => Ok(Step::End),
        }
    }

    /// `n` bytes of content were taken from the input.
    pub fn took(&mut self, n: usize) {
        if let State::Data(left) = self.state {
            let left = left.saturating_sub(n as u64);
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        }
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn size_line(&mut self, input: &[u8]) -> Result<Step, Malformed> {
        let window = &input[..input.len().min(MAX_SIZE_LINE)];
        let Some(lf) = memchr::memchr(b'\n', window) else {
            // Refuse what can never become a size line without waiting for its end.
            let digits = window.iter().take_while(|b| b.is_ascii_hexdigit()).count();
            if window.len() == MAX_SIZE_LINE || digits > 16 || (digits == 0 && !window.is_empty()) {
                return Err(Malformed::Chunk);
            }
            return Ok(Step::More);
        };
        let line = window[..lf].strip_suffix(b"\r").ok_or(Malformed::Chunk)?;
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits == 0 || digits > 16 {
            return Err(Malformed::Chunk);
        }
        let size = line[..digits].iter().fold(0u64, |size, &b| size << 4 | u64::from(hex(b)));
        if size > i64::MAX as u64 {
            // Beyond what other parsers can hold, so they would read it differently.
            return Err(Malformed::Chunk);
        }
        let extensions = &line[digits..];
        if !extensions.is_empty() {
            check_extensions(extensions)?;
            self.extensions += extensions.len();
            if self.extensions > MAX_EXTENSIONS {
                return Err(Malformed::ChunkOverhead);
            }
        }
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        Ok(Step::Skip(lf + 1))
    }

    fn trailers(&mut self, input: &[u8], trailers: &mut Fields) -> Result<Step, Malformed> {
        match input {
            [b'\r', b'\n', ..] => {
                self.state = State::Done;
                return Ok(Step::Skip(2));
            }
            [] | [b'\r'] => return Ok(Step::More),
            _ => {}
        }
        let window = &input[..input.len().min(MAX_TRAILERS)];
        match field_lines::parse(window, trailers)? {
            Some(length) => {
                self.state = State::Done;
                Ok(Step::Skip(length))
            }
            None if window.len() == MAX_TRAILERS => Err(Malformed::ChunkOverhead),
            None => Ok(Step::More),
        }
    }
}

fn hex(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        _ => (b | 0x20) - b'a' + 10,
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn check_extensions(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        rest = skip_blank(rest).strip_prefix(b";").ok_or(Malformed::Chunk)?;
        rest = skip_token(skip_blank(rest))?;
        if let Some(value) = skip_blank(rest).strip_prefix(b"=") {
            let value = skip_blank(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => skip_quoted(quoted)?,
                None => skip_token(value)?,
            };
        }
    }
    Ok(())
}

fn skip_blank(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &text[blanks..]
}

fn skip_token(text: &[u8]) -> Result<&[u8], Malformed> {
    match text.iter().take_while(|&&b| is_token(b)).count() {
        0 => Err(Malformed::Chunk),
        length => Ok(&text[length..]),
    }
}

fn skip_quoted(text: &[u8]) -> Result<&[u8], Malformed> {
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        match b {
            b'"' => return Ok(&text[i + 1..]),
            // What is escaped must be legal too, or a bare CR could hide behind the backslash.
            b'\\' if matches!(text.get(i + 1), Some(b'\t' | 0x20..=0x7e | 0x80..)) => i += 1,
            b'\\' => return Err(Malformed::Chunk),
            b'\t' | 0x20..=0x7e | 0x80.. => {}
            _ => return Err(Malformed::Chunk),
        }
        i += 1;
    }
    Err(Malformed::Chunk)
}

/// `tchar` of RFC 9110, 5.6.2.
pub(crate) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `piece` bytes; the content and trailers that come out, and what
    /// was left over.
    fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, Fields, usize), Malformed> {
        let (mut decoder, mut trailers, mut content) =
            (Decoder::default(), Fields::default(), Vec::new());
        let (mut at, mut seen) = (0, 0);
        loop {
            match decoder.step(&input[at..seen], &mut trailers)? {
                Step::More if seen == input.len() => return Err(Malformed::Chunk),
                Step::More => seen = (seen + piece).min(input.len()),
                Step::Skip(n) => at += n,
                Step::Data(n) => {
                    content.extend_from_slice(&input[at..at + n]);
                    at += n;
                    decoder.took(n);
                }
                Step::End => return Ok((content, trailers, input.len() - at)),
            }
        }
    }

    #[test]
    fn well_formed_bodies_are_read_however_they_are_cut() {
        let input = b"4\r\nWiki\r\n005;a=b; c=\"d;\\\"\" ;e\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for piece in 1..input.len() {
            let (content, trailers, left) = decode(input, piece).unwrap();
            assert_eq!(content, b"Wikipedia");
            assert_eq!(trailers.all(b"x-sum").collect::<Vec<_>>(), [b"1"]);
            // Whatever piece size, nothing past the end is eaten.
            assert!(left <= 3, "{left}");
        }
    }

    #[test]
    fn malformed_bodies_are_refused() {
        for bad in [
            &b"4\nWiki\r\n0\r\n\r\n"[..],
            b"4\r\nWiki\n0\r\n\r\n",
            b"4\r\nWikiX\r\n0\r\n\r\n",
            b"4 \r\nWiki\r\n0\r\n\r\n",
            b" 4\r\nWiki\r\n0\r\n\r\n",
            b"+4\r\nWiki\r\n0\r\n\r\n",
            b"-4\r\nWiki\r\n0\r\n\r\n",
            b"0x4\r\nWiki\r\n0\r\n\r\n",
            b"4_0\r\nWiki\r\n0\r\n\r\n",
            b"\r\n0\r\n\r\n",
            b";a\r\n\r\n",
            b"4;\r\nWiki\r\n0\r\n\r\n",
            b"4;a=\r\nWiki\r\n0\r\n\r\n",
            b"4;a=\"b\r\nWiki\r\n0\r\n\r\n",
            b"4;a=\"\\\r\"\r\nWiki\r\n0\r\n\r\n",
            b"4;a=\"\\\0\"\r\nWiki\r\n0\r\n\r\n",
            b"4;a\rb\r\nWiki\r\n0\r\n\r\n",
            b"4;a\x00\r\nWiki\r\n0\r\n\r\n",
            b"8000000000000000\r\n",
            b"FFFFFFFFFFFFFFFF1\r\n",
            b"00000000000000001\r\nx\r\n0\r\n\r\n",
            b"0\r\nX : 1\r\n\r\n",
            b"0\r\nX: 1\n\r\n",
            b"0\r\n X: 1\r\n\r\n",
            b"0\r\n\n",
            b"0\r\n\rX",
        ] {
            for piece in [1, 3, bad.len()] {
                assert!(decode(bad, piece).is_err(), "{:?}", String::from_utf8_lossy(bad));
            }
        }
    }

    #[test]
    fn a_body_of_extensions_is_refused() {
        let mut input = Vec::new();
        for _ in 0..40 {
            input.extend_from_slice(b"1;");
            input.extend_from_slice(&[b'a'; 500]);
            input.extend_from_slice(b"\r\nx\r\n");
        }
        input.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(decode(&input, 100).unwrap_err(), Malformed::ChunkOverhead);
    }

    #[test]
    fn endless_lines_are_refused() {
        assert_eq!(decode(&[b'0'; 4096], 64).unwrap_err(), Malformed::Chunk);
        let mut long_trailer = b"0\r\nX: ".to_vec();
        long_trailer.extend_from_slice(&[b'a'; 10_000]);
        assert_eq!(decode(&long_trailer, 512).unwrap_err(), Malformed::ChunkOverhead);
    }
}
