//! Read buffers that belong to a thread, not to a connection: an idle connection holds none, so
//! ten thousand of them cost next to nothing.

use std::cell::RefCell;

/// Size of a buffer in bytes: one read of a large body, and the bound of a whole head.
pub const BUFFER_SIZE: usize = 64 * 1024;

/// Up to so many bytes are kept in memory of their own while a peer takes its time.
const SMALL: usize = 4096;

/// Most unused buffers that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A fixed buffer: bytes come in at the end and go out at the start. Dropping it gives its memory
/// back to the thread.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer, most recently used memory first.
    #[must_use]
    pub fn take() -> Buffer {
        let bytes = FREE
            .with_borrow_mut(Vec::pop)
            .unwrap_or_else(|| vec![0; BUFFER_SIZE].into_boxed_slice());
        Buffer { bytes, start: 0, end: 0 }
    }

    /// What has come in and not gone out.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Lets the first `n` bytes go.
    pub fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Gives the memory back but for what little is waiting: for a peer that has begun a message
    /// and takes its time. [`Buffer::room`] takes it again.
    pub fn shrink(&mut self) {
        let waiting = self.data();
        if waiting.len() <= SMALL && self.bytes.len() == BUFFER_SIZE {
            let small: Box<[u8]> = waiting.into();
            let (start, end) = (0, small.len());
            *self = Buffer { bytes: small, start, end };
        }
    }

    /// Room for more, all of it at the end: what is waiting moves to the front when the end is
    /// reached. Empty when the buffer is full.
    pub fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() < BUFFER_SIZE {
            let mut large = Buffer::take();
            let waiting = self.data();
            large.bytes[..waiting.len()].copy_from_slice(waiting);
            large.end = waiting.len();
            *self = large;
        }
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Takes `n` bytes of [`Buffer::room`] as filled.
    pub fn filled(&mut self, n: usize) {
        self.end += n;
        debug_assert!(self.end <= self.bytes.len());
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // The thread's list is gone when the thread is ending; the memory then goes the usual way.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT && bytes.len() == BUFFER_SIZE {
                free.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_moves_to_the_front_when_the_end_is_reached() {
        let mut buffer = Buffer::take();
        let size = buffer.room().len();
        buffer.room().fill(b'x');
        buffer.filled(size);
        assert!(buffer.room().is_empty());
        buffer.consume(size - 3);
        assert_eq!(buffer.data(), b"xxx");
        assert_eq!(buffer.room().len(), size - 3);
        buffer.consume(3);
        assert!(buffer.is_empty());
        assert_eq!(buffer.room().len(), size);
    }

    #[test]
    fn what_waits_survives_shrinking_and_growing() {
        let mut buffer = Buffer::take();
        buffer.room()[..5].copy_from_slice(b"hello");
        buffer.filled(5);
        buffer.consume(1);
        buffer.shrink();
        assert_eq!((buffer.data(), buffer.bytes.len()), (&b"ello"[..], 4));
        buffer.room()[..1].copy_from_slice(b"!");
        buffer.filled(1);
        assert_eq!((buffer.data(), buffer.bytes.len()), (&b"ello!"[..], BUFFER_SIZE));
    }

    #[test]
    fn memory_is_used_again() {
        let first = Buffer::take();
        let at = first.bytes.as_ptr();
        drop(first);
        assert_eq!(Buffer::take().bytes.as_ptr(), at);
    }
}
