//! HTTP messages on the wire: strict HTTP/1.1, TLS and sockets.
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
mod head;
mod io;
mod known;
pub mod proxy_protocol;
mod relay;
mod status;
mod stream;
pub mod tls;
mod upstream;

pub use buffer::{BUFFER_SIZE, Buffer};
pub use downstream::{Downstream, HeadWriter, ReplyLine};
pub use error::{Malformed, ReadError};
pub use fields::{Field, Fields};
pub use h1::HeadLimits;
pub use head::{BodyLength, RequestHead, ResponseHead, Scheme, Version};
pub use io::{Io, Socket};
pub use known::Known;
pub use relay::{Relay, RelayError};
pub use status::reason_phrase;
pub use stream::Stream;
pub use upstream::{RequestLine, Upstream};
