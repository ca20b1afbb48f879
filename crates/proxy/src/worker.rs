//! A worker: one thread, its own runtime, listeners, pools and buffers. Nothing that a request
//! touches is shared with another worker behind a lock.

mod lag;
mod listener;

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use portcullis_config::model::Name;
use portcullis_core::log::LineBuffer;
use portcullis_core::metrics::WorkerMetrics;
use portcullis_core::{Failure, RequestEvent, RequestId, RequestIds};
use portcullis_policies::Tokens;
use slab::Slab;
use tokio::task::unconstrained;

use self::lag::Lag;
pub(crate) use self::listener::{LocalListener, Place};
use crate::forwarding::Peer;
use crate::multiplex::hands::Hands;
use crate::pipeline::Scratch;
use crate::snapshot::{CompiledService, EndpointState, Snapshot};
use crate::upstream::adaptive::Adaptive;
use crate::upstream::balance::Choosers;
use crate::upstream::lines::Lines;
use crate::upstream::outlier::Alarm;
use crate::upstream::pool::{Kept, Pools};
use crate::upstream::seats::Seats;
use crate::upstream::state::ServiceState;

/// Most requests' worth of memory that a worker keeps for the next ones.
const KEPT_SCRATCH: usize = 256;

/// The limit of a service, and whose it is: a slot may pass to another.
type OwnedLimit = (Arc<ServiceState>, Adaptive);

/// The state of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its number, from 0.
    pub(crate) id: usize,
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// Tells the health thread of endpoints that fail.
    pub(crate) alarm: Alarm,
    /// The worker's own copy, so that a request's hold on it costs no atomic count.
    snapshot: RefCell<Rc<Snapshot>>,
    pools: RefCell<Pools>,
    lines: RefCell<Lines>,
    choosers: RefCell<Choosers>,
    /// What is remembered of tokens.
    pub(crate) tokens: RefCell<Tokens>,
    ids: RefCell<RequestIds>,
    log: RefCell<Option<LineBuffer>>,
    date: RefCell<(u64, [u8; 29])>,
    #[expect(clippy::vec_box, reason = "lent at every request, and a pointer moves cheaper")]
    scratch: RefCell<Vec<Box<Scratch>>>,
    /// How many requests services may have under way, by slot.
    adaptives: RefCell<Vec<Option<OwnedLimit>>>,
    /// One a connection, to wake all of them when the worker drains.
    wakers: RefCell<Slab<Waker>>,
    /// Tasks that wait for an exchange over HTTP/2.
    pub(crate) hands: Hands,
    pub(crate) lag: Lag,
    draining: Cell<bool>,
    /// The drain deadline has passed: what is still under way fails now.
    cut: Cell<bool>,
}

impl Worker {
    pub(crate) fn new(id: usize, metrics: Arc<WorkerMetrics>, alarm: Alarm) -> Worker {
        Worker {
            id,
            metrics,
            alarm,
            snapshot: RefCell::default(),
            pools: RefCell::default(),
            lines: RefCell::default(),
            choosers: RefCell::default(),
            tokens: RefCell::new(Tokens::of_worker()),
            ids: RefCell::new(RequestIds::new()),
            log: RefCell::new(None),
            date: RefCell::new((0, [0; 29])),
            scratch: RefCell::default(),
            adaptives: RefCell::default(),
            wakers: RefCell::default(),
            hands: Hands::default(),
            lag: Lag::default(),
            draining: Cell::new(false),
            cut: Cell::new(false),
        }
    }

