//! Connections that a listener did not let in.

use std::time::SystemTime;

use super::{text, write_time};

/// Connections that were closed at once, told together: whoever floods a listener with connections
/// does not flood the log as well.
#[derive(Debug, Clone)]
pub struct RefusedEvent<'a> {
    /// When it is told.
    pub at: SystemTime,
    /// The listener they came to.
    pub listener: &'a str,
    /// They came too fast; else there was no room for them.
    pub too_fast: bool,
    /// How many since it was told last.
    pub count: u64,
}

impl RefusedEvent<'_> {
    /// Appends the event as one line of JSON (RFC 8259) with a newline.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        write_time(self.at, out);
        out.push(b'"');
        text(out, "listener", Some(self.listener.as_bytes()));
        let error = if self.too_fast { "connections_too_fast" } else { "connections_refused" };
        text(out, "error", Some(error.as_bytes()));
        out.extend_from_slice(b",\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn it_is_a_line_with_a_count() {
        for (too_fast, error) in [(false, "connections_refused"), (true, "connections_too_fast")] {
            let mut out = Vec::new();
            let event = RefusedEvent { at: UNIX_EPOCH, listener: "web", too_fast, count: 7 };
            event.write_json(&mut out);
            let expected = format!(
                "{{\"time\":\"1970-01-01T00:00:00.000000Z\",\"listener\":\"web\",\
                 \"error\":\"{error}\",\"count\":7}}\n"
            );
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
