//! One connection to an origin, as the test that scripts it sees it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::Shared;
use crate::{Framing, Reader, Request, Stream, chunked};

/// One connection as the origin's side of the story sees it. When the story returns, the
/// connection is closed.
#[derive(Debug)]
pub struct Served {
    /// 0 for the first connection of the origin, and so on.
    pub number: usize,
    pub(super) reader: Reader<Recorded>,
    shared: Arc<Shared>,
}

impl Served {
    pub(super) fn new(number: usize, stream: Stream, shared: Arc<Shared>) -> Served {
        let recorded = Recorded { inner: stream, shared: shared.clone() };
        Served { number, reader: Reader::new(recorded), shared }
    }

    /// Reads the next request with its content. `None` when the peer is gone, or sent no HTTP.
    pub fn request(&mut self) -> Option<Request> {
        let request = self.reader.request().ok().flatten()?;
        self.remember(&request);
        Some(request)
    }

    /// Reads the next request's head and leaves its content.
    pub fn head(&mut self) -> Option<Request> {
        let request = self.reader.request_head().ok().flatten()?;
        self.remember(&request);
        Some(request)
    }

    /// Reads the content behind a head.
    ///
    /// # Errors
    /// Its framing is malformed, or the stream ended within it.
    pub fn content(&mut self, framing: Framing) -> io::Result<Vec<u8>> {
        self.reader.content(framing).map(|(content, _)| content)
    }

    /// Reads whatever comes next; empty when the peer is gone.
    pub fn some(&mut self) -> Vec<u8> {
        self.reader.some().unwrap_or_default()
    }

    /// Reads so many bytes, or fewer when the peer is gone.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        self.reader.exactly(count).unwrap_or_default()
    }

    /// Reads a line with its CRLF; empty when the peer is gone before.
    pub fn line(&mut self) -> Vec<u8> {
        self.reader.line().unwrap_or_default()
    }

    /// A second handle of a plain connection, to send from another thread.
    #[must_use]
    pub fn second_handle(&mut self) -> Stream {
        self.reader.stream().inner.second_handle()
    }

    /// Waits for the peer's end, whatever else it sends.
    pub fn wait_for_end(&mut self) {
        while !self.some().is_empty() {}
    }

    /// Sends bytes; `false` when the peer is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let stream = self.reader.stream();
        stream.write_all(bytes.as_ref()).and_then(|()| stream.flush()).is_ok()
    }

    /// Sends a 200 with this text; `false` when the peer is gone.
    pub fn reply(&mut self, text: &str) -> bool {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    }

    /// Sends a chunked 200 with this content; `false` when the peer is gone.
    pub fn reply_chunked(&mut self, content: &[u8], chunk: usize) -> bool {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        self.send([&head[..], &chunked(content, chunk)].concat())
    }

    /// Ends our direction and goes on reading.
    pub fn end(&mut self) {
        self.reader.stream().inner.end();
    }

    /// Serves as `Origin::echo` does until the peer is gone.
    pub fn echo(&mut self) {
        while let Some(request) = self.request() {
            let body = [request.head, request.body].concat();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
            );
            // To `HEAD` the length alone.
            let body = if request.method == "HEAD" { &[][..] } else { &body };
            if !self.send([head.as_bytes(), body].concat()) {
                break;
            }
        }
    }

    fn remember(&self, request: &Request) {
        self.shared.requests.lock().expect("no panic before").push(request.clone());
    }
}

/// A stream whose incoming bytes are kept.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) inner: Stream,
    shared: Arc<Shared>,
}

impl Read for Recorded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.shared.bytes.lock().expect("no panic before").extend_from_slice(&into[..count]);
        Ok(count)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
