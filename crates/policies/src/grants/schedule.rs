//! When a token is asked for: pure, with time and chance given, in milliseconds of a steady clock.

use std::time::Duration;

/// After a fetch the next one follows no sooner than so, however short a token holds.
const APART: u64 = 500;
/// A token that the service would not have is renewed at most so often for that.
pub(super) const DOUBTED_APART: u64 = 30_000;
/// The first pause after a fetch that failed; each further one is twice as long.
const FIRST_PAUSE: u64 = 1000;
/// The longest pause while no token is granted.
const LONGEST_PAUSE: u64 = 60_000;

/// What there is to know for the next fetch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Schedule {
    due: u64,
    /// When the last fetch ended, if there was one.
    last: Option<u64>,
    /// Failures since the last success.
    failures: u32,
}

impl Schedule {
    /// When the next fetch is due.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// A token was granted at `now` that holds for `lifetime`. It is renewed `ahead`, and sooner by
    /// up to a half of that, so that not all gateways come at once.
    pub(super) fn granted(&mut self, now: u64, lifetime: u64, ahead: Duration, chance: f64) {
        let ahead = milliseconds(ahead).min(lifetime / 2);
        let sooner = part(ahead / 2, chance);
        self.due = (now + (lifetime - ahead).saturating_sub(sooner)).max(now + APART);
        (self.last, self.failures) = (Some(now), 0);
    }

    /// Nothing was granted. The pause is up to a quarter shorter by chance.
    pub(super) fn failed(&mut self, now: u64, chance: f64) {
        let pause = (FIRST_PAUSE << self.failures.min(16)).min(LONGEST_PAUSE);
        self.due = now + pause - part(pause / 4, chance);
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
    }

    /// The service would not have the token.
    pub(super) fn doubt(&mut self) {
        let soonest = self.last.map_or(0, |last| last + DOUBTED_APART);
        self.due = self.due.min(soonest);
    }

    /// Whoever grants has become reachable.
    pub(super) fn reachable(&mut self, now: u64) {
        self.due = self.due.min(now);
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A part of a time, by chance from 0 to 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a time of hours, made shorter"
)]
fn part(most: u64, chance: f64) -> u64 {
    (most as f64 * chance.clamp(0.0, 1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_is_renewed_ahead_and_a_little_sooner_by_chance() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(), 0);
        schedule.granted(1000, 3_600_000, MINUTE, 0.0);
        assert_eq!(schedule.due(), 1000 + 3_600_000 - 60_000);
        schedule.granted(1000, 3_600_000, MINUTE, 1.0);
        assert_eq!(schedule.due(), 1000 + 3_600_000 - 90_000);
    }

    #[test]
    fn a_short_token_is_renewed_halfway_and_not_all_the_time() {
        let mut schedule = Schedule::default();
        schedule.granted(0, 10_000, MINUTE, 0.0);
        assert_eq!(schedule.due(), 5000);
        for lifetime in [0, 1, 900] {
            schedule.granted(0, lifetime, MINUTE, 1.0);
            assert_eq!(schedule.due(), APART);
        }
    }

    #[test]
    fn pauses_grow_up_to_a_minute_and_end_when_somebody_is_there() {
        let mut schedule = Schedule::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            schedule.failed(0, 0.0);
            pauses.push(schedule.due() / 1000);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        (0..100).for_each(|_| schedule.failed(0, 1.0));
        assert_eq!(schedule.due(), 45_000);
        schedule.reachable(7);
        assert_eq!(schedule.due(), 7);
        schedule.granted(0, 3_600_000, MINUTE, 0.0);
        schedule.failed(0, 0.0);
        assert_eq!(schedule.due(), 1000);
    }

    #[test]
    fn doubt_brings_a_fetch_forward_but_not_sooner_than_half_a_minute() {
        let mut schedule = Schedule::default();
        schedule.granted(5000, 3_600_000, MINUTE, 0.0);
        schedule.doubt();
        schedule.doubt();
        assert_eq!(schedule.due(), 35_000);
        schedule.granted(35_000, 20_000, MINUTE, 0.0);
        schedule.doubt();
        assert_eq!(schedule.due(), 45_000);
    }
}
