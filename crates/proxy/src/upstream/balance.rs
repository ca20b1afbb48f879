//! Choosing an endpoint. What is drawn, counted or known comes in from outside; what is known is in
//! the service's [`View`].

mod hash;
mod key;
mod latency;
mod table;
#[cfg(test)]
mod tests;
mod turns;
mod view;
mod weigh;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use portcullis_config::model::Balance;

pub(crate) use self::hash::StableHash;
pub(crate) use self::key::{Asked, Http, key};
pub(crate) use self::latency::Latency;
use self::turns::Turn;
use self::view::Member;
pub(crate) use self::view::{Around, View};
use super::MOST_TRIES;
use super::state::Numbered;
use crate::clock;
use crate::snapshot::{CompiledService, EndpointState, Snapshot};
use crate::worker::Worker;

/// Up to so many endpoints are all compared for the fewest requests; of more, two.
const COMPARE_ALL: usize = 8;

/// What a choice depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    /// Endpoints that have failed this request already; another is preferred.
    pub(crate) tried: &'a [usize],
    /// The endpoint that the client's cookie asks for.
    pub(crate) stuck: Option<usize>,
    /// The hash of the request, where endpoints are chosen by it.
    pub(crate) key: Option<u64>,
}

/// Chooses an endpoint: its index, or `None` when none takes requests. One that was tried is chosen
/// only where there is no other.
pub(crate) fn choose(
    service: &CompiledService,
    worker: &Worker,
    choice: &Choice<'_>,
) -> Option<usize> {
    worker.choosers().choose(service, worker.id, choice)
}

/// Whether no endpoint is well, as far as this worker has heard; some may get requests nevertheless.
pub(crate) fn is_down(service: &CompiledService, worker: &Worker) -> bool {
    worker.choosers().view(service).available() == 0
}

/// One worker's part in choosing, by the service's slot.
#[derive(Debug, Default)]
pub(crate) struct Choosers(Vec<Chooser>);

#[derive(Debug, Clone, Default)]
struct Chooser {
    view: Option<Arc<Numbered>>,
    turn: Option<Turn>,
}

impl Choosers {
    pub(crate) fn choose(
        &mut self,
        service: &CompiledService,
        worker: usize,
        choice: &Choice<'_>,
    ) -> Option<usize> {
        let Chooser { view, turn } = self.chooser(service);
        let view = service.views.update(view);
        let turn = turn.get_or_insert_with(|| Turn::first(service.state.origin, worker)).take();
        let (random, now_ms) = match service.service.balance {
            Balance::RoundRobin | Balance::Hash(_) => (0, 0),
            Balance::LeastRequests => (fastrand::u64(..), 0),
            Balance::PeakEwma { .. } => (fastrand::u64(..), clock::millis()),
        };
        view.choose(service, choice, Draw { turn, random, now_ms })
    }

    fn chooser(&mut self, service: &CompiledService) -> &mut Chooser {
        if self.0.len() <= service.slot {
            self.0.resize_with(service.slot + 1, Chooser::default);
        }
        &mut self.0[service.slot]
    }

    fn view(&mut self, service: &CompiledService) -> &View {
        service.views.update(&mut self.chooser(service).view)
    }

    /// Forgets services that are gone.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot) {
        for (slot, chooser) in self.0.iter_mut().enumerate() {
            if snapshot.services.get(slot).is_none_or(Option::is_none) {
                *chooser = Chooser::default();
            }
        }
    }
}

/// What comes from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    turn: Turn,
    random: u64,
    now_ms: u64,
}

impl View {
    fn choose(&self, service: &CompiledService, choice: &Choice<'_>, draw: Draw) -> Option<usize> {
        if let Some(stuck) = choice.stuck
            && !choice.tried.contains(&stuck)
            && self.serves(&service.endpoints, stuck)
        {
            return Some(stuck);
        }
        let endpoints = &service.endpoints;
        let position = match &service.service.balance {
            Balance::RoundRobin => self.turns.at(draw.turn),
            Balance::LeastRequests => self.least_requests(endpoints, draw),
            Balance::PeakEwma { decay } => self.fastest(endpoints, draw, *decay),
            Balance::Hash(hash) => self.hashed(service, hash.bounded_load, choice, draw.turn),
        }?;
        Some(self.untried(position, choice.tried))
    }

    /// Whether a client that has stayed with an endpoint may go on to.
    pub(crate) fn serves(&self, endpoints: &[Arc<EndpointState>], endpoint: usize) -> bool {
        // In a panic nobody believes what is said of endpoints.
        endpoints[endpoint].health.is_available() || (self.panic && self.member(endpoint).is_some())
    }

