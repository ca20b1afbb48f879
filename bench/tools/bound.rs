//! A TCP connection from an address of our choice: the standard library cannot bind before it connects, and the
//! flooder shall not come from where the other client does. IPv4 on Linux.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};

const AF_INET: u16 = 2;
const SOCK_STREAM: i32 = 1;
const SOCK_CLOEXEC: i32 = 0o2000000;

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
    let number = done(socket(i32::from(AF_INET), SOCK_STREAM | SOCK_CLOEXEC, 0))?;
    // SAFETY: the system has just given us this descriptor, and nobody else knows it.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    let (own, peer) = (Address::new(from, 0), Address::new(Ipv4Addr::LOCALHOST, to));
    // SAFETY: the descriptor is open, and each address is as large as is said and outlives the call.
    unsafe {
        done(bind(number, &raw const own, Address::SIZE))?;
        done(connect(number, &raw const peer, Address::SIZE))?;
    }
    Ok(owned.into())
}

fn done(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
