//! Which endpoints take requests, and what share each gets: health, slow start, priority levels,
//! zones and panic come together in one weight an endpoint. Pure.

use portcullis_config::model::{Availability, SlowStart};

/// What shares are measured in where they are not plain weights.
const WHOLE: f64 = 1_000_000.0;

/// An endpoint as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) weight: u16,
    pub(super) priority: u8,
    /// It stands in the gateway's own zone; everybody does where that is not known.
    pub(super) local: bool,
    pub(super) available: bool,
    /// How many hundredths of its weight it may have, 1 to 100.
    pub(super) warmth: u8,
}

/// The endpoints of a service, weighed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Weighed {
    /// What each endpoint weighs, in the order given; 0 for those that get no requests.
    pub(super) weights: Vec<u64>,
    /// Endpoints that get no requests but could, the best first.
    pub(super) reserve: Vec<u32>,
    /// Endpoints get requests that are not available.
    pub(super) panic: bool,
}

/// How warm an endpoint is that has been available for so long: hundredths of its weight.
pub(super) fn warmth(slow_start: Option<&SlowStart>, available_for_ms: u64) -> u8 {
    let Some(slow_start) = slow_start else { return 100 };
    let window = slow_start.window.as_secs_f64() * 1000.0;
    let share = (available_for_ms as f64 / window).clamp(slow_start.min_share, 1.0);
    // Between 1 and 100.
    (share * 100.0).ceil().clamp(1.0, 100.0) as u8
}

/// Endpoints that share requests by their weights alone.
struct Group {
    /// Its part of all requests, from 0 to 1.
    share: f64,
    endpoints: Vec<usize>,
}

/// Weighs endpoints. Levels take requests in their order, each as far as it is available; within a
/// level the same holds for the gateway's own zone before the others.
pub(super) fn weigh(facts: &[Facts], settings: &Availability) -> Weighed {
    let levels = levels(facts);
    let (loads, panics) = loads(facts, &levels, settings);
    let mut groups = Vec::new();
    let mut panic = false;
    for ((level, load), panics) in levels.iter().zip(loads).zip(panics) {
        if load > 0.0 {
            panic |= panics && level.iter().any(|&i| !facts[i].available);
            zones(facts, level, load, panics, settings, &mut groups);
        }
    }
    let weights = shares(facts, &groups);
    let mut reserve: Vec<u32> = (0u32..)
        .zip(facts.iter().zip(&weights))
        .filter(|(_, (fact, weight))| fact.available && fact.weight > 0 && **weight == 0)
        .map(|(i, _)| i)
        .collect();
    reserve.sort_by_key(|&i| (facts[i as usize].priority, !facts[i as usize].local));
    Weighed { weights, reserve, panic }
}

/// The endpoints that weigh anything, by their level.
fn levels(facts: &[Facts]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..facts.len()).filter(|&i| facts[i].weight > 0).collect();
    order.sort_by_key(|&i| facts[i].priority);
    let same = |a: &usize, b: &usize| facts[*a].priority == facts[*b].priority;
    order.chunk_by(same).map(<[usize]>::to_vec).collect()
}

/// What part of all requests each level takes, and whether it has all its endpoints take part.
fn loads(facts: &[Facts], levels: &[Vec<usize>], settings: &Availability) -> (Vec<f64>, Vec<bool>) {
    let mut left = 1.0;
    let mut loads = Vec::with_capacity(levels.len());
    for level in levels {
        let load = carries(available(facts, level), settings.spill_below).min(left);
        left -= load;
        loads.push(load);
    }
    let carried: f64 = loads.iter().sum();
    if carried >= 1.0 - 1e-9 {
        return (loads, vec![false; levels.len()]);
    }
    // All levels together are not enough.
    let panics = levels.iter().map(|level| available(facts, level) < settings.panic_below);
    let panics: Vec<bool> = panics.collect();
    match loads.first_mut() {
        Some(first) if carried == 0.0 => *first = if panics[0] { 1.0 } else { 0.0 },
        _ => loads.iter_mut().for_each(|load| *load /= carried),
    }
    (loads, panics)
}

