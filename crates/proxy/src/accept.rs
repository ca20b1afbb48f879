//! Accepting connections on one listener of one worker.

mod arrivals;
pub(crate) mod held;
mod turned_away;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use portcullis_config::model::ListenerProtocol;
use portcullis_wire::Socket;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use self::arrivals::Arrivals;
use self::held::{Hold, hold};
pub(crate) use self::turned_away::TurnedAway;
use crate::client;
use crate::l4;
use crate::penalty::Penalties;
use crate::worker::{LocalListener, Worker};

/// A pause after the system refused a connection for want of resources.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// How long the handshake of a connection may still take when its listener closes.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(50);
/// Most waiting connections that are still accepted when a listener closes.
const LAST_CALL: usize = 4096;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What becomes of a listening socket when nobody accepts here any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It closes.
    Closed,
    /// Another process has it as well and goes on with it, and with all that waits in it.
    Left,
}

/// What tells an acceptor when.
#[derive(Debug)]
pub(crate) struct Told {
    /// Nothing is accepted before this is true.
    pub(crate) gate: watch::Receiver<bool>,
    pub(crate) stop: oneshot::Receiver<Ending>,
}

/// What the workers share about a listener. It lives for as long as the listener keeps its address,
/// however often its settings change.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Connections over all workers.
    pub(crate) open: AtomicUsize,
    /// Who floods it.
    pub(crate) penalties: Penalties,
    /// How fast connections come.
    pub(crate) arrivals: Arrivals,
    /// Connections that there was no room for.
    pub(crate) turned_away: TurnedAway,
    /// Connections that came too fast.
    pub(crate) too_fast: TurnedAway,
}

/// Accepts until told to stop, and then, if the socket is to close, what has connected already: a
/// client that was let in by the kernel is not turned away.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    listening: Listening,
    Told { mut gate, mut stop }: Told,
) {
    // A gate that nobody can open any more is no reason to wait.
    let told = tokio::select! {
        biased;
        ending = &mut stop => Some(ending),
        _ = gate.wait_for(|open| *open) => None,
    };
    let ending = match told {
        Some(ending) => ending,
        None => loop {
            tokio::select! {
                biased;
                ending = &mut stop => break ending,
                accepted = listening.accept() => {
                    if !take(&worker, &listener, accepted) {
                        tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    }
                }
            }
        },
    };
    if ending == Ok(Ending::Left) {
        return;
    }
    // What knocks from now on is not let in, and those half-way in get a moment to come in: no
    // request is ever sent into a queue that is about to vanish.
    listening.turn_away();
    let grace = Instant::now() + HANDSHAKE_GRACE;
    while let Ok(accepted) = timeout_at(grace.into(), listening.accept()).await {
        if !take(&worker, &listener, accepted) {
            break;
        }
    }
    match listening.into_waiting() {
        Ok(waiting) => {
            for accepted in waiting.take(LAST_CALL) {
                take(&worker, &listener, accepted);
            }
        }
        Err(error) => tracing::warn!(listener = &*listener.name, %error, "cannot close softly"),
    }
}

/// Starts serving an accepted connection. `false` when the system has no more to give.
fn take(worker: &Rc<Worker>, listener: &Rc<LocalListener>, accepted: io::Result<Accepted>) -> bool {
    let accepted = match accepted {
        Ok(accepted) => accepted,
        // The client left before it was accepted.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return true,
        Err(error) => {
            tracing::warn!(listener = &*listener.name, %error, "cannot accept");
            return false;
        }
    };
    let settings = listener.settings();
    let ip = accepted.addresses.map(|(remote, _)| remote.ip());
    let hold = match settings.listener.proxy_protocol {
        None if !listener.let_in(&settings, worker, ip) => return true,
        None => hold(worker, listener, ip),
        // Its header says whose it is.
        Some(_) => Hold::No,
    };
    let shared = &listener.shared;
    let is_full = shared.open.fetch_add(1, Relaxed) >= settings.listener.limits.connections;
    if is_full || hold == Hold::Full {
        shared.open.fetch_sub(1, Relaxed);
        shared.turned_away.count();
        worker.metrics.connections_refused.add(1);
        return true;
    }
    worker.metrics.connections.add(1);
    worker.metrics.connections_open.add(1);
    let counted = Counted { worker: Rc::clone(worker), shared: Arc::clone(shared) };
    let (worker, listener) = (Rc::clone(worker), Rc::clone(listener));
    match hold {
        Hold::For(time) => _ = spawn_local(later(worker, listener, accepted, counted, time)),
        Hold::No | Hold::Full => begin(worker, listener, accepted, counted),
    }
    true
}

