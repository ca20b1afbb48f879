//! Clients that ask without a pause until they are told to stop, and count what became of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::{Client, eventually};

/// Load under way.
#[derive(Debug)]
pub struct Load {
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) answered: Arc<AtomicUsize>,
    pub(crate) clients: Vec<JoinHandle<LoadReport>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// Requests with a 200.
    pub answered: usize,
    /// Requests that were sent and got anything else, or nothing.
    pub failed: Vec<String>,
    /// Connections refused; no request was sent.
    pub refused: usize,
}

impl Load {
    /// So many clients, each with one keep-alive connection that it opens again when the gateway
    /// says `Connection: close`, ask for `path` of `a.example`. A client whose connection is
    /// refused is done.
    #[must_use]
    pub fn start(address: SocketAddr, path: &str, clients: usize) -> Load {
        Load::through(move || Client::try_connect(address), path, clients, usize::MAX)
    }

    /// The same with a new connection for each request.
    #[must_use]
    pub fn start_anew(address: SocketAddr, path: &str, clients: usize) -> Load {
        Load::through(move || Client::try_connect(address), path, clients, 1)
    }

    /// The same over any kind of connection, and so many requests on each.
    #[must_use]
    pub fn through(
        connect: impl Fn() -> io::Result<Client> + Send + Sync + 'static,
        path: &str,
        clients: usize,
        requests: usize,
    ) -> Load {
        let stopping = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let connect = Arc::new(connect);
        let client = |_| {
            let (stopping, answered) = (stopping.clone(), answered.clone());
            let (connect, path) = (connect.clone(), path.to_owned());
            thread::spawn(move || ask_on(&*connect, &path, requests, &stopping, &answered))
        };
        let clients = (0..clients).map(client).collect();
        Load { stopping, answered, clients }
    }

    /// Waits until so many more requests have been answered.
    ///
    /// # Panics
    /// They are not.
    pub fn wait_for_more(&self, count: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        let reached = eventually(|| self.answered.load(Ordering::Relaxed) >= goal);
        assert!(reached, "requests are no longer answered");
    }

    /// Ends it.
    ///
    /// # Panics
    /// A client did.
    #[must_use]
    pub fn stop(self) -> LoadReport {
        self.stopping.store(true, Ordering::Relaxed);
        self.finished()
    }

    /// Waits until every client is done because it was refused.
    ///
    /// # Panics
    /// A client did.
    #[must_use]
    pub fn finished(self) -> LoadReport {
        let mut sum = LoadReport::default();
        for client in self.clients {
            let report = client.join().expect("a client that ends well");
            sum.answered += report.answered;
            sum.failed.extend(report.failed);
            sum.refused += report.refused;
        }
        sum
    }
}

fn ask_on(
    connect: &dyn Fn() -> io::Result<Client>,
    path: &str,
    requests: usize,
    stopping: &AtomicBool,
    answered: &AtomicUsize,
) -> LoadReport {
    let mut report = LoadReport::default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    while !stopping.load(Ordering::Relaxed) {
        let mut client = match connect() {
            Ok(client) => client,
            Err(_) => {
                report.refused += 1;
                return report;
            }
        };
        let mut served = 0;
        while served < requests && !stopping.load(Ordering::Relaxed) {
            let reply = client.try_send(&request).and_then(|()| client.try_reply("GET"));
            match reply {
                Ok(reply) if reply.status == 200 => {
                    report.answered += 1;
                    served += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                    if reply.closes() {
                        break;
                    }
                }
                other => {
                    let what = other.map_or_else(describe, |reply| format!("{}", reply.status));
                    report.failed.push(format!("{what}, after {served} on the same connection"));
                    break;
                }
            }
        }
    }
    report
}

fn describe(error: io::Error) -> String {
    format!("{:?}: {error}", error.kind())
}
