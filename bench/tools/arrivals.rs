//! Requests that come when they come: at random moments, so many a second on average, whatever becomes of those
//! before (an open loop), as from many clients who know nothing of each other. Each has a deadline, and gives up
//! then: it closes its connection, and the next one needs another.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::bound;
use crate::poll::Poll;

/// Most connections at a time. Those of requests that gave up are closed, so that a deadline's worth of
/// requests is all that should ever be open.
const CONNECTIONS: usize = 8192;

/// What was asked for.
pub struct Plan {
    pub port: u16,
    pub path: String,
    /// Requests a second.
    pub rate: f64,
    pub deadline: Duration,
    /// Time that does not count, and that which does.
    pub warm: Duration,
    pub counted: Duration,
    /// A file with a line for each request, which begin again when they are used up.
    pub fields: Option<PathBuf>,
}

/// What became of the requests that were due in the time that counts.
#[derive(Default)]
struct Totals {
    sent: u64,
    /// 200 within the deadline.
    good: u64,
    /// 503 within the deadline.
    refused: u64,
    /// Nothing within the deadline.
    late: u64,
    /// Other replies, broken connections, and those that there was no connection for.
    failed: u64,
    /// How late a request was sent at most.
    behind: Duration,
}

/// Send as planned, then print what became of it.
pub fn run(plan: Plan) -> io::Result<()> {
    let begin = Instant::now();
    let from = begin + plan.warm;
    let until = from + plan.counted;
    let mut load = Load {
        requests: requests(&plan)?,
        poll: Poll::new()?,
        connections: Vec::new(),
        free: Vec::new(),
        idle: Vec::new(),
        deadlines: VecDeque::new(),
        asked: 0,
        from,
        totals: Totals::default(),
        plan,
    };
    let mut gaps = Gaps { state: 0x9e37_79b9_7f4a_7c15, rate: load.plan.rate };
    let mut next = begin + gaps.draw();
    let mut tokens = Vec::new();
    // Those that are still under way at the end are waited for.
    while next < until || !load.deadlines.is_empty() {
        while next < until && next <= Instant::now() {
            load.ask(next);
            next += gaps.draw();
        }
        load.give_up();
        let deadline = load.deadlines.front().map(|one| one.at);
        let wake = if next < until {
            deadline.map_or(next, |at| at.min(next))
        } else {
            deadline.unwrap_or(until)
        };
        load.poll.wait(wake.saturating_duration_since(Instant::now()), &mut tokens)?;
        for &token in &tokens {
            load.hear(token as usize);
        }
    }
    load.print();
    Ok(())
}

/// What is sent, in turn.
fn requests(plan: &Plan) -> io::Result<Vec<Vec<u8>>> {
    let request = |field: &str| {
        let Plan { path, port, .. } = plan;
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{field}\r\n").into_bytes()
    };
    let Some(path) = &plan.fields else { return Ok(vec![request("")]) };
    let lines = std::fs::read_to_string(path)?;
    let requests: Vec<_> = lines.lines().map(|line| request(&format!("{line}\r\n"))).collect();
    if requests.is_empty() { Err(io::Error::other("no fields")) } else { Ok(requests) }
}

struct Load {
    plan: Plan,
    requests: Vec<Vec<u8>>,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    /// Slots of `connections` that are empty, and those whose connection waits for a request.
    free: Vec<usize>,
    idle: Vec<usize>,
    deadlines: VecDeque<Deadline>,
    /// Requests so far.
    asked: u64,
    from: Instant,
    totals: Totals,
}

struct Deadline {
    at: Instant,
    slot: usize,
    request: u64,
}

struct Connection {
    stream: TcpStream,
    /// The number of the request under way, and when it was due.
    request: Option<(u64, Instant)>,
    /// It has not been connected yet, and the request not sent.
    unsent: bool,
    received: Vec<u8>,
}

enum Heard {
    Nothing,
    /// A whole reply, with this status.
    Reply(u16),
    Broken,
}

impl Load {
    fn ask(&mut self, due: Instant) {
        self.asked += 1;
        let counts = due >= self.from;
        self.totals.sent += u64::from(counts);
        let Some(slot) = self.idle.pop().or_else(|| self.connect().ok()) else {
            self.totals.failed += u64::from(counts);
            return;
        };
        let Some(connection) = self.connections[slot].as_mut() else { return };
        connection.request = Some((self.asked, due));
        connection.unsent = true;
        self.deadlines.push_back(Deadline {
            at: due + self.plan.deadline,
            slot,
            request: self.asked,
        });
        if counts {
            self.totals.behind = self.totals.behind.max(due.elapsed());
        }
        if !connection.send(&self.requests) {
            self.failed(slot);
        }
    }

