//! Ejecting endpoints of a service and taking them back. The clock comes in from outside.

use std::time::Duration;

use portcullis_config::model::Outliers;
use portcullis_core::health::EjectionCause;

use super::Totals;
use super::judge::judge;
use crate::snapshot::{CompiledService, EndpointState};

/// What is remembered of an endpoint's ejections. It belongs to the endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ejections {
    /// How many times the base the last one lasted; each quiet interval takes one off.
    pub(crate) times: u32,
    /// When the one under way ends, by [`crate::clock::millis`].
    pub(crate) until: u64,
    /// Why it, or the last one, began.
    pub(crate) cause: Option<EjectionCause>,
    /// What had been counted when the interval began.
    seen: Totals,
}

/// The ejections of a service.
#[derive(Debug)]
pub(crate) struct Ejector {
    /// When the interval under way ends, by [`crate::clock::millis`].
    interval_ends: u64,
}

/// What a look at a service's endpoints came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Whether an endpoint was ejected or taken back.
    pub(crate) changed: bool,
    /// When to look again, if there is anything to wait for.
    pub(crate) again: Option<u64>,
}

impl Ejector {
    pub(crate) fn new(settings: &Outliers, now: u64) -> Ejector {
        Ejector { interval_ends: now + millis(settings.interval) }
    }

    /// Looks at all endpoints: takes back whose time has come, and judges what was counted when an
    /// interval has ended.
    pub(crate) fn look(
        &mut self,
        service: &CompiledService,
        settings: &Outliers,
        now: u64,
    ) -> Looked {
        let mut changed = false;
        for endpoint in service.endpoints.iter().filter(|e| e.health.is_ejected()) {
            if endpoint.health.book().ejections.until <= now {
                take_back(service, endpoint);
                changed = true;
            }
        }
        // Settings may have changed meanwhile.
        self.interval_ends = self.interval_ends.min(now + millis(settings.interval));
        if self.interval_ends <= now {
            self.interval_ends = now + millis(settings.interval);
            changed |= end_interval(service, settings, now);
        }
        Looked { changed, again: self.again(service, settings) }
    }

    /// Ejects an endpoint if it has failed too often in a row.
    pub(crate) fn suspect(
        &mut self,
        service: &CompiledService,
        settings: &Outliers,
        slot: usize,
        now: u64,
    ) -> Looked {
        let endpoint = service.endpoints.iter().find(|endpoint| endpoint.slot == slot);
        let changed = endpoint.is_some_and(|endpoint| check_row(service, settings, endpoint, now));
        Looked { changed, again: self.again(service, settings) }
    }

    /// When there will be something to do.
    fn again(&self, service: &CompiledService, settings: &Outliers) -> Option<u64> {
        let mut again = None;
        let mut at = |time: u64| again = Some(again.map_or(time, |known: u64| known.min(time)));
        if settings.success_rate.is_some() || settings.latency.is_some() {
            at(self.interval_ends);
        }
        for endpoint in &service.endpoints {
            let ejections = endpoint.health.book().ejections;
            if endpoint.health.is_ejected() {
                at(ejections.until);
            } else if ejections.times > 0 || row_is_long(settings, endpoint).is_some() {
                at(self.interval_ends);
            }
        }
        again
    }
}

/// Takes back every endpoint that is ejected, as nobody is any more.
pub(crate) fn take_all_back(service: &CompiledService) -> bool {
    let mut changed = false;
    for endpoint in &service.endpoints {
        let was_ejected = endpoint.health.is_ejected();
        if was_ejected {
            take_back(service, endpoint);
            changed = true;
        }
        endpoint.health.book().ejections.times = 0;
    }
    changed
}

fn take_back(service: &CompiledService, endpoint: &EndpointState) {
    let health = &endpoint.health;
    // What came from requests that were under way is old.
    health.encounters.forget_row();
    health.book().ejections.seen = health.encounters.totals();
    health.set_ejected(false);
    tracing::info!(
        service = &*service.service.name,
        endpoint = endpoint.label,
        available = health.is_available(),
        "an endpoint is back from its ejection"
    );
}

