//! The way of access-log lines: a worker gathers them in a buffer of its own and hands whole
//! batches to a sink, so that a slow disk never holds up a request.

use std::sync::mpsc::{SyncSender, TrySendError};

/// Hand a batch over when it has grown to this many bytes.
const BATCH: usize = 32 * 1024;

/// A worker's end of the access log.
#[derive(Debug)]
pub struct LineBuffer {
    batch: Vec<u8>,
    lines: u64,
    sink: SyncSender<Vec<u8>>,
}

impl LineBuffer {
    /// Lines for this sink, whose channel bounds what may wait.
    #[must_use]
    pub fn new(sink: SyncSender<Vec<u8>>) -> LineBuffer {
        LineBuffer { batch: Vec::with_capacity(BATCH + 4096), lines: 0, sink }
    }

    /// Adds the line that `write` appends, newline included. Returns how many lines were lost
    /// because the sink is too slow: 0 when all is well.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        write(&mut self.batch);
        self.lines += 1;
        if self.batch.len() >= BATCH { self.flush() } else { 0 }
    }

    /// Hands over what has gathered. Returns how many lines were lost.
    pub fn flush(&mut self) -> u64 {
        if self.batch.is_empty() {
            return 0;
        }
        let lines = std::mem::take(&mut self.lines);
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH + 4096));
        match self.sink.try_send(batch) {
            Ok(()) => 0,
            Err(TrySendError::Full(mut batch) | TrySendError::Disconnected(mut batch)) => {
                batch.clear();
                self.batch = batch;
                lines
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_full_sink_loses_lines_and_says_how_many() {
        let (sender, receiver) = sync_channel(1);
        let mut lines = LineBuffer::new(sender);
        lines.line(|out| out.extend_from_slice(b"a\n"));
        assert_eq!(lines.flush(), 0);
        lines.line(|out| out.extend_from_slice(b"b\n"));
        lines.line(|out| out.extend_from_slice(b"c\n"));
        assert_eq!(lines.flush(), 2);
        assert_eq!(receiver.recv().unwrap(), b"a\n");
        lines.line(|out| out.extend_from_slice(b"d\n"));
        assert_eq!(lines.flush(), 0);
        assert_eq!(receiver.recv().unwrap(), b"d\n");
    }
}