/// The share of the weight of these endpoints that is available.
fn available(facts: &[Facts], endpoints: &[usize]) -> f64 {
    let weight = |i: &usize| f64::from(facts[*i].weight);
    let all: f64 = endpoints.iter().map(weight).sum();
    let up: f64 = endpoints.iter().filter(|i| facts[**i].available).map(weight).sum();
    if all > 0.0 { up / all } else { 0.0 }
}

/// What part of its requests a group can carry of which so much is available.
fn carries(available: f64, spill_below: f64) -> f64 {
    if available >= spill_below && available > 0.0 {
        1.0
    } else {
        available / spill_below.max(1e-9)
    }
}

/// Splits a level's load between the gateway's own zone and the others.
fn zones(
    facts: &[Facts],
    level: &[usize],
    load: f64,
    panics: bool,
    settings: &Availability,
    groups: &mut Vec<Group>,
) {
    let (local, others): (Vec<usize>, Vec<usize>) = level.iter().partition(|&&i| facts[i].local);
    let up = |endpoints: &[usize]| -> Vec<usize> {
        endpoints.iter().copied().filter(|&i| panics || facts[i].available).collect()
    };
    let stays = if panics { 1.0 } else { available(facts, &local) };
    let stays = if local.is_empty() { 0.0 } else { carries(stays, settings.spill_below) };
    let (local, others) = (up(&local), up(&others));
    let stays = if others.is_empty() { 1.0 } else { stays };
    groups.push(Group { share: load * stays, endpoints: local });
    groups.push(Group { share: load * (1.0 - stays), endpoints: others });
}

