//! The sink on real files, with time given where it matters.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::TrySendError;
use std::{env, fs, process};

use super::output::{write_all, write_apart};
use super::*;

/// Longer than any of these tests should need.
const LONG: Duration = Duration::from_secs(30);

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("portcullis-log-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn log(&self) -> PathBuf {
        self.0.join("access.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn start(path: &Path) -> (AccessLogSink, SyncSender<Vec<u8>>) {
    AccessLogSink::start(&AccessLog::File(path.into())).unwrap().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn batches_are_appended_in_order_and_finish_waits_for_them() {
    let folder = Folder::new();
    fs::write(folder.log(), "old\n").unwrap();
    let (sink, queue) = start(&folder.log());
    let mut expected = String::from("old\n");
    for i in 0..500 {
        queue.send(format!("{i}\n").into_bytes()).unwrap();
        expected.push_str(&format!("{i}\n"));
    }
    assert!(sink.finish(LONG));
    assert_eq!(read(&folder.log()), expected);
    assert_eq!(sink.lost_lines(), 0);

    // Who sends later learns that nobody takes it, and may finish again without harm.
    let late = queue.try_send(b"late\n".to_vec());
    assert_eq!(late, Err(TrySendError::Disconnected(b"late\n".to_vec())));
    assert!(sink.finish(LONG));
}

#[test]
fn a_new_file_is_not_for_everybody() {
    let folder = Folder::new();
    let (_sink, _queue) = start(&folder.log());
    let mode = fs::metadata(folder.log()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7137, 0, "{mode:o}");
}

#[test]
fn off_starts_nothing_and_a_bad_path_is_an_error() {
    assert!(AccessLogSink::start(&AccessLog::Off).unwrap().is_none());
    let folder = Folder::new();
    let missing = AccessLog::File(folder.0.join("missing/access.log"));
    assert_eq!(AccessLogSink::start(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn reopen_goes_to_the_new_file_at_once_even_when_idle() {
    let folder = Folder::new();
    let (sink, queue) = start(&folder.log());
    queue.send(b"one\n".to_vec()).unwrap();
    // The batch is in the old file only if it was written before the rotation.
    while read(&folder.log()).is_empty() {
        thread::yield_now();
    }
    let rotated = folder.0.join("access.log.1");
    fs::rename(folder.log(), &rotated).unwrap();
    sink.reopen();
    while !folder.log().exists() {
        thread::yield_now();
    }
    queue.send(b"two\n".to_vec()).unwrap();
    assert!(sink.finish(LONG));
    assert_eq!((read(&rotated).as_str(), read(&folder.log()).as_str()), ("one\n", "two\n"));
}

#[test]
fn a_file_that_moved_or_vanished_is_noticed_within_a_second() {
    let folder = Folder::new();
    let start = Instant::now();
    let after = |millis| start + Duration::from_millis(millis);
    let mut output = Output::file(folder.log(), start).unwrap();
    let rotated = folder.0.join("access.log.1");
    fs::rename(folder.log(), &rotated).unwrap();

    for (millis, line) in [(999, "a\n"), (1000, "b\n"), (1999, "c\n")] {
        output.follow(false, after(millis)).unwrap();
        output.write(line.as_bytes()).unwrap();
    }
    assert_eq!(read(&rotated), "a\n");
    assert_eq!(read(&folder.log()), "b\nc\n");

    fs::remove_file(folder.log()).unwrap();
    output.follow(false, after(2000)).unwrap();
    output.write(b"d\n").unwrap();
    assert_eq!(read(&folder.log()), "d\n");
}

#[test]
fn what_cannot_be_reopened_goes_on_as_it_was() {
    let folder = Folder::new();
    let start = Instant::now();
    let mut output = Output::file(folder.log(), start).unwrap();
    let rotated = folder.0.join("access.log.1");
    fs::rename(folder.log(), &rotated).unwrap();
    fs::create_dir(folder.log()).unwrap();

    let failed = output.follow(true, start).unwrap_err();
    assert_eq!(failed.path, folder.log());
    output.write(b"a\n").unwrap();
    assert_eq!(read(&rotated), "a\n");
}

#[test]
fn a_full_disk_costs_lines_which_are_counted() {
    let (sink, queue) = start(Path::new("/dev/full"));
    queue.send(b"a\nb\n".to_vec()).unwrap();
    queue.send(b"c\n".to_vec()).unwrap();
    assert!(sink.finish(LONG));
    assert_eq!(sink.lost_lines(), 3);
}

#[test]
fn an_output_that_hangs_does_not_hold_up_the_end() {
    let (writer, _never_read) = UnixStream::pair().unwrap();
    let output = Output::stream(File::from(OwnedFd::from(writer)));
    let (sink, queue) = AccessLogSink::start_on(output).unwrap();
    queue.send(vec![b'x'; 16 << 20]).unwrap();
    // The first batch is stuck, so the queue fills up; workers see that without waiting.
    while queue.try_send(b"y\n".to_vec()).is_ok() {}
    assert!(!sink.finish(Duration::from_millis(20)));
}

/// A stream that does what it is told, step by step.
struct Script {
    steps: VecDeque<io::Result<usize>>,
    taken: Vec<u8>,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.steps.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
        self.taken.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn short_and_blocked_writes_go_on_where_they_stopped() {
    let steps = [
        Ok(2),
        Err(io::ErrorKind::WouldBlock.into()),
        Err(io::ErrorKind::Interrupted.into()),
        Ok(1),
    ];
    let mut script = Script { steps: steps.into(), taken: Vec::new() };
    write_all(&mut script, b"abcdef\n").unwrap();
    assert_eq!(script.taken, b"abcdef\n");

    let steps = [Ok(3), Err(io::ErrorKind::StorageFull.into())];
    let mut script = Script { steps: steps.into(), taken: Vec::new() };
    let (written, error) = write_all(&mut script, b"abcdef\n").unwrap_err();
    assert_eq!((written, error.kind()), (3, io::ErrorKind::StorageFull));
}

#[test]
fn a_stream_gets_whole_lines_in_pieces_that_are_not_divided() {
    struct Pieces(Vec<Vec<u8>>);
    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let line = |length: usize| [&vec![b'x'; length - 1][..], b"\n"].concat();
    let lines = [line(3000), line(1096), line(1), line(5000), line(4096), line(10)].concat();
    let mut pieces = Pieces(Vec::new());
    write_apart(&mut pieces, &lines).unwrap();
    assert_eq!(pieces.0.concat(), lines);
    let lengths: Vec<usize> = pieces.0.iter().map(Vec::len).collect();
    assert_eq!(lengths, [4096, 1, 5000, 4096, 10]);
}

#[test]
fn half_a_line_does_not_spoil_the_next() {
    let (writer, mut reader) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    let mut output = Output::stream(File::from(OwnedFd::from(writer)));
    // Larger than the socket's buffer, so it breaks off within its only line.
    let mut long = vec![b'x'; 16 << 20];
    long.push(b'\n');
    assert_eq!(output.write(&long).unwrap_err().lines, 1);

    let mut all = Vec::new();
    let reading = thread::spawn(move || {
        io::Read::read_to_end(&mut reader, &mut all).unwrap();
        all
    });
    output.write(b"next\n").unwrap();
    drop(output);
    assert!(reading.join().unwrap().ends_with(b"x\nnext\n"));
}

#[test]
fn trouble_is_told_once_a_minute_with_what_was_held_back() {
    let start = Instant::now();
    let mut reports = Reports::default();
    let mut told = Vec::new();
    for seconds in [0, 1, 59, 60, 61, 200] {
        reports
            .report(start + Duration::from_secs(seconds), |earlier| told.push((seconds, earlier)));
    }
    assert_eq!(told, [(0, 0), (60, 2), (200, 1)]);
}
