//! From an accepted socket to a stream that speaks HTTP: TLS, and who is at the other end.

use std::rc::Rc;
use std::sync::Arc;

use portcullis_wire::{Io, Scheme};
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

/// Takes the connection through all that comes before HTTP. `None` when it was refused.
pub(crate) async fn admit(
    worker: &Worker,
    listener: &LocalListener,
    accepted: Accepted,
) -> Option<Admitted> {
    let Accepted { socket, remote, local_port } = accepted;
    let settings = listener.settings();
    let (io, scheme, http2) = match &settings.tls {
        None => (Io::Plain(socket), Scheme::Http, false),
        Some(tls) => {
            let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(socket);
            let limit = settings.listener.timeouts.head;
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
    let ip = remote.map(|remote| remote.ip().to_canonical());
    let text = ip.map_or_else(|| "unknown".into(), |ip| ip.to_string().into());
    Some(Admitted { io, peer: Rc::new(Peer { ip, text, local_port, scheme }), http2 })
}