fn end_interval(service: &CompiledService, settings: &Outliers, now: u64) -> bool {
    let mut changed = false;
    let mut counted = Vec::with_capacity(service.endpoints.len());
    for endpoint in &service.endpoints {
        let totals = endpoint.health.encounters.totals();
        let mut book = endpoint.health.book();
        let ejections = &mut book.ejections;
        let since = totals.since(ejections.seen);
        ejections.seen = totals;
        if endpoint.health.is_ejected() {
            // What still came was not meant to.
            counted.push(Totals::default());
        } else {
            ejections.times = ejections.times.saturating_sub(1);
            counted.push(since);
        }
    }
    for endpoint in service.endpoints.iter().filter(|e| !e.health.is_ejected()) {
        changed |= check_row(service, settings, endpoint, now);
    }
    for (position, cause, why) in judge(settings, &counted) {
        let endpoint = &service.endpoints[position];
        if !endpoint.health.is_ejected() {
            changed |= eject(service, settings, endpoint, cause, &why, now);
        }
    }
    changed
}

fn check_row(
    service: &CompiledService,
    settings: &Outliers,
    endpoint: &EndpointState,
    now: u64,
) -> bool {
    if endpoint.health.is_ejected() {
        return false;
    }
    let Some((cause, count)) = row_is_long(settings, endpoint) else { return false };
    let why = match cause {
        EjectionCause::Consecutive5xx => format!("{count} errors in a row"),
        _ => format!("{count} gateway errors in a row"),
    };
    eject(service, settings, endpoint, cause, &why, now)
}

fn row_is_long(settings: &Outliers, endpoint: &EndpointState) -> Option<(EjectionCause, u32)> {
    let (errors, gateway_errors) = endpoint.health.encounters.in_a_row();
    let is_long = |count: u32, most: Option<u32>| most.is_some_and(|most| count >= most);
    if is_long(gateway_errors, settings.consecutive_gateway_errors) {
        return Some((EjectionCause::ConsecutiveGatewayErrors, gateway_errors));
    }
    let long = is_long(errors, settings.consecutive_5xx);
    long.then_some((EjectionCause::Consecutive5xx, errors))
}

/// Ejects an endpoint, unless that would be too many.
fn eject(
    service: &CompiledService,
    settings: &Outliers,
    endpoint: &EndpointState,
    cause: EjectionCause,
    why: &str,
    now: u64,
) -> bool {
    let metrics = &service.state.health;
    let (name, label) = (&*service.service.name, &*endpoint.label);
    if !may_eject(service, settings, endpoint) {
        metrics.spared.add(1);
        tracing::info!(
            service = name,
            endpoint = label,
            cause = cause.code(),
            why,
            "an endpoint is not ejected: it would be too many"
        );
        return false;
    }
    let mut book = endpoint.health.book();
    let ejections = &mut book.ejections;
    ejections.times = ejections.times.saturating_add(1);
    let lasts = length(settings, ejections.times);
    ejections.until = now.saturating_add(millis(lasts));
    ejections.cause = Some(cause);
    endpoint.health.encounters.forget_row();
    endpoint.health.set_ejected(true);
    metrics.ejections[cause as usize].add(1);
    tracing::warn!(
        service = name,
        endpoint = label,
        cause = cause.code(),
        why,
        lasts_s = lasts.as_secs_f64(),
        "an endpoint is ejected"
    );
    true
}

/// How long the ejection of this number lasts.
fn length(settings: &Outliers, times: u32) -> Duration {
    settings.base_ejection.saturating_mul(times).min(settings.max_ejection)
}

/// Whether so many may be ejected, and one that is available stays.
fn may_eject(service: &CompiledService, settings: &Outliers, endpoint: &EndpointState) -> bool {
    let written = &service.service.endpoints;
    let taking = || {
        let both = service.endpoints.iter().zip(written);
        both.filter(|(_, written)| written.weight > 0).map(|(endpoint, _)| endpoint)
    };
    let most = (taking().count() as f64 * settings.max_ejected) as usize;
    let ejected = taking().filter(|other| other.health.is_ejected()).count();
    let stays = |other: &EndpointState| other.slot != endpoint.slot && other.health.is_available();
    ejected < most.max(1) && taking().any(|other| stays(other))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
