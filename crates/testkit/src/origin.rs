//! Origins: servers that record every byte they get and answer with whatever a test wants.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::patience::until;
use crate::{Framing, Reader, Request, Stream, chunked};

/// An origin. It stops, and cuts all its connections, when dropped.
pub struct Origin {
    place: Place,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Where an origin listens.
#[derive(Debug, Clone)]
pub enum Place {
    /// A TCP address; port 0 for any.
    Tcp(SocketAddr),
    /// TLS at a TCP address.
    Tls(SocketAddr, Arc<ServerConfig>),
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// One connection as the origin's side of the story sees it. When the story returns, the
/// connection is closed.
#[derive(Debug)]
pub struct Served {
    /// 0 for the first connection of the origin, and so on.
    pub number: usize,
    reader: Reader<Recorded>,
    shared: Arc<Shared>,
}

type Story = dyn Fn(&mut Served) + Send + Sync;

struct Shared {
    story: Box<Story>,
    stopping: AtomicBool,
    accepted: AtomicUsize,
    open: AtomicUsize,
    bytes: Mutex<Vec<u8>>,
    requests: Mutex<Vec<Request>>,
    sockets: Mutex<Vec<Stream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Origin {
    /// An origin on 127.0.0.1 whose every connection goes as `story` tells.
    #[must_use]
    pub fn with(story: impl Fn(&mut Served) + Send + Sync + 'static) -> Origin {
        Origin::at(&Place::any(), story)
    }

    /// The same elsewhere.
    ///
    /// # Panics
    /// The address is taken.
    #[must_use]
    pub fn at(place: &Place, story: impl Fn(&mut Served) + Send + Sync + 'static) -> Origin {
        let shared = Arc::new(Shared {
            story: Box::new(story),
            stopping: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            bytes: Mutex::default(),
            requests: Mutex::default(),
            sockets: Mutex::default(),
            threads: Mutex::default(),
        });
        let (place, mut accept) = listen(place);
        let acceptor = thread::spawn({
            let shared = shared.clone();
            move || {
                while let Ok((stream, handle)) = accept() {
                    if shared.stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    shared.sockets.lock().expect("no panic before").push(handle);
                    shared.clone().serve(stream);
                }
            }
        });
        Origin { place, shared, acceptor: Some(acceptor) }
    }

    /// Answers every request with 200 and, as text, the request's head and content as they came.
    #[must_use]
    pub fn echo() -> Origin {
        Origin::with(Served::echo)
    }

    /// Answers every request with these bytes and keeps the connection.
    #[must_use]
    pub fn replying(reply: impl AsRef<[u8]>) -> Origin {
        let reply = reply.as_ref().to_vec();
        Origin::with(move |served| while served.request().is_some() && served.send(&reply) {})
    }

    /// Answers the first request of each connection with these bytes and closes.
    #[must_use]
    pub fn replying_once(reply: impl AsRef<[u8]>) -> Origin {
        let reply = reply.as_ref().to_vec();
        Origin::with(move |served| {
            if served.request().is_some() {
                served.send(&reply);
            }
        })
    }

    /// Where it is, as configurations write it.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.place {
            Place::Tcp(address) | Place::Tls(address, _) => address.to_string(),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Its TCP port.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Tcp(address) | Place::Tls(address, _) => address.port(),
            Place::Unix(_) => panic!("a Unix socket has no port"),
        }
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections whose story goes on.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Every byte read so far, over all connections in the order of arrival.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.shared.bytes.lock().expect("no panic before").clone()
    }

    /// The same, and forgets them.
    #[must_use]
    pub fn take_bytes(&self) -> Vec<u8> {
        std::mem::take(&mut self.shared.bytes.lock().expect("no panic before"))
    }

    /// The requests read so far, each with its content unless the story read the head alone.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic before").clone()
    }

    /// Waits for the first request.
    ///
    /// # Panics
    /// None came.
    #[must_use]
    pub fn first_request(&self) -> Request {
        until(|| self.requests().first().cloned()).expect("a request")
    }

    /// The last request read.
    ///
    /// # Panics
    /// None came.
    #[must_use]
    pub fn last_request(&self) -> Request {
        self.requests().last().cloned().expect("a request")
    }

    /// Waits until every connection's story has ended, which it does when the gateway's end is
    /// closed, and gives every byte read.
    ///
    /// # Panics
    /// One does not end.
    #[must_use]
    pub fn bytes_at_the_end(&self) -> Vec<u8> {
        until(|| (self.open_connections() == 0).then_some(())).expect("all connections closed");
        self.bytes()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // One connection of our own wakes the acceptor.
        match &self.place {
            Place::Tcp(address) | Place::Tls(address, _) => drop(TcpStream::connect(address)),
            Place::Unix(path) => drop(UnixStream::connect(path)),
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for socket in self.shared.sockets.lock().expect("no panic before").drain(..) {
            socket.close();
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().expect("no panic before"));
        let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert!(panicked == 0 || thread::panicking(), "the story of an origin's connection failed");
    }
}

impl Place {
    /// Any port of 127.0.0.1.
    #[must_use]
    pub fn any() -> Place {
        Place::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Any port of 127.0.0.1, over TLS.
    #[must_use]
    pub fn tls(config: Arc<ServerConfig>) -> Place {
        Place::Tls(SocketAddr::from(([127, 0, 0, 1], 0)), config)
    }
}

impl Served {
    /// Reads the next request with its content. `None` when the peer is gone, or sent no HTTP.
    pub fn request(&mut self) -> Option<Request> {
        let request = self.reader.request().ok().flatten()?;
        self.remember(&request);
        Some(request)
    }

