//! Byte streams of every kind that the tests use, each with timeouts so that no test can hang.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::PATIENCE;

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix domain socket.
    Unix(UnixStream),
    /// TLS over TCP, as client.
    TlsClient(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// TLS over TCP, as server.
    TlsServer(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// A TCP stream that sends at once and never blocks for ever.
    ///
    /// # Errors
    /// The socket is dead.
    pub fn tcp(stream: TcpStream) -> io::Result<Stream> {
        prepare(&stream)?;
        Ok(Stream::Tcp(stream))
    }

    /// A Unix stream that never blocks for ever.
    ///
    /// # Errors
    /// The socket is dead.
    pub fn unix(stream: UnixStream) -> io::Result<Stream> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Stream::Unix(stream))
    }

    /// A second handle of the same plain stream, for another thread.
    ///
    /// # Panics
    /// Over TLS, where the two directions share their state.
    #[must_use]
    pub fn second_handle(&self) -> Stream {
        match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().expect("a second handle")),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().expect("a second handle")),
            Stream::TlsClient(_) | Stream::TlsServer(_) => panic!("TLS has one handle"),
        }
    }

    /// Ends our direction; over TLS with its closing alert.
    pub fn end(&mut self) {
        match self {
            Stream::Tcp(stream) => drop(stream.shutdown(Shutdown::Write)),
            Stream::Unix(stream) => drop(stream.shutdown(Shutdown::Write)),
            Stream::TlsClient(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
                let _ = tls.sock.shutdown(Shutdown::Write);
            }
            Stream::TlsServer(tls) => {
                tls.conn.send_close_notify();
                let _ = tls.flush();
                let _ = tls.sock.shutdown(Shutdown::Write);
            }
        }
    }

    /// Ends both directions at once, whoever else holds a handle.
    pub fn close(&self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
            Stream::TlsClient(tls) => tls.sock.shutdown(Shutdown::Both),
            Stream::TlsServer(tls) => tls.sock.shutdown(Shutdown::Both),
        };
    }
}

/// No delay, and timeouts.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
            Stream::TlsClient(tls) => tls.read(into),
            Stream::TlsServer(tls) => tls.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::TlsClient(tls) => tls.write(bytes),
            Stream::TlsServer(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
            Stream::TlsClient(tls) => tls.flush(),
            Stream::TlsServer(tls) => tls.flush(),
        }
    }
}
