//! The header blocks of a client: put together, and looked at for what the `h2` crate hides.

use super::fragment::Paths;
use super::walker::{Frame, kind};

/// Most streams that wait to be refused.
const MOST_MARKED: usize = 1024;

/// The header blocks of a connection (RFC 9113, 4.3).
#[derive(Debug)]
pub(super) struct Blocks {
    paths: Paths,
    /// A block that came in pieces, as far as it is here.
    part: Vec<u8>,
    /// A block has begun and not ended.
    open: bool,
    /// Most bytes of a block.
    most: usize,
    /// Streams whose path had a fragment.
    marked: Vec<u32>,
    overrun: bool,
}

impl Blocks {
    /// Blocks of at most so many bytes.
    pub(super) fn new(most: usize) -> Blocks {
        Blocks {
            paths: Paths::default(),
            part: Vec::new(),
            open: false,
            most,
            marked: Vec::new(),
            overrun: false,
        }
    }

    /// Looks at a piece of the payload of HEADERS or CONTINUATION; so much of it is still to come.
    pub(super) fn piece(&mut self, frame: Frame, piece: &[u8], left: usize) {
        let is_first = frame.kind == kind::HEADERS;
        if is_first && piece.len() == frame.length && frame.ends_headers() {
            if let Some(block) = content(frame, piece) {
                self.look(frame.stream, block);
            }
            return;
        }
        self.open |= is_first;
        if !self.open {
            // The crate ends the connection for it.
            return;
        }
        if self.part.len() + piece.len() > self.most {
            self.overrun = true;
            self.close();
            return;
        }
        self.part.extend_from_slice(piece);
        if left == 0 {
            self.end_frame(frame, is_first);
        }
    }

    fn end_frame(&mut self, frame: Frame, is_first: bool) {
        if is_first {
            match content(frame, &self.part) {
                Some(block) => self.part = block.to_vec(),
                None => return self.close(),
            }
        }
        if frame.ends_headers() {
            let block = std::mem::take(&mut self.part);
            self.look(frame.stream, &block);
            self.close();
        }
    }

    fn close(&mut self) {
        self.open = false;
        self.part = Vec::new();
    }

    fn look(&mut self, stream: u32, block: &[u8]) {
        if self.paths.has_fragment(block) {
            self.marked.push(stream);
            self.overrun |= self.marked.len() > MOST_MARKED;
        }
    }

    /// Whether this stream's path had a fragment. Streams come out of the crate in their order, so
    /// nobody will ask for those before it.
    pub(super) fn take(&mut self, stream: u32) -> bool {
        if self.marked.is_empty() {
            return false;
        }
        let is_marked = self.marked.contains(&stream);
        self.marked.retain(|&marked| marked > stream);
        is_marked
    }

    /// Whether there was more than can be kept.
    pub(super) fn is_overrun(&self) -> bool {
        self.overrun
    }
}

/// A HEADERS frame's part of the block, without padding and priority (RFC 9113, 6.2). `None` where
/// the crate does not unpack it: the frame is malformed, or its stream depends on itself.
fn content(frame: Frame, payload: &[u8]) -> Option<&[u8]> {
    let mut block = payload;
    let mut padding = 0;
    if frame.is_padded() {
        let (&length, rest) = block.split_first()?;
        (padding, block) = (usize::from(length), rest);
    }
    if frame.has_priority() {
        let ([a, b, c, d, _], rest) = block.split_first_chunk()?;
        if u32::from_be_bytes([a & 0x7f, *b, *c, *d]) == frame.stream {
            return None;
        }
        block = rest;
    }
    block.get(..block.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: u32 = 5;
    /// A literal `:path` of `/#`, without indexing.
    const BLOCK: [u8; 4] = [0x04, 2, b'/', b'#'];
    const END_HEADERS: u8 = 0x4;
    const PADDED: u8 = 0x8;
    const PRIORITY: u8 = 0x20;

    fn send(blocks: &mut Blocks, kind: u8, flags: u8, payload: &[u8], cut: usize) {
        let frame = Frame { kind, flags, length: payload.len(), stream: STREAM };
        let (mut left, mut pieces) = (payload.len(), payload.chunks(cut));
        loop {
            let piece = pieces.next().unwrap_or_default();
            left -= piece.len();
            blocks.piece(frame, piece, left);
            if left == 0 {
                break;
            }
        }
    }

    fn is_marked(kind: u8, flags: u8, payload: &[u8]) -> bool {
        let mut whole = Blocks::new(100);
        send(&mut whole, kind, flags, payload, 100);
        let mut cut = Blocks::new(100);
        send(&mut cut, kind, flags, payload, 1);
        let is_marked = whole.take(STREAM);
        assert_eq!(is_marked, cut.take(STREAM));
        assert!(cut.part.is_empty() && !cut.open && !cut.is_overrun());
        is_marked
    }

    #[test]
    fn padding_and_priority_are_no_part_of_it() {
        assert!(is_marked(kind::HEADERS, END_HEADERS, &BLOCK));
        let padded = [&[3], &BLOCK[..], &[0; 3]].concat();
        assert!(is_marked(kind::HEADERS, END_HEADERS | PADDED, &padded));
        let depends = [&[0x80, 0, 0, 3, 16], &BLOCK[..]].concat();
        assert!(is_marked(kind::HEADERS, END_HEADERS | PRIORITY, &depends));
        let both = [&[2, 0, 0, 0, 3, 16], &BLOCK[..], &[0; 2]].concat();
        assert!(is_marked(kind::HEADERS, END_HEADERS | PADDED | PRIORITY, &both));
    }

    #[test]
    fn what_the_crate_does_not_unpack_is_not_looked_at() {
        let itself = [&[0x80, 0, 0, STREAM as u8, 16], &BLOCK[..]].concat();
        for (flags, payload) in [
            (PRIORITY, itself.as_slice()),
            (PRIORITY, &[0, 0, 0]),
            (PADDED, &[]),
            (PADDED, &[9, 0x04, 2, b'/', b'#']),
            (0, &[]),
        ] {
            assert!(!is_marked(kind::HEADERS, END_HEADERS | flags, payload));
        }
        assert!(!is_marked(kind::CONTINUATION, END_HEADERS, &BLOCK), "of no block");
    }

    #[test]
    fn a_block_in_several_frames_is_one() {
        for cut in [1, 2, 100] {
            let mut blocks = Blocks::new(100);
            let padded = [&[2], &BLOCK[..2], &[0; 2]].concat();
            send(&mut blocks, kind::HEADERS, PADDED, &padded, cut);
            send(&mut blocks, kind::CONTINUATION, 0, &BLOCK[2..], cut);
            assert!(!blocks.take(STREAM));
            send(&mut blocks, kind::CONTINUATION, END_HEADERS, &[], cut);
            assert!(blocks.take(STREAM));
            assert!(!blocks.take(STREAM), "once");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut blocks = Blocks::new(100);
        send(&mut blocks, kind::HEADERS, 0, &[0; 60], 7);
        assert!(!blocks.is_overrun());
        send(&mut blocks, kind::CONTINUATION, 0, &[0; 60], 7);
        assert!(blocks.is_overrun() && blocks.part.is_empty());
        let mut blocks = Blocks::new(100);
        for _ in 0..=MOST_MARKED {
            assert!(!blocks.is_overrun());
            send(&mut blocks, kind::HEADERS, END_HEADERS, &BLOCK, 100);
        }
        assert!(blocks.is_overrun());
        assert!(!blocks.take(STREAM + 2) && blocks.marked.is_empty(), "the past is forgotten");
    }
}
