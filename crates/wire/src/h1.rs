//! HTTP/1.1 (RFC 9112): strict parsing, framing and serialisation.

pub(crate) mod chunked;
pub(crate) mod connection;
pub(crate) mod content;
mod field_lines;
mod output;
mod request;
mod response;
pub(crate) mod target;
pub(crate) mod writing;

pub use chunked::{Decoder, Step};
pub use connection::Connection;
pub use field_lines::Scan;
pub use request::{HeadLimits, MAX_FIELDS, parse_request};
pub use response::{ReplyTo, parse_response};
