//! HTTP/2 connections to endpoints, each shared by many requests of one worker. Others are opened
//! before the stream limits of those that are there hurt, as many as wait for them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use portcullis_core::Failure;
use portcullis_wire::Upstream;
use portcullis_wire::h2;
use tokio::sync::Notify;

use super::load::ConnectionPlace;
use super::pool::same_tls;
use crate::snapshot::{CompiledService, EndpointState};

/// Most streams at once on a connection, whatever the endpoint allows.
const MOST_STREAMS: usize = 1000;
/// Streams that a connection is taken to carry before it is there.
const USUAL_STREAMS: usize = 100;

/// When an endpoint that chose HTTP/1.1 is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// A connection that requests share.
#[derive(Debug)]
pub(crate) struct Line {
    client: RefCell<h2::Client>,
    tls: Option<Arc<rustls::ClientConfig>>,
    streams: Cell<usize>,
    /// It takes no more requests.
    retired: Cell<bool>,
    /// Since when it carries nothing.
    idle: Cell<Instant>,
    /// How long it may.
    patience: Duration,
    _place: Option<ConnectionPlace>,
}

/// Those who wait for a place on a connection to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    freed: Notify,
    waiting: Cell<usize>,
    /// Counts the times that all who waited were sent away, and says why the last time.
    failures: Cell<u64>,
    failure: RefCell<Option<Failure>>,
}

/// The connections to one endpoint.
#[derive(Debug)]
struct Trunk {
    endpoint: Arc<EndpointState>,
    lines: Vec<Rc<Line>>,
    /// Connections that are being opened.
    opening: usize,
    queue: Rc<Queue>,
    /// When the endpoint was last asked and chose HTTP/1.1.
    declined: Option<Instant>,
}

/// The connections to all endpoints, by the endpoint's slot.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    trunks: HashMap<usize, Trunk>,
}

/// Where a request may go.
#[derive(Debug)]
pub(crate) enum Place {
    /// Over this stream; `crowded` when another connection should be opened for those to come.
    Stream { up: Upstream, hold: Hold, crowded: bool },
    /// Nowhere yet; `open` when another connection should be opened.
    Wait { queue: Rc<Queue>, open: bool },
    /// The endpoint does not speak HTTP/2.
    Declined,
}

/// A request's hold on a shared connection.
#[derive(Debug)]
pub(crate) struct Hold {
    line: Rc<Line>,
    queue: Rc<Queue>,
}

impl Hold {
    /// Has the connection take no more requests: it may be dead, and nobody would notice.
    pub(crate) fn retire(&self) {
        self.line.retired.set(true);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let left = self.line.streams.get() - 1;
        self.line.streams.set(left);
        if left == 0 {
            self.line.idle.set(Instant::now());
        }
        self.queue.admit(1);
    }
}

impl Queue {
    /// Waits until it is worth looking again.
    ///
    /// # Errors
    /// The connection that was waited for could not be opened.
    pub(crate) async fn wait(&self) -> Result<(), Failure> {
        let failures = self.failures.get();
        let _waiting = Waiting::begin(&self.waiting);
        self.freed.notified().await;
        let failure = self.failure.borrow().clone();
        failure.filter(|_| self.failures.get() > failures).map_or(Ok(()), Err)
    }

    /// Lets so many look again.
    fn admit(&self, places: usize) {
        for _ in 0..places.min(self.waiting.get()) {
            self.freed.notify_one();
        }
    }

    /// Sends all away.
    fn fail(&self, failure: Failure) {
        self.failures.set(self.failures.get() + 1);
        *self.failure.borrow_mut() = Some(failure);
        self.freed.notify_waiters();
    }
}

/// Counts one who waits for as long as it does.
struct Waiting<'a>(&'a Cell<usize>);

impl Waiting<'_> {
    fn begin(count: &Cell<usize>) -> Waiting<'_> {
        count.set(count.get() + 1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Line {
    pub(crate) fn new(
        client: h2::Client,
        service: &CompiledService,
        place: Option<ConnectionPlace>,
    ) -> Rc<Line> {
        Rc::new(Line {
            client: RefCell::new(client),
            tls: service.tls.clone(),
            patience: service.service.pool.idle_timeout,
            streams: Cell::new(0),
            retired: Cell::new(false),
            idle: Cell::new(Instant::now()),
            _place: place,
        })
    }

    /// The connection has ended.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
    }

    fn most(&self) -> usize {
        self.client.borrow().most_streams().min(MOST_STREAMS)
    }

    /// Three quarters of the streams that it may carry are in use.
    fn is_crowded(&self) -> bool {
        self.streams.get() * 4 >= self.most() * 3
    }
}

