//! What a client may and may not send, row by row: the bytes, the place in the standard, what must
//! come of it.
//!
//! Plain data, made by functions because header blocks have to be written. The client has exchanged
//! settings; streams begin at 1 and end below 101, which the runner uses to see that the connection
//! goes on. A request that must not reach the origin asks for a path below `/bad`.

mod compression;
mod content;
mod fields;
mod frames;
mod requests;
mod settings;
mod streams;

use portcullis_testkit::h2::{Block, Frame, ToBytes, code};

/// What one client sends on one connection, and what must come of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Of RFC 9113, if no other is named.
    pub(super) section: &'static str,
    /// Sent first, and the reply on stream 1 waited for.
    pub(super) before: Option<Vec<u8>>,
    pub(super) bytes: Vec<u8>,
    /// The stream that it is about.
    pub(super) stream: u32,
    pub(super) expect: Expect,
    pub(super) deviation: Option<Deviation>,
}

/// What the gateway does instead of what the standard asks for, because the `h2` crate does. A test
/// fails when it no longer does: then the mark must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deviation {
    /// `GOAWAY` with this code.
    Connection(u32),
    /// A reply with this status.
    Status(u16),
}

/// What must come of it; where the standard leaves a choice, any of these.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expect {
    /// Codes of a `GOAWAY`, behind which the connection ends.
    pub(super) connection: &'static [u32],
    /// Codes of a `RST_STREAM`; the connection goes on.
    pub(super) stream: &'static [u32],
    /// Statuses of a reply; the connection goes on.
    pub(super) status: &'static [u16],
    /// Nothing; the connection goes on.
    pub(super) ignored: bool,
}

impl Expect {
    const fn or_connection(mut self, codes: &'static [u32]) -> Expect {
        self.connection = codes;
        self
    }

    const fn or_stream(mut self, codes: &'static [u32]) -> Expect {
        self.stream = codes;
        self
    }

    const fn or_status(mut self, status: &'static [u16]) -> Expect {
        self.status = status;
        self
    }

    const fn or_ignored(mut self) -> Expect {
        self.ignored = true;
        self
    }
}

const NOTHING: Expect = Expect { connection: &[], stream: &[], status: &[], ignored: false };
const IGNORED: Expect = NOTHING.or_ignored();
const OK: Expect = NOTHING.or_status(&[200]);
/// A malformed request (section 8.1.1).
const MALFORMED: Expect = NOTHING.or_stream(&[code::PROTOCOL_ERROR]);
/// The same where a name or a value cannot be read as one at all. The `h2` crate finds that while it
/// unpacks the block and ends the connection, as section 5.4.1 allows for any error of a stream.
const UNREADABLE: Expect = MALFORMED.or_connection(&[code::PROTOCOL_ERROR]);
/// Legal frames with a request that the gateway has a reason not to take.
const REFUSED: Expect = MALFORMED.or_status(&[400]);

/// A connection error.
const fn connection(codes: &'static [u32]) -> Expect {
    NOTHING.or_connection(codes)
}

/// A stream error.
const fn stream(codes: &'static [u32]) -> Expect {
    NOTHING.or_stream(codes)
}

/// Either, as section 5.1 allows for closed streams.
const fn either(codes: &'static [u32]) -> Expect {
    NOTHING.or_stream(codes).or_connection(codes)
}

fn case(name: &'static str, section: &'static str, expect: Expect, send: impl ToBytes) -> Case {
    Case { name, section, before: None, bytes: send.to_bytes(), stream: 1, expect, deviation: None }
}

impl Case {
    /// With a request before it whose exchange is over.
    fn behind(mut self, send: impl ToBytes) -> Case {
        self.before = Some(send.to_bytes());
        self
    }

    /// Where the gateway ends the connection as it should, but with another code.
    fn told_as(mut self, code: u32) -> Case {
        self.deviation = Some(Deviation::Connection(code));
        self
    }

    /// Where the gateway answers what it should refuse.
    fn answered_with(mut self, status: u16) -> Case {
        self.deviation = Some(Deviation::Status(status));
        self
    }

    /// About another stream than 1.
    fn about(mut self, stream: u32) -> Case {
        self.stream = stream;
        self
    }
}

/// A whole request on stream 1.
fn get() -> Frame {
    Frame::headers(1, &Block::get("/")).ending()
}

/// The head of a request on stream 1 whose content is to follow, and goes below `/bad`.
fn open() -> Frame {
    Frame::headers(1, &Block::post("/bad"))
}

/// A whole request with this block on stream 1.
fn whole(block: Block) -> Frame {
    Frame::headers(1, &block).ending()
}

/// Groups by name.
pub(super) fn groups() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("frames", frames::cases()),
        ("settings", settings::cases()),
        ("streams", streams::cases()),
        ("fields", fields::cases()),
        ("requests", requests::cases()),
        ("content", content::cases()),
        ("compression", compression::cases()),
    ]
}
