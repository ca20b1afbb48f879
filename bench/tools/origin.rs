//! An HTTP/2 origin that answers every POST as a gRPC service would, and holds every GET back until a given
//! number of them is open, so that a gateway's memory is seen with all of them in flight.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::frames::{self, Frame, Frames};

/// How many streams a connection may have open: nginx's default.
const STREAMS: u32 = 128;

const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

const STACK: usize = 64 * 1024;
const READ_BUFFER: usize = 64 * 1024;

/// How often a connection that holds requests looks whether it may answer.
const GLANCE: Duration = Duration::from_millis(200);

/// A gRPC message of 64 bytes, not compressed.
const MESSAGE: [u8; 69] = {
    let mut message = [b'm'; 69];
    message[0] = 0;
    message[1] = 0;
    message[2] = 0;
    message[3] = 0;
    message[4] = 64;
    message
};

/// The length of a held request's answer.
const CONTENT: [u8; 1024] = [b'p'; 1024];

/// GETs held back so far, of all connections.
static HELD: AtomicU64 = AtomicU64::new(0);

/// Serve until the process is ended. GETs are held back until there are `held`.
pub fn serve(port: u16, held: u64) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let stream = stream?;
        // A connection that fails is its client's affair; the harness sees the missing answers.
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || Connection::new(held).serve(stream))?;
    }
    Ok(())
}

struct Connection {
    /// GETs to hold back, of all connections.
    hold: u64,
    held: Vec<u32>,
    /// Answers whose content waits for the client's window.
    waiting: Vec<u32>,
    /// What the client will still take on this connection.
    window: i64,
    /// Received on this connection since it was last given more.
    received: u32,
    table: Table,
    out: Vec<u8>,
}

/// What the client's HPACK decoder knows already; Go's and C's gRPC servers index these fields as well.
enum Table {
    Empty,
    Filled,
    /// The client has no room for it, and is yet to be told that we know.
    RefusedUntold,
    Refused,
}

impl Connection {
    fn new(hold: u64) -> Self {
        Self {
            hold,
            held: Vec::new(),
            waiting: Vec::new(),
            window: 65_535,
            received: 0,
            table: Table::Empty,
            out: Vec::new(),
        }
    }

    fn serve(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if self.hold > 0 {
            stream.set_read_timeout(Some(GLANCE))?;
        }
        frames::put_settings(
            &mut self.out,
            &[(frames::MAX_CONCURRENT_STREAMS, STREAMS), (frames::INITIAL_WINDOW_SIZE, WINDOW)],
        );
        frames::put_window(&mut self.out, 0, CONNECTION_WINDOW);
        let mut frames = Frames::new(READ_BUFFER);
        while !frames.skip(frames::PREFACE.len()) {
            if !arrived(&mut frames, &mut stream)? {
                return Ok(());
            }
        }
        loop {
            while let Some(frame) = frames.next() {
                self.take(&frame);
            }
            if HELD.load(Ordering::Relaxed) >= self.hold {
                self.waiting.append(&mut self.held);
            }
            self.answer_waiting();
            stream.write_all(&self.out)?;
            self.out.clear();
            if !arrived(&mut frames, &mut stream)? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            frames::HEADERS if frame.has(frames::END_STREAM) => self.hold_back(frame.stream),
            frames::DATA => {
                self.received += frame.payload.len() as u32;
                if self.received >= WINDOW {
                    frames::put_window(&mut self.out, 0, self.received);
                    self.received = 0;
                }
                if frame.has(frames::END_STREAM) {
                    self.waiting.push(frame.stream);
                }
            }
            frames::SETTINGS if !frame.has(frames::ACK) => {
                self.heed(frame.payload);
                frames::put(&mut self.out, frames::SETTINGS, frames::ACK, 0, &[]);
            }
            frames::PING if !frame.has(frames::ACK) => {
                frames::put(&mut self.out, frames::PING, frames::ACK, 0, frame.payload);
            }
            // A stream's own window is never short: answers are smaller than anybody's.
            frames::WINDOW_UPDATE if frame.stream == 0 => self.window += frame.increment(),
            frames::RST_STREAM => {
                self.held.retain(|held| *held != frame.stream);
                self.waiting.retain(|waiting| *waiting != frame.stream);
            }
            _ => {}
        }
    }

    fn heed(&mut self, settings: &[u8]) {
        for setting in settings.chunks_exact(6) {
            let name = u16::from_be_bytes([setting[0], setting[1]]);
            if name == frames::HEADER_TABLE_SIZE && setting[2..] == [0; 4] {
                self.table = Table::RefusedUntold;
            }
        }
    }

    fn hold_back(&mut self, id: u32) {
        self.held.push(id);
        let all = HELD.fetch_add(1, Ordering::Relaxed) + 1;
        if all == self.hold {
            println!("held {all}");
        }
    }

    fn answer_waiting(&mut self) {
        let content: &[u8] = if self.hold > 0 { &CONTENT } else { &MESSAGE };
        let fit = (self.window.max(0) as usize / content.len()).min(self.waiting.len());
        let fitting: Vec<u32> = self.waiting.drain(..fit).collect();
        for id in fitting {
            self.window -= content.len() as i64;
            let (head, trailers) = self.blocks();
            frames::put(&mut self.out, frames::HEADERS, frames::END_HEADERS, id, head);
            frames::put(&mut self.out, frames::DATA, 0, id, content);
            let end = frames::END_HEADERS | frames::END_STREAM;
            frames::put(&mut self.out, frames::HEADERS, end, id, trailers);
        }
    }

    /// `:status: 200`, `content-type: application/grpc`; then `grpc-status: 0`.
    fn blocks(&mut self) -> (&'static [u8], &'static [u8]) {
        match self.table {
            Table::Empty => {
                self.table = Table::Filled;
                (b"\x88\x5f\x10application/grpc", b"\x40\x0bgrpc-status\x010")
            }
            // The newest entry is the first after the 61 static ones.
            Table::Filled => (b"\x88\xbf", b"\xbe"),
            Table::RefusedUntold => {
                self.table = Table::Refused;
                (b"\x20\x88\x0f\x10\x10application/grpc", b"\x00\x0bgrpc-status\x010")
            }
            Table::Refused => (b"\x88\x0f\x10\x10application/grpc", b"\x00\x0bgrpc-status\x010"),
        }
    }
}

/// Wait for more; false at the end. A glance that brought nothing is no end.
fn arrived(frames: &mut Frames, stream: &mut impl Read) -> io::Result<bool> {
    match frames.fill(stream) {
        Ok(read) => Ok(read > 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}
