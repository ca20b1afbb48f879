//! A worker's idle connections to endpoints. They belong to the worker alone, so there is no lock;
//! they outlive snapshots, so a reload drops none that is still right.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use portcullis_config::model::Pool as PoolSettings;
use portcullis_wire::Upstream;

use super::load::ConnectionPlace;
use super::seats::Seats;
use crate::clock;
use crate::snapshot::{CompiledService, EndpointState};

/// Idle connections by the endpoint's slot.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    by_slot: Vec<Option<Pool>>,
    idle: usize,
}

#[derive(Debug)]
struct Pool {
    /// Whose connections these are: a slot may have passed to another endpoint.
    endpoint: Arc<EndpointState>,
    /// Oldest first.
    idle: VecDeque<Idle>,
    /// Places for exchanges at once.
    seats: Rc<Seats>,
}

#[derive(Debug)]
struct Idle {
    upstream: Upstream,
    /// The TLS settings it was opened with.
    tls: Option<Arc<rustls::ClientConfig>>,
    place: Option<ConnectionPlace>,
    expires: Instant,
}

/// A connection, and its place where there is a cap.
pub(crate) type Kept = (Upstream, Option<ConnectionPlace>);

impl Pools {
    /// The connection used last that is still good.
    pub(crate) fn take(
        &mut self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
        cx: &mut Context<'_>,
    ) -> Option<Kept> {
        // One that began with a client's address serves nobody else.
        if service.service.proxy_protocol.is_some() {
            return None;
        }
        let pool = self.by_slot.get_mut(endpoint.slot)?.as_mut()?;
        if !Arc::ptr_eq(&pool.endpoint, endpoint) {
            return None;
        }
        while let Some(mut idle) = pool.idle.pop_back() {
            self.idle -= 1;
            if same_tls(&idle.tls, &service.tls) && idle.upstream.is_quiet(cx) {
                return Some((idle.upstream, idle.place));
            }
        }
        None
    }

    /// Keeps a connection for later.
    pub(crate) fn put(
        &mut self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
        (upstream, place): Kept,
        now: Instant,
    ) {
        let PoolSettings { idle: most, idle_timeout, .. } = service.service.pool;
        if most == 0 || service.service.proxy_protocol.is_some() {
            return;
        }
        if place.as_ref().is_some_and(|place| place.is_wanted(clock::millis())) {
            return;
        }
        let mut fresh = 0;
        let pool = self.pool(service, endpoint);
        if pool.idle.len() >= most {
            pool.idle.pop_front();
        } else {
            fresh = 1;
        }
        pool.idle.push_back(Idle {
            upstream,
            tls: service.tls.clone(),
            place,
            expires: now + idle_timeout,
        });
        self.idle += fresh;
    }

    /// The places that an endpoint has.
    pub(crate) fn seats(
        &mut self,
        service: &CompiledService,
        endpoint: &Arc<EndpointState>,
    ) -> Rc<Seats> {
        let most = service.service.pool.connections;
        let pool = self.pool(service, endpoint);
        if pool.seats.most() != most {
            // Those who have places keep them; the new number holds for all that come.
            pool.seats = Seats::new(most);
        }
        Rc::clone(&pool.seats)
    }

    fn pool(&mut self, service: &CompiledService, endpoint: &Arc<EndpointState>) -> &mut Pool {
        if self.by_slot.len() <= endpoint.slot {
            self.by_slot.resize_with(endpoint.slot + 1, || None);
        }
        let place = &mut self.by_slot[endpoint.slot];
        if place.as_ref().is_some_and(|pool| !Arc::ptr_eq(&pool.endpoint, endpoint))
            && let Some(stranger) = place.take()
        {
            self.idle -= stranger.idle.len();
        }
        let most = service.service.pool.connections;
        place.get_or_insert_with(|| Pool {
            endpoint: Arc::clone(endpoint),
            idle: VecDeque::new(),
            seats: Seats::new(most),
        })
    }

    /// Closes what is too old or was ended by the endpoint, and forgets endpoints that are gone.
    pub(crate) fn sweep(&mut self, now: Instant, cx: &mut Context<'_>) {
        let now_ms = clock::millis();
        for place in &mut self.by_slot {
            let Some(pool) = place else { continue };
            let before = pool.idle.len();
            pool.idle.retain_mut(|idle| {
                let wanted = idle.place.as_ref().is_some_and(|place| place.is_wanted(now_ms));
                idle.expires > now && !wanted && idle.upstream.is_quiet(cx)
            });
            self.idle -= before - pool.idle.len();
            if pool.idle.is_empty() && pool.seats.are_free() {
                *place = None;
            }
        }
    }

    /// Closes one idle connection to any of these endpoints; `false` if there is none.
    pub(crate) fn drop_one(&mut self, endpoints: &[Arc<EndpointState>]) -> bool {
        let dropped = endpoints.iter().any(|endpoint| {
            let pool = self.by_slot.get_mut(endpoint.slot).and_then(Option::as_mut);
            let ours = pool.filter(|pool| Arc::ptr_eq(&pool.endpoint, endpoint));
            ours.is_some_and(|pool| pool.idle.pop_front().is_some())
        });
        self.idle -= usize::from(dropped);
        dropped
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&mut self) {
        self.by_slot.iter_mut().flatten().for_each(|pool| pool.idle.clear());
        self.idle = 0;
    }

    /// Idle connections.
    pub(crate) fn idle(&self) -> usize {
        self.idle
    }
}

pub(crate) fn same_tls(
    a: &Option<Arc<rustls::ClientConfig>>,
    b: &Option<Arc<rustls::ClientConfig>>,
) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// How often a worker sweeps its pools.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(1);
