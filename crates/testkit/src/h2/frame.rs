//! Frames (RFC 9113 section 4.1), legal or not.

use super::{Block, code, flag, kind};

/// A frame as it is sent or as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type; see [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// All 32 bits, the reserved one included.
    pub stream: u32,
    /// What is behind the nine bytes.
    pub payload: Vec<u8>,
    /// The length that it gives when that is a lie.
    pub announced: Option<u32>,
}

/// What can be sent: a frame, several, or bytes.
pub trait ToBytes {
    /// As it goes over the wire.
    fn to_bytes(&self) -> Vec<u8>;
}

impl Frame {
    /// Any frame.
    #[must_use]
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into(), announced: None }
    }

    /// `DATA` that does not end its stream.
    #[must_use]
    pub fn data(stream: u32, content: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::DATA, 0, stream, content)
    }

    /// `HEADERS` with a whole block, which do not end their stream.
    #[must_use]
    pub fn headers(stream: u32, block: &Block) -> Frame {
        Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block.encode())
    }

    /// `CONTINUATION` that ends its block.
    #[must_use]
    pub fn continuation(stream: u32, fragment: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, fragment)
    }

    /// `PRIORITY` that makes a stream depend on another one.
    #[must_use]
    pub fn priority(stream: u32, dependency: u32, weight: u8) -> Frame {
        Frame::new(kind::PRIORITY, 0, stream, dependency_of(dependency, weight))
    }

    /// `RST_STREAM`.
    #[must_use]
    pub fn reset(stream: u32, code: u32) -> Frame {
        Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// `SETTINGS`.
    #[must_use]
    pub fn settings(settings: &[(u16, u32)]) -> Frame {
        let one = |(id, value): &(u16, u32)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            [id[0], id[1], value[0], value[1], value[2], value[3]]
        };
        Frame::new(kind::SETTINGS, 0, 0, settings.iter().flat_map(one).collect::<Vec<_>>())
    }

    /// `SETTINGS` that acknowledge the peer's.
    #[must_use]
    pub fn settings_ack() -> Frame {
        Frame::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// `PING`.
    #[must_use]
    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(kind::PING, 0, 0, payload)
    }

    /// `PUSH_PROMISE` with a whole block.
    #[must_use]
    pub fn push_promise(stream: u32, promised: u32, block: &Block) -> Frame {
        let payload = [&promised.to_be_bytes()[..], &block.encode()].concat();
        Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, payload)
    }

    /// `GOAWAY`.
    #[must_use]
    pub fn goaway(last: u32, code: u32) -> Frame {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        Frame::new(kind::GOAWAY, 0, 0, payload)
    }

    /// `WINDOW_UPDATE`.
    #[must_use]
    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    /// The same with these flags as well.
    #[must_use]
    pub fn flagged(mut self, flags: u8) -> Frame {
        self.flags |= flags;
        self
    }

    /// The same without these flags.
    #[must_use]
    pub fn unflagged(mut self, flags: u8) -> Frame {
        self.flags &= !flags;
        self
    }

    /// The same with `END_STREAM`.
    #[must_use]
    pub fn ending(self) -> Frame {
        self.flagged(flag::END_STREAM)
    }

    /// The same on another stream.
    #[must_use]
    pub fn on(mut self, stream: u32) -> Frame {
        self.stream = stream;
        self
    }

    /// The same with so many bytes of padding.
    #[must_use]
    pub fn padded(mut self, padding: u8) -> Frame {
        self.payload.insert(0, padding);
        self.payload.resize(self.payload.len() + usize::from(padding), 0);
        self.flagged(flag::PADDED)
    }

    /// `HEADERS` with the fields of RFC 7540 that make its stream depend on another one. To be
    /// called before [`Frame::padded`].
    #[must_use]
    pub fn depending(mut self, dependency: u32, weight: u8) -> Frame {
        let fields = dependency_of(dependency, weight);
        self.payload = [&fields[..], &self.payload].concat();
        self.flagged(flag::PRIORITY)
    }

    /// The same giving another length than it has.
    #[must_use]
    pub fn announcing(mut self, length: u32) -> Frame {
        self.announced = Some(length);
        self
    }

    /// Whether it has all of these flags.
    #[must_use]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The four bytes at this place of the payload.
    #[must_use]
    pub fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// In one line, for a test that fails.
    #[must_use]
    pub fn describe(&self) -> String {
        let Frame { kind: number, flags, stream, payload, .. } = self;
        let what = match *number {
            kind::RST_STREAM => {
                format!("RST_STREAM {}", code::name(self.number_at(0).unwrap_or(u32::MAX)))
            }
            kind::GOAWAY => {
                let (last, code) = (self.number_at(0), self.number_at(4));
                format!("GOAWAY last={last:?} {}", code::name(code.unwrap_or(u32::MAX)))
            }
            number => format!("frame of type {number}"),
        };
        format!("{what} on {stream} flags={flags:#x} with {} bytes", payload.len())
    }
}

fn dependency_of(dependency: u32, weight: u8) -> Vec<u8> {
    [&dependency.to_be_bytes()[..], &[weight]].concat()
}

impl ToBytes for Frame {
    fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a frame that fits");
        let length = self.announced.unwrap_or(length).to_be_bytes();
        let mut bytes = Vec::with_capacity(9 + self.payload.len());
        bytes.extend_from_slice(&length[1..]);
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

impl ToBytes for [Frame] {
    fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(ToBytes::to_bytes).collect()
    }
}

impl<const N: usize> ToBytes for [Frame; N] {
    fn to_bytes(&self) -> Vec<u8> {
        self[..].to_bytes()
    }
}

impl ToBytes for Vec<Frame> {
    fn to_bytes(&self) -> Vec<u8> {
        self[..].to_bytes()
    }
}

impl ToBytes for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }
}

impl<const N: usize> ToBytes for [u8; N] {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl ToBytes for [u8] {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl<T: ToBytes + ?Sized> ToBytes for &T {
    fn to_bytes(&self) -> Vec<u8> {
        (**self).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_the_standard_has_them() {
        let ping = Frame::ping(*b"12345678").to_bytes();
        assert_eq!(ping, *b"\0\0\x08\x06\0\0\0\0\x0012345678");
        let data = Frame::data(3, "ab").padded(2).ending().to_bytes();
        assert_eq!(data, *b"\0\0\x05\0\x09\0\0\0\x03\x02ab\0\0");
        assert_eq!(Frame::data(1, "").announcing(0x01_02_03).to_bytes()[..3], [1, 2, 3]);
    }
}
