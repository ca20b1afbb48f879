//! Response heads, read as strictly as requests: an origin's reply that two parsers could read
//! differently poisons the connection for everybody behind it.

use httparse::Status;

use super::content::{self, Declared};
use super::field_lines::{self, Scan};
use crate::{BodyLength, Malformed, ResponseHead, Version};

/// What a reply answers, as far as its framing depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplyTo {
    /// The request was `HEAD`.
    pub head: bool,
    /// The request asked to switch protocols.
    pub upgrade: bool,
}

/// Parses the response head at the start of `input` into `head`. `None` when it is not whole yet;
/// else its length and whether the connection may carry another exchange after this one.
///
/// # Errors
/// The head is malformed or larger than a buffer.
pub fn parse_response(
    input: &[u8],
    to: ReplyTo,
    scan: &mut Scan,
    head: &mut ResponseHead,
) -> Result<Option<(usize, bool)>, Malformed> {
    if scan.is_begun() && !scan.ends(input)? {
        return check_partial(input);
    }
    let mut room = field_lines::room();
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        input,
        &mut room,
    );
    match status {
        Ok(Status::Complete(length)) => {
            let line = check_status_line(input, &parsed)?;
            field_lines::take(input, length, line, parsed.headers, &mut head.fields)?;
            head.status = parsed.code.unwrap_or_default();
            head.version = match parsed.version {
                Some(0) => Version::Http10,
                _ => Version::Http11,
            };
            understand(to, head)?;
            let options = content::connection_options(&head.fields);
            let persists = match head.version {
                Version::Http11 | Version::Http2 => !options.close,
                Version::Http10 => options.keep_alive && !options.close,
            };
            Ok(Some((length, persists)))
        }
        Ok(Status::Partial) => {
            scan.ends(input)?;
            check_partial(input)
        }
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::HeadTooLarge),
        Err(httparse::Error::Version | httparse::Error::Status | httparse::Error::NewLine) => {
            Err(Malformed::StartLine)
        }
        Err(_) => Err(Malformed::FieldLine),
    }
}

fn check_partial(input: &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
    if input.len() >= crate::BUFFER_SIZE { Err(Malformed::HeadTooLarge) } else { Ok(None) }
}

/// `HTTP/1.1 SP 3DIGIT SP [reason] CRLF`; real origins leave the second space out at times, which
/// nobody reads differently. Returns the line's length.
fn check_status_line(
    input: &[u8],
    parsed: &httparse::Response<'_, '_>,
) -> Result<usize, Malformed> {
    let lf = memchr::memchr(b'\n', input).ok_or(Malformed::StartLine)?;
    if !input.starts_with(b"HTTP/1.") || !matches!(parsed.code, Some(100..=599)) {
        return Err(Malformed::StartLine);
    }
    match input[..lf].strip_suffix(b"\r") {
        Some(line) if !line[8..].contains(&b'\r') => Ok(lf + 1),
        _ => Err(Malformed::LineEnd),
    }
}

/// RFC 9112, 6.3, without its leniencies.
fn understand(to: ReplyTo, head: &mut ResponseHead) -> Result<(), Malformed> {
    let declared = content::declared(&head.fields)?;
    if declared == Declared::Chunked && head.version == Version::Http10 {
        return Err(Malformed::TransferEncoding);
    }
    head.declared = match declared {
        Declared::Length(length) => Some(length),
        Declared::Chunked | Declared::Nothing => None,
    };
    head.length = match (head.status, declared) {
        (101, _) if !to.upgrade => return Err(Malformed::Status),
        // Such replies have no content, so a length or coding can only mislead; a plain
        // `Content-Length: 0` misleads nobody and real origins send it.
        (100..=199 | 204, Declared::Nothing | Declared::Length(0)) => BodyLength::Empty,
        (100..=199 | 204, _) => return Err(Malformed::UnexpectedContent),
        (304, _) => BodyLength::Empty,
        _ if to.head => BodyLength::Empty,
        (_, Declared::Chunked | Declared::Nothing) => BodyLength::Unknown,
        (_, Declared::Length(0)) => BodyLength::Empty,
        (_, Declared::Length(length)) => BodyLength::Exact(length),
    };
    if matches!(head.status, 100..=199 | 204) {
        head.declared = None;
    }
    head.chunked = declared == Declared::Chunked;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &[u8], to: ReplyTo) -> Result<Option<(ResponseHead, bool)>, Malformed> {
        let mut head = ResponseHead::default();
        let read = parse_response(input, to, &mut Scan::default(), &mut head)?;
        Ok(read.map(|(_, persists)| (head, persists)))
    }

    fn length(input: &str) -> BodyLength {
        parse(input.as_bytes(), ReplyTo::default()).unwrap().unwrap().0.length
    }

    #[test]
    fn framing_of_replies() {
        assert_eq!(length("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), BodyLength::Exact(3));
        assert_eq!(
            length("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            BodyLength::Unknown
        );
        assert_eq!(length("HTTP/1.1 200\r\n\r\n"), BodyLength::Unknown);
        assert_eq!(length("HTTP/1.1 204 No Content\r\n\r\n"), BodyLength::Empty);
        assert_eq!(
            length("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
            BodyLength::Empty
        );
        assert_eq!(
            length("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
            BodyLength::Empty
        );
        let to = ReplyTo { head: true, upgrade: false };
        let (head, _) =
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", to).unwrap().unwrap();
        assert_eq!((head.length, head.declared), (BodyLength::Empty, Some(9)));
    }

    #[test]
    fn replies_that_parsers_differ_over_are_refused() {
        for input in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3,3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\n\r\n",
            "HTTP/1.1 200 OK\r\nX : 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: 3\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/1.1 600 No\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "200 OK\r\n\r\n",
        ] {
            assert!(parse(input.as_bytes(), ReplyTo::default()).is_err(), "{input:?}");
        }
    }

    #[test]
    fn persistence() {
        let persists = |text: &str| parse(text.as_bytes(), ReplyTo::default()).unwrap().unwrap().1;
        assert!(persists("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!persists("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
        assert!(!persists("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(persists("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
    }
}
