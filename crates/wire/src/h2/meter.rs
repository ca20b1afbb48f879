//! What a peer's frames cost against what they are good for.
//!
//! The meter sees every frame header on its way to and from the `h2` crate. Frames that ask for
//! work and bring none (resets, settings, pings, priorities, empty frames, window updates out of
//! proportion) draw on a bucket; when it is empty the peer is thrown out with
//! `ENHANCE_YOUR_CALM`. On the way out it notes the errors that the crate tells the peer.

use std::time::Instant;

use super::blocks::Blocks;
use super::bucket::Bucket;
use super::walker::{Frame, Walker, kind};

/// What a frame that carries something gives back.
const USEFUL: u32 = 4;
/// Content of fewer bytes is good for nothing, and hardly ours to send but for tiny windows.
const LEAST_USEFUL: usize = 6;
const PROTOCOL_ERROR: u32 = 0x1;
const FRAME_SIZE_ERROR: u32 = 0x6;
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// One more is given back for so many bytes that the peer takes.
const BYTES_A_CREDIT: usize = 1024;

/// Bounds on what a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameBounds {
    /// Streams that it may reset, or have reset by breaking rules, at once; a tenth of it a second
    /// in the long run.
    pub resets: u32,
    /// Frames that carry neither request nor content, at once; a tenth of it a second in the long
    /// run, and more in proportion to what is carried.
    pub control_frames: u32,
    /// CONTINUATION frames of one header block.
    pub continuations: u32,
}

/// What a peer did too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Resetting streams (CVE-2023-44487), or having them reset (CVE-2025-8671).
    Resets,
    /// Frames that ask for work and carry nothing.
    ControlFrames,
    /// Splitting a header block (CVE-2024-27316).
    Continuations,
}

/// Why a peer is thrown out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It sent too much of something.
    Flood(Flood),
    /// Its frames break the standard in a way that this code names (RFC 9113, 7).
    Broken(u32),
}

/// An error that we told the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentError {
    /// RST_STREAM with this code.
    Stream(u32),
    /// GOAWAY with this code.
    Connection(u32),
}

/// The meter of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    inward: Walker,
    outward: Walker,
    resets: Bucket,
    control: Bucket,
    continuations: u32,
    most_continuations: u32,
    /// The stream whose header block has begun and not ended.
    open_block: Option<u32>,
    /// The crate has given a header block up in its middle.
    lost_place: bool,
    /// Counts frames from the peer, a header block as one.
    stage: u64,
    /// The peer's first SETTINGS have come.
    greeted: bool,
    verdict: Option<Verdict>,
    /// The crate found first that the peer floods us.
    calmed: Option<Flood>,
    /// Errors sent and not yet reported; none where nobody asks for them.
    errors: Option<Vec<SentError>>,
    /// Looks at the peer's header blocks, if it sends requests.
    blocks: Option<Blocks>,
}

impl Meter {
    /// A meter for a connection whose peer sends `preface` bytes before its first frame.
    pub(crate) fn new(bounds: &FrameBounds, preface: usize, now: Instant) -> Meter {
        Meter {
            inward: Walker::after(preface),
            outward: Walker::after(0),
            resets: Bucket::new(bounds.resets, now),
            control: Bucket::new(bounds.control_frames, now),
            continuations: 0,
            most_continuations: bounds.continuations,
            open_block: None,
            lost_place: false,
            stage: 0,
            greeted: false,
            verdict: None,
            calmed: None,
            errors: Some(Vec::new()),
            blocks: None,
        }
    }

    /// A meter for a connection to which we send `preface` bytes before our first frame.
    pub(crate) fn of_origin(bounds: &FrameBounds, preface: usize, now: Instant) -> Meter {
        let outward = Walker::after(preface);
        Meter { outward, errors: None, ..Meter::new(bounds, 0, now) }
    }

    /// Looks at header blocks as well, of at most so many bytes.
    pub(crate) fn of_requests(self, most: usize) -> Meter {
        Meter { blocks: Some(Blocks::new(most)), ..self }
    }

