//! A header onto a socket that nothing was sent on yet.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;

use super::{Version, write};
use crate::Socket;

/// Sends the header of a connection from the first address to the second.
///
/// # Errors
/// The socket failed.
pub async fn send(
    socket: &mut Socket,
    version: Version,
    addresses: Option<(SocketAddr, SocketAddr)>,
) -> io::Result<()> {
    let mut header = Vec::with_capacity(super::LONGEST_V1);
    write(version, addresses, &mut header);
    socket.write_all(&header).await
}
