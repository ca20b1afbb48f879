//! A listener as one worker sees it, and its room for exchanges over HTTP/2.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime};

use portcullis_config::model::{ConnectionRate, Name};
use portcullis_core::RefusedEvent;
use portcullis_core::metrics::WorkerMetrics;

use super::Worker;
use crate::accept::Shared;
use crate::forwarding::{Peer, is_trusted};
use crate::snapshot::ListenerSettings;

/// A listener as one worker sees it.
#[derive(Debug)]
pub(crate) struct LocalListener {
    pub(crate) name: Name,
    /// What other workers know of it as well.
    pub(crate) shared: Arc<Shared>,
    metrics: Arc<WorkerMetrics>,
    settings: RefCell<Rc<ListenerSettings>>,
    /// It takes no more connections; those that it has end as they become idle.
    closed: Cell<bool>,
    /// Exchanges over HTTP/2 that are worked on, and the connections whose clients wait for more.
    exchanges: Cell<usize>,
    held_back: RefCell<VecDeque<(Waker, Rc<Cell<bool>>)>>,
}

impl LocalListener {
    pub(crate) fn new(
        name: Name,
        settings: ListenerSettings,
        shared: Arc<Shared>,
        metrics: Arc<WorkerMetrics>,
    ) -> LocalListener {
        LocalListener {
            name,
            shared,
            metrics,
            settings: RefCell::new(Rc::new(settings)),
            closed: Cell::new(false),
            exchanges: Cell::new(0),
            held_back: RefCell::default(),
        }
    }

    /// The settings as they are now; a request keeps what it started with.
    pub(crate) fn settings(&self) -> Rc<ListenerSettings> {
        Rc::clone(&self.settings.borrow())
    }

    pub(crate) fn change(&self, settings: ListenerSettings) {
        *self.settings.borrow_mut() = Rc::new(settings);
        // There may be more room now.
        self.pass_on();
    }

    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Whether another exchange over HTTP/2 may begin. If not, the connection stands in line, which
    /// `in_line` says, and is woken when it may.
    pub(crate) fn has_room(&self, cx: &mut Context<'_>, in_line: &Rc<Cell<bool>>) -> bool {
        let room = self.has_places();
        if !room && !in_line.replace(true) {
            let place = (cx.waker().clone(), Rc::clone(in_line));
            self.held_back.borrow_mut().push_back(place);
            self.metrics.http2_waiting.add(1);
        }
        room
    }

    /// Notes that an exchange over HTTP/2 begins.
    fn begin_exchange(&self) {
        self.exchanges.set(self.exchanges.get() + 1);
    }

    /// Notes that one has ended; who was held back may go on.
    fn end_exchange(&self) {
        self.exchanges.set(self.exchanges.get() - 1);
        self.pass_on();
    }

    fn has_places(&self) -> bool {
        self.exchanges.get() < self.settings.borrow().listener.limits.streams
    }

    /// Wakes the first in line if there is room. It does the same once it has looked: it may have
    /// nothing to begin.
    pub(crate) fn pass_on(&self) {
        if self.has_places()
            && let Some((waker, in_line)) = self.held_back.borrow_mut().pop_front()
        {
            in_line.set(false);
            self.metrics.http2_waiting.sub(1);
            waker.wake();
        }
    }

    /// Takes a connection that waits no more out of the line.
    pub(crate) fn leave_line(&self, in_line: &Rc<Cell<bool>>) {
        if in_line.replace(false) {
            self.metrics.http2_waiting.sub(1);
            self.held_back.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, in_line));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether a new connection of this address may come in. If not, it is told of.
    pub(crate) fn let_in(
        &self,
        settings: &ListenerSettings,
        worker: &Worker,
        ip: Option<IpAddr>,
    ) -> bool {
        let rate = &settings.listener.limits.connection_rate;
        if *rate == ConnectionRate::default()
            || self.shared.arrivals.let_in(rate, ip, portcullis_policies::nanos(Instant::now()))
        {
            return true;
        }
        self.shared.too_fast.count();
        worker.metrics.connections_too_fast.add(1);
        false
    }

    /// How long a new connection of this address has to wait.
    pub(crate) fn penalty_of(&self, ip: IpAddr) -> Option<Duration> {
        let most = self.settings.borrow().listener.http2.as_ref()?.penalty?;
        self.shared.penalties.wait(ip, most)
    }

    /// Notes that this peer was thrown out for a flood; how long its next connections wait. Who
    /// speaks for others, and is believed, is spared: they would all wait.
    pub(crate) fn penalise(&self, peer: &Peer) -> Option<Duration> {
        let settings = self.settings.borrow();
        let most = settings.listener.http2.as_ref()?.penalty?;
        let ip = peer.ip.filter(|_| !is_trusted(&settings.listener.forwarded.trust, peer))?;
        Some(self.shared.penalties.flooded(ip, most, Instant::now()))
    }

    /// Logs how many connections there was no room for, and how many came too fast, once a second
    /// at most over all workers.
    pub(crate) fn tell_turned_away(&self, worker: &Worker) {
        let Shared { turned_away, too_fast, .. } = &*self.shared;
        for (untold, too_fast) in [(turned_away, false), (too_fast, true)] {
            let count = untold.to_tell(Instant::now());
            if count > 0 {
                let (at, listener) = (SystemTime::now(), &*self.name);
                let event = RefusedEvent { at, listener, too_fast, count };
                worker.log_line(|out| event.write_json(out));
            }
        }
    }
}

/// One of the exchanges over HTTP/2 that a listener works on at once.
#[derive(Debug)]
pub(crate) struct Place(Rc<LocalListener>);

impl Place {
    pub(crate) fn take(listener: &Rc<LocalListener>) -> Place {
        listener.begin_exchange();
        Place(Rc::clone(listener))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.end_exchange();
    }
}
