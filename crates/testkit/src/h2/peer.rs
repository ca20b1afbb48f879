//! One side of a connection: sends what it is told to, and keeps account of what comes. Settings
//! and pings are acknowledged and windows opened again as they are used, unless it is told to be
//! quiet. The other side is held to its windows.

use std::collections::BTreeMap;
use std::io;

use super::hpack::Decoder;
use super::{Exchange, Frame, GoAway, ToBytes, Wire, code, flag, kind, setting};
use crate::message::malformed;

const WINDOW: i64 = 65_535;

/// A connection and what is known of it.
#[derive(Debug)]
pub struct Peer<W> {
    pub(super) wire: W,
    decoder: Decoder,
    quiet: bool,
    /// What we have announced, until it is acknowledged.
    pub(super) announced: Vec<(u16, u32)>,
    /// What we may still send on the whole connection.
    room: i64,
    /// What the peer may still send on it.
    owed: i64,
    /// Windows of new streams: ours to send, the peer's.
    initial: (i64, i64),
    block: Option<(Frame, Vec<u8>)>,
    pub(super) next_stream: u32,
    /// What came, by stream.
    pub exchanges: BTreeMap<u32, Exchange>,
    /// Whether the peer's first settings have come.
    pub(super) greeted: bool,
    /// Every setting that came, in order.
    pub settings: Vec<(u16, u32)>,
    /// What came in acknowledged pings.
    pub pongs: Vec<Vec<u8>>,
    /// The last `GOAWAY` that came.
    pub goaway: Option<GoAway>,
}

impl<W: Wire> Peer<W> {
    pub(super) fn fresh(wire: W, next_stream: u32) -> Peer<W> {
        Peer {
            wire,
            decoder: Decoder::default(),
            quiet: false,
            announced: Vec::new(),
            room: WINDOW,
            owed: WINDOW,
            initial: (WINDOW, WINDOW),
            block: None,
            next_stream,
            exchanges: BTreeMap::new(),
            greeted: false,
            settings: Vec::new(),
            pongs: Vec::new(),
            goaway: None,
        }
    }

    /// From here on it acknowledges nothing and opens no window.
    pub fn be_quiet(&mut self) {
        self.quiet = true;
    }

    /// Sends frames or bytes.
    ///
    /// # Panics
    /// The connection is dead.
    pub fn send(&mut self, what: impl ToBytes) {
        self.try_send(what).expect("a connection that takes bytes");
    }

    /// Sends frames or bytes.
    ///
    /// # Errors
    /// The connection is dead, or nobody took them in time.
    pub fn try_send(&mut self, what: impl ToBytes) -> io::Result<()> {
        self.wire.send_bytes(&what.to_bytes())
    }

    /// Announces settings; what follows from them does so when they are acknowledged.
    pub fn announce(&mut self, settings: &[(u16, u32)]) {
        self.announced.extend_from_slice(settings);
        self.send(Frame::settings(settings));
    }

    /// Opens the peer's window of a stream, or of the connection.
    pub fn open_window(&mut self, stream: u32, by: u32) {
        match stream {
            0 => self.owed += i64::from(by),
            stream => self.exchange(stream).owed += i64::from(by),
        }
        // The peer may have gone.
        let _ = self.try_send(Frame::window_update(stream, by));
    }

