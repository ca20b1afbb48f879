//! The turns of weighted round robin, laid out so that a choice is one look-up and needs nothing
//! that workers would share.

/// Longest round that is laid out turn by turn; larger ones are drawn evenly.
const MOST_TURNS: u64 = 1 << 14;
/// The golden ratio as a fraction of 2^64: its multiples spread evenly however many there are.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// The root of two, for what must not fall in with the golden ratio.
const ROOT_OF_TWO: u64 = 0x6A09_E667_F3BC_C908;

/// Where one worker is in its rounds of a service. Workers begin at places that lie evenly apart,
/// so that together they do not favour anyone, however few requests each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    origin: u64,
    count: u64,
}

impl Turn {
    /// The beginning of a worker's turns, for a service whose turns begin at `origin`.
    pub(crate) fn first(origin: u64, worker: usize) -> Turn {
        let origin = origin.wrapping_add((worker as u64).wrapping_mul(ROOT_OF_TWO));
        Turn { origin, count: 0 }
    }

    /// This turn; the next one is another.
    pub(crate) fn take(&mut self) -> Turn {
        let turn = *self;
        self.count = self.count.wrapping_add(1);
        turn
    }
}

/// Whose turn it is: positions in a list of weights, each as often as it weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turns {
    /// A whole round: `i` of weight `w` stands at the points `(k + 1/2) / w` of it.
    Laid(Box<[u32]>),
    /// The sums of the weights up to each, where a whole round would be too long.
    Sums(Box<[u64]>),
}

impl Turns {
    /// The turns of so many with these weights; those of weight 0 get none.
    pub(crate) fn new(weights: &[u64]) -> Turns {
        let divisor = weights.iter().fold(0, |d, &w| gcd(d, w)).max(1);
        let total: u64 = weights.iter().map(|w| w / divisor).sum();
        if total > MOST_TURNS {
            let sums = weights.iter().scan(0, |sum, w| {
                *sum += w / divisor;
                Some(*sum)
            });
            return Turns::Sums(sums.collect());
        }
        let mut points = Vec::with_capacity(total as usize);
        for (i, &weight) in weights.iter().enumerate() {
            let turns = weight / divisor;
            points.extend((0..turns).map(|k| ((k as f64 + 0.5) / turns as f64, i as u32)));
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Turns::Laid(points.into_iter().map(|(_, i)| i).collect())
    }

    /// Whose turn it is; `None` where nobody has any.
    pub(crate) fn at(&self, turn: Turn) -> Option<usize> {
        match self {
            Turns::Laid(turns) => {
                let len = turns.len() as u64;
                let begin = scale(turn.origin, len);
                let at = (len > 0).then(|| begin.wrapping_add(turn.count) % len)?;
                Some(turns[at as usize] as usize)
            }
            Turns::Sums(_) => self.point(turn.origin.wrapping_add(turn.count.wrapping_mul(GOLDEN))),
        }
    }

    /// Who stands at a point of the round, given as a fraction of 2^64.
    pub(crate) fn point(&self, point: u64) -> Option<usize> {
        match self {
            Turns::Laid(turns) => {
                turns.get(scale(point, turns.len() as u64) as usize).map(|&i| i as usize)
            }
            Turns::Sums(sums) => {
                let at = scale(point, *sums.last()?);
                Some(sums.partition_point(|&sum| sum <= at))
            }
        }
    }
}

/// A fraction of 2^64 of so many; less than `of` unless that is 0.
fn scale(fraction: u64, of: u64) -> u64 {
    // The product of two 64-bit numbers shifted by 64 fits.
    ((u128::from(fraction) * u128::from(of)) >> 64) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(weights: &[u64], turns: usize) -> Vec<usize> {
        let (schedule, mut turn) = (Turns::new(weights), Turn::first(12345, 0));
        let mut counts = vec![0; weights.len()];
        for _ in 0..turns {
            counts[schedule.at(turn.take()).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_exact_and_smooth() {
        assert_eq!(counts(&[5, 1, 1], 7), [5, 1, 1]);
        assert_eq!(counts(&[100, 0, 300], 40), [10, 0, 30]);
        let Turns::Laid(turns) = Turns::new(&[5, 1, 1]) else { panic!("seven turns") };
        // The heavy one does not take its turns in a row: 5 of 7 in at most 3 at a time.
        let longest = turns.chunk_by(|a, b| a == b).map(<[u32]>::len).max();
        assert!(longest <= Some(3), "{turns:?}");
    }

    #[test]
    fn nobody_has_a_turn_where_nobody_weighs_anything() {
        assert_eq!(Turns::new(&[0, 0]).at(Turn::first(7, 0)), None);
        assert_eq!(Turns::new(&[]).point(u64::MAX), None);
    }

    #[test]
    fn long_rounds_are_as_even() {
        let mut weights = vec![1000; 50];
        weights.extend([1, 7, 333]);
        assert!(matches!(Turns::new(&weights), Turns::Sums(_)));
        let total: u64 = weights.iter().sum();
        for (weight, count) in weights.iter().zip(counts(&weights, total as usize)) {
            assert!(count.abs_diff(*weight as usize) <= 3, "{count} instead of {weight}");
        }
    }

    #[test]
    fn workers_with_a_request_each_spread_as_one_with_all() {
        for weights in [vec![1; 5], vec![3, 1, 1], vec![40_000, 10_000, 10_001]] {
            let turns = Turns::new(&weights);
            let total: u64 = weights.iter().sum();
            let mut counts = vec![0u64; weights.len()];
            for worker in 0..600 {
                counts[turns.at(Turn::first(99, worker)).unwrap()] += 1;
            }
            for (weight, count) in weights.iter().zip(counts) {
                assert!(count.abs_diff(600 * weight / total) <= 6, "{count} for {weight}");
            }
        }
    }
}
