//! Request heads: RFC 9112 read strictly, so that no two parsers can differ over what we pass on.

use httparse::Status;

use super::content;
use super::field_lines::{self, Scan};
use super::target::{self, Target};
use crate::fields::Span;
use crate::{BodyLength, Fields, Known, Malformed, RequestHead, Version};

/// Most fields of any head.
pub const MAX_FIELDS: usize = 256;

/// Room in a start line for what is not the target.
const LINE_OVERHEAD: usize = 64;

/// How large a request's head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Longest request target in bytes.
    pub target: usize,
    /// Most fields; [`MAX_FIELDS`] at most.
    pub fields: usize,
    /// Largest header section in bytes.
    pub section: usize,
}

/// Parses the head at the start of `input` into `head`. `None` when it is not whole yet; else its
/// length. `scan` remembers between calls how far `input` was looked at.
///
/// # Errors
/// The head is malformed or beyond the limits.
pub fn parse_request(
    input: &[u8],
    limits: &HeadLimits,
    scan: &mut Scan,
    head: &mut RequestHead,
) -> Result<Option<usize>, Malformed> {
    // Most heads come whole with the first read; only those that do not are scanned for their end,
    // so that a head sent byte by byte is not parsed from its start at every byte.
    if scan.is_begun() && !scan.ends(input)? {
        return check_partial(input, limits, scan);
    }
    let mut room = field_lines::room();
    let mut parsed = httparse::Request::new(&mut []);
    let status = httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        input,
        &mut room,
    );
    match status {
        Ok(Status::Complete(length)) => {
            let line = take_start_line(input, &parsed, limits)?;
            if parsed.headers.len() > limits.fields || length - line.length > limits.section {
                return Err(Malformed::HeadTooLarge);
            }
            field_lines::take(input, length, line.length, parsed.headers, &mut head.fields)?;
            line.fill(head)?;
            understand(head)?;
            Ok(Some(length))
        }
        Ok(Status::Partial) => {
            scan.ends(input)?;
            check_partial(input, limits, scan)
        }
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::HeadTooLarge),
        Err(httparse::Error::Version) if names_a_version(input) => Err(Malformed::Version),
        Err(httparse::Error::Token | httparse::Error::Version | httparse::Error::NewLine) => {
            Err(Malformed::StartLine)
        }
        Err(_) => Err(Malformed::FieldLine),
    }
}

/// A head that is not whole: refused as soon as it cannot become legal any more.
fn check_partial(
    input: &[u8],
    limits: &HeadLimits,
    scan: &Scan,
) -> Result<Option<usize>, Malformed> {
    if scan.line_start() == 0 && input.len() > limits.target + LINE_OVERHEAD {
        return Err(Malformed::TargetTooLong);
    }
    if input.len() > limits.target + LINE_OVERHEAD + limits.section
        || input.len() >= crate::BUFFER_SIZE
    {
        return Err(Malformed::HeadTooLarge);
    }
    Ok(None)
}

/// A start line by its offsets.
struct StartLine {
    method: Span,
    target_at: usize,
    target_len: usize,
    target: Target,
    version: Version,
    /// Its length with CRLF.
    length: usize,
}

fn take_start_line(
    input: &[u8],
    parsed: &httparse::Request<'_, '_>,
    limits: &HeadLimits,
) -> Result<StartLine, Malformed> {
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Malformed::StartLine);
    };
    // `httparse` skips empty lines; the connection has taken the one that is allowed already.
    if method.as_ptr() != input.as_ptr() || method.len() > LINE_OVERHEAD - 16 {
        return Err(Malformed::StartLine);
    }
    if path.len() > limits.target {
        return Err(Malformed::TargetTooLong);
    }
    let target_at = method.len() + 1;
    let length = target_at + path.len() + " HTTP/1.1\r\n".len();
    // With exactly one space at each place and CRLF at the end the line has just this length.
    if input.get(length - 2..length) != Some(b"\r\n") {
        return Err(Malformed::LineEnd);
    }
    if method == "CONNECT" {
        return Err(Malformed::Connect);
    }
    let target = target::parse(path.as_bytes())?;
    if target == Target::Asterisk && method != "OPTIONS" {
        return Err(Malformed::Target);
    }
    Ok(StartLine {
        method: Span::new(0, method.len()),
        target_at,
        target_len: path.len(),
        target,
        version: if version == 0 { Version::Http10 } else { Version::Http11 },
        length,
    })
}

impl StartLine {
    /// Writes its parts, and the authority, into the head.
    fn fill(&self, head: &mut RequestHead) -> Result<(), Malformed> {
        let (at, end) = (self.target_at, self.target_at + self.target_len);
        head.method = self.method;
        head.version = self.version;
        head.asterisk = self.target == Target::Asterisk;
        head.root_path = false;
        let host = host(&head.fields, self.version)?;
        let (path_at, query, authority) = match self.target {
            Target::Asterisk => (at, None, host),
            Target::Origin { query } => (at, query, host),
            Target::Absolute { authority, end, query } => {
                (at + end, query, Span::new(at + authority, end - authority))
            }
        };
        let path_end = query.map_or(end, |query| at + query);
        // `http://host` and `http://host?q` have an empty path, which is `/` (RFC 9112, 3.2.1).
        head.root_path = path_end == path_at;
        head.path = Span::new(path_at, path_end - path_at);
        head.query = query.map(|query| Span::new(at + query + 1, end - (at + query + 1)));
        head.authority = authority;
        Ok(())
    }
}

/// The one legal `Host`; HTTP/1.0 may do without.
fn host(fields: &Fields, version: Version) -> Result<Span, Malformed> {
    let mut hosts = fields.spans(Known::Host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if target::is_authority(fields.text(host)) => Ok(host),
        (None, None) if version == Version::Http10 => Ok(Span::default()),
        _ => Err(Malformed::Host),
    }
}

/// What the fields say about framing and the connection.
fn understand(head: &mut RequestHead) -> Result<(), Malformed> {
    let declared = content::declared(&head.fields)?;
    head.length = match declared {
        content::Declared::Chunked if head.version == Version::Http10 => {
            return Err(Malformed::TransferEncoding);
        }
        content::Declared::Chunked => BodyLength::Unknown,
        content::Declared::Length(0) | content::Declared::Nothing => BodyLength::Empty,
        content::Declared::Length(length) => BodyLength::Exact(length),
    };
    head.declares_length = matches!(declared, content::Declared::Length(_));
    if head.length != BodyLength::Empty && head.method() == b"TRACE" {
        return Err(Malformed::UnexpectedContent);
    }
    let options = content::connection_options(&head.fields);
    let modern = head.version == Version::Http11;
    head.close = options.close || !(modern || options.keep_alive);
    head.upgrade = modern
        && options.upgrade
        && head.length == BodyLength::Empty
        && head.fields.first(Known::Upgrade).is_some();
    head.expects_continue = modern
        && head.length != BodyLength::Empty
        && head.fields.all_known(Known::Expect).any(|v| v.eq_ignore_ascii_case(b"100-continue"));
    Ok(())
}

/// Whether the first line ends in a well-formed `HTTP/d.d`, though not ours. HTTP/0.9 never named
/// itself, so its name is no version.
fn names_a_version(input: &[u8]) -> bool {
    let line = &input[..memchr::memchr(b'\r', input).unwrap_or(input.len())];
    let name = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
    let ours = name == b"HTTP/1.0" || name == b"HTTP/1.1";
    !ours
        && matches!(name, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if matches!(major, b'1'..=b'9') && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests;