/// Serves a connection once it has waited.
async fn later(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    accepted: Accepted,
    counted: Counted,
    time: Duration,
) {
    held::wait(&worker, &listener, time).await;
    begin(worker, listener, accepted, counted);
}

fn begin(worker: Rc<Worker>, listener: Rc<LocalListener>, accepted: Accepted, counted: Counted) {
    // The future itself is the task: wrapped in another it would take twice the memory.
    match listener.settings().listener.protocol {
        ListenerProtocol::Http => spawn_local(client::serve(worker, listener, accepted, counted)),
        ListenerProtocol::Tcp | ListenerProtocol::TlsPassthrough => {
            spawn_local(l4::serve(worker, listener, accepted, counted))
        }
    };
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    worker: Rc<Worker>,
    shared: Arc<Shared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.metrics.connections_open.sub(1);
        self.shared.open.fetch_sub(1, Relaxed);
    }
}

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: Socket,
    /// Where it comes from and where it arrived; none over a Unix socket.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
}

impl Listening {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Listening::Tcp(tcp) => {
                let (stream, remote) = tcp.accept().await?;
                tcp_accepted(stream, remote)
            }
            Listening::Unix(unix) => Ok(unix_accepted(unix.accept().await?.0)),
        }
    }

    /// Has the kernel drop whatever would open another connection. A client tries again after a
    /// second and is then refused, or reaches who listens there by then.
    fn turn_away(&self) {
        #[cfg(target_os = "linux")]
        if let Listening::Tcp(tcp) = self {
            use socket2::{SockFilter, SockRef};
            // Byte 13 of a TCP header holds the flags: drop the segment if SYN (0x02) is set.
            let (load, jump_if_set, give) = (0x30, 0x45, 0x06);
            let filter = [
                SockFilter::new(load, 0, 0, 13),
                SockFilter::new(jump_if_set, 0, 1, 0x02),
                SockFilter::new(give, 0, 0, 0),
                SockFilter::new(give, 0, 0, u32::MAX),
            ];
            if let Err(error) = SockRef::from(tcp).attach_filter(&filter) {
                tracing::debug!(%error, "connections are not turned away early");
            }
        }
    }

    /// The connections that the kernel holds now. Asked of the kernel itself: the runtime may not
    /// have heard of the latest yet.
    fn into_waiting(self) -> io::Result<Box<dyn Iterator<Item = io::Result<Accepted>>>> {
        Ok(match self {
            Listening::Tcp(tcp) => {
                let tcp = tcp.into_std()?;
                Box::new(std::iter::from_fn(move || {
                    let (stream, remote) = until_blocked(|| tcp.accept())?;
                    Some(tokio_tcp(stream).and_then(|stream| tcp_accepted(stream, remote)))
                }))
            }
            Listening::Unix(unix) => {
                let unix = unix.into_std()?;
                Box::new(std::iter::from_fn(move || {
                    let (stream, _) = until_blocked(|| unix.accept())?;
                    Some(tokio_unix(stream).map(unix_accepted))
                }))
            }
        })
    }
}

/// The next connection that waits; one whose client has left already is passed over.
fn until_blocked<C>(accept: impl Fn() -> io::Result<C>) -> Option<C> {
    loop {
        match accept() {
            Ok(connection) => return Some(connection),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return None,
        }
    }
}

fn tcp_accepted(stream: TcpStream, remote: SocketAddr) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    // The listener's own address may be any; the connection's is where the client meant to go.
    let addresses = Some((remote, stream.local_addr()?));
    Ok(Accepted { socket: Socket::Tcp(stream), addresses })
}

fn unix_accepted(stream: UnixStream) -> Accepted {
    Accepted { socket: Socket::Unix(stream), addresses: None }
}

fn tokio_tcp(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

fn tokio_unix(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