    /// Reads the next request's head and leaves its content.
    pub fn head(&mut self) -> Option<Request> {
        let request = self.reader.request_head().ok().flatten()?;
        self.remember(&request);
        Some(request)
    }

    /// Reads the content behind a head.
    ///
    /// # Errors
    /// Its framing is malformed, or the stream ended within it.
    pub fn content(&mut self, framing: Framing) -> io::Result<Vec<u8>> {
        self.reader.content(framing).map(|(content, _)| content)
    }

    /// Reads whatever comes next; empty when the peer is gone.
    pub fn some(&mut self) -> Vec<u8> {
        self.reader.some().unwrap_or_default()
    }

    /// Reads so many bytes, or fewer when the peer is gone.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        self.reader.exactly(count).unwrap_or_default()
    }

    /// Waits for the peer's end, whatever else it sends.
    pub fn wait_for_end(&mut self) {
        while !self.some().is_empty() {}
    }

    /// Sends bytes; `false` when the peer is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let stream = self.reader.stream();
        stream.write_all(bytes.as_ref()).and_then(|()| stream.flush()).is_ok()
    }

    /// Sends a 200 with this text; `false` when the peer is gone.
    pub fn reply(&mut self, text: &str) -> bool {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    }

    /// Sends a chunked 200 with this content; `false` when the peer is gone.
    pub fn reply_chunked(&mut self, content: &[u8], chunk: usize) -> bool {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        self.send([&head[..], &chunked(content, chunk)].concat())
    }

    /// Ends our direction and goes on reading.
    pub fn end(&mut self) {
        self.reader.stream().inner.end();
    }

    /// Serves as [`Origin::echo`] does until the peer is gone.
    pub fn echo(&mut self) {
        while let Some(request) = self.request() {
            let body = [request.head, request.body].concat();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n");
            // To `HEAD` the length alone.
            let body = if request.method == "HEAD" { &[][..] } else { &body };
            if !self.send([head.as_bytes(), body].concat()) {
                break;
            }
        }
    }

    fn remember(&self, request: &Request) {
        self.shared.requests.lock().expect("no panic before").push(request.clone());
    }
}

impl Shared {
    /// Runs the story of one connection in a thread of its own.
    fn serve(self: Arc<Shared>, stream: Stream) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        let shared = self.clone();
        let thread = thread::spawn(move || {
            let inner = Recorded { inner: stream, shared: shared.clone() };
            let mut served = Served { number, reader: Reader::new(inner), shared: shared.clone() };
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                (shared.story)(&mut served);
            }));
            served.reader.stream().inner.close();
            drop(served);
            shared.open.fetch_sub(1, Ordering::SeqCst);
            if let Err(panic) = told {
                std::panic::resume_unwind(panic);
            }
        });
        self.threads.lock().expect("no panic before").push(thread);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Accepts a connection: the stream, and a plain handle by which it can be cut.
type Accept = Box<dyn FnMut() -> io::Result<(Stream, Stream)> + Send>;

/// Listens; the place that comes back has the true port.
fn listen(place: &Place) -> (Place, Accept) {
    let tcp = |address: &SocketAddr| {
        let listener = TcpListener::bind(address).expect("an address to listen on");
        let address = listener.local_addr().expect("its own address");
        (listener, address)
    };
    match place {
        Place::Tcp(address) => {
            let (listener, address) = tcp(address);
            let accept = move || {
                let stream = Stream::tcp(listener.accept()?.0)?;
                let handle = stream.second_handle();
                Ok((stream, handle))
            };
            (Place::Tcp(address), Box::new(accept))
        }
        Place::Tls(address, config) => {
            let (listener, address) = tcp(address);
            let place = Place::Tls(address, config.clone());
            let config = config.clone();
            let accept = move || {
                let tcp = listener.accept()?.0;
                let handle = Stream::tcp(tcp.try_clone()?)?;
                let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                Ok((Stream::TlsServer(Box::new(StreamOwned::new(connection, tcp))), handle))
            };
            (place, Box::new(accept))
        }
        Place::Unix(path) => {
            let listener = UnixListener::bind(path).expect("a path to listen on");
            let accept = move || {
                let stream = Stream::unix(listener.accept()?.0)?;
                let handle = stream.second_handle();
                Ok((stream, handle))
            };
            (place.clone(), Box::new(accept))
        }
    }
}

/// A stream whose incoming bytes are kept.
#[derive(Debug)]
struct Recorded {
    inner: Stream,
    shared: Arc<Shared>,
}

impl Read for Recorded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.shared.bytes.lock().expect("no panic before").extend_from_slice(&into[..count]);
        Ok(count)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
