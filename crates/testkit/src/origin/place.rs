//! Where an origin listens, and listening there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Stream;

/// Where an origin listens.
#[derive(Debug, Clone)]
pub enum Place {
    /// A TCP address; port 0 for any.
    Tcp(SocketAddr),
    /// TLS at a TCP address.
    Tls(SocketAddr, Arc<ServerConfig>),
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl Place {
    /// Any port of 127.0.0.1.
    #[must_use]
    pub fn any() -> Place {
        Place::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Any port of 127.0.0.1, over TLS.
    #[must_use]
    pub fn tls(config: Arc<ServerConfig>) -> Place {
        Place::Tls(SocketAddr::from(([127, 0, 0, 1], 0)), config)
    }
}

/// Accepts a connection: the stream, and a plain handle by which it can be cut.
pub(super) type Accept = Box<dyn FnMut() -> io::Result<(Stream, Stream)> + Send>;

/// Listens; the place that comes back has the true port.
pub(super) fn listen(place: &Place) -> (Place, Accept) {
    let tcp = |address: &SocketAddr| {
        let listener = TcpListener::bind(address).expect("an address to listen on");
        let address = listener.local_addr().expect("its own address");
        (listener, address)
    };
    match place {
        Place::Tcp(address) => {
            let (listener, address) = tcp(address);
            let accept = move || {
                let stream = Stream::tcp(listener.accept()?.0)?;
                let handle = stream.second_handle();
                Ok((stream, handle))
            };
            (Place::Tcp(address), Box::new(accept))
        }
        Place::Tls(address, config) => {
            let (listener, address) = tcp(address);
            let place = Place::Tls(address, config.clone());
            let config = config.clone();
            let accept = move || {
                let tcp = listener.accept()?.0;
                let handle = Stream::tcp(tcp.try_clone()?)?;
                let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                Ok((Stream::TlsServer(Box::new(StreamOwned::new(connection, tcp))), handle))
            };
            (place, Box::new(accept))
        }
        Place::Unix(path) => {
            let listener = UnixListener::bind(path).expect("a path to listen on");
            let accept = move || {
                let stream = Stream::unix(listener.accept()?.0)?;
                let handle = stream.second_handle();
                Ok((stream, handle))
            };
            (place.clone(), Box::new(accept))
        }
    }
}
