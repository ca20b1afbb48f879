//! What is about to be sent: heads, small content and chunk framing gather here, so that most
//! messages leave in one write. Its memory belongs to the thread while nothing is waiting.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use crate::io::Io;

/// Content up to this size is copied behind what already waits; larger goes out from where it is.
pub(crate) const COPIED: usize = 4 * 1024;
/// No more than this gathers before it is sent.
pub(crate) const COALESCE: usize = 16 * 1024;
/// Memory that the thread keeps is no larger than this.
const KEPT_CAPACITY: usize = 128 * 1024;
/// Most unused memory blocks that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// Where to append.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes =
                FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(2 * COALESCE));
        }
        &mut self.bytes
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends all that waits, then as much of `tail` as one write takes. Ready with the bytes taken
    /// of `tail`: at least one unless it is empty.
    pub(crate) fn poll_send(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
        tail: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let waiting = self.waiting();
            if waiting == 0 && tail.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let wrote = if waiting == 0 {
                ready!(io.poll_write(cx, tail, &[]))?
            } else {
                ready!(io.poll_write(cx, &self.bytes[self.sent..], tail))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if wrote < waiting {
                self.sent += wrote;
                continue;
            }
            self.clear();
            let of_tail = wrote - waiting;
            if of_tail > 0 || tail.is_empty() {
                return Poll::Ready(Ok(of_tail));
            }
        }
    }

    /// Forgets what waits and gives the memory back.
    fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        self.sent = 0;
        if (1..=KEPT_CAPACITY).contains(&bytes.capacity()) {
            bytes.clear();
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEPT {
                    free.push(bytes);
                }
            });
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.clear();
    }
}
