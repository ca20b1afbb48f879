//! A way to an endpoint for one request: an idle connection, a stream of a shared one, a new one.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use portcullis_config::model::Protocol;
use portcullis_core::{Failure, Reason};
use portcullis_wire::{Upstream, h2, tls};
use tokio::task::{spawn_local, unconstrained};
use tokio::time::timeout_at;

use super::connect;
use super::lines::{Hold, Line, Place};
use super::load::ConnectionPlace;
use super::seats::Seat;
use crate::forwarding::Peer;
use crate::snapshot::{CompiledService, EndpointState};
use crate::worker::Worker;

/// How much longer than the opening of a connection those wait who wait for it.
const OPENING_SLACK: Duration = Duration::from_millis(100);

/// A way to an endpoint.
#[derive(Debug)]
pub(crate) struct Acquired {
    pub(crate) up: Upstream,
    /// It was open before.
    pub(crate) reused: bool,
    /// It was there without waiting.
    pub(crate) at_once: bool,
    /// Its place on a shared connection.
    pub(crate) hold: Option<Hold>,
    /// Its place among the connections that the endpoint may have.
    pub(crate) seat: Option<Seat>,
    /// Its place among those that the service may have, where there is a cap.
    pub(crate) place: Option<ConnectionPlace>,
}

/// What the request asks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Who asks.
    pub(crate) client: &'a Peer,
    /// An idle connection will not do: the last one was dead.
    pub(crate) fresh: bool,
    /// The request wants to switch protocols.
    pub(crate) upgrade: bool,
    /// How long opening one may take.
    pub(crate) connect: Duration,
    /// How long it may wait for a place.
    pub(crate) patience: Duration,
    /// When all must be over.
    pub(crate) total: Option<Instant>,
}

impl Wanted<'_> {
    /// From now on for so long, but not beyond the end of all.
    fn within(&self, time: Duration) -> Instant {
        let due = Instant::now() + time;
        self.total.map_or(due, |total| total.min(due))
    }
}

/// Finds or opens a way to `endpoint`.
///
/// # Errors
/// No connection could be opened, in time or at all.
pub(crate) async fn acquire(
    worker: &Rc<Worker>,
    service: &Arc<CompiledService>,
    endpoint: &Arc<EndpointState>,
    wanted: Wanted<'_>,
) -> Result<Acquired, Failure> {
    // Where the endpoint chooses, an upgrade is asked for in the version that all know.
    let shared = match service.service.protocol {
        Protocol::Http1 => false,
        Protocol::Http2 => true,
        Protocol::Auto => !wanted.upgrade,
    };
    if shared && let Some(acquired) = share(worker, service, endpoint, wanted).await? {
        return Ok(acquired);
    }
    let (seat, at_once) = sit(worker, service, endpoint, wanted).await?;
    if !wanted.fresh {
        // Outside the task's budget: with none left a closed connection would look quiet.
        let look = poll_fn(|cx| Poll::Ready(worker.take_idle(service, endpoint, cx)));
        if let Some((up, place)) = unconstrained(look).await {
            worker.metrics.upstream_reuses.add(1);
            let seat = Some(seat);
            return Ok(Acquired { up, reused: true, at_once, hold: None, seat, place });
        }
    }
    let _pending = service.pend(worker)?;
    let place = service.place(worker)?;
    let due = wanted.within(wanted.connect);
    let (client, alpn) = (Some(wanted.client), connect::Alpn::Http1);
    // Boxed: opening is rare, and its state would make every connection's task larger.
    let opened = Box::pin(connect::connect(service, endpoint, client, alpn, due)).await?;
    worker.metrics.upstream_connections.add(1);
    Ok(Acquired {
        up: Upstream::over(opened.io),
        reused: false,
        at_once: false,
        hold: None,
        seat: Some(seat),
        place,
    })
}

/// Takes one of the places that an endpoint has for exchanges of HTTP/1.1, in turn, and says
/// whether it was free at once.
async fn sit(
    worker: &Worker,
    service: &CompiledService,
    endpoint: &Arc<EndpointState>,
    wanted: Wanted<'_>,
) -> Result<(Seat, bool), Failure> {
    let seats = worker.seats(service, endpoint);
    if let Some(seat) = seats.take() {
        return Ok((seat, true));
    }
    let _pending = service.pend(worker)?;
    // Boxed: waiting is rare, and every exchange would carry its state.
    let waited = Box::pin(timeout_at(wanted.within(wanted.patience).into(), seats.wait())).await;
    waited.map(|seat| (seat, false)).map_err(|_| Failure::new(Reason::Saturated, &endpoint.label))
}

