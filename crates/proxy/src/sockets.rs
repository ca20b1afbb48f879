//! Listening sockets: bound before a configuration is put to use, so that an address that is taken
//! refuses the configuration and not the first client.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use portcullis_config::model::Bind;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// A socket that listens, on its way to a worker.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    /// A socket that was handed over.
    pub(crate) fn handed(socket: OwnedFd) -> io::Result<Bound> {
        let unix = socket2::SockRef::from(&socket).domain()? == Domain::UNIX;
        let bound = if unix { Bound::Unix(socket.into()) } else { Bound::Tcp(socket.into()) };
        match &bound {
            Bound::Tcp(tcp) => tcp.set_nonblocking(true)?,
            Bound::Unix(unix) => unix.set_nonblocking(true)?,
        }
        Ok(bound)
    }

    /// The same socket once more.
    pub(crate) fn try_clone(&self) -> io::Result<Bound> {
        Ok(match self {
            Bound::Tcp(tcp) => Bound::Tcp(tcp.try_clone()?),
            Bound::Unix(unix) => Bound::Unix(unix.try_clone()?),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<String> {
        Ok(match self {
            Bound::Tcp(tcp) => tcp.local_addr()?.to_string(),
            Bound::Unix(unix) => {
                let address = unix.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("?"));
                format!("unix:{}", path.display())
            }
        })
    }
}

impl From<Bound> for OwnedFd {
    fn from(bound: Bound) -> OwnedFd {
        match bound {
            Bound::Tcp(tcp) => tcp.into(),
            Bound::Unix(unix) => unix.into(),
        }
    }
}

/// Another socket for a worker that has none: one that joins these, or one of these once more.
pub(crate) fn join(sockets: &[Bound], lent: bool, turn: usize) -> io::Result<Option<Bound>> {
    let Some(shared) = sockets.get(turn % sockets.len().max(1)) else { return Ok(None) };
    if let Bound::Tcp(tcp) = shared
        && !lent
    {
        match bind_tcp(tcp.local_addr()?) {
            Ok(own) => return Ok(Some(Bound::Tcp(own))),
            Err(error) => tracing::warn!(%error, "workers share a socket"),
        }
    }
    shared.try_clone().map(Some)
}

/// Fails if somebody else listens on `bind` already. Our own sockets could join theirs, and would
/// take a share of their clients without anybody noticing.
pub(crate) fn check_free(bind: &Bind) -> io::Result<()> {
    let Bind::Tcp(address) = bind else {
        return Ok(());
    };
    let probe = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that still linger from an earlier life of ours are no hindrance.
    probe.set_reuse_address(true)?;
    probe.bind(&(*address).into())
}

/// Binds `bind`. The kernel spreads connections over TCP sockets (`SO_REUSEPORT`), so there is one a
/// worker; from a Unix socket all workers accept.
pub(crate) fn bind(bind: &Bind, workers: usize) -> io::Result<Vec<Bound>> {
    let mut sockets = Vec::with_capacity(workers);
    match bind {
        Bind::Tcp(address) => {
            let first = bind_tcp(*address)?;
            let address = first.local_addr()?;
            sockets.push(Bound::Tcp(first));
            for _ in 1..workers {
                sockets.push(Bound::Tcp(bind_tcp(address)?));
            }
        }
        Bind::Unix(path) => sockets.push(Bound::Unix(bind_unix(path)?)),
    }
    Ok(sockets)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_dead(path) => {
            // A socket that nobody listens on is what a killed process leaves behind.
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_dead(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Removes what a Unix listener leaves in the file system.
pub(crate) fn unlink(bind: &Bind) {
    if let Bind::Unix(path) = bind
        && let Err(error) = fs::remove_file(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove the socket");
    }
}
