//! The sink of the access log: one thread that writes whole batches of lines, so that no worker
//! ever waits for a disk or a terminal.
//!
//! The queue is bounded. A worker that finds it full drops its batch and counts the lines; the
//! sink counts those that it could not write.

mod output;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_config::model::AccessLog;

use self::output::{Followed, Output};

/// Batches that may wait. A batch is about 32 KiB, so about 2 MiB.
const QUEUE: usize = 64;

/// Tell of trouble at most so often.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The running access log. Dropping it ends its thread after what is queued, without waiting.
#[derive(Debug)]
pub struct AccessLogSink {
    shared: Arc<Shared>,
    /// The sink's own way into its queue; an empty batch only wakes the thread.
    queue: SyncSender<Vec<u8>>,
    /// Disconnected once the thread has ended.
    ended: Mutex<Receiver<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    reopen: AtomicBool,
    finish: AtomicBool,
    lost_lines: AtomicU64,
}

impl AccessLogSink {
    /// Starts the sink and gives the queue for [`portcullis_core::log::LineBuffer`]s; `None` when
    /// the access log is off.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or the thread cannot be started.
    pub fn start(target: &AccessLog) -> io::Result<Option<(AccessLogSink, SyncSender<Vec<u8>>)>> {
        let output = match target {
            AccessLog::Off => return Ok(None),
            // A descriptor of our own goes around the line buffer and lock of `std`'s stdout.
            AccessLog::Stdout => {
                Output::stream(File::from(io::stdout().as_fd().try_clone_to_owned()?))
            }
            AccessLog::File(path) => Output::file(path.clone(), Instant::now())?,
        };
        AccessLogSink::start_on(output).map(Some)
    }

    fn start_on(output: Output) -> io::Result<(AccessLogSink, SyncSender<Vec<u8>>)> {
        let (queue, batches) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(0);
        let shared = Arc::new(Shared::default());
        let mut writer =
            Writer { output, shared: Arc::clone(&shared), reports: Reports::default() };
        thread::Builder::new().name("access-log".into()).spawn(move || {
            writer.run(&batches);
            // In this order: who sees the end also sees the queue closed.
            drop((writer, batches));
            drop(end);
        })?;
        let sink = AccessLogSink { shared, queue: queue.clone(), ended: Mutex::new(ended) };
        Ok((sink, queue))
    }

    /// Opens the file anew before the next write, as after a rotation. A file that was moved or
    /// removed is noticed without this, too, though only with a line that comes a second later.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Lines lost so far because writing failed.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.shared.lost_lines.load(Ordering::Relaxed)
    }

    /// Writes what is queued and ends the thread. Batches that are sent later are refused, so the
    /// workers should have handed over theirs before. Returns `false` when the output took longer than `wait`; the thread is then left behind.
    pub fn finish(&self, wait: Duration) -> bool {
        self.end();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: an error other than the timeout means that the thread has ended.
        ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout)
    }

    fn end(&self) {
        self.shared.finish.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        // When the queue is full, the thread is busy and looks at the flags by itself.
        _ = self.queue.try_send(Vec::new());
    }
}

impl Drop for AccessLogSink {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread holds.
struct Writer {
    output: Output,
    shared: Arc<Shared>,
    reports: Reports,
}

impl Writer {
    fn run(&mut self, batches: &Receiver<Vec<u8>>) {
        while !self.shared.finish.load(Ordering::SeqCst) {
            let Ok(batch) = batches.recv() else { return };
            self.write(&batch, Instant::now());
        }
        // Workers may still be sending: what the queue can hold is taken, and no more.
        for batch in batches.try_iter().take(QUEUE) {
            self.write(&batch, Instant::now());
        }
    }

    fn write(&mut self, batch: &[u8], now: Instant) {
        let asked = self.shared.reopen.swap(false, Ordering::SeqCst);
        if let Err(Followed { path, error }) = self.output.follow(asked, now) {
            self.reports.report(now, |earlier| {
                tracing::warn!(path = %path.display(), %error, earlier, "the access log cannot be reopened");
            });
        }
        if let Err(unwritten) = self.output.write(batch) {
            let (error, lines) = (unwritten.error, unwritten.lines);
            self.shared.lost_lines.fetch_add(lines, Ordering::Relaxed);
            self.reports.report(now, |earlier| {
                tracing::warn!(%error, lines, earlier, "the access log cannot be written; lines are lost");
            });
        }
    }
}

/// Keeps a full disk from filling the log with complaints.
#[derive(Debug, Default)]
struct Reports {
    last: Option<Instant>,
    held_back: u64,
}

impl Reports {
    /// Calls `tell` with the number of reports held back before, unless one was made just now.
    fn report(&mut self, now: Instant, tell: impl FnOnce(u64)) {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < REPORT_EVERY) {
            self.held_back += 1;
            return;
        }
        self.last = Some(now);
        tell(std::mem::take(&mut self.held_back));
    }
}
