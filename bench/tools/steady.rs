//! The other client: 200 requests a second over eight HTTP/2 connections, however slowly answers come, and how
//! long each was waited for.

use std::io::{self, Error, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::bound;
use crate::frames::{self, Frames};

const CONNECTIONS: u32 = 8;
const RATE: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(10);

/// Connect, `wait` so many seconds, ask for `seconds`, then print the quantiles of the waiting.
pub fn run(port: u16, path: &str, seconds: f64, from: Ipv4Addr, wait: f64) -> io::Result<()> {
    let pace = Duration::from_secs(1) * CONNECTIONS / RATE;
    let begin = Instant::now() + Duration::from_millis(50) + Duration::from_secs_f64(wait);
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let path = path.to_owned();
            let first = begin + pace * number / CONNECTIONS;
            thread::spawn(move || ask(port, from, &path, first, pace, seconds))
        })
        .collect();
    let mut waited = Vec::new();
    for client in clients {
        let joined = client.join().map_err(|_| Error::other("a client panicked"))?;
        waited.extend(joined?);
    }
    waited.sort_unstable();
    let at = |share: f64| {
        waited.get((waited.len() as f64 * share) as usize).map_or(0, Duration::as_micros)
    };
    println!(
        "{{\"requests\":{},\"p50_us\":{},\"p99_us\":{},\"max_us\":{}}}",
        waited.len(),
        at(0.5),
        at(0.99),
        waited.last().map_or(0, Duration::as_micros),
    );
    Ok(())
}

/// One connection: a request every `pace` from `first` on, and how long each answer took.
fn ask(
    port: u16,
    from: Ipv4Addr,
    path: &str,
    first: Instant,
    pace: Duration,
    seconds: f64,
) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(port, from)?;
    let block = frames::get(path);
    let mut waited = Vec::new();
    let mut due = first;
    while due.duration_since(first).as_secs_f64() < seconds {
        let late = due.checked_duration_since(Instant::now());
        if let Some(early) = late {
            thread::sleep(early);
        }
        // A request that had to wait for the answer before it counts from when it was due; how late this
        // thread was woken is not the gateway's fault and is left out.
        let from = if late.is_some() { Instant::now() } else { due };
        client.exchange(&block)?;
        waited.push(from.elapsed());
        due += pace;
    }
    Ok(waited)
}

struct Client {
    stream: TcpStream,
    frames: Frames,
    next: u32,
    out: Vec<u8>,
}

impl Client {
    fn connect(port: u16, from: Ipv4Addr) -> io::Result<Self> {
        let stream = bound::connect_from(from, port)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut out = frames::PREFACE.to_vec();
        frames::put_settings(&mut out, &[]);
        frames::put_window(&mut out, 0, 1 << 30);
        Ok(Self { stream, frames: Frames::new(64 * 1024), next: 1, out })
    }

    /// One request and its whole answer, which must be 200.
    fn exchange(&mut self, block: &[u8]) -> io::Result<()> {
        let id = self.next;
        self.next += 2;
        let flags = frames::END_STREAM | frames::END_HEADERS;
        frames::put(&mut self.out, frames::HEADERS, flags, id, block);
        loop {
            self.stream.write_all(&self.out)?;
            self.out.clear();
            while let Some(frame) = self.frames.next() {
                match frame.kind {
                    frames::HEADERS if frame.block().first() != Some(&frames::STATUS_200) => {
                        return Err(Error::other("an answer other than 200"));
                    }
                    frames::HEADERS | frames::DATA if frame.has(frames::END_STREAM) => {
                        return Ok(());
                    }
                    frames::SETTINGS if !frame.has(frames::ACK) => {
                        frames::put(&mut self.out, frames::SETTINGS, frames::ACK, 0, &[]);
                    }
                    frames::PING if !frame.has(frames::ACK) => {
                        frames::put(&mut self.out, frames::PING, frames::ACK, 0, frame.payload);
                    }
                    frames::RST_STREAM | frames::GOAWAY => {
                        return Err(Error::other("the gateway broke off"));
                    }
                    _ => {}
                }
            }
            if self.out.is_empty() && self.frames.fill(&mut self.stream)? == 0 {
                return Err(Error::other("the gateway closed the connection"));
            }
        }
    }
}