/// One weight an endpoint. Where one group has everything, its weights stay whole numbers, and
/// turns are exact.
fn shares(facts: &[Facts], groups: &[Group]) -> Vec<u64> {
    let mut weights = vec![0; facts.len()];
    let used = || groups.iter().filter(|group| group.share > 1e-9 && !group.endpoints.is_empty());
    let alone = used().count() == 1;
    let weight = |i: usize| u64::from(facts[i].weight) * u64::from(facts[i].warmth);
    for group in used() {
        let total: u64 = group.endpoints.iter().map(|&i| weight(i)).sum();
        for &i in &group.endpoints {
            let share = group.share * weight(i) as f64 / total.max(1) as f64;
            // A share of some size never becomes none.
            weights[i] = if alone { weight(i) } else { (share * WHOLE).round().max(1.0) as u64 };
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: Availability = Availability { spill_below: 0.7, panic_below: 0.2 };

    fn fact(priority: u8, local: bool, available: bool) -> Facts {
        Facts { weight: 1, priority, local, available, warmth: 100 }
    }

    fn up(priority: u8) -> Facts {
        fact(priority, true, true)
    }

    fn down(priority: u8) -> Facts {
        fact(priority, true, false)
    }

    /// What percent each gets.
    fn percent(facts: &[Facts], settings: &Availability) -> Vec<u64> {
        let Weighed { weights, .. } = weigh(facts, settings);
        let total = weights.iter().sum::<u64>().max(1);
        weights.iter().map(|weight| (weight * 100 + total / 2) / total).collect()
    }

    #[test]
    fn weights_stay_as_they_are_where_nothing_else_counts() {
        let facts = [Facts { weight: 5, ..up(0) }, Facts { weight: 1, ..up(0) }, down(0)];
        let weighed = weigh(&facts, &SETTINGS);
        assert_eq!(weighed.weights, [500, 100, 0]);
        assert!(!weighed.panic && weighed.reserve.is_empty());
    }

    #[test]
    fn a_level_spills_over_in_proportion() {
        let with = |up_in_first: usize| {
            let mut facts: Vec<Facts> = (0..10).map(|i| fact(0, true, i < up_in_first)).collect();
            facts.extend([up(1), up(1)]);
            percent(&facts, &SETTINGS)[10..].iter().sum::<u64>()
        };
        assert_eq!([10, 7, 6, 3, 0].map(with), [0, 0, 14, 58, 100]);
    }

    #[test]
    fn levels_that_together_are_not_enough_share_what_there_is() {
        let facts = [up(0), down(0), down(0), down(0), up(1), down(1), down(1), down(1)];
        assert_eq!(percent(&facts, &SETTINGS), [50, 0, 0, 0, 50, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_needed_is_kept_in_reserve() {
        let facts = [up(2), up(0), up(1), fact(0, false, true), down(1)];
        let weighed = weigh(&facts, &SETTINGS);
        assert_eq!(weighed.weights, [0, 100, 0, 0, 0]);
        assert_eq!(weighed.reserve, [3, 2, 0]);
    }

    #[test]
    fn the_own_zone_comes_first_as_far_as_it_can() {
        let zones = |near: [bool; 2]| {
            let mut facts = near.map(|up| fact(0, true, up)).to_vec();
            facts.extend([fact(0, false, true), fact(0, false, true)]);
            percent(&facts, &SETTINGS)
        };
        assert_eq!(zones([true, true]), [50, 50, 0, 0]);
        assert_eq!(zones([true, false]), [71, 0, 14, 14]);
        assert_eq!(zones([false, false]), [0, 0, 50, 50]);
        // Nobody is near: the others share alike.
        let far = [fact(0, false, true), fact(0, false, true)];
        assert_eq!(percent(&far, &SETTINGS), [50, 50]);
    }

    #[test]
    fn when_too_few_are_left_all_are_used() {
        let mut facts: Vec<Facts> = (0..10).map(|i| fact(0, true, i == 0)).collect();
        let weighed = weigh(&facts, &SETTINGS);
        assert!(weighed.panic);
        assert_eq!(weighed.weights, [100; 10]);
        facts[1].available = true;
        let weighed = weigh(&facts, &SETTINGS);
        assert!(!weighed.panic, "exactly the threshold is no panic");
        assert_eq!(weighed.weights.iter().filter(|w| **w > 0).count(), 2);
        // Another level that can carry everything is no cause for panic.
        facts[1].available = false;
        facts.push(up(1));
        let weighed = weigh(&facts, &SETTINGS);
        assert!(!weighed.panic);
        assert_eq!(percent(&facts, &SETTINGS)[10], 86);
    }

    #[test]
    fn without_panic_nobody_left_is_nobody() {
        let off = Availability { panic_below: 0.0, ..SETTINGS };
        let facts = [down(0), down(1)];
        assert_eq!(weigh(&facts, &off), Weighed { weights: vec![0, 0], ..Weighed::default() });
        let weighed = weigh(&facts, &SETTINGS);
        assert_eq!((weighed.weights, weighed.panic), (vec![100, 0], true));
        assert!(weigh(&[], &SETTINGS).weights.is_empty());
        let idle = Facts { weight: 0, ..up(0) };
        assert_eq!(weigh(&[idle], &SETTINGS), Weighed { weights: vec![0], ..Weighed::default() });
    }

    #[test]
    fn an_endpoint_warms_up() {
        let slow_start = SlowStart { window: Duration::from_secs(10), min_share: 0.1 };
        let warmth = |ms| warmth(Some(&slow_start), ms);
        assert_eq!(
            [0, 999, 5_000, 9_990, 10_000, u64::MAX].map(warmth),
            [10, 10, 50, 100, 100, 100]
        );
        let facts = [Facts { warmth: 25, ..up(0) }, up(0), up(0), up(0)];
        assert_eq!(weigh(&facts, &SETTINGS).weights, [25, 100, 100, 100]);
    }
}
