//! What frames go over: a client's connection or an origin's.

use std::io;

use crate::{Client, Served};

/// A connection of the kit's.
pub trait Wire {
    /// Sends bytes.
    ///
    /// # Errors
    /// The connection is dead, or nobody took them in time.
    fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads so many bytes.
    ///
    /// # Errors
    /// The stream ended or failed before, or nothing came in time.
    fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>>;
}

impl Wire for Client {
    fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.try_send(bytes)
    }

    fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.exactly(count)
    }
}

impl Wire for &mut Served {
    fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.send(bytes) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let bytes = self.exactly(count);
        if bytes.len() == count { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
