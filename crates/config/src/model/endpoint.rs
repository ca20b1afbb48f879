//! One upstream address and its weight.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest host name (RFC 1035).
const LONGEST: usize = 253;

/// An endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it is reached.
    pub address: Address,
    /// Its share of requests relative to the others of the service, 0 to 1000. An endpoint of
    /// weight 0 takes no new requests.
    pub weight: u16,
    /// Its level: it gets requests only when too few of the levels before are available.
    pub priority: u8,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
}

/// Where an endpoint is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A host name, resolved when a connection is opened, and a port.
    Name {
        /// The host name as written.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// Whether this is a host name: labels of letters, digits, `-` and `_`. IPv4 addresses are too.
pub(crate) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= LONGEST
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Name { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
