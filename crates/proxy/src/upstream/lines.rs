//! HTTP/2 connections to endpoints, each shared by many requests of one worker. A second one is
//! opened before the first one's stream limit hurts, and only one at a time.

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

use super::pool::same_tls;
use crate::snapshot::{CompiledService, EndpointState};

/// Most streams at once on a connection, whatever the endpoint allows.
const MOST_STREAMS: usize = 1000;

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
}

/// A connection that is being opened, and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub(crate) done: Notify,
    pub(crate) failed: RefCell<Option<Failure>>,
}

/// The connections to one endpoint.
#[derive(Debug)]
struct Trunk {
    endpoint: Arc<EndpointState>,
    lines: Vec<Rc<Line>>,
    opening: Option<Rc<Opening>>,
    /// Woken when a stream ends.
    freed: Rc<Notify>,
    /// The endpoint chose HTTP/1.1 when it was last asked.
    declined: bool,
}

/// The connections to all endpoints, by the endpoint's slot.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    trunks: HashMap<usize, Trunk>,
}

/// Where a request may go.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(crate) enum Place {
    /// Over this stream; `crowded` when another connection should be opened for those to come.
    Stream { up: Upstream, hold: Hold, crowded: bool },
    /// A connection is on its way.
    Soon(Rc<Opening>),
    /// A connection must be opened.
    Nowhere,
    /// Every connection that there may be is full; woken when that changes.
    Full(Rc<Notify>),
    /// The endpoint does not speak HTTP/2.
    Declined,
}

/// A request's hold on a shared connection.
#[derive(Debug)]
pub(crate) struct Hold {
    line: Rc<Line>,
    freed: Rc<Notify>,
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
        self.freed.notify_one();
    }
}

impl Line {
    pub(crate) fn new(client: h2::Client, service: &CompiledService) -> Rc<Line> {
        Rc::new(Line {
            client: RefCell::new(client),
            tls: service.tls.clone(),
            patience: service.service.pool.idle_timeout,
            streams: Cell::new(0),
            retired: Cell::new(false),
            idle: Cell::new(Instant::now()),
        })
    }

    /// The connection has ended.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
    }

    fn most(&self) -> usize {
        self.client.borrow().most_streams().min(MOST_STREAMS)
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
        loop {
            let least = trunk.lines.iter().min_by_key(|line| line.streams.get());
            let Some(line) = least.filter(|line| line.streams.get() < line.most()) else { break };
            if !line.client.borrow_mut().is_open(cx) {
                let gone = Rc::clone(line);
                trunk.lines.retain(|line| !Rc::ptr_eq(line, &gone));
                continue;
            }
            let line = Rc::clone(line);
            line.streams.set(line.streams.get() + 1);
            let up = line.client.borrow().stream();
            let crowded = trunk.opening.is_none()
                && trunk.lines.len() < service.service.pool.http2_connections
                && trunk.lines.iter().all(|line| line.streams.get() * 4 >= line.most() * 3);
            return Place::Stream {
                up,
                hold: Hold { line, freed: Rc::clone(&trunk.freed) },
                crowded,
            };
        }
        if trunk.declined {
            return Place::Declined;
        }
        match &trunk.opening {
            Some(opening) => Place::Soon(Rc::clone(opening)),
            None if trunk.lines.len() >= service.service.pool.http2_connections => {
                Place::Full(Rc::clone(&trunk.freed))
            }
            None => Place::Nowhere,
        }
    }

    fn trunk(&mut self, endpoint: &Arc<EndpointState>) -> &mut Trunk {
        let fresh = || Trunk {
            endpoint: Arc::clone(endpoint),
            lines: Vec::new(),
            opening: None,
            freed: Rc::default(),
            declined: false,
        };
        let trunk = self.trunks.entry(endpoint.slot).or_insert_with(fresh);
        // A slot may have passed to another endpoint.
        if !Arc::ptr_eq(&trunk.endpoint, endpoint) {
            *trunk = fresh();
        }
        trunk
    }

    /// Notes that a connection is being opened.
    pub(crate) fn begin_opening(&mut self, endpoint: &Arc<EndpointState>) -> Rc<Opening> {
        let opening = Rc::<Opening>::default();
        self.trunk(endpoint).opening = Some(Rc::clone(&opening));
        opening
    }

    /// Notes how that went: a line, or none where the endpoint chose HTTP/1.1, or a failure.
    pub(crate) fn end_opening(
        &mut self,
        endpoint: &Arc<EndpointState>,
        opening: &Rc<Opening>,
        outcome: Result<Option<Rc<Line>>, Failure>,
    ) {
        let trunk = self.trunk(endpoint);
        trunk.opening = None;
        match outcome {
            Ok(line) => {
                trunk.declined = line.is_none();
                trunk.lines.extend(line);
            }
            Err(failure) => *opening.failed.borrow_mut() = Some(failure),
        }
        opening.done.notify_waiters();
        trunk.freed.notify_waiters();
    }

    /// Closes connections that carried nothing for too long, and forgets endpoints without any.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.trunks.retain(|_, trunk| {
            trunk.lines.retain(|line| {
                let young = line.idle.get() + line.patience > now;
                line.streams.get() > 0 || (!line.retired.get() && young)
            });
            !trunk.lines.is_empty() || trunk.opening.is_some()
        });
    }
}
