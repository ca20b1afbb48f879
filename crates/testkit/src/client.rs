//! A client that sends exactly the bytes it is given and reads replies strictly.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::stream::prepare;
use crate::{PATIENCE, Reader, Reply, Stream, TlsClient};

/// A connection to the gateway.
#[derive(Debug)]
pub struct Client {
    reader: Reader<Stream>,
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Panics
    /// Nobody listens there.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap_or_else(|e| panic!("no connection to {address}: {e}"))
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        Ok(Client::over(Stream::tcp(TcpStream::connect_timeout(&address, PATIENCE)?)?))
    }

    /// Connects over a Unix domain socket.
    ///
    /// # Panics
    /// Nobody listens there.
    #[must_use]
    pub fn unix(path: &Path) -> Client {
        Client::try_unix(path)
            .unwrap_or_else(|e| panic!("no connection to {}: {e}", path.display()))
    }

    /// Connects over a Unix domain socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn try_unix(path: &Path) -> io::Result<Client> {
        UnixStream::connect(path).and_then(Stream::unix).map(Client::over)
    }

    /// Connects over TLS and shakes hands.
    ///
    /// # Errors
    /// Nobody listens there, or the handshake failed.
    pub fn tls(address: SocketAddr, tls: &TlsClient) -> io::Result<Client> {
        Client::tls_behind(address, b"", tls)
    }

    /// Connects, sends some bytes and shakes hands behind them.
    ///
    /// # Errors
    /// Nobody listens there, or the handshake failed.
    pub fn tls_behind(address: SocketAddr, bytes: &[u8], tls: &TlsClient) -> io::Result<Client> {
        let mut tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
        prepare(&tcp)?;
        tcp.write_all(bytes)?;
        let name = ServerName::try_from(tls.name.clone()).map_err(io::Error::other)?;
        let mut connection =
            ClientConnection::new(tls.config.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Client::over(Stream::TlsClient(Box::new(StreamOwned::new(connection, tcp)))))
    }

    fn over(stream: Stream) -> Client {
        Client { reader: Reader::new(stream) }
    }

    /// What reads from the connection.
    pub fn reader(&mut self) -> &mut Reader<Stream> {
        &mut self.reader
    }

    /// The TLS session.
    ///
    /// # Panics
    /// The connection is plain.
    pub fn tls_session(&mut self) -> &ClientConnection {
        match self.reader.stream() {
            Stream::TlsClient(tls) => &tls.conn,
            _ => panic!("a plain connection"),
        }
    }

    /// Where it connects from.
    ///
    /// # Panics
    /// It is no TCP connection.
    #[must_use]
    pub fn local_address(&mut self) -> SocketAddr {
        match self.reader.stream() {
            Stream::Tcp(tcp) => tcp.local_addr().expect("its own address"),
            _ => panic!("no plain TCP"),
        }
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// The connection is dead.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("a connection that takes bytes");
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection is dead, or nobody took them in time.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let stream = self.reader.stream();
        stream.write_all(bytes.as_ref())?;
        stream.flush()
    }

    /// Sends bytes from another thread while this one reads. An early end is no error: servers may
    /// answer before they have read everything.
    #[must_use]
    pub fn send_aside(&mut self, bytes: Vec<u8>) -> std::thread::JoinHandle<io::Result<()>> {
        let mut stream = self.reader.stream().second_handle();
        std::thread::spawn(move || stream.write_all(&bytes))
    }

    /// Ends our direction and goes on reading.
    pub fn end(&mut self) {
        self.reader.stream().end();
    }

    /// Reads the next reply to a request with this method.
    ///
    /// # Errors
    /// It is malformed, or the stream ended or failed before its end.
    pub fn try_reply(&mut self, method: &str) -> io::Result<Reply> {
        self.reader.reply(method)
    }

    /// Reads the next reply, which is not one to `HEAD`.
    ///
    /// # Panics
    /// There is none, or it is malformed.
    pub fn reply(&mut self) -> Reply {
        self.reader.reply("GET").expect("a whole reply")
    }

    /// Sends bytes and reads the reply.
    ///
    /// # Panics
    /// There is none, or it is malformed.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.reply()
    }

    /// Asks for a path of `a.example`.
    ///
    /// # Panics
    /// There is no reply, or it is malformed.
    pub fn get(&mut self, path: &str) -> Reply {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"))
    }

    /// Whether the server ends the connection without another byte. Waits for that.
    pub fn is_closed(&mut self) -> bool {
        match self.reader.some() {
            Ok(bytes) => bytes.is_empty(),
            // A reset is an end as well; a time-out is not.
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }

    /// Reads so many bytes, whatever they are.
    ///
    /// # Errors
    /// The stream ended or failed before.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.reader.exactly(count)
    }
}
