//! The sample service: small HTTP servers on loopback that tell what they were asked.
//!
//! `/slow` takes its time, `/stream` sends events, `/echo` sends the content back, `DELETE
//! /instance` ends the instance, and everything else answers with the request as it arrived.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep};

/// What is deleted to stop an instance. The gateway has no route that leads there, and a page in a
/// browser may not send this method to another origin.
pub(super) const INSTANCE: &str = "/instance";
/// How long `/slow` takes.
pub(super) const SLOW: Duration = Duration::from_secs(3);
/// Events that `/stream` sends, and the time between two.
const EVENTS: u32 = 5;
const EVENT_EVERY: Duration = Duration::from_millis(400);
/// How long a server that cannot accept waits before it tries again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// An instance that runs.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
}

/// Starts an instance for each of the names. They live on a thread of their own until the process
/// ends, so that requests under way can finish while the gateway drains.
pub(super) fn start(names: &[&'static str]) -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut listeners = Vec::new();
    for &name in names {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        samples.push(Sample { name, address: listener.local_addr()? });
        listeners.push((name, listener));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("samples".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut serving = JoinSet::new();
            for (name, listener) in listeners {
                serving.spawn(serve(name, listener));
            }
            while let Some(ended) = serving.join_next().await {
                if let Ok(Err(error)) = ended {
                    tracing::warn!(%error, "a sample instance has ended");
                }
            }
        });
    })?;
    Ok(samples)
}

/// What the connections of an instance share.
struct Instance {
    name: &'static str,
    stop: Notify,
    /// Whether nobody listens any more.
    gone: watch::Sender<bool>,
}

impl Instance {
    /// Waits until new connections are refused.
    async fn is_gone(&self) {
        // The channel is ours, so it is open.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }
}

/// Serves until the instance is stopped and what was under way has ended.
async fn serve(name: &'static str, listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let instance =
        Arc::new(Instance { name, stop: Notify::new(), gone: watch::Sender::new(false) });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(instance.clone(), stream));
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
            () = instance.stop.notified() => break,
        }
    }
    drop(listener);
    instance.gone.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Answers what comes on a connection; once the instance is gone, only what is under way.
async fn converse(instance: Arc<Instance>, stream: TcpStream) {
    let service = service_fn(|request| answer(&instance, request));
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // A connection that breaks is the gateway's to report.
    tokio::select! {
        _ = &mut connection => return,
        () = instance.is_gone() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

type Content = UnsyncBoxBody<Bytes, hyper::Error>;

async fn answer(
    instance: &Instance,
    request: Request<Incoming>,
) -> Result<Response<Content>, Infallible> {
    let name = instance.name;
    Ok(match request.uri().path() {
        INSTANCE if request.method() == Method::DELETE => {
            instance.stop.notify_one();
            // Whoever has this answer finds nobody there.
            instance.is_gone().await;
            text("text/plain", format!("{name} has stopped.\n"))
        }
        "/echo" => {
            let kind = request.headers().get(CONTENT_TYPE).cloned();
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            with_type(kind, request.into_body().boxed_unsync())
        }
        "/stream" => {
            let events = Events { name, ticks: interval(EVENT_EVERY), sent: 0 };
            let kind = HeaderValue::from_static("text/event-stream");
            with_type(kind, events.map_err(|never| match never {}).boxed_unsync())
        }
        path => {
            if path == "/slow" {
                sleep(SLOW).await;
            }
            text("application/json", format!("{:#}\n", describe(name, &request)))
        }
    })
}

fn text(kind: &'static str, text: String) -> Response<Content> {
    let content = Full::from(text).map_err(|never| match never {});
    with_type(HeaderValue::from_static(kind), content.boxed_unsync())
}

fn with_type(kind: HeaderValue, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The request as it arrived.
fn describe(name: &str, request: &Request<Incoming>) -> Value {
    json!({
        "instance": name,
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": fields(request.headers()),
    })
}

/// Every field; several of one name are joined as RFC 9110, 5.3 has it.
fn fields(headers: &HeaderMap) -> Map<String, Value> {
    let joined = |name| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values.map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        json!(values.join(", "))
    };
    headers.keys().map(|name| (name.to_string(), joined(name))).collect()
}

/// Server-sent events, one at a time.
struct Events {
    name: &'static str,
    ticks: Interval,
    sent: u32,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == EVENTS {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(cx));
        self.sent += 1;
        let event = format!("id: {}\ndata: hello from {}\n\n", self.sent, self.name);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}
