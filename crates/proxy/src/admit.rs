//! From an accepted socket to a stream that speaks: whose connection it is, TLS, and who is at the
//! other end.

mod proxied;

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use portcullis_core::HandshakeEvent;
use portcullis_core::metrics::ProxyRefusal;
use portcullis_core::tls::HandshakeFault;
use portcullis_core::{Failure, Reason};
use portcullis_wire::proxy_protocol::Proxied;
use portcullis_wire::tls::{ClientCertificate, handshake_fault, of_tls, take_refused_client};
use portcullis_wire::{Io, Scheme, Socket};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConnection};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::accept::Accepted;
use crate::accept::held::{self, Hold};
use crate::forwarding::Peer;
use crate::snapshot::ListenerSettings;
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
    worker: &Rc<Worker>,
    listener: &LocalListener,
    accepted: Accepted,
) -> Option<Admitted> {
    let Accepted { mut socket, mut addresses } = accepted;
    let settings = listener.settings();
    if let Some(senders) = &settings.listener.proxy_protocol {
        let limit = settings.listener.timeouts.head;
        // Boxed like the handshake: its state is short-lived.
        match Box::pin(proxied::read(senders, addresses, &mut socket, limit)).await {
            Ok(Proxied::Unknown) => {}
            Ok(Proxied::Unix) => addresses = None,
            Ok(Proxied::Tcp { source, destination }) => addresses = Some((source, destination)),
            Err(refusal) => {
                worker.metrics.proxy_refused[refusal as usize].add(1);
                // Without a word an operator would not know which load balancer is not trusted; those
                // that only look whether somebody is there are none.
                if refusal != ProxyRefusal::Closed {
                    let from = Peer::new(addresses, Scheme::Http);
                    let detail = format_args!("PROXY header: {}", refusal.code());
                    let why = Failure::new(Reason::BadRequest, detail);
                    worker.refuse_connection(&listener.name, &from, &why);
                }
                return None;
            }
        }
    }
    let ip = addresses.map(|(source, _)| source.ip().to_canonical());
    if settings.listener.proxy_protocol.is_some() {
        match held::hold(worker, listener, ip) {
            Hold::No => {}
            Hold::For(time) => Box::pin(held::wait(worker, listener, time)).await,
            Hold::Full => {
                listener.shared.turned_away.count();
                worker.metrics.connections_refused.add(1);
                return None;
            }
        }
    }
    let (io, scheme, certificate, http2) = match &settings.tls {
        None => (Io::Plain(socket), Scheme::Http, None, false),
        Some(tls) => {
            // Boxed: the handshake's state is large and short-lived.
            match Box::pin(shake_hands(&settings, tls, socket)).await {
                Ok((stream, certificate)) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    (Io::TlsServer(Box::new(stream)), Scheme::Https, certificate, http2)
                }
                Err(refused) => {
                    report(worker, listener, ip, &refused);
                    return None;
                }
            }
        }
    };
    let peer = Rc::new(Peer { certificate, ..Peer::new(addresses, scheme) });
    Some(Admitted { io, peer, http2 })
}

/// A handshake that failed.
struct Refused {
    fault: HandshakeFault,
    detail: String,
    sni: Option<Box<str>>,
    /// Whose certificate was the reason.
    client_cert: Option<Box<str>>,
}

async fn shake_hands(
    settings: &ListenerSettings,
    tls: &Arc<rustls::ServerConfig>,
    socket: Socket,
) -> Result<(TlsStream<Socket>, Option<Box<ClientCertificate>>), Refused> {
    let mut sni = None;
    let limit = settings.listener.timeouts.head;
    let shaken = timeout(limit, shake(tls, socket, &mut sni)).await;
    let (fault, detail, client_cert) = match shaken {
        Ok(Ok(stream)) => match identify(settings, stream.get_ref().1) {
            Ok(certificate) => return Ok((stream, certificate)),
            Err(error) => (of_tls(&error), error.to_string(), take_refused_client()),
        },
        Ok(Err((error, client_cert))) => (handshake_fault(&error), error.to_string(), client_cert),
        Err(_) => (HandshakeFault::Timeout, format!("no end within {limit:?}"), None),
    };
    Err(Refused { fault, detail, sni, client_cert })
}

/// Makes the handshake, and notes the server name as soon as it is there.
///
/// # Errors
/// What failed, and whose certificate if one was refused.
async fn shake(
    tls: &Arc<rustls::ServerConfig>,
    socket: Socket,
    sni: &mut Option<Box<str>>,
) -> Result<TlsStream<Socket>, (io::Error, Option<Box<str>>)> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), socket);
    let hello = hello.await.map_err(|error| (error, None))?;
    *sni = hello.client_hello().server_name().map(|name| name.to_ascii_lowercase().into());
    let mut refused = None;
    let mut rest = hello.into_stream(Arc::clone(tls));
    let shaken = poll_fn(|cx| {
        let polled = Pin::new(&mut rest).poll(cx);
        // The note is on the thread, where others make handshakes too.
        refused = take_refused_client().or_else(|| refused.take());
        polled
    });
    shaken.await.map_err(|error| (error, refused))
}

/// Who the client is by its certificate.
fn identify(
    settings: &ListenerSettings,
    session: &ServerConnection,
) -> Result<Option<Box<ClientCertificate>>, rustls::Error> {
    let Some(verifier) = &settings.client_verifier else {
        return Ok(None);
    };
    let chain = session.peer_certificates();
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        verifier.recheck(chain)?;
    }
    Ok(chain.map(|chain| Box::new(ClientCertificate::new(chain))))
}

/// Counts and logs a handshake that failed.
fn report(worker: &Worker, listener: &LocalListener, client: Option<IpAddr>, refused: &Refused) {
    let Refused { fault, detail, sni, client_cert } = refused;
    worker.metrics.handshake_failures[fault.index()].add(1);
    // Load balancers look whether a port is open by connecting and leaving, all day long.
    if *fault != HandshakeFault::ClientGone {
        let at = SystemTime::now();
        let event = HandshakeEvent {
            at,
            listener: &listener.name,
            client,
            sni: sni.as_deref(),
            client_cert: client_cert.as_deref(),
            fault: *fault,
            detail,
        };
        worker.log_line(|out| event.write_json(out));
    }
}
