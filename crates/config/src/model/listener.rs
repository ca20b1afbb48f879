//! A listener: an address, its TLS, what it lets in and how long it waits.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::ConnectionRate;

/// A place where the gateway accepts connections.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name.
    pub name: super::Name,
    /// Where it listens.
    pub bind: Bind,
    /// What is spoken.
    pub protocol: ListenerProtocol,
    /// Who must begin each connection with a PROXY header; `None` is nobody.
    pub proxy_protocol: Option<ProxySenders>,
    /// TLS towards clients, if any.
    pub tls: Option<Arc<super::ListenerTls>>,
    /// HTTP/2 towards clients, unless it is off.
    pub http2: Option<Http2>,
    /// Whom it believes about the client and what it tells the upstream.
    pub forwarded: Forwarded,
    /// How request paths are normalised before a route is looked for.
    pub path: PathPolicy,
    /// What it refuses as too much.
    pub limits: Limits,
    /// How long it waits for a client.
    pub timeouts: ListenerTimeouts,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// TCP; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix domain socket, made when the listener starts and removed when it ends.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Tcp(address) => address.fmt(f),
            Bind::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTP.
    Http,
    /// Bytes that go on as they come.
    Tcp,
    /// TLS that goes on as it comes; its first message chooses where to.
    TlsPassthrough,
}

impl ListenerProtocol {
    /// Its name in configurations and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ListenerProtocol::Http => "http",
            ListenerProtocol::Tcp => "tcp",
            ListenerProtocol::TlsPassthrough => "tls_passthrough",
        }
    }
}

/// Whose PROXY headers are believed; everybody else is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySenders {
    /// Proxies inside these networks, at least one.
    Networks(Arc<[IpNet]>),
    /// Whoever may connect to the listener's Unix socket.
    Unix,
}

/// HTTP/2 towards clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once on a connection.
    pub concurrent_streams: u32,
    /// Bytes that a client may send ahead on a stream.
    pub window: u32,
    /// The same over all streams of a connection.
    pub connection_window: u32,
    /// Streams that a client may reset at once; a tenth of it a second in the long run.
    pub resets: u32,
    /// Frames without request or content that it may send at once; a tenth of it a second in the
    /// long run, and more in proportion to what is carried.
    pub control_frames: u32,
    /// CONTINUATION frames of one header block.
    pub continuations: u32,
    /// How long new connections of who did too much of it wait at most, 100 ms to a minute; none
    /// waits if there is none.
    pub penalty: Option<Duration>,
}

/// Whom a listener believes about the client, and what is written for the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Whose forwarding fields are believed.
    pub trust: Trust,
    /// Pseudonym in `Via` (RFC 9110, 7.6.3); `None` writes no `Via`.
    pub via: Option<Arc<str>>,
    /// Write `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    pub x_forwarded: bool,
    /// Write `Forwarded` (RFC 7239).
    pub rfc7239: bool,
}

/// Whose forwarding fields are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Nobody's: what a client sends is replaced.
    Nobody,
    /// Peers inside these networks.
    Networks(Arc<[IpNet]>),
    /// The last so many hops, whoever they are; at least 1.
    Hops(u8),
}

/// How a request path is normalised before matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathPolicy {
    /// Treat `//` as `/`.
    pub merge_slashes: bool,
    /// What `%2F` means.
    pub encoded_slash: EncodedSlash,
}

/// What a percent-encoded slash in a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodedSlash {
    /// It is data inside a segment, never a separator.
    Keep,
    /// The request is refused with 400.
    Reject,
    /// It separates segments as `/` does.
    Decode,
}

/// What a listener refuses as too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request target in bytes; more is 414.
    pub uri: usize,
    /// Most header fields; more is 431.
    pub fields: usize,
    /// Largest header section in bytes; more is 431.
    pub head: usize,
    /// Largest request body in bytes, or `None` for no limit; more is 413.
    pub body: Option<u64>,
    /// Most HTTP/2 requests that a worker serves at once.
    pub streams: usize,
    /// Most connections at once over all workers.
    pub connections: usize,
    /// How fast they may come.
    pub connection_rate: ConnectionRate,
}

/// How long a listener waits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// From the first byte of a head to its last; then 408.
    pub head: Duration,
    /// Between two requests on a connection; then it is closed.
    pub idle: Duration,
    /// Without any progress in either direction while a message is on its way.
    pub stall: Duration,
    /// Bytes a second that a request body must average once `min_rate_grace` is over; 0 is off.
    pub min_rate: u64,
    /// How long a request body may take before `min_rate` counts.
    pub min_rate_grace: Duration,
}
