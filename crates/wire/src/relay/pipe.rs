//! Moving a torrent from one socket to another inside the kernel (`splice`), which saves copying
//! every byte out and in again. Only for torrents: a pipe costs two descriptors, and for little the
//! copy is cheaper.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::Socket;

/// Most bytes that a pipe may hold; the system may allow fewer.
const SIZE: usize = 256 * 1024;
/// Most unused pipes that a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe between two sockets. Dropping it gives it back to the thread if it is empty.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Option<Ends>,
    /// Bytes that have come in and not gone out.
    held: usize,
}

impl Pipe {
    /// An empty pipe; `None` when the system gives none.
    pub(super) fn take() -> Option<Pipe> {
        let ends = FREE.with_borrow_mut(Vec::pop).or_else(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // Where the system refuses, it stays as it was.
            let _ = fcntl_setpipe_size(&write, SIZE);
            Some(Ends { read, write })
        })?;
        Some(Pipe { ends: Some(ends), held: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what the socket has into the pipe, which is empty; 0 is the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Socket,
    ) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else { return Poll::Ready(Ok(0)) };
        let count = ready!(from.poll_with(cx, Interest::READABLE, |socket| {
            moved(socket, ends.write.as_fd(), SIZE)
        }))?;
        self.held = count;
        Poll::Ready(Ok(count))
    }

    /// Gives some of what the pipe holds to the socket.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &Socket,
    ) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else { return Poll::Ready(Ok(0)) };
        let held = self.held;
        let count = ready!(to.poll_with(cx, Interest::WRITABLE, |socket| {
            moved(ends.read.as_fd(), socket, held)
        }))?;
        self.held -= count;
        Poll::Ready(Ok(count))
    }
}

fn moved(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(splice(from, None, to, None, most, flags)?)
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let ends = self.ends.take().filter(|_| self.held == 0);
        // The thread's list is gone when the thread is ending.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.extend(ends);
            }
        });
    }
}