/// A stream of a shared connection; `None` where the endpoint speaks HTTP/1.1 alone.
async fn share(
    worker: &Rc<Worker>,
    service: &Arc<CompiledService>,
    endpoint: &Arc<EndpointState>,
    wanted: Wanted<'_>,
) -> Result<Option<Acquired>, Failure> {
    let mut reused = true;
    let mut until = None;
    loop {
        let look = poll_fn(|cx| Poll::Ready(worker.lines().find(service, endpoint, cx)));
        match look.await {
            Place::Stream { up, hold, crowded } => {
                if crowded {
                    open(worker, service, endpoint);
                }
                if reused {
                    worker.metrics.upstream_reuses.add(1);
                }
                return Ok(Some(Acquired {
                    up,
                    reused,
                    at_once: reused,
                    hold: Some(hold),
                    seat: None,
                    place: None,
                }));
            }
            Place::Declined => return Ok(None),
            Place::Wait { queue, open: more } => {
                reused = false;
                let _pending = service.pend(worker)?;
                if more {
                    open(worker, service, endpoint);
                }
                // Boxed: waiting is rare, and every exchange would carry its state.
                // A connection that cannot be opened says so before.
                let time = wanted.patience.max(wanted.connect + OPENING_SLACK);
                let until = *until.get_or_insert_with(|| wanted.within(time));
                let waited = Box::pin(timeout_at(until.into(), queue.wait())).await;
                waited.map_err(|_| Failure::new(Reason::Saturated, &endpoint.label))??;
            }
        }
    }
}

/// Begins to open a shared connection, in a task of its own: whoever asked first may give up
/// before the others do.
fn open(worker: &Rc<Worker>, service: &Arc<CompiledService>, endpoint: &Arc<EndpointState>) {
    worker.lines().begin_opening(endpoint);
    let (worker, service, endpoint) =
        (Rc::clone(worker), Arc::clone(service), Arc::clone(endpoint));
    spawn_local(async move {
        let outcome = open_line(&worker, &service, &endpoint).await;
        worker.lines().end_opening(&endpoint, outcome);
    });
}

async fn open_line(
    worker: &Rc<Worker>,
    service: &CompiledService,
    endpoint: &Arc<EndpointState>,
) -> Result<Option<Rc<Line>>, Failure> {
    let due = Instant::now() + service.service.timeouts.connect;
    let alpn = connect::Alpn::AsConfigured;
    let place = service.place(worker)?;
    let opened = connect::connect(service, endpoint, None, alpn, due).await?;
    worker.metrics.upstream_connections.add(1);
    if service.tls.is_some() && !opened.http2 {
        if service.service.protocol == Protocol::Http2 {
            let detail = format_args!("{}: it does not choose h2 (ALPN)", endpoint.label);
            return Err(Failure::new(Reason::UpstreamTls, detail));
        }
        worker.keep(service, endpoint, (Upstream::over(opened.io), place), Instant::now());
        return Ok(None);
    }
    let shaken = timeout_at(due.into(), h2::Client::handshake(opened.io)).await;
    let (client, driver) = match shaken {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(error)) => {
            let reason = match tls::is_refusal(&error) {
                true => Reason::UpstreamTls,
                false => Reason::ConnectFailed,
            };
            return Err(Failure::new(reason, format_args!("{}: {error}", endpoint.label)));
        }
        Err(_) => return Err(Failure::new(Reason::ConnectTimeout, &endpoint.label)),
    };
    let line = Line::new(client, service, place);
    let driven = Rc::downgrade(&line);
    let label = endpoint.label.clone();
    spawn_local(async move {
        if let Err(error) = driver.await {
            tracing::debug!(endpoint = label, %error, "an HTTP/2 connection ended");
        }
        if let Some(line) = driven.upgrade() {
            line.retire();
        }
    });
    Ok(Some(line))
}
