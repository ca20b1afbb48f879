//! Who was thrown out for flooding a listener, and how long new connections of that address wait.
//!
//! A fixed table, shared by the workers without a lock: accepting reads a few words of it, and only
//! if there ever was a flood; ending a flood writes one. An address is an IPv4 address or an IPv6
//! /64, and is known by a keyed hash, so that nobody can choose whose place is taken.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The first penalty of an address.
const FIRST: Duration = Duration::from_millis(100);
/// Without a flood for so long after its penalty an address begins anew.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Addresses that are remembered: so many sets of places; within one the oldest gives way.
const SETS: usize = 512;
const PLACES: usize = 8;

/// A place: 28 bits of the address's hash, the end of its penalty in ticks (32 bits), and how often
/// it has come back (4 bits). Zero is empty.
const TICK_MS: u128 = 8;
const LEVEL_BITS: u32 = 4;
const MOST_LEVEL: u32 = (1 << LEVEL_BITS) - 1;
const END_BITS: u32 = 32;
/// More than any penalty has: they are a minute at most.
const LONGEST_TICKS: i32 = 10_000;

/// The penalties of one listener.
#[derive(Debug, Default)]
pub(crate) struct Penalties(OnceLock<Table>);

#[derive(Debug)]
struct Table {
    keys: RandomState,
    /// What ticks are counted from. They come round after a year.
    began: Instant,
    sets: Box<[[AtomicU64; PLACES]]>,
}

/// What is remembered of an address.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Ticks until its penalty ends; since then if below zero.
    left: i32,
    level: u32,
}

impl Penalties {
    /// How long a new connection of this address has to wait, if it has. Those that wait for the
    /// same end are let in one after the other: over half a penalty more.
    pub(crate) fn wait(&self, ip: IpAddr, most: Duration) -> Option<Duration> {
        self.wait_at(ip, most, Instant::now).map(|(left, spread)| {
            let share = fastrand::u32(..=1000);
            left + spread * share / 1000
        })
    }

    /// The same without chance: the time left and how much more it may be.
    fn wait_at(
        &self,
        ip: IpAddr,
        most: Duration,
        now: impl FnOnce() -> Instant,
    ) -> Option<(Duration, Duration)> {
        let table = self.0.get()?;
        let (set, mark) = table.place(ip);
        let now = table.tick(now());
        let entry = set.iter().find_map(|word| Entry::of(word.load(Relaxed), mark, now))?;
        // A reload may have made penalties shorter than what is noted.
        let left = span(u32::try_from(entry.left).ok().filter(|left| *left > 0)?).min(most);
        Some((left, penalty(entry.level, most) / 2))
    }

    /// Notes that this address was thrown out for a flood; gives its penalty. It doubles when the
    /// address has come back to do it again, and not for connections that it had already.
    pub(crate) fn flooded(&self, ip: IpAddr, most: Duration, now: Instant) -> Duration {
        let table = self.0.get_or_init(|| Table::new(now));
        let (set, mark) = table.place(ip);
        let now = table.tick(now);
        let (place, old) = {
            let words = set.each_ref().map(|word| word.load(Relaxed));
            let own = words.iter().position(|word| Entry::of(*word, mark, now).is_some());
            let oldest = || (0..PLACES).min_by_key(|at| age_order(words[*at], now)).unwrap_or(0);
            let at = own.unwrap_or_else(oldest);
            (&set[at], words[at])
        };
        let level = match Entry::of(old, mark, now) {
            Some(entry) if entry.left > 0 => entry.level,
            Some(entry) if span(entry.left.unsigned_abs()) < FORGOTTEN => {
                (entry.level + 1).min(MOST_LEVEL)
            }
            _ => 0,
        };
        let penalty = penalty(level, most);
        let ticks = u32::try_from(penalty.as_millis().div_ceil(TICK_MS)).unwrap_or(u32::MAX);
        let word = mark | u64::from(now.wrapping_add(ticks)) << LEVEL_BITS | u64::from(level);
        // Another worker that was quicker has noted as good a flood.
        let _ = place.compare_exchange(old, word, Relaxed, Relaxed);
        penalty
    }
}

impl Table {
    fn new(now: Instant) -> Table {
        let sets = std::iter::repeat_with(Default::default).take(SETS).collect();
        Table { keys: RandomState::new(), began: now, sets }
    }

    /// The set of an address, and its mark in place.
    fn place(&self, ip: IpAddr) -> (&[AtomicU64; PLACES], u64) {
        let hash = match ip.to_canonical() {
            IpAddr::V4(v4) => self.keys.hash_one((4, v4.to_bits())),
            IpAddr::V6(v6) => self.keys.hash_one((6, v6.to_bits() >> 64)),
        };
        let set = usize::try_from(hash & (SETS as u64 - 1)).unwrap_or(0);
        let mark = hash >> (LEVEL_BITS + END_BITS) << (LEVEL_BITS + END_BITS);
        // Zero is nobody's.
        (&self.sets[set], mark.max(1 << (LEVEL_BITS + END_BITS)))
    }

