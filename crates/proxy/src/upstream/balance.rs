//! Choosing an endpoint. Pure: what is random or counted comes in from outside.

use std::sync::atomic::Ordering::Relaxed;

use portcullis_config::model::{Balance, Endpoint};

use crate::snapshot::CompiledService;

/// Longest schedule; beyond it weights are scaled down.
const MAX_TURNS: usize = 1 << 16;
/// Up to so many endpoints are all compared for the fewest requests; of more, two at random.
const COMPARE_ALL: usize = 8;

/// The turns of smooth weighted round robin, laid out once so that a choice is one look-up:
/// endpoint `i` of weight `w` stands at the points `(k + 1/2) / w` of each round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    turns: Box<[u32]>,
}

impl Schedule {
    /// The schedule of these endpoints; empty when all weights are 0.
    #[must_use]
    pub fn new(endpoints: &[Endpoint]) -> Schedule {
        let divisor = endpoints.iter().fold(0, |d, e| gcd(d, usize::from(e.weight))).max(1);
        let total: usize = endpoints.iter().map(|e| usize::from(e.weight) / divisor).sum();
        let scale = total.div_ceil(MAX_TURNS).max(1);
        let mut points = Vec::with_capacity(total / scale + endpoints.len());
        for (i, endpoint) in endpoints.iter().enumerate() {
            let weight = usize::from(endpoint.weight) / divisor;
            // Scaling down never makes an endpoint of some weight vanish.
            let turns = if weight == 0 { 0 } else { (weight / scale).max(1) };
            points.extend((0..turns).map(|k| ((k as f64 + 0.5) / turns as f64, i as u32)));
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Schedule { turns: points.into_iter().map(|(_, i)| i).collect() }
    }

    /// The endpoint of turn `n`.
    #[must_use]
    pub fn turn(&self, n: usize) -> Option<usize> {
        let turns = self.turns.len();
        (turns > 0).then(|| self.turns[n % turns] as usize)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Chooses an endpoint: its index, or `None` when none takes requests. `turn` counts up with
/// every choice; the one that was `refused` just now is chosen again only where there is no other.
pub(crate) fn choose(
    service: &CompiledService,
    turn: usize,
    refused: Option<usize>,
) -> Option<usize> {
    let chosen = by_policy(service, turn)?;
    if refused != Some(chosen) {
        return Some(chosen);
    }
    let endpoints = &service.service.endpoints;
    let others = (1..endpoints.len()).map(|step| (chosen + step) % endpoints.len());
    others.into_iter().find(|&i| endpoints[i].weight > 0).or(Some(chosen))
}

fn by_policy(service: &CompiledService, turn: usize) -> Option<usize> {
    match service.service.balance {
        Balance::RoundRobin => service.schedule.turn(turn),
        Balance::LeastRequests => least_requests(service, turn),
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

fn least_requests(service: &CompiledService, turn: usize) -> Option<usize> {
    let count = service.endpoints.len();
    if count <= COMPARE_ALL {
        // Beginning at another one each time spreads the ties.
        return (0..count)
            .map(|i| (i + turn) % count)
            .filter(|&i| service.service.endpoints[i].weight > 0)
            .min_by(|&a, &b| load(service, a).total_cmp(&load(service, b)));
    }
    let draw = || service.schedule.turn(fastrand::usize(..));
    let (a, b) = (draw()?, draw()?);
    Some(if load(service, b) < load(service, a) { b } else { a })
}

/// Requests under way relative to the weight, the one to come included.
fn load(service: &CompiledService, i: usize) -> f64 {
    let active = service.endpoints[i].active.load(Relaxed) as f64;
    (active + 1.0) / f64::from(service.service.endpoints[i].weight)
}

#[cfg(test)]
mod tests {
    use portcullis_config::model::Address;

    use super::*;

    fn endpoints(weights: &[u16]) -> Vec<Endpoint> {
        weights
            .iter()
            .zip(1u16..)
            .map(|(&weight, port)| Endpoint {
                address: Address::Ip(([127, 0, 0, 1], port).into()),
                weight,
            })
            .collect()
    }

    fn counts(schedule: &Schedule, endpoints: usize) -> Vec<usize> {
        let mut counts = vec![0; endpoints];
        for n in 0..schedule.turns.len() {
            counts[schedule.turn(n).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_exact_and_smooth() {
        let schedule = Schedule::new(&endpoints(&[5, 1, 1]));
        assert_eq!(counts(&schedule, 3), [5, 1, 1]);
        // The heavy one does not take its turns in a row: 5 of 7 in at most 3 at a time.
        let longest = schedule.turns.chunk_by(|a, b| a == b).map(<[u32]>::len).max();
        assert!(longest <= Some(3), "{:?}", schedule.turns);
    }

    #[test]
    fn weight_zero_takes_no_turn_and_common_factors_go() {
        let schedule = Schedule::new(&endpoints(&[100, 0, 300]));
        assert_eq!(counts(&schedule, 3), [1, 0, 3]);
        assert_eq!(Schedule::new(&endpoints(&[0, 0])).turn(7), None);
    }

    #[test]
    fn huge_weights_are_scaled_and_nobody_vanishes() {
        let mut weights = vec![1000; 1000];
        weights.push(1);
        let schedule = Schedule::new(&endpoints(&weights));
        assert!(schedule.turns.len() <= 2 * MAX_TURNS);
        assert!(counts(&schedule, 1001).iter().all(|&count| count > 0));
    }
}
