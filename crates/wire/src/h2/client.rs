//! A connection to an origin that many requests share.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use http::uri::Scheme;

use super::call::{Call, Shared};
use super::content::io_error;
use super::meter::{FrameBounds, Meter};
use super::server::PREFACE;
use super::transport::{Transport, Wire};
use crate::{Io, Upstream};

/// Most bytes of a reply that an origin may send ahead of the client, a stream.
const WINDOW: u32 = 256 * 1024;
/// The same over a whole connection: as much as there may be, for the streams' windows bound memory,
/// and clients that take nothing must not use up what others need.
const CONNECTION_WINDOW: u32 = i32::MAX as u32;
/// Streams before the origin has said how many it takes.
const STREAMS_AT_FIRST: usize = 100;
/// Largest header list of a reply.
const HEADER_LIST: u32 = 128 * 1024;
/// Origins are our own side's, but not a reason to burn a core.
const BOUNDS: FrameBounds =
    FrameBounds { resets: 10_000, control_frames: 10_000, continuations: 64 };

/// Where requests to an origin begin.
#[derive(Debug)]
pub struct Client {
    requests: SendRequest<Bytes>,
    scheme: Scheme,
    shared: Rc<Shared>,
}

/// What moves a connection's frames; it must be polled for anything to happen.
#[derive(Debug)]
pub struct Driver {
    connection: Connection<Transport, Bytes>,
    wire: Rc<RefCell<Wire>>,
    shared: Rc<Shared>,
}

impl Client {
    /// Begins to speak HTTP/2 over `io`, and waits until the origin has said what it takes.
    ///
    /// # Errors
    /// The transport failed, or the origin does not speak HTTP/2.
    pub async fn handshake(io: Io) -> io::Result<(Client, Driver)> {
        let scheme = match io {
            Io::TlsClient(_) => Scheme::HTTPS,
            Io::Plain(_) | Io::TlsServer(_) => Scheme::HTTP,
        };
        let meter = Meter::of_origin(&BOUNDS, PREFACE.len(), Instant::now());
        let transport = Transport::to_origin(io, meter);
        let wire = transport.owner();
        let (requests, connection) = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS_AT_FIRST)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .max_send_buffer_size(super::MOST_WAITING)
            .handshake(transport)
            .await
            .map_err(io_error)?;
        let shared = Rc::<Shared>::default();
        let mut driver = Driver { connection, wire, shared: Rc::clone(&shared) };
        let greeted = poll_fn(|cx| match Pin::new(&mut driver).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(ended.and(Err(io::ErrorKind::UnexpectedEof.into()))),
            Poll::Pending if driver.wire.borrow().meter.is_greeted() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        });
        match greeted.await {
            Ok(()) => Ok((Client { requests, scheme, shared }, driver)),
            Err(error) if is_of_writing(&error) => {
                // Why the origin takes nothing may be there to be read.
                let refusal = poll_fn(|cx| driver.wire.borrow_mut().poll_refusal(cx)).await;
                Err(refusal.unwrap_or(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the connection takes another request, as far as is known.
    pub fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.requests.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Streams that the origin lets us have at once.
    #[must_use]
    pub fn most_streams(&self) -> usize {
        self.shared.most_streams.get()
    }

    /// A stream for one exchange.
    #[must_use]
    pub fn stream(&self) -> Upstream {
        let shared = Rc::clone(&self.shared);
        Upstream::H2(Box::new(Call::new(self.requests.clone(), self.scheme.clone(), shared)))
    }
}

/// Whether this is what the system says of a connection that the peer has closed.
fn is_of_writing(error: &io::Error) -> bool {
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<h2::Error>());
    let error = told.and_then(h2::Error::get_io).unwrap_or(error);
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        && told.is_none_or(h2::Error::is_io)
}

impl Future for Driver {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().begin_turn();
        if let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx) {
            return Poll::Ready(ended.map_err(io_error));
        }
        // Behind it, so that no request meets the connection between the frames and the verdict.
        if let Some(fault) = self.wire.borrow().fault() {
            return Poll::Ready(Err(io::Error::other(fault)));
        }
        self.shared.most_streams.set(self.connection.max_concurrent_send_streams());
        match self.wire.borrow_mut().poll_write_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}