    fn tick(&self, now: Instant) -> u32 {
        let ticks = now.saturating_duration_since(self.began).as_millis() / TICK_MS;
        (ticks & u128::from(u32::MAX)) as u32
    }
}

impl Entry {
    /// What a place says about the address of this mark.
    fn of(word: u64, mark: u64, now: u32) -> Option<Entry> {
        let is_its_own = word >> (LEVEL_BITS + END_BITS) == mark >> (LEVEL_BITS + END_BITS);
        is_its_own
            .then(|| Entry { left: left(word, now), level: (word & u64::from(MOST_LEVEL)) as u32 })
    }
}

fn left(word: u64, now: u32) -> i32 {
    let end = (word >> LEVEL_BITS & u64::from(u32::MAX)) as u32;
    let left = end.wrapping_sub(now).cast_signed();
    // What seems to end later than any penalty ended before the ticks came round.
    if left > LONGEST_TICKS { i32::MIN } else { left }
}

/// Which places are taken first: empty ones, then those whose penalty ended longest ago.
fn age_order(word: u64, now: u32) -> i64 {
    if word == 0 { i64::MIN } else { left(word, now).into() }
}

fn penalty(level: u32, most: Duration) -> Duration {
    (FIRST * (1 << level.min(MOST_LEVEL))).min(most)
}

fn span(ticks: u32) -> Duration {
    Duration::from_millis(u64::from(ticks) * TICK_MS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What is left of its penalty, to the tick.
    fn left_at(penalties: &Penalties, address: &str, now: Instant) -> Option<Duration> {
        penalties.wait_at(ip(address), MOST, || now).map(|(left, _)| left)
    }

    #[test]
    fn who_never_flooded_never_waits() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        assert_eq!(left_at(&penalties, "192.0.2.1", now), None);
        penalties.flooded(ip("192.0.2.1"), MOST, now);
        assert_eq!(left_at(&penalties, "192.0.2.2", now), None);
        assert!(left_at(&penalties, "192.0.2.1", now).is_some());
        assert!(left_at(&penalties, "::ffff:192.0.2.1", now).is_some(), "the same address");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        penalties.flooded(ip("2001:db8:1:2:3::4"), MOST, now);
        assert!(left_at(&penalties, "2001:db8:1:2:ffff::", now).is_some());
        assert_eq!(left_at(&penalties, "2001:db8:1:3::", now), None);
    }

    #[test]
    fn penalties_end_double_and_are_forgotten() {
        let penalties = Penalties::default();
        let (one, mut now) = (ip("192.0.2.1"), Instant::now());
        for expected in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(penalties.flooded(one, MOST, now), ms(expected));
            // Connections that were open already make it no longer than it is.
            assert_eq!(penalties.flooded(one, MOST, now), ms(expected));
            let left = left_at(&penalties, "192.0.2.1", now).unwrap();
            assert!((ms(expected)..ms(expected + 8)).contains(&left), "{left:?}");
            now += ms(expected + 50);
            assert_eq!(left_at(&penalties, "192.0.2.1", now), None);
        }
        assert_eq!(penalties.flooded(one, MOST, now + FORGOTTEN), ms(100));
    }

    #[test]
    fn a_shorter_bound_holds_at_once() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        for round in 0..4 {
            penalties.flooded(ip("192.0.2.1"), MOST, now + round * ms(900));
        }
        let wait = penalties.wait_at(ip("192.0.2.1"), ms(100), || now + 3 * ms(900));
        assert_eq!(wait, Some((ms(100), ms(50))));
    }

    #[test]
    fn the_table_has_an_end_and_the_oldest_go_first() {
        let (penalties, mut now) = (Penalties::default(), Instant::now());
        for n in 0..100_000_u32 {
            penalties.flooded(IpAddr::from(n.to_be_bytes()), MOST, now);
            now += Duration::from_micros(10);
        }
        let table = penalties.0.get().unwrap();
        assert_eq!(table.sets.len() * PLACES, 4096);
        let waits = |range: std::ops::Range<u32>| {
            let address = |n: u32| IpAddr::from(n.to_be_bytes());
            range.filter(|n| penalties.wait_at(address(*n), MOST, || now).is_some()).count()
        };
        assert_eq!(waits(0..90_000), 0);
        assert!(waits(99_000..100_000) > 990, "the latest are known");
    }

    #[test]
    fn what_is_a_year_old_is_no_penalty() {
        let (penalties, now) = (Penalties::default(), Instant::now());
        penalties.flooded(ip("192.0.2.1"), MOST, now);
        for days in [1, 100, 190, 300, 396] {
            let later = now + Duration::from_secs(days * 86_400);
            assert_eq!(left_at(&penalties, "192.0.2.1", later), None, "{days} days");
        }
    }
}
