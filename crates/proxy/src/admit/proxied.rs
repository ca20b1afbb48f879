//! The PROXY header that a connection must begin with where its listener says so.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portcullis_config::model::ProxySenders;
use portcullis_core::metrics::ProxyRefusal;
use portcullis_wire::Socket;
use portcullis_wire::proxy_protocol::{self, Faulty, Proxied, ReceiveError};
use tokio::time::timeout;

/// Reads the header, from whoever may send one.
///
/// # Errors
/// Why the connection is refused.
pub(super) async fn read(
    senders: &ProxySenders,
    addresses: Option<(SocketAddr, SocketAddr)>,
    socket: &mut Socket,
    limit: Duration,
) -> Result<Proxied, ProxyRefusal> {
    if !is_sender(senders, addresses.map(|(source, _)| source.ip().to_canonical())) {
        return Err(ProxyRefusal::Untrusted);
    }
    match timeout(limit, proxy_protocol::receive(socket)).await {
        Ok(Ok(proxied)) => Ok(proxied),
        Ok(Err(ReceiveError::Faulty(Faulty::Absent))) => Err(ProxyRefusal::Absent),
        Ok(Err(ReceiveError::Faulty(_))) => Err(ProxyRefusal::Malformed),
        Ok(Err(ReceiveError::Ended | ReceiveError::Io(_))) => Err(ProxyRefusal::Closed),
        Err(_) => Err(ProxyRefusal::Timeout),
    }
}

fn is_sender(senders: &ProxySenders, ip: Option<IpAddr>) -> bool {
    match senders {
        ProxySenders::Unix => ip.is_none(),
        ProxySenders::Networks(networks) => {
            ip.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip)))
        }
    }
}
