//! Choosing an endpoint. Pure but for the worker's own turns: what is counted or known comes in
//! from outside.

mod turns;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use portcullis_config::model::Balance;

use self::turns::Turn;
use self::view::Member;
pub(crate) use self::view::View;
use super::MOST_TRIES;
use super::state::Numbered;
use crate::snapshot::{CompiledService, EndpointState, Snapshot};
use crate::worker::Worker;

/// Up to so many endpoints are all compared for the fewest requests; of more, two.
const COMPARE_ALL: usize = 8;

/// What a choice depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    /// Endpoints that have failed this request already; another is preferred.
    pub(crate) tried: &'a [usize],
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
        if self.0.len() <= service.slot {
            self.0.resize_with(service.slot + 1, Chooser::default);
        }
        let Chooser { view, turn } = &mut self.0[service.slot];
        let view = service.views.update(view);
        let turn = turn.get_or_insert_with(|| Turn::first(service.state.origin, worker)).take();
        view.choose(service, turn, choice)
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

impl View {
    fn choose(&self, service: &CompiledService, turn: Turn, choice: &Choice<'_>) -> Option<usize> {
        let first = match service.service.balance {
            Balance::RoundRobin => self.turns.at(turn),
            // Those that are configured and come next take this way so far.
            Balance::LeastRequests | Balance::PeakEwma { .. } | Balance::Hash(_) => {
                self.least_requests(&service.endpoints, turn)
            }
        }?;
        let members = self.members.iter().map(|member| member.endpoint as usize);
        let from_there = members.clone().skip(first).chain(members.take(first));
        let fresh = from_there.into_iter().find(|endpoint| !choice.tried.contains(endpoint));
        fresh.or(Some(self.members[first].endpoint as usize))
    }

    /// The position of the member with the fewest requests relative to its weight. Whoever's turn
    /// it is wins ties, so that a service with little to do is spread evenly.
    fn least_requests(&self, endpoints: &[Arc<EndpointState>], turn: Turn) -> Option<usize> {
        let first = self.turns.at(turn)?;
        let mut least = (first, load(endpoints, self.members[first]));
        let mut compare = |position: usize| {
            let load = load(endpoints, self.members[position]);
            if load < least.1 {
                least = (position, load);
            }
        };
        let count = self.members.len();
        if count <= COMPARE_ALL {
            (1..count).for_each(|step| compare((first + step) % count));
        } else if let Some(second) = self.turns.point(fastrand::u64(..)) {
            compare(second);
        }
        Some(least.0)
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
