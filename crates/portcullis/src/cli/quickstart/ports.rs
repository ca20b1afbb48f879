//! Ports for the quickstart: the one that was asked for, or a free one where it is taken.

use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpSocket;

/// A port that nobody else takes for as long as this lives.
///
/// The socket that holds it does not listen, so it gets no connections, and it lets the gateway of
/// this same user listen beside it.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) address: SocketAddr,
    /// The address that was asked for, if it was taken.
    pub(super) instead_of: Option<SocketAddr>,
    _held: TcpSocket,
}

impl Reserved {
    /// Reserves `wanted`, or another port of the same IP address where that one is in use.
    pub(super) fn at(wanted: SocketAddr) -> anyhow::Result<Reserved> {
        let taken = match bind(wanted, false) {
            // Another gateway that shares its ports would not stop us from listening, so a socket
            // that does not share looks first.
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => true,
            Err(error) => return Err(error).context(format!("cannot listen on {wanted}")),
        };
        let mut address = wanted;
        if taken {
            address.set_port(0);
        }
        let held = bind(address, true).with_context(|| format!("cannot listen on {address}"))?;
        let instead_of = taken.then_some(wanted);
        Ok(Reserved { address: held.local_addr()?, instead_of, _held: held })
    }
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let reserved = Reserved::at(taken).unwrap();
        assert_eq!(reserved.instead_of, Some(taken));
        assert_ne!(reserved.address, taken);
        assert_ne!(reserved.address.port(), 0);
    }

    #[test]
    fn a_reserved_port_can_be_listened_on() {
        let reserved = Reserved::at("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(reserved.instead_of, None);
        std::net::TcpListener::bind(reserved.address).unwrap();
    }
}