    /// Reads one frame and takes it into account; `None` when the peer has ended.
    ///
    /// # Errors
    /// The connection failed, or the peer broke the standard.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let head = match self.wire.read_bytes(9) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if length > 16_384 {
            return Err(malformed(format!("a frame of {length} bytes")));
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame::new(head[3], head[4], stream, self.wire.read_bytes(length)?);
        self.take(&frame)?;
        Ok(Some(frame))
    }

    /// Reads frames until `found` finds something; `None` when the peer ended before.
    ///
    /// # Errors
    /// The connection failed, or the peer broke the standard.
    pub fn read_until<T>(
        &mut self,
        mut found: impl FnMut(&mut Peer<W>) -> Option<T>,
    ) -> io::Result<Option<T>> {
        loop {
            if let Some(found) = found(self) {
                return Ok(Some(found));
            }
            if self.next_frame()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Sends content in as many frames as it takes, as the peer opens its windows, and ends the
    /// stream with the last if told so.
    ///
    /// # Errors
    /// The connection ended or failed, or the stream was reset.
    pub fn send_content(&mut self, stream: u32, mut content: &[u8], end: bool) -> io::Result<()> {
        while !content.is_empty() || end {
            let room = self.read_until(|peer| peer.room_for(stream, content.len()))?;
            let room = room.ok_or(io::ErrorKind::UnexpectedEof)??;
            let (now, later) = content.split_at(room);
            content = later;
            let last = end && content.is_empty();
            let frame = Frame::data(stream, now);
            self.try_send(if last { frame.ending() } else { frame })?;
            if last {
                break;
            }
        }
        Ok(())
    }

    /// How much of so many bytes may be sent now; `None` while nothing may.
    fn room_for(&mut self, stream: u32, wanted: usize) -> Option<io::Result<usize>> {
        let initial = self.initial.0;
        let exchange = self.exchanges.entry(stream).or_insert_with(|| opened(initial, WINDOW));
        if let Some(reset) = exchange.reset {
            return Some(Err(io::Error::other(format!("reset with {}", code::name(reset)))));
        }
        let room = usize::try_from(exchange.room.min(self.room)).unwrap_or_default();
        let now = wanted.min(room).min(16_384);
        if now == 0 && wanted > 0 {
            return None;
        }
        let used = i64::try_from(now).expect("a small number");
        exchange.room -= used;
        self.room -= used;
        Some(Ok(now))
    }

    fn take(&mut self, frame: &Frame) -> io::Result<()> {
        if let Some((first, _)) = &self.block
            && (frame.kind != kind::CONTINUATION || frame.stream != first.stream)
        {
            return Err(malformed(format!("within a header block: {}", frame.describe())));
        }
        let wrong = || malformed(frame.describe());
        match frame.kind {
            kind::DATA => self.take_data(frame)?,
            kind::HEADERS | kind::CONTINUATION => self.take_fragment(frame)?,
            kind::RST_STREAM => {
                let reset = frame.number_at(0).ok_or_else(wrong)?;
                self.exchange(frame.stream).reset = Some(reset);
            }
            kind::SETTINGS if frame.has(flag::ACK) => self.settings_acknowledged(),
            kind::SETTINGS => self.take_settings(frame)?,
            kind::PING if frame.has(flag::ACK) => self.pongs.push(frame.payload.clone()),
            kind::PING if !self.quiet => {
                let pong = Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone());
                let _ = self.try_send(pong);
            }
            kind::GOAWAY => {
                let last = frame.number_at(0).ok_or_else(wrong)?;
                let code = frame.number_at(4).ok_or_else(wrong)?;
                self.goaway = Some(GoAway { last, code });
            }
            kind::WINDOW_UPDATE => {
                let by = i64::from(frame.number_at(0).ok_or_else(wrong)?);
                match frame.stream {
                    0 => self.room += by,
                    stream => self.exchange(stream).room += by,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame) -> io::Result<()> {
        let length = frame.payload.len();
        let flow = i64::try_from(length).expect("a small number");
        let padding = if frame.has(flag::PADDED) { usize::from(frame.payload[0]) + 1 } else { 0 };
        let start = usize::from(frame.has(flag::PADDED));
        self.owed -= flow;
        let exchange = self.exchange(frame.stream);
        exchange.owed -= flow;
        exchange.body.extend_from_slice(&frame.payload[start..length - (padding - start)]);
        exchange.ended |= frame.has(flag::END_STREAM);
        let (owed, ended) = (exchange.owed, exchange.ended);
        if owed < 0 || self.owed < 0 {
            return Err(malformed(format!("beyond the window: {}", frame.describe())));
        }
        if !self.quiet && length > 0 {
            let by = u32::try_from(length).expect("a small number");
            self.open_window(0, by);
            if !ended {
                self.open_window(frame.stream, by);
            }
        }
        Ok(())
    }

    fn take_fragment(&mut self, frame: &Frame) -> io::Result<()> {
        let mut fragment = &frame.payload[..];
        if frame.kind == kind::HEADERS {
            let padding = if frame.has(flag::PADDED) { usize::from(fragment[0]) } else { 0 };
            fragment = &fragment[usize::from(frame.has(flag::PADDED))..fragment.len() - padding];
            fragment = &fragment[if frame.has(flag::PRIORITY) { 5 } else { 0 }..];
            self.block = Some((frame.clone(), Vec::new()));
        }
        let Some((first, block)) = &mut self.block else {
            return Err(malformed("CONTINUATION of nothing".to_owned()));
        };
        block.extend_from_slice(fragment);
        if !frame.has(flag::END_HEADERS) {
            return Ok(());
        }
        let fields = self.decoder.decode(block)?;
        let ends = first.has(flag::END_STREAM);
        self.block = None;
        let exchange = self.exchange(frame.stream);
        exchange.sections.push(fields);
        exchange.ended |= ends;
        Ok(())
    }

    fn take_settings(&mut self, frame: &Frame) -> io::Result<()> {
        for entry in frame.payload.chunks(6) {
            let [a, b, rest @ ..] = entry else {
                return Err(malformed(frame.describe()));
            };
            let value = rest.try_into().map(u32::from_be_bytes);
            let value = value.map_err(|_| malformed(frame.describe()))?;
            let id = u16::from_be_bytes([*a, *b]);
            if id == setting::INITIAL_WINDOW_SIZE {
                let more = i64::from(value) - self.initial.0;
                self.initial.0 += more;
                self.exchanges.values_mut().for_each(|exchange| exchange.room += more);
            }
            self.settings.push((id, value));
        }
        self.greeted = true;
        if !self.quiet {
            let _ = self.try_send(Frame::settings_ack());
        }
        Ok(())
    }

    /// Ours hold from here on.
    fn settings_acknowledged(&mut self) {
        for (id, value) in std::mem::take(&mut self.announced) {
            if id == setting::INITIAL_WINDOW_SIZE {
                let more = i64::from(value) - self.initial.1;
                self.initial.1 += more;
                self.exchanges.values_mut().for_each(|exchange| exchange.owed += more);
            }
            if id == setting::HEADER_TABLE_SIZE {
                self.decoder.limit(usize::try_from(value).unwrap_or(usize::MAX));
            }
        }
    }

    pub(super) fn exchange(&mut self, stream: u32) -> &mut Exchange {
        let (room, owed) = self.initial;
        self.exchanges.entry(stream).or_insert_with(|| opened(room, owed))
    }
}

fn opened(room: i64, owed: i64) -> Exchange {
    Exchange { room, owed, ..Exchange::default() }
}
