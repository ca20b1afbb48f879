//! A service's circuit breaker: closed, open for a while, then half open, which lets a few requests
//! through to find out. It is one atomic word, so that a worker asks it with one look, and it
//! belongs to the service and not to a configuration.

mod window;

use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

use portcullis_config::model::{Trip, TripShare};
use portcullis_core::metrics::Sharded;

use self::window::{Tally, Window};

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everything goes through.
    Closed,
    /// A few requests go through, to find out.
    HalfOpen,
    /// Nothing goes through.
    Open,
}

impl Phase {
    /// Its name in logs and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Closed => "closed",
            Phase::HalfOpen => "half open",
            Phase::Open => "open",
        }
    }
}

/// A breaker's state.
#[derive(Debug)]
pub(crate) struct BreakerState {
    standing: AtomicU64,
    /// What was tried before then says nothing any more; [`crate::clock::millis`].
    judged_from: AtomicU64,
    windows: Sharded<Window>,
    trips: AtomicU64,
}

/// How long a request that was refused should wait, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u64);

/// How long requests are told to wait while others find out, in milliseconds.
const WHILE_PROBING: u64 = 1000;

/// Lets one try through. A probe gives its place back when it ends.
#[derive(Debug)]
pub(crate) struct Pass<'s> {
    breaker: &'s BreakerState,
    /// Of a probe: since when the breaker is half open.
    probe: Option<u64>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.probe {
            self.breaker.change(|standing| {
                let ours = standing.phase == Phase::HalfOpen && standing.until_ms == since;
                ours.then(|| Standing { out: standing.out.saturating_sub(1), ..standing })
            });
        }
    }
}

impl BreakerState {
    pub(crate) fn new(workers: usize) -> BreakerState {
        BreakerState {
            standing: AtomicU64::new(Standing::CLOSED.pack()),
            judged_from: AtomicU64::new(0),
            windows: Sharded::new(workers),
            trips: AtomicU64::new(0),
        }
    }

    /// Where it stands; one that was open for long enough is half open.
    pub(crate) fn phase(&self, now_ms: u64) -> Phase {
        let standing = self.standing();
        match standing.phase {
            Phase::Open if standing.until_ms <= now_ms => Phase::HalfOpen,
            phase => phase,
        }
    }

    /// How often it has opened.
    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Relaxed)
    }

    /// Asks whether a try may begin. The clock is looked at only if the breaker is not closed.
    pub(crate) fn ask(
        &self,
        trip: &Trip,
        service: &str,
        clock: impl Fn() -> u64,
    ) -> Result<Pass<'_>, Refused> {
        if self.standing().phase == Phase::Closed {
            return Ok(Pass { breaker: self, probe: None });
        }
        let now_ms = clock();
        let mut refused = None;
        let asked = self.change(|standing| match standing.probe(trip, now_ms) {
            Ok(next) => Some(next),
            Err(why) => {
                refused = Some(why);
                None
            }
        });
        match (asked, refused) {
            (Some((before, after)), _) => {
                if before.phase == Phase::Open {
                    tracing::info!(service, "the breaker is half open");
                }
                Ok(Pass { breaker: self, probe: Some(after.until_ms) })
            }
            (None, Some(Refused(wait))) if wait > 0 => Err(Refused(wait)),
            // It has closed in the meantime.
            (None, _) => Ok(Pass { breaker: self, probe: None }),
        }
    }

    /// Notes how a try ended that began at `begun_ms`.
    pub(crate) fn note(
        &self,
        trip: &Trip,
        service: &str,
        worker: usize,
        (begun_ms, now_ms): (u64, u64),
        error: bool,
    ) {
        let slow = trip.slow.is_some_and(|(over, _)| {
            u128::from(now_ms.saturating_sub(begun_ms)) > over.as_millis()
        });
        let bad = slow || error;
        let standing = self.standing();
        match standing.phase {
            Phase::Closed => {
                self.windows.shard(worker).count(trip.window, now_ms, error, slow);
                if bad && let Some(why) = self.is_too_much(trip, now_ms) {
                    self.trip(trip, service, now_ms, why);
                }
            }
            // Only probes began since then.
            Phase::HalfOpen if begun_ms >= standing.until_ms => {
                self.probed(trip, service, now_ms, bad);
            }
            Phase::HalfOpen | Phase::Open => {}
        }
    }

    fn is_too_much(&self, trip: &Trip, now_ms: u64) -> Option<&'static str> {
        let from = self.judged_from.load(Acquire);
        let mut tally = Tally::default();
        self.windows
            .shards()
            .for_each(|window| window.add_to(&mut tally, trip.window, now_ms, from));
        let exceeds = |count: u64, share: TripShare| {
            tally.tries >= share.at_least.into() && count as f64 >= share.share * tally.tries as f64
        };
        if trip.errors.is_some_and(|share| exceeds(tally.errors, share)) {
            return Some("too many errors");
        }
        trip.slow
            .is_some_and(|(_, share)| exceeds(tally.slow, share))
            .then_some("too many slow replies")
    }

    fn trip(&self, trip: &Trip, service: &str, now_ms: u64, why: &str) {
        let opened = self.change(|standing| {
            (standing.phase == Phase::Closed).then(|| standing.opened(trip, now_ms))
        });
        if let Some((_, after)) = opened {
            self.trips.fetch_add(1, Relaxed);
            let open_ms = after.until_ms - now_ms;
            tracing::warn!(service, why, open_ms, "the breaker opens");
        }
    }

    fn probed(&self, trip: &Trip, service: &str, now_ms: u64, bad: bool) {
        let changed = self.change(|standing| {
            (standing.phase == Phase::HalfOpen).then(|| standing.probed(trip, now_ms, bad))
        });
        let Some((_, after)) = changed else { return };
        match after.phase {
            Phase::Open => {
                self.trips.fetch_add(1, Relaxed);
                let open_ms = after.until_ms - now_ms;
                tracing::warn!(service, open_ms, "the breaker opens again: a probe failed");
            }
            Phase::Closed => {
                self.judged_from.store(now_ms, Relaxed);
                tracing::info!(service, "the breaker closes");
            }
            Phase::HalfOpen => {}
        }
    }

    fn standing(&self) -> Standing {
        Standing::unpack(self.standing.load(Acquire))
    }

    /// Changes where it stands, if `next` says so; what it was, and what it is now.
    fn change(
        &self,
        mut next: impl FnMut(Standing) -> Option<Standing>,
    ) -> Option<(Standing, Standing)> {
        let mut after = None;
        let before = self.standing.fetch_update(AcqRel, Acquire, |word| {
            after = next(Standing::unpack(word));
            after.map(Standing::pack)
        });
        Some((Standing::unpack(before.ok()?), after?))
    }
}

