//! The one place where bytes enter and leave the process: TCP, Unix sockets, TLS over either.

use std::io::{self, IoSlice};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix domain socket.
    Unix(UnixStream),
}

/// A byte stream as HTTP sees it.
#[derive(Debug)]
pub enum Io {
    /// The socket itself.
    Plain(Socket),
    /// TLS, we are the server.
    TlsServer(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// TLS, we are the client.
    TlsClient(Box<tokio_rustls::client::TlsStream<Socket>>),
}

impl Io {
    /// Reads into `room`; 0 is the end of the stream. TLS that ends without `close_notify` is
    /// [`io::ErrorKind::UnexpectedEof`].
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(room);
        match self.poll_read_buf(cx, &mut buf) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buf.filled().len())),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The same into memory that need not be initialised.
    pub(crate) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Io::TlsServer(tls) => Pin::new(tls).poll_read(cx, buf),
            Io::TlsClient(tls) => Pin::new(tls).poll_read(cx, buf).map_err(tls::told_apart),
        }
    }

    /// Writes some of the slices, in order.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Io::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Io::TlsServer(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
            Io::TlsClient(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    /// Writes some of the two slices, in order.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        if second.is_empty() {
            return match self {
                Io::Plain(socket) => Pin::new(socket).poll_write(cx, first),
                Io::TlsServer(tls) => Pin::new(tls).poll_write(cx, first),
                Io::TlsClient(tls) => Pin::new(tls).poll_write(cx, first),
            };
        }
        self.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)])
    }

    /// Sends what TLS still holds back. Plain sockets hold nothing.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::TlsServer(tls) => Pin::new(tls).poll_flush(cx),
            Io::TlsClient(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Makes the coming close a reset rather than an end. TLS needs no such thing: its end without
    /// `close_notify` is no clean end.
    pub fn reset_on_close(&self) {
        if let Io::Plain(Socket::Tcp(tcp)) = self {
            // If the system refuses, the close is an ordinary one.
            let _ = tcp.set_zero_linger();
        }
    }

    /// Ends our direction of the stream.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Io::TlsServer(tls) => Pin::new(tls).poll_shutdown(cx),
            Io::TlsClient(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(target_os = "linux")]
impl Socket {
    /// Calls the system for the socket itself once it is ready, and again when it was not.
    pub(crate) fn poll_with(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let ready = match (self, interest.is_readable()) {
                (Socket::Tcp(tcp), true) => tcp.poll_read_ready(cx),
                (Socket::Tcp(tcp), false) => tcp.poll_write_ready(cx),
                (Socket::Unix(unix), true) => unix.poll_read_ready(cx),
                (Socket::Unix(unix), false) => unix.poll_write_ready(cx),
            };
            match ready {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            let tried = match self {
                Socket::Tcp(tcp) => tcp.try_io(interest, || call(tcp.as_fd())),
                Socket::Unix(unix) => unix.try_io(interest, || call(unix.as_fd())),
            };
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                tried => return Poll::Ready(tried),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Socket::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}
