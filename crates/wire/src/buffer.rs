//! Read buffers that belong to a thread, not to a connection: an idle connection holds none, so
//! ten thousand of them cost next to nothing.

use std::cell::RefCell;

/// Size of a buffer in bytes: one read of a large body, and the bound of a whole head.
pub const BUFFER_SIZE: usize = 64 * 1024;

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

    /// Room for more, all of it at the end: what is waiting moves to the front when the end is
    /// reached. Empty when the buffer is full.
    pub fn room(&mut self) -> &mut [u8] {
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
            if free.len() < KEPT {
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
    fn memory_is_used_again() {
        let first = Buffer::take();
        let at = first.bytes.as_ptr();
        drop(first);
        assert_eq!(Buffer::take().bytes.as_ptr(), at);
    }
}