    /// Looks at bytes from the peer. `false` when they must not be worked on any more.
    pub(crate) fn received(&mut self, bytes: &[u8]) -> bool {
        let Meter { inward, verdict, blocks, .. } = self;
        let mut counts = Counts {
            resets: &mut self.resets,
            control: &mut self.control,
            continuations: &mut self.continuations,
            most_continuations: self.most_continuations,
            open_block: &mut self.open_block,
            stage: &mut self.stage,
            greeted: &mut self.greeted,
        };
        let saw = |frame, _: &[u8]| {
            if let Some(found) = counts.judge(frame) {
                verdict.get_or_insert(found);
            }
        };
        match blocks {
            None => inward.walk(bytes, saw),
            Some(blocks) => {
                inward
                    .walk_heads(bytes, saw, |frame, piece, left| blocks.piece(frame, piece, left));
                if blocks.is_overrun() {
                    verdict.get_or_insert(Verdict::Broken(ENHANCE_YOUR_CALM));
                }
            }
        }
        self.verdict.is_none()
    }

    /// Looks at bytes to the peer, as they leave.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        let Meter { outward, resets, control, errors, verdict, calmed, .. } = self;
        let (open_block, lost_place) = (self.open_block, &mut self.lost_place);
        let mut note = |error| errors.iter_mut().for_each(|errors| errors.push(error));
        outward.walk(bytes, |frame, payload| {
            let code = |at: usize| {
                let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map(u32::from_be_bytes)
            };
            match frame.kind {
                kind::HEADERS => _ = control.give(USEFUL),
                kind::DATA if frame.length >= LEAST_USEFUL => _ = control.give(USEFUL),
                kind::RST_STREAM => {
                    let Some(code) = code(0).filter(|&code| code != 0) else { return };
                    note(SentError::Stream(code));
                    *lost_place |= code == PROTOCOL_ERROR && open_block == Some(frame.stream);
                    if is_peers_fault(code) && !resets.take() {
                        verdict.get_or_insert(Verdict::Flood(Flood::Resets));
                    }
                }
                kind::GOAWAY => {
                    let Some(code) = code(4).filter(|&code| code != 0) else { return };
                    note(SentError::Connection(code));
                    if code == ENHANCE_YOUR_CALM && verdict.is_none() {
                        *calmed = Some(by_name(payload.get(8..).unwrap_or_default()));
                    }
                }
                _ => {}
            }
        });
    }

    /// So many bytes were taken by the peer.
    pub(crate) fn taken(&mut self, bytes: usize) {
        let credit = u32::try_from(bytes / BYTES_A_CREDIT).unwrap_or(u32::MAX);
        self.control.give(credit);
    }

    /// Whether the peer has said what it takes.
    pub(crate) fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether the peer was last seen to send content.
    pub(crate) fn is_in_content(&self) -> bool {
        self.inward.is_in_content()
    }

    /// Why the peer is to be thrown out, if it is.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Whether a header block was given up in its middle. The crate resets its stream, forgets the
    /// block, and takes what is left of it for an error of the whole connection.
    pub(crate) fn has_lost_its_place(&self) -> bool {
        self.lost_place
    }

    /// What the peer did too often, whoever noticed, if anything.
    pub(crate) fn flood(&self) -> Option<Flood> {
        match self.verdict {
            Some(Verdict::Flood(flood)) => Some(flood),
            Some(Verdict::Broken(_)) => None,
            None => self.calmed,
        }
    }

    /// Whether the path of this stream's request had a fragment; to be asked once, in order.
    pub(crate) fn take_fragment(&mut self, stream: u32) -> bool {
        self.blocks.as_mut().is_some_and(|blocks| blocks.take(stream))
    }

    /// Whether the peer is inside a head, or inside a frame that is not content: what it must
    /// finish soon. The number tells one such frame from the next.
    pub(crate) fn owes(&self) -> Option<u64> {
        let owes = !self.greeted || self.open_block.is_some() || self.inward.is_inside_control();
        owes.then_some(self.stage)
    }

    /// The errors that were told to the peer since the last call.
    pub(crate) fn take_errors(&mut self) -> Vec<SentError> {
        self.errors.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// What a frame is counted in.
struct Counts<'a> {
    resets: &'a mut Bucket,
    control: &'a mut Bucket,
    continuations: &'a mut u32,
    most_continuations: u32,
    open_block: &'a mut Option<u32>,
    stage: &'a mut u64,
    greeted: &'a mut bool,
}

