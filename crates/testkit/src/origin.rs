//! Origins: servers that record every byte they get and answer with whatever a test wants.

mod place;
mod served;

use std::fmt;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::patience::until;
use crate::{Request, Stream};

pub use place::Place;
use place::listen;
pub use served::Served;

/// An origin. It stops, and cuts all its connections, when dropped.
pub struct Origin {
    place: Place,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
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

impl Shared {
    /// Runs the story of one connection in a thread of its own.
    fn serve(self: Arc<Shared>, stream: Stream) {
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        let shared = self.clone();
        let thread = thread::spawn(move || {
            let mut served = Served::new(number, stream, shared.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    fn client(origin: &Origin) -> Client {
        Client::connect(origin.address().parse().unwrap())
    }

    #[test]
    fn an_echo_records_what_it_reads() {
        let origin = Origin::echo();
        let mut client = client(&origin);
        let request = "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nok";
        for _ in 0..2 {
            assert_eq!(client.ask(request).text(), request);
        }
        assert_eq!((origin.connections(), origin.requests().len()), (1, 2));
        assert_eq!(origin.take_bytes(), request.repeat(2).into_bytes());
        assert!(origin.bytes().is_empty());
    }

    #[test]
    fn a_story_that_ends_closes_its_connection() {
        let origin = Origin::replying_once("HTTP/1.1 204 No Content\r\n\r\n");
        let mut client = client(&origin);
        assert_eq!(client.get("/").status, 204);
        assert!(client.is_closed());
        assert!(!origin.bytes_at_the_end().is_empty());
    }

    #[test]
    #[should_panic(expected = "the story of an origin's connection failed")]
    fn a_story_that_fails_fails_the_test() {
        let origin = Origin::with(|_| panic!("on purpose"));
        assert!(client(&origin).is_closed());
        drop(origin);
    }
}
