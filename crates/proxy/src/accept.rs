//! Accepting connections on one listener of one worker.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use portcullis_wire::Socket;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::client;
use crate::worker::{LocalListener, Worker};

/// A pause after the system refused a connection for want of resources.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// Most waiting connections that are still accepted when a listener closes.
const LAST_CALL: usize = 4096;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Connections of a listener over all workers.
pub(crate) type OpenConnections = Arc<AtomicUsize>;

/// Accepts until told to stop, and then what has connected already: a client that was let in by
/// the kernel is not turned away.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    listening: Listening,
    open: OpenConnections,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            accepted = listening.accept() => {
                if !take(&worker, &listener, &open, accepted) {
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }
    for _ in 0..LAST_CALL {
        let waiting = tokio::time::timeout(Duration::ZERO, listening.accept()).await;
        let Ok(accepted @ Ok(_)) = waiting else { break };
        take(&worker, &listener, &open, accepted);
    }
}

/// Starts serving an accepted connection. `false` when the system has no more to give.
fn take(
    worker: &Rc<Worker>,
    listener: &Rc<LocalListener>,
    open: &OpenConnections,
    accepted: io::Result<Accepted>,
) -> bool {
    let accepted = match accepted {
        Ok(accepted) => accepted,
        // The client left before it was accepted.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return true,
        Err(error) => {
            tracing::warn!(listener = &*listener.name, %error, "cannot accept");
            return false;
        }
    };
    if open.fetch_add(1, Relaxed) >= listener.settings().listener.limits.connections {
        open.fetch_sub(1, Relaxed);
        worker.metrics.connections_refused.add(1);
        return true;
    }
    worker.metrics.connections.add(1);
    worker.metrics.connections_open.add(1);
    let counted = Counted { worker: Rc::clone(worker), open: Arc::clone(open) };
    // The future itself is the task: wrapped in another it would take twice the memory.
    spawn_local(client::serve(Rc::clone(worker), Rc::clone(listener), accepted, counted));
    true
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    worker: Rc<Worker>,
    open: OpenConnections,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.metrics.connections_open.sub(1);
        self.open.fetch_sub(1, Relaxed);
    }
}

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: Socket,
    /// None over a Unix socket.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local_port: u16,
}

impl Listening {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listening::Tcp(tcp) => {
                let (stream, remote) = tcp.accept().await?;
                stream.set_nodelay(true)?;
                let local_port = tcp.local_addr().map_or(0, |local| local.port());
                Ok(Accepted { socket: Socket::Tcp(stream), remote: Some(remote), local_port })
            }
            Listening::Unix(unix) => {
                let (stream, _) = unix.accept().await?;
                Ok(Accepted { socket: Socket::Unix(stream), remote: None, local_port: 0 })
            }
        }
    }
}