    /// The configuration as it is now.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    pub(crate) fn adopt(&self, snapshot: Snapshot, log: Option<SyncSender<Vec<u8>>>) {
        self.choosers.borrow_mut().adopt(&snapshot);
        *self.snapshot.borrow_mut() = Rc::new(snapshot);
        let lost = self.log.borrow_mut().take().map_or(0, |mut log| log.flush());
        self.metrics.log_dropped.add(lost);
        *self.log.borrow_mut() = log.map(LineBuffer::new);
    }

    pub(crate) fn next_id(&self) -> RequestId {
        self.ids.borrow_mut().draw()
    }

    /// Its part in choosing endpoints.
    pub(crate) fn choosers(&self) -> RefMut<'_, Choosers> {
        self.choosers.borrow_mut()
    }

    pub(crate) fn take_idle(
        &self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
        cx: &mut Context<'_>,
    ) -> Option<Kept> {
        self.pools.borrow_mut().take(service, endpoint, cx)
    }

    /// Keeps a connection to an endpoint for the next request.
    pub(crate) fn keep(
        &self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
        kept: Kept,
        since: Instant,
    ) {
        if !self.is_draining() {
            self.pools.borrow_mut().put(service, endpoint, kept, since);
        }
    }

    /// Closes an idle connection to the service; `false` if there is none.
    pub(crate) fn drop_idle(&self, service: &CompiledService) -> bool {
        self.pools.borrow_mut().drop_one(&service.endpoints)
    }

    /// The places that an endpoint has for exchanges of HTTP/1.1 with this worker.
    pub(crate) fn seats(
        &self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
    ) -> Rc<Seats> {
        self.pools.borrow_mut().seats(service, endpoint)
    }

    /// The HTTP/2 connections to endpoints.
    pub(crate) fn lines(&self) -> RefMut<'_, Lines> {
        self.lines.borrow_mut()
    }

    /// Works with the limit of a service for requests under way.
    pub(crate) fn adaptive<T>(
        &self,
        service: &CompiledService,
        work: impl FnOnce(&mut Adaptive) -> T,
    ) -> T {
        let mut adaptives = self.adaptives.borrow_mut();
        if adaptives.len() <= service.slot {
            adaptives.resize_with(service.slot + 1, || None);
        }
        let place = &mut adaptives[service.slot];
        // A slot may have passed to another service.
        if place.as_ref().is_none_or(|(state, _)| !Arc::ptr_eq(state, &service.state)) {
            *place = None;
        }
        let fresh = || (Arc::clone(&service.state), Adaptive::new());
        work(&mut place.get_or_insert_with(fresh).1)
    }

    /// The same when a request has ended, for which the limit that let it through counts; that may
    /// be gone.
    pub(crate) fn end_adaptive(
        &self,
        slot: usize,
        state: &Arc<ServiceState>,
        work: impl FnOnce(&mut Adaptive),
    ) {
        let mut adaptives = self.adaptives.borrow_mut();
        let place = adaptives.get_mut(slot).and_then(Option::as_mut);
        if let Some((_, adaptive)) = place.filter(|(owner, _)| Arc::ptr_eq(owner, state)) {
            work(adaptive);
        }
    }

    /// What a worker does now and then: closing old connections, handing over the log.
    pub(crate) async fn sweep(&self) {
        let now = Instant::now();
        // Outside the task's budget: with none left a closed connection would look quiet.
        unconstrained(poll_fn(|cx| {
            self.pools.borrow_mut().sweep(now, cx);
            Poll::Ready(())
        }))
        .await;
        self.lines().sweep(now);
        let idle = &self.metrics.upstream_idle;
        idle.add((self.pools.borrow().idle() as u64).wrapping_sub(idle.value()));
    }

    pub(crate) fn flush_log(&self) {
        let lost = self.log.borrow_mut().as_mut().map_or(0, LineBuffer::flush);
        self.metrics.log_dropped.add(lost);
    }

    pub(crate) fn is_logging(&self) -> bool {
        self.log.borrow().is_some()
    }

    pub(crate) fn log_line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let lost = self.log.borrow_mut().as_mut().map_or(0, |log| log.line(write));
        self.metrics.log_dropped.add(lost);
    }

    /// Counts and logs a connection that is ended for what its client did outside any request.
    pub(crate) fn refuse_connection(&self, listener: &Name, peer: &Peer, why: &Failure) {
        self.metrics.failures[why.reason.index()].add(1);
        self.log_refusal(listener, peer, self.next_id(), why.reason.status(), why);
    }

    /// Logs a request whose head could not be read.
    pub(crate) fn log_refusal(
        &self,
        listener: &Name,
        peer: &Peer,
        id: RequestId,
        status: u16,
        failure: &Failure,
    ) {
        let event = RequestEvent {
            started: SystemTime::now(),
            id,
            listener,
            client: peer.ip,
            client_cert: peer.certificate_name(),
            method: b"",
            host: b"",
            path: b"",
            version: "",
            route: None,
            service: None,
            endpoint: None,
            consumer: None,
            credential: None,
            auth: None,
            claims: None,
            policy: None,
            store_bypassed: None,
            status,
            bytes_in: 0,
            bytes_out: 0,
            duration: std::time::Duration::ZERO,
            first_byte: None,
            failure: Some(failure),
            tries: 0,
            fallback: false,
        };
        self.log_line(|out| event.write_json(out));
    }

    /// The time as `Date` has it (RFC 9110, 5.6.7), written anew once a second.
    pub(crate) fn date(&self) -> [u8; 29] {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut date = self.date.borrow_mut();
        if date.0 != second {
            let text = httpdate::fmt_http_date(now);
            if let Ok(bytes) = text.as_bytes().try_into() {
                *date = (second, bytes);
            }
        }
        date.1
    }

    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.scratch.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut scratch: Box<Scratch>) {
        let mut kept = self.scratch.borrow_mut();
        if kept.len() < KEPT_SCRATCH {
            scratch.clear();
            kept.push(scratch);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Lets every connection end after its current exchange.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        self.pools.borrow_mut().clear();
        self.wake_all();
    }

    /// Whether exchanges must end now.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Has every exchange fail that has not ended.
    pub(crate) fn cut_off(&self) {
        self.cut.set(true);
        self.wake_all();
    }

    /// Makes every connection look around.
    pub(crate) fn wake_all(&self) {
        for (_, waker) in self.wakers.borrow().iter() {
            waker.wake_by_ref();
        }
    }

    /// Registers the current task, a connection's, to be woken when the worker drains.
    pub(crate) async fn register_waker(self: &Rc<Self>) -> RegisteredWaker {
        let worker = Rc::clone(self);
        let key =
            poll_fn(|cx| Poll::Ready(worker.wakers.borrow_mut().insert(cx.waker().clone()))).await;
        RegisteredWaker { worker, key }
    }
}

/// Takes the waker out again when the connection ends.
pub(crate) struct RegisteredWaker {
    worker: Rc<Worker>,
    key: usize,
}

impl Drop for RegisteredWaker {
    fn drop(&mut self) {
        self.worker.wakers.borrow_mut().remove(self.key);
    }
}
