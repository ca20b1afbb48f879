//! A ClientHello from a socket, and the only answer that a gateway gives to one.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::{Hello, NoHello, read};
use crate::{Buffer, Io};

/// Why no ClientHello came.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// What came is none.
    #[error(transparent)]
    NoHello(#[from] NoHello),
    /// The stream ended before it was whole.
    #[error("the connection ended within the ClientHello")]
    Ended,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An alert that ends a handshake (RFC 8446, 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// There is nobody behind the gateway who could answer.
    InternalError = 80,
    /// Nobody has this name here.
    UnrecognizedName = 112,
}

/// Waits for the ClientHello that the stream begins with: the name it asks for, and all bytes that
/// have come. Memory is held only for these.
///
/// # Errors
/// What comes is none, or the stream ended or failed before it was whole.
pub async fn receive(io: &mut Io) -> Result<(Option<Box<str>>, Buffer), ReceiveError> {
    let mut buffer = Buffer::take();
    let name = poll_fn(|cx| {
        loop {
            match io.poll_read(cx, buffer.room()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ReceiveError::Ended)),
                Poll::Ready(Ok(count)) => buffer.filled(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    buffer.shrink();
                    return Poll::Pending;
                }
            }
            match read(buffer.data()) {
                Ok(Hello::Partial) => {}
                Ok(Hello::Whole(name)) => return Poll::Ready(Ok(name)),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    })
    .await?;
    Ok((name, buffer))
}

/// Tells a client that its handshake ends here. Whether it hears that is its own affair.
pub async fn refuse(io: &mut Io, alert: Alert) {
    const FATAL: u8 = 2;
    if let Io::Plain(socket) = io {
        let record = [21, 3, 3, 0, 2, FATAL, alert as u8];
        // A socket that nothing was written to takes seven bytes at once.
        let _ = socket.write_all(&record).await;
    }
}