impl Lines {
    /// Looks for a place for a request to `endpoint`.
    pub(crate) fn find(
        &mut self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
        cx: &mut Context<'_>,
    ) -> Place {
        let trunk = self.trunk(endpoint);
        trunk.lines.retain(|line| !line.retired.get() && same_tls(&line.tls, &service.tls));
        let most = service.service.pool.http2_connections;
        while let Some(line) = trunk.least() {
            if !line.client.borrow_mut().is_open(cx) {
                trunk.lines.retain(|other| !Rc::ptr_eq(other, &line));
                continue;
            }
            line.streams.set(line.streams.get() + 1);
            let up = line.client.borrow().stream();
            let crowded = trunk.opening == 0
                && trunk.lines.len() < most
                && trunk.lines.iter().all(|line| line.is_crowded());
            return Place::Stream {
                up,
                hold: Hold { line, queue: Rc::clone(&trunk.queue) },
                crowded,
            };
        }
        if trunk.declined.is_some() {
            return Place::Declined;
        }
        let enough = trunk.opening * USUAL_STREAMS > trunk.queue.waiting.get();
        let open = !enough && trunk.lines.len() + trunk.opening < most;
        Place::Wait { queue: Rc::clone(&trunk.queue), open }
    }

    fn trunk(&mut self, endpoint: &Arc<EndpointState>) -> &mut Trunk {
        let fresh = || Trunk {
            endpoint: Arc::clone(endpoint),
            lines: Vec::new(),
            opening: 0,
            queue: Rc::default(),
            declined: None,
        };
        let trunk = self.trunks.entry(endpoint.slot).or_insert_with(fresh);
        // A slot may have passed to another endpoint.
        if !Arc::ptr_eq(&trunk.endpoint, endpoint) {
            *trunk = fresh();
        }
        trunk
    }

    /// Notes that a connection is being opened.
    pub(crate) fn begin_opening(&mut self, endpoint: &Arc<EndpointState>) {
        self.trunk(endpoint).opening += 1;
    }

    /// Notes how that went: a line, or none where the endpoint chose HTTP/1.1, or a failure.
    pub(crate) fn end_opening(
        &mut self,
        endpoint: &Arc<EndpointState>,
        outcome: Result<Option<Rc<Line>>, Failure>,
    ) {
        // The slot may have passed to another endpoint, whose trunk is none of ours.
        let trunk = self.trunks.get_mut(&endpoint.slot);
        let Some(trunk) = trunk.filter(|trunk| Arc::ptr_eq(&trunk.endpoint, endpoint)) else {
            return;
        };
        trunk.opening = trunk.opening.saturating_sub(1);
        match outcome {
            Ok(Some(line)) => {
                trunk.declined = None;
                trunk.queue.admit(line.most());
                trunk.lines.push(line);
            }
            Ok(None) => {
                trunk.declined = Some(Instant::now());
                trunk.queue.freed.notify_waiters();
            }
            // As long as there are others, those who wait have something to wait for.
            Err(failure) if trunk.lines.is_empty() && trunk.opening == 0 => {
                trunk.queue.fail(failure);
            }
            Err(_) => {}
        }
    }

    /// Closes connections that carried nothing for too long, and forgets endpoints without any.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.trunks.retain(|_, trunk| {
            trunk.lines.retain(|line| {
                let young = line.idle.get() + line.patience > now;
                line.streams.get() > 0 || (!line.retired.get() && young)
            });
            trunk.declined = trunk.declined.filter(|&asked| asked + ASKED_AGAIN > now);
            !trunk.lines.is_empty() || trunk.opening > 0 || trunk.declined.is_some()
        });
    }
}

impl Trunk {
    /// Of the lines that have room the one with the fewest streams.
    fn least(&self) -> Option<Rc<Line>> {
        let with_room = self.lines.iter().filter(|line| line.streams.get() < line.most());
        with_room.min_by_key(|line| line.streams.get()).cloned()
    }
}
