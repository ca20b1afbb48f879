//! HTTP messages on the wire: strict HTTP/1.1, HTTP/2, TLS and sockets.
//!
//! What the rest of the gateway sees ([`RequestHead`], [`ResponseHead`], [`BodyLength`],
//! [`Downstream`], [`Upstream`], [`Stream`]) speaks of messages as RFC 9110 does and knows no
//! version of HTTP. This crate knows no routes.

mod buffer;
pub mod client_hello;
mod downstream;
mod error;
mod fields;
pub mod h1;
pub mod h2;
mod head;
mod head_writer;
mod io;
mod known;
mod names;
pub mod proxy_protocol;
mod relay;
mod status;
mod stream;
pub mod tls;
mod upstream;
pub mod websocket;

pub use buffer::{BUFFER_SIZE, Buffer};
pub use downstream::{Abort, Downstream, Opening, ReplyLine};
pub use error::{Malformed, ReadError};
pub use fields::{Field, Fields};
pub use h1::HeadLimits;
pub use head::{BodyLength, RequestHead, ResponseHead, Scheme, Version};
pub use head_writer::HeadWriter;
pub use io::{Io, Socket};
pub use known::Known;
pub use relay::{Relay, RelayError};
pub use status::reason_phrase;
pub use stream::Stream;
pub use upstream::{RequestLine, Upstream};
