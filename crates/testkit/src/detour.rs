//! A way to a server that takes time: what the server says comes late, as from far away.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A TCP proxy in front of one server. It stops, and cuts all its connections, when dropped.
#[derive(Debug)]
pub struct Detour {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    delay_ms: AtomicU64,
    stopping: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Detour {
    /// A way to `server`, without a delay at first.
    ///
    /// # Panics
    /// There is no port.
    #[must_use]
    pub fn to(server: SocketAddr) -> Detour {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            delay_ms: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            sockets: Mutex::default(),
            threads: Mutex::default(),
        });
        let acceptor = thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    if shared.stopping.load(SeqCst) {
                        break;
                    }
                    shared.join(client);
                }
            }
        });
        Detour { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on what the server says comes so much later. What is on its way already, does not.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        // One connection of our own wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap());
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    /// Joins a client to the server; without a server it is hung up on.
    fn join(self: &Arc<Shared>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        let both = [&client, &server].map(|socket| socket.try_clone().unwrap());
        self.sockets.lock().unwrap().extend(both);
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (late, due) = channel();
        let shared = self.clone();
        self.threads.lock().unwrap().extend([
            thread::spawn(move || pass_on(from, to)),
            thread::spawn(move || shared.hold(server, &late)),
            thread::spawn(move || let_go(client, &due)),
        ]);
    }

    /// Notes when what the server says is due.
    fn hold(&self, mut server: TcpStream, late: &Sender<(Instant, Vec<u8>)>) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            let due = Instant::now() + Duration::from_millis(self.delay_ms.load(SeqCst));
            if late.send((due, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Hands over what is due, until there will be no more.
fn let_go(mut client: TcpStream, due: &Receiver<(Instant, Vec<u8>)>) {
    for (when, bytes) in due {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Origin};

    #[test]
    fn what_comes_late_comes_whole() {
        let origin = Origin::echo();
        let detour = Detour::to(origin.address().parse().unwrap());
        let mut client = Client::connect(detour.address());
        let request = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
        for ms in [0, 50] {
            detour.delay(Duration::from_millis(ms));
            let begun = Instant::now();
            assert_eq!(client.ask(request).text(), request);
            assert!(begun.elapsed() >= Duration::from_millis(ms));
        }
    }
}
