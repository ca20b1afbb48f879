//! HTTP/2 frames: their heads, the few that are written, and a buffered reader (RFC 9113, section 4.1).

use std::io::{self, Read};

/// What a client says first.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// ACK of SETTINGS and PING is the same bit.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITY: u8 = 32;

pub const HEADER_TABLE_SIZE: u16 = 1;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// `:status: 200` in HPACK's static table.
pub const STATUS_200: u8 = 0x88;

const HEAD: usize = 9;

pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

pub fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    put(out, SETTINGS, 0, 0, &payload);
}

pub fn put_window(out: &mut Vec<u8>, stream: u32, more: u32) {
    put(out, WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
}

/// The header block of `GET path`, from the static table and without Huffman coding.
pub fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86]; // :method: GET, :scheme: http
    for (name, value) in [(0x04, path), (0x01, "localhost")] {
        block.extend_from_slice(&[name, value.len() as u8]); // :path and :authority, not indexed
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// One frame as it was received.
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The increment of a WINDOW_UPDATE.
    pub fn increment(&self) -> i64 {
        self.payload.first_chunk().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)))
    }

    /// A header block without padding and priority, and without the table sizes that may come first.
    pub fn block(&self) -> &[u8] {
        let skipped = usize::from(self.has(PADDED)) + 5 * usize::from(self.has(PRIORITY));
        let mut block = self.payload.get(skipped..).unwrap_or_default();
        while let Some((first, rest)) = block.split_first().filter(|(first, _)| **first >> 5 == 1) {
            let long = first & 31 == 31;
            let end = if long {
                rest.iter().position(|byte| byte >> 7 == 0).map_or(rest.len(), |at| at + 1)
            } else {
                0
            };
            block = &rest[end..];
        }
        block
    }
}

/// Takes whole frames out of what a connection brings.
pub struct Frames {
    held: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    /// `size` bytes must hold the longest frame: 16 KiB and its head, where nothing else was agreed.
    pub fn new(size: usize) -> Self {
        Self { held: vec![0; size], start: 0, end: 0 }
    }

    /// Read once; Ok(0) is the end.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        self.held.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = from.read(&mut self.held[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// The next frame, if it is all here.
    pub fn next(&mut self) -> Option<Frame<'_>> {
        let held = &self.held[self.start..self.end];
        let head = held.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = held.get(HEAD..HEAD + length)?;
        self.start += HEAD + length;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Drop `count` bytes that are no frame; false while they have not come.
    pub fn skip(&mut self, count: usize) -> bool {
        let there = self.end - self.start >= count;
        if there {
            self.start += count;
        }
        there
    }
}
