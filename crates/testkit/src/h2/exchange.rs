//! What came on one stream, and what that makes: a reply or a request.

use std::io;

use crate::Fields;
use crate::message::malformed;

/// What the peer has sent on one stream so far.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// Every field section: interim replies, the head, trailers.
    pub sections: Vec<Fields>,
    /// Content so far.
    pub body: Vec<u8>,
    /// `END_STREAM` has come.
    pub ended: bool,
    /// The code of its `RST_STREAM`.
    pub reset: Option<u32>,
    /// What we may still send; see [`super::Peer::send_content`].
    pub(super) room: i64,
    /// What the peer may still send.
    pub(super) owed: i64,
    pub(super) taken: bool,
}

/// The peer's `GOAWAY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream that it takes.
    pub last: u32,
    /// Why.
    pub code: u32,
}

/// A reply as a client received it.
#[derive(Debug, Clone)]
pub struct H2Reply {
    /// As sent.
    pub status: u16,
    /// Regular fields.
    pub fields: Fields,
    /// Content.
    pub body: Vec<u8>,
    /// Behind the content; empty if there were none.
    pub trailers: Fields,
    /// Interim replies before it.
    pub interim: Vec<(u16, Fields)>,
}

impl H2Reply {
    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of the only field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.one(name)
    }

    /// Of what came on a stream.
    ///
    /// # Errors
    /// It is malformed (RFC 9113 section 8.1.1) or not whole.
    pub(super) fn of(exchange: &Exchange) -> io::Result<H2Reply> {
        let mut sections = exchange.sections.iter();
        let mut interim = Vec::new();
        loop {
            let section = sections.next().ok_or_else(|| malformed("no head".to_owned()))?;
            let (status, fields) = status_and_fields(section)?;
            if (100..200).contains(&status) {
                interim.push((status, fields));
                continue;
            }
            let trailers = sections.next().cloned().unwrap_or_default();
            regular(&trailers.0)?;
            if sections.next().is_some() {
                return Err(malformed("fields behind the trailers".to_owned()));
            }
            let body = exchange.body.clone();
            return Ok(H2Reply { status, fields, body, trailers, interim });
        }
    }
}

fn status_and_fields(section: &Fields) -> io::Result<(u16, Fields)> {
    let wrong = || malformed(format!("a reply's fields {section:?}"));
    let ((name, status), fields) = section.0.split_first().ok_or_else(wrong)?;
    if name != ":status" || status.len() != 3 {
        return Err(wrong());
    }
    regular(fields)?;
    Ok((status.parse().map_err(|_| wrong())?, Fields(fields.to_vec())))
}

/// Fields that may stand in any section of HTTP/2 (RFC 9113 sections 8.2.1 and 8.2.2).
pub(super) fn regular(fields: &[(String, String)]) -> io::Result<()> {
    const OF_CONNECTIONS: [&str; 5] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    for (name, value) in fields {
        let token = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b':';
        let legal = !name.is_empty() && name.bytes().all(token);
        let blank = |c: Option<char>| matches!(c, Some(' ' | '\t'));
        let clean = !value.contains(['\r', '\n', '\0'])
            && !blank(value.chars().next())
            && !blank(value.chars().last());
        if !legal || !clean || OF_CONNECTIONS.contains(&name.as_str()) {
            return Err(malformed(format!("a field {name:?}: {value:?} in HTTP/2")));
        }
    }
    Ok(())
}
