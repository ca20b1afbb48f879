//! Frame headers in a stream of bytes (RFC 9113, 4.1), however the bytes are cut.

/// Frame types (RFC 9113, 6).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
    #[cfg(test)]
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

const HEADER: usize = 9;
/// So much of a payload is kept for those who ask: error codes stand in it, and a word of why.
const KEPT: usize = 32;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) stream: u32,
}

impl Frame {
    pub(super) fn ends_stream(self) -> bool {
        self.flags & 0x1 != 0
    }

    pub(super) fn ends_headers(self) -> bool {
        self.flags & 0x4 != 0
    }

    pub(super) fn is_padded(self) -> bool {
        self.flags & 0x8 != 0
    }

    /// Of HEADERS: it names another stream that its own depends on.
    pub(super) fn has_priority(self) -> bool {
        self.flags & 0x20 != 0
    }

    /// Of SETTINGS: it acknowledges ours.
    pub(super) fn is_ack(self) -> bool {
        self.flags & 0x1 != 0
    }

    /// Whether its size is none that a frame of its kind may have (RFC 9113, 6), where that is an
    /// error of the whole connection.
    pub(super) fn has_wrong_size(self) -> bool {
        match self.kind {
            kind::RST_STREAM | kind::WINDOW_UPDATE => self.length != 4,
            kind::PING => self.length != 8,
            kind::GOAWAY => self.length < 8,
            kind::SETTINGS if self.is_ack() => self.length != 0,
            kind::SETTINGS => !self.length.is_multiple_of(6),
            _ => false,
        }
    }
}

/// Where in the frames a stream of bytes stands.
#[derive(Debug)]
pub(super) struct Walker {
    header: [u8; HEADER],
    have: usize,
    frame: Option<Frame>,
    payload: [u8; KEPT],
    kept: usize,
    /// Bytes of the payload still to come; before the first frame, of the preface.
    left: usize,
    /// There was a frame.
    begun: bool,
}

impl Walker {
    /// A walker over a stream that begins with so many bytes that are no frame.
    pub(super) fn after(preface: usize) -> Walker {
        Walker {
            header: [0; HEADER],
            have: 0,
            frame: None,
            payload: [0; KEPT],
            kept: 0,
            left: preface,
            begun: false,
        }
    }

    /// Walks on; `saw` is told of each frame and the start of its payload, once that is here.
    pub(super) fn walk(&mut self, bytes: &[u8], saw: impl FnMut(Frame, &[u8])) {
        self.walk_heads(bytes, saw, |_, _, _| {});
    }

    /// The same; `head` is given what comes of the payloads of HEADERS and CONTINUATION, and how
    /// much of each is still to come.
    pub(super) fn walk_heads(
        &mut self,
        mut bytes: &[u8],
        mut saw: impl FnMut(Frame, &[u8]),
        mut head: impl FnMut(Frame, &[u8], usize),
    ) {
        loop {
            if self.left > 0 {
                let n = self.left.min(bytes.len());
                self.keep(&bytes[..n], &mut saw);
                self.left -= n;
                if n > 0 && self.is_in_head() {
                    head(self.begun_frame(), &bytes[..n], self.left);
                }
                bytes = &bytes[n..];
            }
            if bytes.is_empty() {
                return;
            }
            let n = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + n].copy_from_slice(&bytes[..n]);
            self.have += n;
            bytes = &bytes[n..];
            if self.have == HEADER {
                self.begin(&mut saw);
                if self.left == 0 && self.is_in_head() {
                    head(self.begun_frame(), &[], 0);
                }
            }
        }
    }

    fn begin(&mut self, saw: &mut impl FnMut(Frame, &[u8])) {
        let frame = self.begun_frame();
        (self.have, self.kept, self.left, self.begun) = (0, 0, frame.length, true);
        if frame.length > 0 && matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY) {
            self.frame = Some(frame);
        } else {
            self.frame = None;
            saw(frame, &[]);
        }
    }

    /// The frame that began last.
    fn begun_frame(&self) -> Frame {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Frame { kind, flags, length, stream: u32::from_be_bytes(stream) & 0x7fff_ffff }
    }

    /// Whether the last frame that began is part of a header block.
    fn is_in_head(&self) -> bool {
        matches!(self.header[3], kind::HEADERS | kind::CONTINUATION)
    }

    /// Keeps the start of a payload that is waited for.
    fn keep(&mut self, bytes: &[u8], saw: &mut impl FnMut(Frame, &[u8])) {
        let Some(frame) = self.frame else { return };
        let n = (KEPT - self.kept).min(bytes.len());
        self.payload[self.kept..self.kept + n].copy_from_slice(&bytes[..n]);
        self.kept += n;
        if self.kept == KEPT.min(frame.length) {
            self.frame = None;
            saw(frame, &self.payload[..self.kept]);
        }
    }

    /// Whether the last frame that began is content.
    pub(super) fn is_in_content(&self) -> bool {
        self.begun && self.header[3] == kind::DATA
    }

    /// Whether the stream stands inside something that is not content.
    pub(super) fn is_inside_control(&self) -> bool {
        self.have > 0 || (self.left > 0 && self.header[3] != kind::DATA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_seen_however_the_bytes_are_cut() {
        let mut stream = b"preface".to_vec();
        stream.extend([0, 0, 2, kind::DATA, 1, 0, 0, 0, 1, b'h', b'i']);
        stream.extend([0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0]);
        stream.extend([0, 0, 4, kind::RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 8]);
        stream.extend([0, 0, 10, kind::GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, b'm', b'e']);
        let expected = vec![
            (kind::DATA, 2, vec![]),
            (kind::SETTINGS, 0, vec![]),
            (kind::RST_STREAM, 4, vec![0, 0, 0, 8]),
            (kind::GOAWAY, 10, vec![0, 0, 0, 1, 0, 0, 0, 2, b'm', b'e']),
        ];
        for piece in [1, 2, 3, 7, 9, 100] {
            let mut walker = Walker::after("preface".len());
            let mut seen = Vec::new();
            for bytes in stream.chunks(piece) {
                walker.walk(bytes, |f, payload| seen.push((f.kind, f.length, payload.to_vec())));
            }
            assert_eq!(seen, expected, "in pieces of {piece}");
            assert!(!walker.is_inside_control());
        }
    }
}
