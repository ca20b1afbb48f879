//! Content on its way, either direction: what gives it and what takes it.

use std::io;
use std::task::{Context, Poll};

use crate::h2::content::Content;
use crate::{Downstream, Fields, ReadError, Upstream};

/// One side of an exchange as far as content goes. Both sides give and take: a request's content
/// flows from [`Downstream`] to [`Upstream`], a reply's the other way.
pub trait Stream {
    /// Waits for content: `true` when [`Stream::content`] shows some, `false` when it ended.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>>;

    /// The content that is here.
    fn content(&self) -> &[u8];

    /// Takes `n` bytes of [`Stream::content`].
    fn consume(&mut self, n: usize);

    /// Whether all content was read.
    fn is_read(&self) -> bool;

    /// Trailer fields, once the content has ended.
    fn trailers(&self) -> &Fields;

    /// Sends content. Ready with how much was taken, which may wait for [`Stream::poll_flush`].
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends the content that is being sent, with trailers where they can be carried.
    fn finish(&mut self, trailers: &Fields);

    /// Sends all that waits.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction, after all that waits.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads and throws away what still comes; `false` when the peer has ended.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>;

    /// From here on bytes are content both ways.
    fn become_tunnel(&mut self);
}

/// Sends content after a head that may have failed.
fn send(
    head: io::Result<()>,
    content: &mut Content,
    cx: &mut Context<'_>,
    data: &[u8],
) -> Poll<io::Result<usize>> {
    match head {
        Ok(()) => content.poll_send(cx, data),
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// Both sides are enums over the versions of HTTP; each method goes to the version's own.
macro_rules! stream {
    ($side:ident) => {
        impl Stream for $side {
            fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
                match self {
                    $side::H1(connection) => connection.poll_content(cx),
                    $side::H2(stream) => stream.content.poll_content(cx),
                }
            }

            fn content(&self) -> &[u8] {
                match self {
                    $side::H1(connection) => connection.content(),
                    $side::H2(stream) => stream.content.content(),
                }
            }

            fn consume(&mut self, n: usize) {
                match self {
                    $side::H1(connection) => connection.consume(n),
                    $side::H2(stream) => stream.content.consume(n),
                }
            }

            fn is_read(&self) -> bool {
                match self {
                    $side::H1(connection) => connection.is_read(),
                    $side::H2(stream) => stream.content.is_read(),
                }
            }

            fn trailers(&self) -> &Fields {
                match self {
                    $side::H1(connection) => connection.trailers(),
                    $side::H2(stream) => stream.content.trailers(),
                }
            }

            fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                match self {
                    $side::H1(connection) => connection.poll_send(cx, data),
                    $side::H2(stream) => send(stream.check(), &mut stream.content, cx, data),
                }
            }

            fn finish(&mut self, trailers: &Fields) {
                match self {
                    $side::H1(connection) => connection.finish(trailers),
                    $side::H2(stream) => stream.content.finish(trailers),
                }
            }

            fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self {
                    $side::H1(connection) => connection.poll_flush(cx),
                    $side::H2(stream) => {
                        Poll::Ready(stream.check().and_then(|()| stream.content.flush()))
                    }
                }
            }

            fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self {
                    $side::H1(connection) => connection.poll_shutdown(cx),
                    $side::H2(stream) => {
                        stream.content.finish(&Fields::default());
                        Poll::Ready(stream.content.flush())
                    }
                }
            }

            fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
                match self {
                    $side::H1(connection) => connection.poll_discard(cx),
                    $side::H2(_) => Poll::Ready(Ok(false)),
                }
            }

            fn become_tunnel(&mut self) {
                match self {
                    $side::H1(connection) => connection.become_tunnel(),
                    $side::H2(stream) => stream.content.stays_open = false,
                }
            }
        }
    };
}

stream!(Downstream);
stream!(Upstream);
