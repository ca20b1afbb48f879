//! The same load over HTTP/2: connections that carry many requests at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::Request;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::web_sockets::converse;
use crate::{Load, LoadReport, PATIENCE};

impl Load {
    /// So many connections with so many requests at once on each, for `path` of `a.example`. A
    /// client that is told to go (GOAWAY) finishes what is under way and connects again; one whose
    /// connection is refused is done.
    #[must_use]
    pub fn http2(address: SocketAddr, path: &str, connections: usize, requests: usize) -> Load {
        Load::over(address, Some(format!("http://a.example{path}")), connections, requests)
    }

    /// The same with WebSockets (RFC 8441) of [`Origin::web_sockets`](crate::Origin::web_sockets):
    /// each is opened, gets its messages back and is closed, which counts as one request.
    #[must_use]
    pub fn web_sockets(address: SocketAddr, connections: usize, at_once: usize) -> Load {
        Load::over(address, None, connections, at_once)
    }

    fn over(address: SocketAddr, uri: Option<String>, connections: usize, requests: usize) -> Load {
        let stopping = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let asking =
                Asking { uri: uri.clone(), stopping: stopping.clone(), answered: answered.clone() };
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(ask(address, requests, &Arc::new(asking)))
            })
        };
        let clients = (0..connections).map(client).collect();
        Load { stopping, answered, clients }
    }
}

struct Asking {
    /// What is asked for; none for WebSockets.
    uri: Option<String>,
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

async fn ask(address: SocketAddr, requests: usize, asking: &Arc<Asking>) -> LoadReport {
    let mut report = LoadReport::default();
    while !asking.stopping.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(address).await else {
            report.refused += 1;
            return report;
        };
        let (sender, connection) = match client::handshake(stream).await {
            Ok(connected) => connected,
            Err(error) => {
                report.failed.push(format!("handshake: {error}"));
                continue;
            }
        };
        let connection = tokio::spawn(connection);
        let mut streams = JoinSet::new();
        for _ in 0..requests {
            streams.spawn(one_after_the_other(sender.clone(), asking.clone()));
        }
        drop(sender);
        while let Some(stream) = streams.join_next().await {
            let stream = stream.expect("a task that ends well");
            report.answered += stream.answered;
            report.failed.extend(stream.failed);
        }
        // What was answered on it counts, however it ends.
        let _ = timeout(PATIENCE, connection).await;
    }
    report
}

/// Until the connection takes no more requests.
async fn one_after_the_other(mut sender: SendRequest<Bytes>, asking: Arc<Asking>) -> LoadReport {
    let mut report = LoadReport::default();
    while !asking.stopping.load(Ordering::Relaxed) {
        sender = match sender.ready().await {
            Ok(sender) => sender,
            // Nothing was sent.
            Err(_) => break,
        };
        let asked = async {
            match &asking.uri {
                Some(uri) => exchange(&mut sender, uri).await,
                None => converse(&mut sender).await,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(()))) => {
                report.answered += 1;
                asking.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Ok(Err(wrong))) => report.failed.push(wrong),
            Ok(Err(error)) if is_unprocessed(&error) => break,
            Ok(Err(error)) => report.failed.push(format!("{error:?}")),
            Err(_) => report.failed.push("no answer".to_owned()),
        }
        if !report.failed.is_empty() {
            break;
        }
    }
    report
}

/// Asks for something; what is wrong with the answer, if anything is.
pub(crate) async fn exchange(
    sender: &mut SendRequest<Bytes>,
    uri: &str,
) -> Result<Result<(), String>, h2::Error> {
    let request = Request::get(uri).body(()).expect("a request");
    let (reply, _) = sender.send_request(request, true)?;
    let reply = reply.await?;
    let status = reply.status();
    let mut content = reply.into_body();
    while let Some(bytes) = content.data().await {
        let length = bytes?.len();
        content.flow_control().release_capacity(length)?;
    }
    Ok(if status == 200 { Ok(()) } else { Err(status.to_string()) })
}

/// Whether the server has said that it never looked at a request, which may be sent again
/// (RFC 9113, 8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    let calm = error.reason() == Some(h2::Reason::NO_ERROR);
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    refused || (error.is_go_away() && error.is_remote() && calm)
}
