//! The admin listener: liveness, readiness, metrics, reload and upgrade over plain HTTP/1.1.
//!
//! It is meant for loopback or a private network. It asks nobody who they are, so it does little,
//! and what changes anything is refused to browsers (`guard`).

mod answer;
mod guard;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use self::answer::Answer;

/// What the page at `/` says.
const INDEX: &str = "Portcullis admin

GET  /livez      200 while the process serves this page
GET  /readyz     200 when requests are taken, else 503 with the reason
GET  /metrics    metrics in the Prometheus text format
GET  /endpoints  the endpoints of the services and their health, as JSON
POST /reload     reads the configuration anew: 200 when it is in force, 422 with what is wrong
POST /upgrade    starts the binary anew to take over: 200 when it serves, 422 with why it does not
";

/// The media type of the Prometheus text format 0.0.4.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A reload or an upgrade on its way: a JSON summary of what is in force now, else the report of
/// what is wrong.
pub type Changing = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Whether the gateway takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
}

/// What the admin listener shows and does.
#[derive(Clone)]
pub struct Admin {
    /// Whether the gateway takes requests.
    pub ready: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Appends the metrics page.
    pub metrics: Arc<dyn Fn(&mut String) + Send + Sync>,
    /// The endpoints of the services, as JSON.
    pub endpoints: Arc<dyn Fn() -> String + Send + Sync>,
    /// Begins a reload. Never called while an earlier one that it began is on its way.
    pub reload: Arc<dyn Fn() -> Changing + Send + Sync>,
    /// Begins an upgrade, or refuses to while another is under way.
    pub upgrade: Arc<dyn Fn() -> Changing + Send + Sync>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Serves until `stop` becomes true or its sender is gone; then accepts no more, lets requests end
/// within five seconds, and returns.
pub async fn serve(listener: TcpListener, admin: Admin, stop: watch::Receiver<bool>) {
    serve_within(listener, admin, stop, LIMITS).await;
}

/// What clients may take. Nobody needs other values, so they are not configured.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections at once; more wait in the kernel's backlog.
    connections: usize,
    /// For a whole head, and between two requests.
    head: Duration,
    /// Age at which a connection is asked to end, so that one whose client reads nothing does not
    /// hold its place for ever.
    age: Duration,
    /// What a connection gets once it is asked to end.
    grace: Duration,
}

const LIMITS: Limits = Limits {
    connections: 256,
    head: Duration::from_secs(30),
    age: Duration::from_secs(600),
    grace: Duration::from_secs(5),
};

/// What all connections share.
#[derive(Debug)]
struct Shared {
    admin: Admin,
    limits: Limits,
    /// Held while a reload runs.
    reloading: Arc<Mutex<()>>,
}

async fn serve_within(
    listener: TcpListener,
    admin: Admin,
    mut stop: watch::Receiver<bool>,
    limits: Limits,
) {
    let shared = Arc::new(Shared { admin, limits, reloading: Arc::default() });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // First of all: whoever learns of the stop and comes back is not to be let in.
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared), stop.clone()));
                }
                Err(error) => {
                    // Most likely out of descriptors, which passes no sooner by trying harder.
                    tracing::warn!(%error, "the admin listener cannot accept");
                    sleep(Duration::from_secs(1)).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever could stop us.
    _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let limits = shared.limits;
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, &shared).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);

    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an admin connection failed");
            }
            return;
        }
        () = stopped(&mut stop) => {}
        () = sleep(limits.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = timeout(limits.grace, connection).await;
}

/// The content of requests is never read: hyper throws away what has arrived and closes the
/// connection when there is more.
async fn answer(request: &Request<Incoming>, shared: &Shared) -> Answer {
    let path = request.uri().path();
    let allowed = match path {
        "/" | "/livez" | "/readyz" | "/metrics" | "/endpoints" => "GET, HEAD",
        "/reload" | "/upgrade" => "POST",
        _ => {
            return Answer::problem(
                StatusCode::NOT_FOUND,
                "There is no such page; / lists those that are.",
            );
        }
    };
    let fits = match *request.method() {
        Method::GET | Method::HEAD => allowed != "POST",
        Method::POST => allowed == "POST",
        _ => false,
    };
    if !fits {
        return Answer::method_not_allowed(allowed);
    }
    match path {
        "/livez" => Answer::text(StatusCode::OK, "ok\n"),
        "/readyz" => match (shared.admin.ready)() {
            Readiness::Ready => Answer::text(StatusCode::OK, "ready\n"),
            Readiness::NotReady(reason) => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, reason + "\n")
            }
        },
        "/metrics" => {
            let mut page = String::new();
            (shared.admin.metrics)(&mut page);
            Answer::new(StatusCode::OK, METRICS, page)
        }
        "/endpoints" => Answer::new(StatusCode::OK, "application/json", (shared.admin.endpoints)()),
        "/reload" => reload(request, shared).await,
        "/upgrade" => upgrade(request, shared).await,
        _ => Answer::text(StatusCode::OK, INDEX),
    }
}

async fn reload(request: &Request<Incoming>, shared: &Shared) -> Answer {
    if let Err(refusal) = guard::not_from_a_browser(request.headers()) {
        return Answer::problem(StatusCode::FORBIDDEN, refusal);
    }
    let turn = Arc::clone(&shared.reloading).lock_owned().await;
    let reloading = (shared.admin.reload)();
    // A task of its own: a client that goes away must not leave half a reload behind.
    let outcome = tokio::spawn(async move {
        let outcome = reloading.await;
        drop(turn);
        outcome
    });
    told(outcome.await)
}

async fn upgrade(request: &Request<Incoming>, shared: &Shared) -> Answer {
    if let Err(refusal) = guard::not_from_a_browser(request.headers()) {
        return Answer::problem(StatusCode::FORBIDDEN, refusal);
    }
    told(tokio::spawn((shared.admin.upgrade)()).await)
}

fn told(outcome: Result<Result<String, String>, JoinError>) -> Answer {
    match outcome {
        Ok(Ok(summary)) => Answer::new(StatusCode::OK, "application/json", summary),
        Ok(Err(report)) => Answer::text(StatusCode::UNPROCESSABLE_ENTITY, report),
        Err(_) => Answer::problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "This broke off; the log tells more.",
        ),
    }
}