    /// The endpoint at a position or, if it was tried, the next one that was not; after the members
    /// come those in reserve.
    fn untried(&self, position: usize, tried: &[usize]) -> usize {
        let chosen = self.members[position].endpoint as usize;
        if !tried.contains(&chosen) {
            return chosen;
        }
        let members = || self.members.iter().map(|member| member.endpoint as usize);
        let others = members().skip(position + 1).chain(members().take(position));
        let mut others = others.chain(self.reserve.iter().map(|&endpoint| endpoint as usize));
        others.find(|endpoint| !tried.contains(endpoint)).unwrap_or(chosen)
    }

    /// The position of the member with the fewest requests relative to its weight. Whoever's turn
    /// it is wins ties, so that a service with little to do is spread evenly.
    fn least_requests(&self, endpoints: &[Arc<EndpointState>], draw: Draw) -> Option<usize> {
        let first = self.turns.at(draw.turn)?;
        let count = self.members.len();
        let load = |position: usize| load(endpoints, self.members[position]);
        let mut least = (first, load(first));
        let mut compare = |position: usize| {
            let load = load(position);
            if load < least.1 {
                least = (position, load);
            }
        };
        if count <= COMPARE_ALL {
            (1..count).for_each(|step| compare((first + step) % count));
        } else if let Some(second) = self.turns.point(draw.random) {
            compare(second);
        }
        Some(least.0)
    }

    /// The position of the one of two members where a request costs less.
    fn fastest(
        &self,
        endpoints: &[Arc<EndpointState>],
        draw: Draw,
        decay: Duration,
    ) -> Option<usize> {
        let first = self.turns.at(draw.turn)?;
        let mut second = self.turns.point(draw.random)?;
        if second == first {
            second = (first + 1) % self.members.len();
        }
        let usual = self.total as f32 / self.members.len() as f32;
        let cost = |position: usize| {
            let member = self.members[position];
            let endpoint = &endpoints[member.endpoint as usize];
            let weight = member.weight as f32 / usual;
            endpoint.latency.cost(endpoint.active.load(Relaxed), weight, draw.now_ms, decay)
        };
        Some(if cost(second) < cost(first) { second } else { first })
    }

    /// The position of the member that a request belongs to, or of the next one that has not its
    /// share of requests already. A request without a key takes its turn.
    fn hashed(
        &self,
        service: &CompiledService,
        bounded_load: Option<f64>,
        choice: &Choice<'_>,
        turn: Turn,
    ) -> Option<usize> {
        let (Some(key), Some(table)) = (choice.key, &self.table) else {
            return self.turns.at(turn);
        };
        let fresh = |member: Member| !choice.tried.contains(&(member.endpoint as usize));
        let found = match bounded_load {
            None => table.find(key, |position| fresh(self.members[position])),
            Some(factor) => {
                let all = service.state.active.load(Relaxed) as f64 + 1.0;
                table.find(key, |position| {
                    let member = self.members[position];
                    let share = member.weight as f64 / self.total as f64;
                    let active = &service.endpoints[member.endpoint as usize].active;
                    let bound = (factor * all * share).ceil();
                    fresh(member) && active.load(Relaxed) as f64 + 1.0 <= bound.max(1.0)
                })
            }
        };
        found.or_else(|| self.turns.at(turn))
    }
}

/// Requests under way relative to the weight.
fn load(endpoints: &[Arc<EndpointState>], member: Member) -> f64 {
    endpoints[member.endpoint as usize].active.load(Relaxed) as f64 / member.weight as f64
}

/// The endpoints that have failed a request, in a bounded place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried {
    endpoints: [usize; MOST_TRIES],
    count: usize,
}

impl Tried {
    /// Notes one; of more than fit, the oldest are forgotten.
    pub(crate) fn push(&mut self, endpoint: usize) {
        self.endpoints[self.count % MOST_TRIES] = endpoint;
        self.count += 1;
    }

    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.endpoints[..self.count.min(MOST_TRIES)]
    }
}

/// The slot of one of these services, by weight, at random.
pub(crate) fn share(services: &[(usize, u32)], total_weight: u32) -> Option<usize> {
    if let [(slot, _)] = services {
        return Some(*slot);
    }
    let mut point = fastrand::u32(..total_weight.max(1));
    let hit = services.iter().find(|(_, weight)| {
        let hit = point < *weight;
        point = point.saturating_sub(*weight);
        hit
    });
    hit.map(|(slot, _)| *slot)
}