    fn connect(&mut self) -> io::Result<usize> {
        if self.connections.len() == CONNECTIONS && self.free.is_empty() {
            return Err(io::Error::other("too many connections"));
        }
        let stream = bound::begin_to_connect(self.plan.port)?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.poll.add(&stream, slot as u64)?;
        let received = Vec::new();
        self.connections[slot] =
            Some(Connection { stream, request: None, unsent: false, received });
        Ok(slot)
    }

    /// Close what is past its deadline.
    fn give_up(&mut self) {
        while self.deadlines.front().is_some_and(|one| one.at <= Instant::now())
            && let Some(deadline) = self.deadlines.pop_front()
        {
            let Some(connection) = self.connections[deadline.slot].as_ref() else { continue };
            let Some((number, due)) = connection.request else { continue };
            if number == deadline.request {
                self.totals.late += u64::from(due >= self.from);
                self.close(deadline.slot);
            }
        }
    }

    /// Something has come on a connection.
    fn hear(&mut self, slot: usize) {
        let Some(connection) = self.connections[slot].as_mut() else { return };
        if !connection.send(&self.requests) {
            return self.failed(slot);
        }
        match (connection.read(), connection.request) {
            (Heard::Nothing, _) => {}
            (Heard::Reply(status), Some((_, due))) => {
                connection.request = None;
                self.idle.push(slot);
                if due >= self.from {
                    let in_time = due.elapsed() <= self.plan.deadline;
                    *match status {
                        _ if !in_time => &mut self.totals.late,
                        200 => &mut self.totals.good,
                        503 => &mut self.totals.refused,
                        _ => &mut self.totals.failed,
                    } += 1;
                }
            }
            (Heard::Reply(_) | Heard::Broken, _) => self.failed(slot),
        }
    }

    fn failed(&mut self, slot: usize) {
        let request = self.connections[slot].as_ref().and_then(|connection| connection.request);
        match request {
            Some((_, due)) => self.totals.failed += u64::from(due >= self.from),
            None => self.idle.retain(|idle| *idle != slot),
        }
        self.close(slot);
    }

    fn close(&mut self, slot: usize) {
        if self.connections[slot].take().is_some() {
            self.free.push(slot);
        }
    }

    fn print(&self) {
        let Totals { sent, good, refused, late, failed, behind } = &self.totals;
        println!(
            "{{\"seconds\":{:.3},\"sent\":{sent},\"good\":{good},\"refused\":{refused},\"late\":{late},\
             \"failed\":{failed},\"behind_ms\":{:.1}}}",
            self.plan.counted.as_secs_f64(),
            behind.as_secs_f64() * 1000.0,
        );
    }
}

impl Connection {
    /// Send the request, if there is one that was not; false when the connection is no good. One that is not
    /// connected yet cannot take it, and is heard of again.
    fn send(&mut self, requests: &[Vec<u8>]) -> bool {
        let Some((number, _)) = self.request.filter(|_| self.unsent) else { return true };
        let request = &requests[number as usize % requests.len()];
        match self.stream.write(request) {
            Ok(written) => {
                self.unsent = false;
                written == request.len()
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected),
        }
    }

    fn read(&mut self) -> Heard {
        let mut part = [0; 4096];
        let open = loop {
            match self.stream.read(&mut part) {
                Ok(0) => break false,
                Ok(read) => self.received.extend_from_slice(&part[..read]),
                Err(error) => {
                    break matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected);
                }
            }
        };
        match reply(&self.received) {
            Some((status, length)) if self.received.len() == length && open => {
                self.received.clear();
                Heard::Reply(status)
            }
            _ if open => Heard::Nothing,
            _ => Heard::Broken,
        }
    }
}

/// The status and the length of a whole reply, which says how long its content is.
fn reply(received: &[u8]) -> Option<(u16, usize)> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&received[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let content: usize = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse());
        length?.ok()
    })?;
    Some((status, end + content))
}

/// The times between arrivals: drawn from the exponential distribution, and the same in every run.
struct Gaps {
    state: u64,
    rate: f64,
}

impl Gaps {
    fn draw(&mut self) -> Duration {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        let share = (bits + 1) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64(-share.ln() / self.rate)
    }
}