/// What the word holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    phase: Phase,
    /// Probes under way.
    out: u8,
    /// Probes that went well since it is half open.
    well: u8,
    /// How often it opened without closing in between.
    trips: u8,
    /// When it is open for long enough; half open, when that was.
    until_ms: u64,
}

impl Standing {
    const CLOSED: Standing =
        Standing { phase: Phase::Closed, out: 0, well: 0, trips: 0, until_ms: 0 };

    /// 2 bits of phase, three times 8 bits, 38 bits of time: eight years.
    fn pack(self) -> u64 {
        let phase = match self.phase {
            Phase::Closed => 0,
            Phase::HalfOpen => 1,
            Phase::Open => 2,
        };
        phase
            | u64::from(self.out) << 2
            | u64::from(self.well) << 10
            | u64::from(self.trips) << 18
            | self.until_ms.min((1 << 38) - 1) << 26
    }

    fn unpack(word: u64) -> Standing {
        let byte = |at: u32| (word >> at & 0xff) as u8;
        let phase = match word & 3 {
            0 => Phase::Closed,
            1 => Phase::HalfOpen,
            _ => Phase::Open,
        };
        Standing { phase, out: byte(2), well: byte(10), trips: byte(18), until_ms: word >> 26 }
    }

    /// Open from now on, twice as long as the last time.
    fn opened(self, trip: &Trip, now_ms: u64) -> Standing {
        let open = trip.open.saturating_mul(1 << self.trips.min(16)).min(trip.max_open);
        let until_ms = now_ms + u64::try_from(open.as_millis()).unwrap_or(u64::MAX >> 26);
        Standing {
            phase: Phase::Open,
            out: 0,
            well: 0,
            trips: self.trips.saturating_add(1),
            until_ms,
        }
    }

    /// One more probe under way, if there may be one.
    fn probe(self, trip: &Trip, now_ms: u64) -> Result<Standing, Refused> {
        match self.phase {
            Phase::Open if now_ms < self.until_ms => Err(Refused(self.until_ms - now_ms)),
            Phase::Open => Ok(Standing { phase: Phase::HalfOpen, out: 1, well: 0, ..self }),
            Phase::HalfOpen if self.out < trip.probes => Ok(Standing { out: self.out + 1, ..self }),
            Phase::HalfOpen => Err(Refused(WHILE_PROBING)),
            // No probe is needed any more; the caller looks again.
            Phase::Closed => Err(Refused(0)),
        }
    }

    /// A probe has ended.
    fn probed(self, trip: &Trip, now_ms: u64, bad: bool) -> Standing {
        if bad {
            return self.opened(trip, now_ms);
        }
        let well = self.well + 1;
        if well < trip.probes { Standing { well, ..self } } else { Standing::CLOSED }
    }
}

#[cfg(test)]
mod tests;
