//! The static and the dynamic table (RFC 7541 sections 2.3 and 4, appendix A).

use std::collections::VecDeque;
use std::io;

use crate::message::malformed;

type Field = (String, String);

const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Both tables of one direction.
#[derive(Debug)]
pub(super) struct Table {
    dynamic: VecDeque<Field>,
    size: usize,
    most: usize,
    limit: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table { dynamic: VecDeque::new(), size: 0, most: 4096, limit: 4096 }
    }
}

impl Table {
    /// The field at an index of both tables together.
    pub(super) fn field(&self, index: usize) -> io::Result<Field> {
        let none = || malformed(format!("index {index} of {} dynamic fields", self.dynamic.len()));
        let at = index.checked_sub(1).ok_or_else(none)?;
        match STATIC.get(at) {
            Some((name, value)) => Ok(((*name).to_owned(), (*value).to_owned())),
            None => self.dynamic.get(at - STATIC.len()).cloned().ok_or_else(none),
        }
    }

    /// Adds a field and drops as many as must go for it.
    pub(super) fn insert(&mut self, field: Field) {
        self.size += cost(&field);
        self.dynamic.push_front(field);
        self.shrink();
    }

    /// What the encoder chose.
    pub(super) fn resize(&mut self, most: usize) -> io::Result<()> {
        if most > self.limit {
            return Err(malformed(format!("a table of {most} where {} is the limit", self.limit)));
        }
        self.most = most;
        self.shrink();
        Ok(())
    }

    /// What the decoder allows.
    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn shrink(&mut self) {
        while self.size > self.most {
            let Some(oldest) = self.dynamic.pop_back() else { break };
            self.size -= cost(&oldest);
        }
    }
}

fn cost((name, value): &Field) -> usize {
    name.len() + value.len() + 32
}
