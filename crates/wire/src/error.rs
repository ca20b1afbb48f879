//! What can be wrong with a message on the wire.

use std::io;

use thiserror::Error;

/// A message that breaks RFC 9110 or RFC 9112, or our bounds. Whoever sent it, the connection it
/// came over is not used again: where the next message begins can no longer be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The request line or status line is not one.
    #[error("the start line is malformed")]
    StartLine,
    /// A version other than HTTP/1.0 or HTTP/1.1.
    #[error("the version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    /// A bare LF or CR, an obs-fold, white space before a colon, a NUL, a bad name or value.
    #[error("a field line is malformed")]
    FieldLine,
    /// A line that does not end in CRLF.
    #[error("a line does not end in CRLF")]
    LineEnd,
    /// A request target in none of the forms of RFC 9112, 3.2.
    #[error("the request target is malformed")]
    Target,
    /// No `Host`, several, a bad one, or a bad authority in the target.
    #[error("the Host field is missing, doubled or malformed")]
    Host,
    /// `Content-Length` is not one plain decimal number.
    #[error("Content-Length is malformed or doubled")]
    ContentLength,
    /// `Transfer-Encoding` is not exactly one `chunked`, or stands where it must not.
    #[error("Transfer-Encoding is not exactly `chunked` or not allowed here")]
    TransferEncoding,
    /// Both framing fields.
    #[error("Content-Length and Transfer-Encoding together")]
    BothLengths,
    /// Content where none may be.
    #[error("content where the message may have none")]
    UnexpectedContent,
    /// A chunk's size line, extension, end or trailer.
    #[error("the chunked coding is malformed")]
    Chunk,
    /// Trailer fields beyond the bound, or more chunk extensions than content.
    #[error("the chunked coding has too much overhead")]
    ChunkOverhead,
    /// A 101 that nobody asked for, or a status outside 100 to 599.
    #[error("the status is not valid here")]
    Status,
    /// The request target is longer than the limit.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The header section is larger than the limit or has too many fields.
    #[error("the header section is too large")]
    HeadTooLarge,
    /// The frames of HTTP/2 break RFC 9113, or carry more or less than was declared.
    #[error("the frames of the stream break HTTP/2, or disagree with Content-Length")]
    Frames,
    /// The method is `CONNECT`.
    #[error("CONNECT is refused")]
    Connect,
}

/// Why nothing more can be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The stream ended inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
    /// The message is not well formed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
