//! The bytes between the socket and the `h2` crate: what was read before, the meter, fair turns.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::meter::Meter;
use crate::Io;
use crate::buffer::Buffer;

/// Most bytes that are thrown away after our end.
const MOST_DISCARDED: usize = 4 << 20;
/// Most reads of a connection in one turn: others of the worker wait meanwhile.
const READS_A_TURN: u32 = 4;

/// What the owner of a connection and its transport both look at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) meter: Meter,
    pub(crate) reads: u32,
    /// Something was to be sent and the peer did not take it.
    pub(crate) blocked: bool,
    /// Counts what the peer has taken, to see progress.
    pub(crate) written: u64,
}

/// A metered stream of bytes.
#[derive(Debug)]
pub(crate) struct Transport {
    io: Io,
    /// Bytes that were read before anybody knew that this is HTTP/2.
    before: Option<Buffer>,
    shared: Rc<RefCell<Shared>>,
    /// Our direction has ended.
    shut: bool,
    /// Bytes that were thrown away since.
    discarded: usize,
}

impl Transport {
    pub(crate) fn new(io: Io, before: Option<Buffer>, meter: Meter) -> Transport {
        let shared = Shared { meter, reads: 0, blocked: false, written: 0 };
        let shared = Rc::new(RefCell::new(shared));
        Transport { io, before, shared, shut: false, discarded: 0 }
    }

    pub(crate) fn shared(&self) -> Rc<RefCell<Shared>> {
        Rc::clone(&self.shared)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Transport { io, before, shared, .. } = self.get_mut();
        {
            let mut shared = shared.borrow_mut();
            if shared.meter.flood().is_some() {
                // Nothing more is worked on; the owner says so to the peer.
                return Poll::Pending;
            }
            if shared.reads >= READS_A_TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            shared.reads += 1;
        }
        let old = buf.filled().len();
        if let Some(buffer) = before {
            let n = buffer.data().len().min(buf.remaining());
            buf.put_slice(&buffer.data()[..n]);
            buffer.consume(n);
            if buffer.is_empty() {
                *before = None;
            }
        } else {
            ready!(io.poll_read_buf(cx, buf))?;
        }
        if shared.borrow_mut().meter.received(&buf.filled()[old..]) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(old);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Transport { io, shared, .. } = self.get_mut();
        let polled = io.poll_write_vectored(cx, slices);
        let mut shared = shared.borrow_mut();
        shared.blocked = polled.is_pending();
        if let Poll::Ready(Ok(n)) = polled {
            shared.written += n as u64;
            shared.meter.taken(n);
            let mut left = n;
            for slice in slices {
                let here = left.min(slice.len());
                shared.meter.sent(&slice[..here]);
                left -= here;
                if left == 0 {
                    break;
                }
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io.poll_flush(cx)
    }

    /// Ends our direction, then reads on until the peer has ended too: closing with unread bytes
    /// would reset the connection and could take our last frames with it. The owner's patience
    /// bounds the time.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Transport { io, shut, discarded, .. } = self.get_mut();
        if !*shut {
            ready!(io.poll_shutdown(cx))?;
            *shut = true;
        }
        let mut waste = [MaybeUninit::uninit(); 4096];
        while *discarded < MOST_DISCARDED {
            let mut buf = ReadBuf::uninit(&mut waste);
            match ready!(io.poll_read_buf(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => *discarded += buf.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
