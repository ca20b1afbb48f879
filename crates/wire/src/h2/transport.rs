//! The bytes between the socket and the `h2` crate: what was read before, the meter, fair turns,
//! and few large writes instead of the crate's many small ones.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::meter::{Meter, Verdict};
use crate::buffer::Buffer;
use crate::{Io, tls};

/// Most bytes that are thrown away after our end.
const MOST_DISCARDED: usize = 256 * 1024;
/// Most reads of a connection in one turn, as long as content comes: others of the worker wait
/// meanwhile.
const READS_A_TURN: u32 = 4;
/// Most bytes of one read where no content comes, and the last one of its turn if so many came:
/// requests and what else asks for work are small, and each of them costs far more than its bytes.
const SMALL_READ: usize = 2 * 1024;
/// From this size on a write goes out at once and from where it is; below it is copied, and goes
/// out with others at the end of the turn.
const COPIED: usize = 8 * 1024;

/// A metered stream of bytes, which the `h2` crate holds and its owner too.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    /// Bytes that were read before anybody knew that this is HTTP/2.
    before: Option<Buffer>,
    /// What waits to be written.
    out: Option<Buffer>,
    pub(crate) meter: Meter,
    reads: u32,
    /// The peer is a client, who may send anything.
    wary: bool,
    /// The last small read was filled.
    full: bool,
    /// The peer did not take what was to be sent.
    pub(crate) blocked: bool,
    /// Bytes that the peer has taken, to see progress.
    pub(crate) written: u64,
    /// Our direction has ended.
    shut: bool,
    /// Bytes that were thrown away since.
    discarded: usize,
}

/// The `h2` crate's end of it.
#[derive(Debug)]
pub(crate) struct Transport(Rc<RefCell<Wire>>);

impl Transport {
    pub(crate) fn to_client(io: Io, before: Option<Buffer>, meter: Meter) -> Transport {
        Transport::new(io, before, meter, true)
    }

    pub(crate) fn to_origin(io: Io, meter: Meter) -> Transport {
        Transport::new(io, None, meter, false)
    }

    fn new(io: Io, before: Option<Buffer>, meter: Meter, wary: bool) -> Transport {
        Transport(Rc::new(RefCell::new(Wire {
            io,
            before,
            out: None,
            meter,
            reads: 0,
            wary,
            full: false,
            blocked: false,
            written: 0,
            shut: false,
            discarded: 0,
        })))
    }

    /// The owner's end.
    pub(crate) fn owner(&self) -> Rc<RefCell<Wire>> {
        Rc::clone(&self.0)
    }
}

impl Wire {
    /// Begins a turn of the worker: the connection may read again.
    pub(crate) fn begin_turn(&mut self) {
        self.reads = 0;
    }

    /// Writes what waits.
    pub(crate) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(out) = &mut self.out {
            let polled = self.io.poll_write(cx, out.data(), &[]);
            self.blocked = polled.is_pending();
            let n = ready!(polled)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.consume(n);
            if out.is_empty() {
                self.out = None;
            }
            self.taken(n);
        }
        self.io.poll_flush(cx)
    }

    /// What the peer said when it refused us, where writing failed before anybody could read it.
    pub(crate) fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        let mut waste = [MaybeUninit::uninit(); 1024];
        let read = ready!(self.io.poll_read_buf(cx, &mut ReadBuf::uninit(&mut waste)));
        Poll::Ready(read.err().filter(tls::is_refusal))
    }

    /// Why nothing more is believed of an origin, if so.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self.meter.verdict() {
            Some(Verdict::Flood(_)) => Some("the origin floods us with frames"),
            Some(Verdict::Broken(_)) => Some("the origin sends frames that are none of HTTP/2"),
            None if self.meter.has_lost_its_place() => {
                Some("the origin sent a header block that cannot be read to its end")
            }
            None => None,
        }
    }

    fn taken(&mut self, n: usize) {
        self.written += n as u64;
        self.meter.taken(n);
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Whoever waits for an answer has asked first.
        if self.out.is_some()
            && let Poll::Ready(Err(error)) = self.poll_write_out(cx)
        {
            return Poll::Ready(Err(error));
        }
        if self.meter.verdict().is_some() {
            // Nothing more is worked on; the owner says so to the peer.
            return Poll::Pending;
        }
        // Origins are our own side's; what a client sends is looked at in small portions.
        let wide = !self.wary || self.meter.is_in_content();
        let most = if wide || !self.full { READS_A_TURN } else { 1 };
        if self.reads >= most {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let old = buf.filled().len();
        if let Some(before) = &mut self.before {
            // All at once: a flood is judged before the crate has worked on any of it.
            let n = before.data().len().min(buf.remaining());
            buf.put_slice(&before.data()[..n]);
            before.consume(n);
            if before.is_empty() {
                self.before = None;
            }
        } else if wide {
            ready!(self.io.poll_read_buf(cx, buf))?;
        } else {
            let room = buf.initialize_unfilled_to(SMALL_READ.min(buf.remaining()));
            let size = room.len();
            let n = ready!(self.io.poll_read(cx, room))?;
            buf.advance(n);
            // A read that was not filled has most likely taken all.
            self.full = n == size;
        }
        self.reads += 1;
        if self.meter.received(&buf.filled()[old..]) {
            return Poll::Ready(Ok(()));
        }
        buf.set_filled(old);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if size < COPIED {
            let out = self.out.get_or_insert_with(Buffer::take);
            if out.room().len() >= size {
                for slice in slices {
                    out.room()[..slice.len()].copy_from_slice(slice);
                    out.filled(slice.len());
                    self.meter.sent(slice);
                }
                return Poll::Ready(Ok(size));
            }
        }
        ready!(self.poll_write_out(cx))?;
        let polled = self.io.poll_write_vectored(cx, slices);
        self.blocked = polled.is_pending();
        let n = ready!(polled)?;
        self.taken(n);
        let mut left = n;
        for slice in slices {
            let here = left.min(slice.len());
            self.meter.sent(&slice[..here]);
            left -= here;
        }
        Poll::Ready(Ok(n))
    }

    /// Ends our direction, then reads on until the peer has ended too: closing with unread bytes
    /// would reset the connection and could take our last frames with it. The owner's patience
    /// bounds the time. Of a client's flood nothing more is read: it would cost more than all
    /// before it.
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(self.poll_write_out(cx))?;
            ready!(self.io.poll_shutdown(cx))?;
            self.shut = true;
        }
        if self.wary && self.meter.flood().is_some() {
            return Poll::Pending;
        }
        let mut waste = [MaybeUninit::uninit(); 16 * 1024];
        while self.discarded < MOST_DISCARDED {
            let mut buf = ReadBuf::uninit(&mut waste);
            match ready!(self.io.poll_read_buf(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => self.discarded += buf.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().write(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        let polled = wire.write(cx, slices);
        if wire.meter.verdict().is_some() && !wire.shut {
            // The owner has to say so, and may be waiting for the peer to speak.
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the crate flushes after each frame, the owner after each turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().end(cx)
    }
}
