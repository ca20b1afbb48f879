//! From an accepted socket to a stream that speaks: whose connection it is, and TLS.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::ProxySenders;
use portcullis_core::metrics::ProxyRefusal;
use portcullis_wire::proxy_protocol::{self, Faulty, Proxied, ReceiveError};
use portcullis_wire::{Io, Scheme, Socket};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::accept::Accepted;
use crate::forwarding::Peer;
use crate::worker::{LocalListener, Worker};

/// A connection that may speak.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) io: Io,
    pub(crate) peer: Rc<Peer>,
    /// HTTP/2 was chosen by ALPN.
    pub(crate) http2: bool,
}

/// Takes the connection through all that comes before the protocol it is for. `None` when it was
/// refused.
pub(crate) async fn admit(
    worker: &Worker,
    listener: &LocalListener,
    accepted: Accepted,
) -> Option<Admitted> {
    let Accepted { mut socket, mut addresses } = accepted;
    let settings = listener.settings();
    let limit = settings.listener.timeouts.head;
    if let Some(senders) = &settings.listener.proxy_protocol {
        // Boxed like the handshake: its state is short-lived.
        let proxied = Box::pin(proxied(senders, addresses, &mut socket, limit)).await;
        match proxied {
            Ok(Proxied::Unknown) => {}
            Ok(Proxied::Unix) => addresses = None,
            Ok(Proxied::Tcp { source, destination }) => addresses = Some((source, destination)),
            Err(refusal) => {
                worker.metrics.proxy_refused[refusal as usize].add(1);
                return None;
            }
        }
    }
    let (io, scheme, http2) = match &settings.tls {
        None => (Io::Plain(socket), Scheme::Http, false),
        Some(tls) => {
            let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(socket);
            // Boxed: the handshake's state is large and short-lived.
            match Box::pin(timeout(limit, handshake)).await {
                Ok(Ok(stream)) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    (Io::TlsServer(Box::new(stream)), Scheme::Https, http2)
                }
                Ok(Err(_)) | Err(_) => {
                    worker.metrics.tls_failures.add(1);
                    return None;
                }
            }
        }
    };
    Some(Admitted { io, peer: Rc::new(peer(addresses, scheme)), http2 })
}

fn peer(addresses: Option<(SocketAddr, SocketAddr)>, scheme: Scheme) -> Peer {
    let ip = addresses.map(|(source, _)| source.ip().to_canonical());
    let text = ip.map_or_else(|| "unknown".into(), |ip| ip.to_string().into());
    Peer { ip, text, addresses, scheme }
}

/// Reads the PROXY header that the connection must begin with.
async fn proxied(
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
