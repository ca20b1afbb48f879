//! A header from a socket, and nothing of what follows it.

use std::io;

use thiserror::Error;
use tokio::io::AsyncReadExt;

use super::{Faulty, Progress, Proxied, read};
use crate::Socket;

/// Why no header came.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// What came is none.
    #[error(transparent)]
    Faulty(#[from] Faulty),
    /// The stream ended before it was whole.
    #[error("the connection ended within the PROXY header")]
    Ended,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Waits for the header that the connection begins with.
///
/// # Errors
/// It is faulty, or the stream ended or failed before it was whole.
pub async fn receive(socket: &mut Socket) -> Result<Proxied, ReceiveError> {
    let mut bytes = Vec::new();
    loop {
        let more = match read(&bytes)? {
            Progress::Whole(proxied) => return Ok(proxied),
            Progress::More(more) => more,
        };
        let before = bytes.len();
        bytes.resize(before + more, 0);
        let count = socket.read(&mut bytes[before..]).await?;
        if count == 0 {
            return Err(ReceiveError::Ended);
        }
        bytes.truncate(before + count);
    }
}
