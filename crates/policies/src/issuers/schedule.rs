//! When keys are fetched: pure, with the time given, in milliseconds of a steady clock.

use std::time::Duration;

/// Keys are fetched for the sake of tokens whose key is not known at most this often.
pub(super) const ASKED_APART: Duration = Duration::from_secs(30);
/// The first pause after a fetch that failed; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause while no keys are there, or the issuer does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What there is to know for the next fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    refresh: u64,
    /// When the last fetch ended, if there was one.
    last: Option<u64>,
    /// Failures since the last success.
    failures: u32,
    /// Somebody wants a key that is not there.
    asked: bool,
}

impl Schedule {
    pub(super) fn new(refresh: Duration) -> Schedule {
        Schedule { refresh: milliseconds(refresh), last: None, failures: 0, asked: false }
    }

    /// When the next fetch is due.
    pub(super) fn due(&self) -> u64 {
        let Some(last) = self.last else { return 0 };
        let regular = match self.failures {
            0 => self.refresh,
            failures => self.pause(failures),
        };
        let asked = if self.asked { milliseconds(ASKED_APART) } else { u64::MAX };
        last.saturating_add(regular.min(asked))
    }

    /// A key is wanted that is not there.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// A fetch has ended.
    pub(super) fn ended(&mut self, now: u64, good: bool) {
        self.last = Some(now);
        self.asked = false;
        self.failures = if good { 0 } else { self.failures.saturating_add(1) };
    }

    fn pause(&self, failures: u32) -> u64 {
        let doubled = milliseconds(FIRST_PAUSE) << (failures - 1).min(16);
        doubled.min(milliseconds(LONGEST_PAUSE)).min(self.refresh)
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(Duration::from_secs(900))
    }

    #[test]
    fn the_first_fetch_is_at_once_and_others_come_regularly() {
        let mut schedule = schedule();
        assert_eq!(schedule.due(), 0);
        schedule.ended(5_000, true);
        assert_eq!(schedule.due(), 905_000);
    }

    #[test]
    fn an_unknown_key_brings_a_fetch_forward_but_not_sooner_than_half_a_minute() {
        let mut schedule = schedule();
        schedule.ended(5_000, true);
        schedule.ask();
        schedule.ask();
        assert_eq!(schedule.due(), 35_000);
        schedule.ended(35_000, true);
        assert_eq!(schedule.due(), 935_000);
        let mut often = Schedule::new(Duration::from_secs(10));
        often.ended(0, true);
        often.ask();
        assert_eq!(often.due(), 10_000);
    }

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let mut schedule = schedule();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            schedule.ended(0, false);
            pauses.push(schedule.due() / 1000);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        (0..100).for_each(|_| schedule.ended(0, false));
        schedule.ask();
        assert_eq!(schedule.due(), 30_000);
        schedule.ended(0, true);
        assert_eq!(schedule.due(), 900_000);
    }
}
