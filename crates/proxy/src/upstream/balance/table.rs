//! Consistent hashing: which endpoint a hash belongs to, so that few hashes change their endpoint
//! when one comes or goes. Two ways: a table that all fill in turns (Maglev, NSDI 2016), and points
//! on a ring.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use portcullis_config::model::HashAlgorithm;

use super::hash::nth;

/// Places in a Maglev table, a prime: for so many endpoints that each has a hundred, and for more.
const PLACES: [usize; 2] = [65_537, 131_071];
/// From how many endpoints on the larger table is used.
const MANY: usize = 655;
/// Points on the ring that an endpoint of usual weight has, and all may have together.
const POINTS: u64 = 256;
const ALL_POINTS: u64 = 1 << 18;
/// How many places are looked at for an endpoint that may take a request.
const LOOKS: usize = 256;

/// A list of positions, laid out by hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Table {
    Maglev(Box<[u32]>),
    /// Points in ascending order, each with whose it is.
    Ring(Box<[(u64, u32)]>),
}

/// Somebody who wants a share of the hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// What it is, whatever its place in a list.
    pub(super) id: u64,
    pub(super) weight: u64,
}

impl Table {
    /// Lays out positions in `claims`, of which none weighs 0. `all` is how many endpoints there
    /// are in good times: the layout must not change because some are down.
    pub(super) fn new(algorithm: HashAlgorithm, claims: &[Claim], all: usize) -> Table {
        match algorithm {
            HashAlgorithm::Maglev => maglev(claims, PLACES[usize::from(all > MANY)]),
            HashAlgorithm::Ring => ring(claims, all),
        }
    }

    /// Whose the hash is, or the next one's who may have it; `None` where nobody was found.
    pub(super) fn find(&self, hash: u64, mut may: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut last = None;
        let mut may = move |position: u32| {
            // Neighbours are often the same.
            let fresh = last.replace(position) != Some(position);
            fresh && may(position as usize)
        };
        match self {
            Table::Maglev(places) => {
                let len = places.len();
                // A remainder of a prime uses all bits of the hash.
                let first = (hash % (len.max(1) as u64)) as usize;
                let looked_at = (0..LOOKS.min(len)).map(|step| places[(first + step) % len]);
                looked_at.into_iter().find(|&position| may(position)).map(|p| p as usize)
            }
            Table::Ring(points) => {
                let len = points.len();
                let first = points.partition_point(|(point, _)| *point < hash);
                let looked_at = (0..LOOKS.min(len)).map(|step| points[(first + step) % len].1);
                looked_at.into_iter().find(|&position| may(position)).map(|p| p as usize)
            }
        }
    }
}

/// Everybody has a permutation of all places, and takes the next free one of it whenever it is
/// its turn, which comes as often as it weighs.
fn maglev(claims: &[Claim], places: usize) -> Table {
    const FREE: u32 = u32::MAX;
    if claims.is_empty() {
        return Table::Maglev(Box::default());
    }
    let mut table = vec![FREE; places];
    let mut wanting: Vec<Wanting> = claims.iter().map(|c| Wanting::new(c, places)).collect();
    let mut turns = Order::new(claims);
    for _ in 0..places {
        let position = turns.next(claims);
        let place = wanting[position as usize].take(|place| table[place] == FREE, places);
        table[place] = position;
    }
    Table::Maglev(table.into())
}

/// Whose turn it is. The same whatever the order in the configuration.
enum Order {
    /// All weigh the same: one after the other.
    Alike {
        order: Vec<u32>,
        next: usize,
    },
    ByWeight(BinaryHeap<Reverse<Due>>),
}

impl Order {
    fn new(claims: &[Claim]) -> Order {
        if claims.windows(2).all(|pair| pair[0].weight == pair[1].weight) {
            let mut order: Vec<u32> = (0u32..).take(claims.len()).collect();
            order.sort_by_key(|&position| claims[position as usize].id);
            return Order::Alike { order, next: 0 };
        }
        Order::ByWeight(claims.iter().zip(0..).map(|(c, i)| Reverse(Due::first(c, i))).collect())
    }

    /// There must be somebody.
    fn next(&mut self, claims: &[Claim]) -> u32 {
        match self {
            Order::Alike { order, next } => {
                let position = order[*next];
                *next = if *next + 1 == order.len() { 0 } else { *next + 1 };
                position
            }
            Order::ByWeight(turns) => {
                let Some(mut turn) = turns.peek_mut() else { return 0 };
                let position = turn.0.position;
                turn.0.advance(&claims[position as usize]);
                position
            }
        }
    }
}

/// When it is somebody's turn: the `taken`th at `(taken + 1/2) / weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    /// The bits of a positive float, which are in order as the float itself.
    at: u64,
    id: u64,
    position: u32,
    taken: u32,
}

impl Due {
    fn first(claim: &Claim, position: u32) -> Due {
        Due { at: (0.5 / claim.weight as f64).to_bits(), id: claim.id, position, taken: 0 }
    }

    fn advance(&mut self, claim: &Claim) {
        self.taken += 1;
        self.at = ((f64::from(self.taken) + 0.5) / claim.weight as f64).to_bits();
    }
}

