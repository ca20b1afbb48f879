//! One endpoint's checks, one after the other, in a task that lives as long as the endpoint is to
//! be checked. New settings reach it without losing what is known.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_config::model::ActiveCheck;
use portcullis_core::health::CheckResult;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::Instant;

use super::Verdict;
use super::book::LastCheck;
use super::check::{Checker, Fault};
use crate::snapshot::{CompiledService, EndpointState};

/// The service that a check belongs to, as the newest configuration has it.
pub(super) type Settings = Rc<RefCell<Arc<CompiledService>>>;

/// Most checks under way at once.
const MOST_AT_ONCE: usize = 2048;
/// Checks begin at multiples of this, so that a thread with many of them is woken for several.
const STEP: Duration = Duration::from_millis(10);

/// What all checks share.
#[derive(Debug)]
pub(super) struct Ground {
    places: Semaphore,
    begun: Instant,
}

impl Ground {
    pub(super) fn new() -> Ground {
        Ground { places: Semaphore::new(MOST_AT_ONCE), begun: Instant::now() }
    }

    /// When a check begins that is due then.
    fn step(&self, due: Instant) -> Instant {
        let into = due.saturating_duration_since(self.begun).as_nanos() % STEP.as_nanos();
        let left = (STEP.as_nanos() - into) % STEP.as_nanos();
        // Less than a step, so it always fits.
        due + Duration::from_nanos(u64::try_from(left).unwrap_or_default())
    }
}

/// An endpoint under watch: it is let go when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    nudge: Rc<Notify>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to check an endpoint, the first time after so long.
    pub(super) fn begin(
        settings: &Settings,
        endpoint: &Arc<EndpointState>,
        ground: &Rc<Ground>,
        first: Duration,
    ) -> Watch {
        let nudge = Rc::new(Notify::new());
        let subject = Subject {
            settings: Rc::clone(settings),
            endpoint: Arc::clone(endpoint),
            ground: Rc::clone(ground),
            nudge: Rc::clone(&nudge),
        };
        Watch { nudge, task: spawn_local(subject.watch(first)) }
    }

    /// Has it look at its settings.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Subject {
    settings: Settings,
    endpoint: Arc<EndpointState>,
    ground: Rc<Ground>,
    nudge: Rc<Notify>,
}

impl Subject {
    async fn watch(self, first: Duration) {
        let Some(mut active) = self.active() else { return };
        let mut checker = Checker::new(&self.endpoint, &active);
        let mut begun = Instant::now();
        let mut wait = first;
        loop {
            while !self.sleep_until(self.ground.step(begun + wait)).await {
                let Some(newest) = self.active() else { return };
                wait = wait.min(newest.interval);
                active = newest;
                checker.adopt(&self.endpoint, &active);
            }
            // The semaphore is never closed.
            let Ok(_place) = self.ground.places.acquire().await else { return };
            begun = Instant::now();
            let service = Arc::clone(&self.settings.borrow());
            // Boxed: what a check needs is much, and most of the time none is under way.
            let checked = Box::pin(checker.check(&service)).await;
            let turning = self.conclude(&service, &active, checked, begun.elapsed());
            let interval = if turning { active.fast_interval } else { active.interval };
            wait = spread(interval, active.jitter, fastrand::f64());
        }
    }

    fn active(&self) -> Option<Arc<ActiveCheck>> {
        self.settings.borrow().service.health.clone()
    }

    /// Whether it slept until then; `false` when there are new settings.
    async fn sleep_until(&self, due: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(due) => true,
            () = self.nudge.notified() => false,
        }
    }

    /// Draws the conclusions; whether the endpoint is changing sides.
    fn conclude(
        &self,
        service: &CompiledService,
        active: &ActiveCheck,
        checked: Result<(), Fault>,
        took: Duration,
    ) -> bool {
        let health = &self.endpoint.health;
        let passed = checked.is_ok();
        let (result, detail) = match checked {
            Ok(()) => (CheckResult::Passed, String::new()),
            Err(fault) => (fault.result, fault.detail),
        };
        service.state.health.checks[result as usize].add(1);
        let before = health.verdict();
        let mut book = health.book();
        let verdict = book.judge(before, passed, active);
        let turning = book.against > 0;
        let last = LastCheck { at: SystemTime::now(), took, result, detail };
        if verdict != before {
            tell(service, &self.endpoint, before, verdict, &last);
        } else if !passed {
            tracing::debug!(
                service = &*service.service.name,
                endpoint = self.endpoint.label,
                result = result.code(),
                detail = last.detail,
                "a check failed"
            );
        }
        book.last = Some(last);
        drop(book);
        if verdict != before {
            let was_available = health.is_available();
            health.set_verdict(verdict);
            if health.is_available() != was_available {
                service.state.changed();
            }
        }
        turning
    }
}

/// Says in the log that an endpoint has changed sides.
fn tell(
    service: &CompiledService,
    endpoint: &EndpointState,
    before: Verdict,
    verdict: Verdict,
    last: &LastCheck,
) {
    let (name, label) = (&*service.service.name, &*endpoint.label);
    match verdict {
        Verdict::Unhealthy => tracing::warn!(
            service = name,
            endpoint = label,
            result = last.result.code(),
            detail = last.detail,
            "an endpoint is unhealthy"
        ),
        // That all is well is no news.
        _ if before.is_first() => {
            tracing::debug!(service = name, endpoint = label, "an endpoint is healthy");
        }
        _ => tracing::info!(service = name, endpoint = label, "an endpoint is healthy again"),
    }
}

/// A wait of about `interval`, by a share of up to `jitter` longer or shorter; `draw` is from 0 to 1.
fn spread(interval: Duration, jitter: f64, draw: f64) -> Duration {
    interval.mul_f64(1.0 + jitter * (2.0 * draw - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_by_their_jitter() {
        let ten = Duration::from_secs(10);
        assert_eq!(spread(ten, 0.1, 0.0), Duration::from_secs(9));
        assert_eq!(spread(ten, 0.1, 0.5), ten);
        assert_eq!(spread(ten, 0.0, 0.9), ten);
    }

    #[test]
    fn checks_begin_in_step() {
        let ground = Ground::new();
        let at = |ms| ground.begun + Duration::from_millis(ms);
        assert_eq!(ground.step(at(0)), at(0));
        assert_eq!(ground.step(at(1)), at(10));
        assert_eq!(ground.step(at(10)), at(10));
        let years = 1000 * 60 * 60 * 24 * 3650;
        assert_eq!(ground.step(at(years + 1)), at(years + 10));
    }
}
