//! Listening sockets: one a worker and address, bound before a configuration is put to use, so
//! that an address that is taken refuses the configuration and not the first client.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;

use portcullis_config::model::Bind;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// Sockets for every worker, bound and listening.
#[derive(Debug)]
pub(crate) enum Bound {
    /// One a worker; the kernel spreads connections over them (`SO_REUSEPORT`).
    Tcp(Vec<std::net::TcpListener>),
    /// One socket that all workers accept from.
    Unix(Vec<UnixListener>),
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

/// Binds `bind` for so many workers; the address says which port the system chose.
pub(crate) fn bind(bind: &Bind, workers: usize) -> io::Result<(Bound, String)> {
    match bind {
        Bind::Tcp(address) => {
            let first = bind_tcp(*address)?;
            let address = first.local_addr()?;
            let mut sockets = vec![first];
            for _ in 1..workers {
                sockets.push(bind_tcp(address)?);
            }
            Ok((Bound::Tcp(sockets), address.to_string()))
        }
        Bind::Unix(path) => {
            let first = bind_unix(path)?;
            let mut sockets = Vec::with_capacity(workers);
            for _ in 1..workers {
                sockets.push(first.try_clone()?);
            }
            sockets.push(first);
            Ok((Bound::Unix(sockets), format!("unix:{}", path.display())))
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
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
