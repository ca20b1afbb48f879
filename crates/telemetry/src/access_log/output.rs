//! Where the lines go: a stream as it is, or a file that is followed by its path, so that a log
//! that was rotated away is opened anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Look whether the path still leads to the open file at most so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often, and how long each time, to wait for a stream that another process made
/// non-blocking: a second in all.
const STREAM_WAITS: u32 = 200;
const STREAM_WAIT: Duration = Duration::from_millis(5);

/// The system writes so many bytes to a pipe at once or not at all (`PIPE_BUF`).
const UNDIVIDED: usize = 4096;

/// An open output.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    path: Option<Path>,
    /// The last write broke off within a line.
    torn: bool,
}

#[derive(Debug)]
struct Path {
    path: PathBuf,
    identity: Identity,
    looked: Instant,
}

/// Device and inode.
type Identity = (u64, u64);

/// A file that could not be opened anew; the old one stays in use.
#[derive(Debug)]
pub(super) struct Followed<'a> {
    pub(super) path: &'a std::path::Path,
    pub(super) error: io::Error,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) error: io::Error,
    /// Lines that are not in the output, or not wholly.
    pub(super) lines: u64,
}

impl Output {
    pub(super) fn stream(file: File) -> Output {
        Output { file, path: None, torn: false }
    }

    pub(super) fn file(path: PathBuf, now: Instant) -> io::Result<Output> {
        let (file, identity) = open(&path)?;
        Ok(Output { file, path: Some(Path { path, identity, looked: now }), torn: false })
    }

    /// Opens the file anew when `asked`, or when its path leads elsewhere by now.
    pub(super) fn follow(&mut self, asked: bool, now: Instant) -> Result<(), Followed<'_>> {
        let Some(path) = &mut self.path else {
            return Ok(());
        };
        if !asked {
            if now.saturating_duration_since(path.looked) < LOOK_EVERY {
                return Ok(());
            }
            path.looked = now;
            if fs::metadata(&path.path).is_ok_and(|found| identity(&found) == path.identity) {
                return Ok(());
            }
        }
        match open(&path.path) {
            Ok((file, identity)) => {
                self.torn &= identity == path.identity;
                (self.file, path.identity) = (file, identity);
                Ok(())
            }
            Err(error) => Err(Followed { path: &path.path, error }),
        }
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        if lines.is_empty() {
            return Ok(());
        }
        let lost = |error, rest: &[u8]| Unwritten {
            error,
            lines: rest.iter().filter(|&&b| b == b'\n').count() as u64,
        };
        if self.torn {
            // Half a line costs only itself, not also the one behind it.
            write_all(&mut self.file, b"\n").map_err(|(_, error)| lost(error, lines))?;
            self.torn = false;
        }
        let written = match self.path {
            Some(_) => write_all(&mut self.file, lines),
            None => write_apart(&mut self.file, lines),
        };
        written.map_err(|(written, error)| {
            self.torn = lines[..written].last().is_some_and(|&b| b != b'\n');
            lost(error, &lines[written..])
        })
    }
}

/// As [`write_all`], in pieces that no other process can get into: after an upgrade two of them
/// write to one pipe for a while. Only a line that is longer by itself is cut.
pub(super) fn write_apart(out: &mut impl Write, lines: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < lines.len() {
        let rest = &lines[written..];
        let most = &rest[..rest.len().min(UNDIVIDED)];
        let length = match most.iter().rposition(|&b| b == b'\n') {
            Some(last) => last + 1,
            None => rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |end| end + 1),
        };
        write_all(out, &rest[..length]).map_err(|(more, error)| (written + more, error))?;
        written += length;
    }
    Ok(())
}

fn open(path: &std::path::Path) -> io::Result<(File, Identity)> {
    // A log may be read by the group that collects it, and by nobody else.
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let identity = identity(&file.metadata()?);
    Ok((file, identity))
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// As [`Write::write_all`], but tells how much was written, and has some patience with a stream
/// that does not block.
pub(super) fn write_all(out: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let (mut written, mut waits) = (0, 0);
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && waits < STREAM_WAITS => {
                waits += 1;
                thread::sleep(STREAM_WAIT);
            }
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}
