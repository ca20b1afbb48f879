//! Reads messages from a stream, piece by piece or whole.

use std::io::{self, Read};

use crate::message::{self, Fields, Framing, Reply, Request};

/// A stream and what was read from it ahead of its use.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    ahead: Vec<u8>,
    used: usize,
    transcript: Option<Vec<u8>>,
}

impl<S: Read> Reader<S> {
    /// Reads from `stream`.
    pub fn new(stream: S) -> Reader<S> {
        Reader { stream, ahead: Vec::new(), used: 0, transcript: None }
    }

    /// The stream, to write to it.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Keeps all that is read from here on for [`Reader::transcript`].
    pub fn record(&mut self) {
        self.transcript = Some(Vec::new());
    }

    /// All that was read since [`Reader::record`].
    #[must_use]
    pub fn transcript(&self) -> &[u8] {
        self.transcript.as_deref().unwrap_or_default()
    }

    /// A request with its content; `None` when the stream ended before it began.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed within it.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(mut request) = self.request_head()? else { return Ok(None) };
        (request.body, request.trailers) = self.content(request.framing)?;
        Ok(Some(request))
    }

    /// A request without its content; `None` when the stream ended before it began.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed within it.
    pub fn request_head(&mut self) -> io::Result<Option<Request>> {
        self.head()?.map(|head| Request::parse(&head)).transpose()
    }

    /// A reply to a request with this method, with its content.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed before its end.
    pub fn reply(&mut self, method: &str) -> io::Result<Reply> {
        let mut reply = self.reply_head(method)?;
        (reply.body, reply.trailers) = self.content(reply.framing)?;
        Ok(reply)
    }

    /// A reply without its content.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed before its end.
    pub fn reply_head(&mut self, method: &str) -> io::Result<Reply> {
        let head = self.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Reply::parse(&head, method)
    }

    /// Content and trailers.
    ///
    /// # Errors
    /// The framing is malformed, or the stream ended or failed within it.
    pub fn content(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Fields)> {
        match framing {
            Framing::None => Ok((Vec::new(), Fields::default())),
            Framing::Length(length) => {
                let length = usize::try_from(length).expect("content that fits into memory");
                Ok((self.exactly(length)?, Fields::default()))
            }
            Framing::UntilClose => Ok((self.rest()?, Fields::default())),
            Framing::Chunked => {
                let mut content = Vec::new();
                while let Some(chunk) = self.chunk()? {
                    content.extend_from_slice(&chunk);
                }
                Ok((content, self.trailers()?))
            }
        }
    }

    /// The next chunk of chunked content; `None` is the last, behind which
    /// [`Reader::trailers`] stand.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed within it.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = plain.then(|| usize::from_str_radix(&digits, 16).ok()).flatten();
        let size = size.ok_or_else(|| message::malformed(format!("chunk size {digits:?}")))?;
        if size == 0 {
            return Ok(None);
        }
        let chunk = self.exactly(size)?;
        if self.exactly(2)? != b"\r\n" {
            return Err(message::malformed("a chunk without its line end".to_owned()));
        }
        Ok(Some(chunk))
    }

    /// Trailer fields and the empty line behind them.
    ///
    /// # Errors
    /// They are malformed, or the stream ended or failed within them.
    pub fn trailers(&mut self) -> io::Result<Fields> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line == b"\r\n" {
                return message::fields(&lines);
            }
            lines.extend_from_slice(&line);
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// The stream ended or failed before.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.waiting().len() < count {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.take(count))
    }

    /// Whatever comes next; empty at the end of the stream.
    ///
    /// # Errors
    /// The stream failed.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.waiting().is_empty() {
            self.fill()?;
        }
        Ok(self.take(self.waiting().len()))
    }

    /// All until the end of the stream.
    ///
    /// # Errors
    /// The stream failed.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        Ok(self.take(self.waiting().len()))
    }

    /// A head with its empty line; `None` when the stream ended before it began.
    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = Vec::new();
        loop {
            if head.is_empty() && self.waiting().is_empty() && !self.fill()? {
                return Ok(None);
            }
            let line = self.line()?;
            head.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(Some(head));
            }
        }
    }

    /// A line with its CRLF; a bare LF is no end of a line.
    ///
    /// # Errors
    /// The stream ended or failed before its end.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut looked_at = 0;
        loop {
            let waiting = self.waiting();
            if let Some(at) = waiting[looked_at..].windows(2).position(|pair| pair == b"\r\n") {
                return Ok(self.take(looked_at + at + 2));
            }
            looked_at = waiting.len().saturating_sub(1);
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.ahead[self.used..]
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.ahead[self.used..self.used + count].to_vec();
        self.used += count;
        if self.used == self.ahead.len() {
            self.ahead.clear();
            self.used = 0;
        }
        taken
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut room = [0; 16 * 1024];
        let count = loop {
            match self.stream.read(&mut room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.ahead.extend_from_slice(&room[..count]);
        if let Some(transcript) = &mut self.transcript {
            transcript.extend_from_slice(&room[..count]);
        }
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &str) -> Reader<&[u8]> {
        Reader::new(bytes.as_bytes())
    }

    #[test]
    fn whole_messages_are_read_one_after_the_other() {
        let mut reader = reader(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        );
        assert_eq!(reader.reply("GET").unwrap().body, b"ok");
        let second = reader.reply("GET").unwrap();
        assert_eq!((second.text().as_str(), second.trailers.one("x-sum")), ("ok", Some("1")));
        assert_eq!(reader.reply("GET").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn truncated_content_is_an_error() {
        for reply in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        ] {
            let error = reader(reply).reply("GET").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{reply:?}");
        }
    }
}
