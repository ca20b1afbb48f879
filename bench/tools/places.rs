//! An HTTP/1.1 origin that can do so much and no more: a number of places, each of which a request keeps for a
//! fixed time; those that find none free wait in a row without bound. A request whose client has given up is
//! worked on all the same, as most services do. `/served` is answered at once with how many others came.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::poll::Poll;

const LISTENER: u64 = u64::MAX;
/// The longest wait for something to happen; nothing depends on it.
const IDLE: Duration = Duration::from_secs(1);

const COUNTED: &[u8] = b"GET /served ";

/// Serve until the process is ended.
pub fn serve(address: IpAddr, port: u16, places: usize, takes: Duration) -> io::Result<()> {
    let listener = TcpListener::bind((address, port))?;
    listener.set_nonblocking(true)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    let mut reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n".to_vec();
    reply.resize(reply.len() + 1024, b'p');
    let mut origin = Origin {
        listener,
        poll,
        takes,
        places: (0..places).map(|_| Instant::now()).collect(),
        due: VecDeque::new(),
        connections: Vec::new(),
        free: Vec::new(),
        accepted: 0,
        served: 0,
        reply,
    };
    let mut tokens = Vec::new();
    loop {
        let next =
            origin.due.front().map_or(IDLE, |due| due.at.saturating_duration_since(Instant::now()));
        origin.poll.wait(next, &mut tokens)?;
        for &token in &tokens {
            if token == LISTENER {
                origin.accept()?;
            } else {
                origin.take(token as usize);
            }
        }
        origin.answer_due();
    }
}

struct Origin {
    listener: TcpListener,
    poll: Poll,
    takes: Duration,
    /// When each place is free again, the earliest first: all take the same time, so they end in the order
    /// in which they began.
    places: VecDeque<Instant>,
    due: VecDeque<Due>,
    connections: Vec<Option<Connection>>,
    /// Slots of `connections` that are empty.
    free: Vec<usize>,
    accepted: u64,
    served: u64,
    reply: Vec<u8>,
}

/// A reply that will be sent, if its connection is still there.
struct Due {
    at: Instant,
    slot: usize,
    connection: u64,
}

struct Connection {
    stream: TcpStream,
    /// Tells connections apart that have had the same slot.
    number: u64,
    received: Vec<u8>,
}

impl Origin {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It was gone before we looked.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&stream, slot as u64)?;
            self.accepted += 1;
            let received = Vec::new();
            self.connections[slot] = Some(Connection { stream, number: self.accepted, received });
        }
    }

    /// Read what has come, and give each request a place or a turn.
    fn take(&mut self, slot: usize) {
        let Some(connection) = self.connections[slot].as_mut() else { return };
        let open = connection.read();
        while let Some(connection) = self.connections[slot].as_mut()
            && let Some(end) = connection.received.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let counted = connection.received.starts_with(COUNTED);
            connection.received.drain(..end + 4);
            if counted {
                let served = self.served.to_string();
                let length = served.len();
                let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{served}");
                self.send(slot, reply.as_bytes());
            } else {
                let number = connection.number;
                self.give_place(slot, number);
            }
        }
        if !open {
            self.close(slot);
        }
    }

    fn give_place(&mut self, slot: usize, connection: u64) {
        self.served += 1;
        let now = Instant::now();
        let begins = self.places.pop_front().map_or(now, |free| free.max(now));
        let at = begins + self.takes;
        self.places.push_back(at);
        self.due.push_back(Due { at, slot, connection });
    }

    fn answer_due(&mut self) {
        let reply = std::mem::take(&mut self.reply);
        while self.due.front().is_some_and(|due| due.at <= Instant::now())
            && let Some(due) = self.due.pop_front()
        {
            let current = self.connections[due.slot].as_ref();
            if current.is_some_and(|connection| connection.number == due.connection) {
                self.send(due.slot, &reply);
            }
        }
        self.reply = reply;
    }

    /// A connection that takes no whole reply is none that is worth keeping.
    fn send(&mut self, slot: usize, reply: &[u8]) {
        let Some(connection) = self.connections[slot].as_mut() else { return };
        if !matches!(connection.stream.write(reply), Ok(written) if written == reply.len()) {
            self.close(slot);
        }
    }

    fn close(&mut self, slot: usize) {
        if self.connections[slot].take().is_some() {
            self.free.push(slot);
        }
    }
}

impl Connection {
    /// Read all there is; false at the end.
    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return false,
                Ok(read) => self.received.extend_from_slice(&part[..read]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}