/// How far somebody is in its permutation of the places.
struct Wanting {
    next: usize,
    skip: usize,
}

impl Wanting {
    fn new(claim: &Claim, places: usize) -> Wanting {
        let places = places as u64;
        Wanting {
            next: (nth(claim.id, 0) % places) as usize,
            skip: (nth(claim.id, 1) % (places - 1) + 1) as usize,
        }
    }

    /// The next place that is free; there must be one.
    fn take(&mut self, is_free: impl Fn(usize) -> bool, places: usize) -> usize {
        loop {
            let place = self.next;
            self.next += self.skip;
            if self.next >= places {
                self.next -= places;
            }
            if is_free(place) {
                return place;
            }
        }
    }
}

/// Points as each weighs. Point `k` of somebody is always the same, so more or fewer of them move
/// nobody else's.
fn ring(claims: &[Claim], all: usize) -> Table {
    let each = (ALL_POINTS / (all.max(1) as u64)).clamp(1, POINTS);
    let total: u64 = claims.iter().map(|claim| claim.weight).sum();
    let usual = total as f64 / claims.len().max(1) as f64;
    let mut points = Vec::new();
    for (claim, position) in claims.iter().zip(0u32..) {
        let count = (each as f64 * claim.weight as f64 / usual).round().max(1.0) as u64;
        points.extend((0..count).map(|k| (nth(claim.id, k), position)));
    }
    points.sort_unstable();
    Table::Ring(points.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [HashAlgorithm; 2] = [HashAlgorithm::Maglev, HashAlgorithm::Ring];

    fn claims(weights: &[u64]) -> Vec<Claim> {
        let claim = |(id, &weight): (u64, &u64)| Claim { id: nth(id, 77), weight };
        (0..).zip(weights).map(claim).collect()
    }

    fn owners(table: &Table, keys: u64) -> Vec<usize> {
        (0..keys).map(|key| table.find(nth(9, key), |_| true).unwrap()).collect()
    }

    fn counts(owners: &[usize], of: usize) -> Vec<f64> {
        let mut counts = vec![0.0; of];
        owners.iter().for_each(|&owner| counts[owner] += 1.0);
        counts
    }

    #[test]
    fn shares_are_as_the_weights() {
        for algorithm in BOTH {
            let weights = [1, 2, 4, 4, 1];
            let table = Table::new(algorithm, &claims(&weights), 5);
            let counts = counts(&owners(&table, 120_000), 5);
            for (weight, count) in weights.iter().zip(counts) {
                let wanted = 10_000.0 * *weight as f64;
                let slack = if algorithm == HashAlgorithm::Maglev { 0.05 } else { 0.25 };
                assert!((count / wanted - 1.0).abs() < slack, "{algorithm:?}: {count} of {wanted}");
            }
        }
    }

    #[test]
    fn the_order_in_the_configuration_does_not_count() {
        let forwards = claims(&[1, 3, 2]);
        let backwards: Vec<Claim> = forwards.iter().rev().copied().collect();
        for algorithm in BOTH {
            let (a, b) = (
                owners(&Table::new(algorithm, &forwards, 3), 1000),
                owners(&Table::new(algorithm, &backwards, 3), 1000),
            );
            assert!(a.iter().zip(b).all(|(a, b)| *a == 2 - b), "{algorithm:?}");
        }
    }

    #[test]
    fn nobody_is_found_where_nobody_is_or_may() {
        for algorithm in BOTH {
            assert_eq!(Table::new(algorithm, &[], 0).find(7, |_| true), None);
            let table = Table::new(algorithm, &claims(&[1, 1]), 2);
            assert_eq!(table.find(7, |_| false), None);
            assert_eq!(table.find(7, |position| position == 1), Some(1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn few_change_their_endpoint_when_one_leaves(count in 2usize..40, leaves in 0usize..40) {
            let leaves = leaves % count;
            let before = claims(&vec![1; count]);
            let mut after = before.clone();
            after.remove(leaves);
            for algorithm in BOTH {
                let old = owners(&Table::new(algorithm, &before, count), 20_000);
                let new = owners(&Table::new(algorithm, &after, count), 20_000);
                let moved = old.iter().zip(&new).filter(|(old, new)| {
                    let same = **new + usize::from(**new >= leaves);
                    **old != leaves && **old != same
                });
                // On the ring nobody moves whose endpoint stays; in the table a few do.
                let most = if algorithm == HashAlgorithm::Ring { 0 } else { 20_000 / 20 };
                let moved = moved.count();
                prop_assert!(moved <= most, "{algorithm:?}: {moved} of {count} endpoints");
            }
        }

        #[test]
        fn everybody_has_a_share(weights in prop::collection::vec(1u64..100, 1..60)) {
            let total: u64 = weights.iter().sum();
            let table = Table::new(HashAlgorithm::Maglev, &claims(&weights), weights.len());
            let Table::Maglev(places) = &table else { unreachable!() };
            for (i, weight) in weights.iter().enumerate() {
                let mine = places.iter().filter(|place| **place as usize == i).count() as f64;
                let wanted = places.len() as f64 * *weight as f64 / total as f64;
                prop_assert!((mine - wanted).abs() <= wanted * 0.02 + 2.0, "{mine} of {wanted}");
            }
        }
    }
}