impl Counts<'_> {
    /// Counts a frame, and says what is wrong if that is the last straw.
    fn judge(&mut self, frame: Frame) -> Option<Verdict> {
        *self.stage += u64::from(frame.kind != kind::CONTINUATION);
        if frame.has_wrong_size() {
            return Some(Verdict::Broken(FRAME_SIZE_ERROR));
        }
        if !*self.greeted && (frame.kind != kind::SETTINGS || frame.is_ack()) {
            return Some(Verdict::Broken(PROTOCOL_ERROR));
        }
        *self.greeted = true;
        let empty = frame.length == 0;
        let fine = match frame.kind {
            // What is padded may be nothing but padding; the crate counts that.
            kind::DATA if frame.is_padded() || (empty && frame.ends_stream()) => true,
            kind::DATA if !empty => self.control.give(USEFUL),
            kind::HEADERS | kind::CONTINUATION => {
                let first = frame.kind == kind::HEADERS;
                *self.continuations = if first { 0 } else { *self.continuations + 1 };
                *self.open_block = (!frame.ends_headers()).then_some(frame.stream);
                if *self.continuations > self.most_continuations {
                    return Some(Verdict::Flood(Flood::Continuations));
                }
                if empty { self.control.take() } else { self.control.give(USEFUL) }
            }
            kind::RST_STREAM if !self.resets.take() => {
                return Some(Verdict::Flood(Flood::Resets));
            }
            kind::RST_STREAM => true,
            _ => self.control.take(),
        };
        (!fine).then_some(Verdict::Flood(Flood::ControlFrames))
    }
}

/// What the crate throws a peer out for, as it names it in GOAWAY.
fn by_name(debug: &[u8]) -> Flood {
    const RESETS: [&[u8]; 2] = [b"too_many_resets", b"too_many_internal_resets"];
    const CONTINUATIONS: [&[u8]; 2] = [b"too_many_continuations", b"header_list_way"];
    let is_one_of = |names: &[&[u8]]| names.iter().any(|name| debug.starts_with(name));
    if is_one_of(&RESETS) {
        Flood::Resets
    } else if is_one_of(&CONTINUATIONS) {
        Flood::Continuations
    } else {
        Flood::ControlFrames
    }
}

