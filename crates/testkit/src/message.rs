//! HTTP/1.1 messages as the tests see them, read with no leniency at all: what a lax reader would
//! let pass is what these tests are there to find.

use std::{fmt, io};

/// Fields of a head or trailer section, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The value of the only field of this name.
    ///
    /// # Panics
    /// There are several: ask for [`Fields::all`].
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} stands there {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The values of every field of this name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}

/// How a message's content is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No content.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// All until the end of the stream; replies only.
    UntilClose,
}

/// A request as an origin received it.
#[derive(Debug, Clone)]
pub struct Request {
    /// As sent.
    pub method: String,
    /// As sent.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Header fields.
    pub fields: Fields,
    /// How the content is framed.
    pub framing: Framing,
    /// The content, once it has been read.
    pub body: Vec<u8>,
    /// Trailer fields, once the content has been read.
    pub trailers: Fields,
    /// The head as it came, with its empty line.
    pub head: Vec<u8>,
}

/// A reply as a client received it.
#[derive(Clone)]
pub struct Reply {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// 100 to 599.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
    /// How the content is framed.
    pub framing: Framing,
    /// The content, once it has been read.
    pub body: Vec<u8>,
    /// Trailer fields, once the content has been read.
    pub trailers: Fields,
}

impl Request {
    /// Reads a head.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(head: &[u8]) -> io::Result<Request> {
        let (line, fields) = split(head)?;
        let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(malformed(format!("request line {line:?}")));
        };
        let framing = framing(&fields)?.unwrap_or(Framing::None);
        Ok(Request {
            method: method.to_owned(),
            target: target.to_owned(),
            version: known_version(version)?,
            fields,
            framing,
            body: Vec::new(),
            trailers: Fields::default(),
            head: head.to_vec(),
        })
    }

    /// The value of the only field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.one(name)
    }
}

impl Reply {
    /// Reads the head of a reply to a request with this method.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(head: &[u8], method: &str) -> io::Result<Reply> {
        let (line, fields) = split(head)?;
        let mut words = line.splitn(3, ' ');
        let version = known_version(words.next().unwrap_or_default())?;
        let status = words.next().unwrap_or_default();
        let (3, Ok(status @ 100..=599)) = (status.len(), status.parse::<u16>()) else {
            return Err(malformed(format!("status line {line:?}")));
        };
        let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        let framing = match framing(&fields)? {
            _ if bodiless => Framing::None,
            declared => declared.unwrap_or(Framing::UntilClose),
        };
        let (body, trailers) = (Vec::new(), Fields::default());
        Ok(Reply { version, status, fields, framing, body, trailers })
    }

    /// The value of the only field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.one(name)
    }

    /// Whether the server said that it closes the connection behind this reply.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.fields.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(500)];
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("fields", &self.fields)
            .field("framing", &self.framing)
            .field(
                "body",
                &format_args!("{} bytes, {:?}", self.body.len(), shown.escape_ascii().to_string()),
            )
            .finish_non_exhaustive()
    }
}

/// `content` in the chunked coding, in chunks of at most `size` bytes, without trailers.
#[must_use]
pub fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / size * 8 + 16);
    for chunk in content.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Reads field lines, each with its CRLF.
pub(crate) fn fields(lines: &[u8]) -> io::Result<Fields> {
    let text = String::from_utf8_lossy(lines);
    let mut fields = Fields::default();
    for line in text.split_terminator("\r\n") {
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed(format!("field line {line:?}")))?;
        if name.is_empty() || name.bytes().any(|b| b <= b' ' || b >= 0x7f) {
            return Err(malformed(format!("field name {name:?}")));
        }
        if value.bytes().any(|b| b < b' ' && b != b'\t') {
            return Err(malformed(format!("field value {value:?}")));
        }
        fields.0.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(fields)
}

pub(crate) fn malformed(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn split(head: &[u8]) -> io::Result<(String, Fields)> {
    let end = head.windows(2).position(|pair| pair == b"\r\n").unwrap_or(head.len());
    let line = String::from_utf8_lossy(&head[..end]).into_owned();
    if line.bytes().any(|b| b < b' ') {
        return Err(malformed(format!("start line {line:?}")));
    }
    let lines = head.get(end + 2..).and_then(|lines| lines.strip_suffix(b"\r\n"));
    let lines = lines.ok_or_else(|| malformed("a head without its empty line".to_owned()))?;
    Ok((line, fields(lines)?))
}

fn known_version(version: &str) -> io::Result<String> {
    match version {
        "HTTP/1.1" | "HTTP/1.0" => Ok(version.to_owned()),
        _ => Err(malformed(format!("version {version:?}"))),
    }
}

fn framing(fields: &Fields) -> io::Result<Option<Framing>> {
    let (lengths, codings) = (fields.all("content-length"), fields.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) => {
            let length = length.parse().map_err(|_| malformed(format!("length {length:?}")))?;
            Ok(Some(Framing::Length(length)))
        }
        ([], ["chunked"]) => Ok(Some(Framing::Chunked)),
        _ => Err(malformed(format!("ambiguous framing: {lengths:?} and {codings:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_messages_are_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
            "HTTP/1.1 200 OK\nX: 1\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
        ] {
            assert!(Reply::parse(head.as_bytes(), "GET").is_err(), "{head:?}");
        }
    }

    #[test]
    fn content_follows_method_and_status() {
        let framing = |head: &str, method| Reply::parse(head.as_bytes(), method).unwrap().framing;
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        assert_eq!(framing(sized, "GET"), Framing::Length(1));
        assert_eq!(framing(sized, "HEAD"), Framing::None);
        assert_eq!(framing("HTTP/1.1 204 No Content\r\n\r\n", "GET"), Framing::None);
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", "GET"), Framing::UntilClose);
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        assert_eq!(chunked(b"hello", 3), b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    }
}
