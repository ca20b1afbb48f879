//! Listening sockets: one a worker and address, bound before a configuration is put to use, so
//! that an address that is taken refuses the configuration and not the first client.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
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

/// Binds `bind`, one socket a worker; the address says which port the system chose. The kernel
/// spreads connections over TCP sockets (`SO_REUSEPORT`); from a Unix socket all workers accept.
pub(crate) fn bind(bind: &Bind, workers: usize) -> io::Result<(Vec<Bound>, String)> {
    let mut sockets = Vec::with_capacity(workers);
    match bind {
        Bind::Tcp(address) => {
            let first = bind_tcp(*address)?;
            let address = first.local_addr()?;
            sockets.push(Bound::Tcp(first));
            for _ in 1..workers {
                sockets.push(Bound::Tcp(bind_tcp(address)?));
            }
            Ok((sockets, address.to_string()))
        }
        Bind::Unix(path) => {
            let first = bind_unix(path)?;
            for _ in 1..workers {
                sockets.push(Bound::Unix(first.try_clone()?));
            }
            sockets.push(Bound::Unix(first));
            Ok((sockets, bind.to_string()))
        }
    }
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
