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
}

/// Takes the connection through all that comes before HTTP. `None` when it was refused.
pub(crate) async fn admit(
    worker: &Worker,
    listener: &LocalListener,
    accepted: Accepted,
) -> Option<Admitted> {
    let Accepted { socket, remote, local_port } = accepted;
    let settings = listener.settings();
    let (io, scheme) = match &settings.tls {
        None => (Io::Plain(socket), Scheme::Http),
        Some(tls) => {
            let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(socket);
            let limit = settings.listener.timeouts.head;
            // Boxed: the handshake's state is large and short-lived.
            match Box::pin(timeout(limit, handshake)).await {
                Ok(Ok(stream)) => (Io::TlsServer(Box::new(stream)), Scheme::Https),
                Ok(Err(_)) | Err(_) => {
                    worker.metrics.tls_failures.add(1);
                    return None;
                }
            }
        }
    };
    let ip = remote.map(|remote| remote.ip().to_canonical());
    let text = ip.map_or_else(|| "unknown".into(), |ip| ip.to_string().into());
    Some(Admitted { io, peer: Rc::new(Peer { ip, text, local_port, scheme }) })
}