/// Whether a stream that we reset with this code was reset because the peer broke a rule:
/// PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR.
fn is_peers_fault(code: u32) -> bool {
    matches!(code, 0x1 | 0x3 | 0x5 | 0x6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: FrameBounds = FrameBounds { resets: 3, control_frames: 5, continuations: 2 };

    fn meter() -> Meter {
        let mut meter = Meter::new(&BOUNDS, 0, Instant::now());
        assert!(meter.owes().is_some());
        assert!(meter.received(&frame(kind::SETTINGS, 0, &[])));
        meter.control.level = BOUNDS.control_frames;
        meter
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn useless_frames_are_counted_and_useful_ones_pay() {
        for useless in [
            frame(kind::PING, 0, &[0; 8]),
            frame(kind::SETTINGS, 0, &[]),
            frame(kind::PRIORITY, 0, &[0; 5]),
            frame(kind::WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
            frame(kind::DATA, 0, &[]),
            frame(0xbe, 0, b"grease"),
        ] {
            let mut meter = meter();
            assert!(meter.received(&useless.repeat(5)));
            assert!(!meter.received(&useless));
            assert_eq!(meter.flood(), Some(Flood::ControlFrames));
        }
        let mut meter = meter();
        let mut mixed = frame(kind::PING, 0, &[0; 8]).repeat(4);
        mixed.extend(frame(kind::DATA, 0, b"content"));
        assert!(meter.received(&mixed.repeat(100)));
        assert!(meter.received(&frame(kind::DATA, 1, &[]).repeat(100)), "ends cost nothing");
    }

    #[test]
    fn resets_are_counted_whoever_sends_them() {
        let mut meter = meter();
        assert!(meter.received(&frame(kind::RST_STREAM, 0, &[0, 0, 0, 8]).repeat(2)));
        meter.sent(&frame(kind::RST_STREAM, 0, &[0, 0, 0, 8]));
        meter.sent(&frame(kind::RST_STREAM, 0, &[0, 0, 0, 1]));
        assert_eq!(meter.flood(), None);
        assert_eq!(meter.take_errors(), [SentError::Stream(8), SentError::Stream(1)]);
        meter.sent(&frame(kind::RST_STREAM, 0, &[0, 0, 0, 3]));
        assert_eq!(meter.flood(), Some(Flood::Resets));
    }

    #[test]
    fn header_blocks_have_few_parts() {
        let mut meter = meter();
        assert!(meter.received(&frame(kind::HEADERS, 0, b"x")));
        assert!(meter.owes().is_some());
        assert!(meter.received(&frame(kind::CONTINUATION, 0, b"x").repeat(2)));
        assert!(!meter.received(&frame(kind::CONTINUATION, 4, b"x")));
        assert_eq!(meter.flood(), Some(Flood::Continuations));
    }

    #[test]
    fn a_block_that_is_given_up_in_its_middle_is_noted() {
        let reset = |code| frame(kind::RST_STREAM, 0, &[0, 0, 0, code]);
        let mut meter = meter();
        assert!(meter.received(&frame(kind::HEADERS, 4, b"x")));
        meter.sent(&reset(1));
        assert!(!meter.has_lost_its_place(), "the block is whole");
        assert!(meter.received(&frame(kind::HEADERS, 0, b"x")));
        meter.sent(&reset(8));
        assert!(!meter.has_lost_its_place(), "nobody wants it, but it is read");
        meter.sent(&reset(1));
        assert!(meter.has_lost_its_place());
    }

    #[test]
    fn what_goes_to_an_origin_begins_with_a_preface() {
        let mut meter = Meter::of_origin(&BOUNDS, 24, Instant::now());
        meter.sent(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        meter.sent(&frame(kind::SETTINGS, 0, &[]));
        for _ in 0..=BOUNDS.resets {
            meter.sent(&frame(kind::RST_STREAM, 0, &[0, 0, 0, 1]));
        }
        assert_eq!(meter.flood(), Some(Flood::Resets));
        assert_eq!(meter.take_errors(), [], "nobody would take them");
    }

    #[test]
    fn errors_of_the_connection_are_noted() {
        let mut meter = meter();
        meter.sent(&frame(kind::GOAWAY, 0, &[0, 0, 0, 1, 0, 0, 0, 11, b'x']));
        meter.sent(&frame(kind::GOAWAY, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        assert_eq!(meter.take_errors(), [SentError::Connection(11)]);
    }

    #[test]
    fn broken_frames_have_their_code() {
        for (broken, code) in [
            (frame(kind::PING, 0, &[0; 7]), FRAME_SIZE_ERROR),
            (frame(kind::RST_STREAM, 0, &[0; 5]), FRAME_SIZE_ERROR),
            (frame(kind::WINDOW_UPDATE, 0, &[0; 3]), FRAME_SIZE_ERROR),
            (frame(kind::SETTINGS, 0, &[0; 5]), FRAME_SIZE_ERROR),
            (frame(kind::SETTINGS, 1, &[0; 6]), FRAME_SIZE_ERROR),
            (frame(kind::GOAWAY, 0, &[0; 7]), FRAME_SIZE_ERROR),
        ] {
            let mut meter = meter();
            assert!(!meter.received(&broken));
            assert_eq!(meter.verdict(), Some(Verdict::Broken(code)));
        }
        let mut meter = Meter::new(&BOUNDS, 0, Instant::now());
        assert!(!meter.received(&frame(kind::PING, 0, &[0; 8])), "SETTINGS come first");
        assert_eq!(meter.verdict(), Some(Verdict::Broken(PROTOCOL_ERROR)));
    }

    #[test]
    fn a_flood_that_the_crate_finds_is_known_too() {
        for (name, flood) in [
            ("", Flood::ControlFrames),
            ("too_many_data_frames", Flood::ControlFrames),
            ("too_many_internal_resets", Flood::Resets),
            ("too_many_continuations", Flood::Continuations),
        ] {
            let mut meter = meter();
            let goaway = [&[0, 0, 0, 1, 0, 0, 0, 11][..], name.as_bytes()].concat();
            meter.sent(&frame(kind::GOAWAY, 0, &goaway));
            assert_eq!((meter.flood(), meter.verdict()), (Some(flood), None));
        }
    }

    #[test]
    fn a_dribble_pays_for_nothing() {
        let mut meter = meter();
        for _ in 0..BOUNDS.control_frames {
            meter.sent(&frame(kind::DATA, 0, b"x"));
            meter.sent(&frame(kind::PING, 1, &[0; 8]));
            meter.taken(27);
            assert!(meter.received(&frame(kind::WINDOW_UPDATE, 0, &[0, 0, 0, 1])));
        }
        assert!(!meter.received(&frame(kind::WINDOW_UPDATE, 0, &[0, 0, 0, 1])));
    }
}
