//! TCP connections that the standard library cannot make: from an address of our choice, for the flooder shall not
//! come from where the other client does, and without waiting until they are there. IPv4 on Linux.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const AF_INET: u16 = 2;
const SOCK_STREAM: i32 = 1;
const SOCK_CLOEXEC: i32 = 0o2000000;
const SOCK_NONBLOCK: i32 = 0o4000;
const EINPROGRESS: i32 = 115;

/// `struct sockaddr_in`: port and address in the order of the network.
#[repr(C)]
struct Address {
    family: u16,
    port: u16,
    ip: u32,
    zero: [u8; 8],
}

impl Address {
    const SIZE: u32 = size_of::<Self>() as u32;

    fn new(ip: Ipv4Addr, port: u16) -> Self {
        Self { family: AF_INET, port: port.to_be(), ip: ip.to_bits().to_be(), zero: [0; 8] }
    }
}

unsafe extern "C" {
    safe fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
    fn bind(socket: i32, address: *const Address, size: u32) -> i32;
    fn connect(socket: i32, address: *const Address, size: u32) -> i32;
}

/// Connect to `to` at loopback, from `from` and a port that the system chooses.
pub fn connect_from(from: Ipv4Addr, to: u16) -> io::Result<TcpStream> {
    let socket = open(0)?;
    let (own, peer) = (Address::new(from, 0), Address::new(Ipv4Addr::LOCALHOST, to));
    // SAFETY: the descriptor is open, and each address is as large as is said and outlives the call.
    unsafe {
        done(bind(socket.as_raw_fd(), &raw const own, Address::SIZE))?;
        done(connect(socket.as_raw_fd(), &raw const peer, Address::SIZE))?;
    }
    Ok(socket.into())
}

/// A connection to `to` at loopback that never waits, and may not be there yet.
pub fn begin_to_connect(to: u16) -> io::Result<TcpStream> {
    let socket = open(SOCK_NONBLOCK)?;
    let peer = Address::new(Ipv4Addr::LOCALHOST, to);
    // SAFETY: the descriptor is open, and the address is as large as is said and outlives the call.
    match done(unsafe { connect(socket.as_raw_fd(), &raw const peer, Address::SIZE) }) {
        Err(error) if error.raw_os_error() != Some(EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn open(flags: i32) -> io::Result<OwnedFd> {
    let number = done(socket(i32::from(AF_INET), SOCK_STREAM | SOCK_CLOEXEC | flags, 0))?;
    // SAFETY: the system has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn done(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
