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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_config::{Format, Loader};

    use super::*;
    use crate::Compiler;

    const SETTINGS: &str =
        "consecutive_gateway_errors: 3, base_ejection: 10s, max_ejection: 25s, interval: 20s";

    fn service(endpoints: &str, outliers: &str) -> Arc<CompiledService> {
        let yaml = format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\n\
             services: {{ s: {{ endpoints: [{endpoints}], outliers: {{ {outliers} }} }} }}\n"
        );
        let loaded = Loader::from_text("g.yaml", yaml, Format::Yaml).load().unwrap();
        let compiled = Compiler::new(1).compile(&loaded.config, &loaded.changes).unwrap();
        compiled.snapshot.services[0].clone().unwrap()
    }

    /// A service, and its ejector at a time of the test's.
    struct Case {
        service: Arc<CompiledService>,
        settings: Outliers,
        ejector: Ejector,
    }

    impl Case {
        fn new(endpoints: &str, outliers: &str) -> Case {
            let service = service(endpoints, outliers);
            let settings = service.service.outliers.unwrap();
            let ejector = Ejector::new(&settings, 0);
            Case { service, settings, ejector }
        }

        fn look(&mut self, now: u64) -> Looked {
            self.ejector.look(&self.service, &self.settings, now)
        }

        /// Three gateway errors in a row at an endpoint.
        fn fail(&mut self, endpoint: usize, now: u64) -> Looked {
            let endpoint = &self.service.endpoints[endpoint];
            endpoint.health.encounters.fail(3);
            self.ejector.suspect(&self.service, &self.settings, endpoint.slot, now)
        }

        fn ejected(&self) -> Vec<usize> {
            let endpoints = self.service.endpoints.iter().enumerate();
            endpoints.filter(|(_, e)| e.health.is_ejected()).map(|(i, _)| i).collect()
        }
    }

    #[test]
    fn ejections_grow_up_to_a_bound_and_shrink_when_it_is_quiet() {
        let mut case = Case::new("\"a:1\", \"b:1\"", SETTINGS);
        // The first lasts as long as the base, the second twice as long, the third the most.
        for (at, until) in [(1_000, 11_000), (11_000, 31_000), (31_000, 56_000)] {
            assert_eq!(case.fail(0, at), Looked { changed: true, again: Some(until) });
            assert_eq!(case.ejected(), [0]);
            assert!(!case.look(until - 1).changed, "{until}");
            assert!(case.look(until).changed, "{until}");
            assert!(case.ejected().is_empty());
        }
        // Three quiet intervals take back what three ejections had come to.
        let mut now = 56_000;
        while let Some(again) = case.look(now).again {
            now = again.max(now + 1);
        }
        assert!((96_000..=136_000).contains(&now), "{now}");
        assert_eq!(case.fail(0, now).again, Some(now + 10_000));
    }

    #[test]
    fn a_row_that_ends_ejects_nobody() {
        let mut case = Case::new("\"a:1\", \"b:1\"", SETTINGS);
        let endpoint = Arc::clone(&case.service.endpoints[0]);
        endpoint.health.encounters.fail(3);
        endpoint.health.encounters.forget_row();
        let looked = case.ejector.suspect(&case.service, &case.settings, endpoint.slot, 5);
        assert_eq!(looked, Looked { changed: false, again: None });
        let stranger = case.ejector.suspect(&case.service, &case.settings, 99, 5);
        assert!(!stranger.changed);
    }

    #[test]
    fn half_may_be_ejected_and_who_was_spared_is_looked_at_again() {
        let five = "\"a:1\", \"b:1\", \"c:1\", \"d:1\", { address: \"e:1\", weight: 0 }";
        let mut case = Case::new(five, SETTINGS);
        // Of the four that take requests two.
        for endpoint in 0..4 {
            case.fail(endpoint, 1_000);
        }
        assert_eq!(case.ejected(), [0, 1]);
        assert_eq!(case.service.state.health().spared.value(), 2);
        // When the two are back the interval has not ended; at its end the others go.
        assert!(case.look(11_000).changed);
        assert!(case.ejected().is_empty());
        assert!(case.look(20_000).changed);
        assert_eq!(case.ejected(), [2, 3]);
    }

    #[test]
    fn the_last_one_that_is_available_stays() {
        let mut case = Case::new("\"a:1\", \"b:1\"", &format!("{SETTINGS}, max_ejected: 100%"));
        case.service.endpoints[1].health.set_verdict(crate::snapshot::Verdict::Unhealthy);
        assert!(!case.fail(0, 1_000).changed);
        case.service.endpoints[1].health.set_verdict(crate::snapshot::Verdict::Healthy);
        assert!(case.fail(0, 2_000).changed);
        assert!(!case.fail(1, 3_000).changed);
    }

    #[test]
    fn an_ejected_endpoint_is_not_judged_by_what_still_comes() {
        let mut case = Case::new("\"a:1\", \"b:1\"", SETTINGS);
        assert!(case.fail(0, 1_000).changed);
        assert!(!case.fail(0, 2_000).changed);
        assert!(case.look(11_000).changed);
        assert!(!case.look(20_000).changed, "the row was of before");
    }

    #[test]
    fn without_ejections_all_are_back() {
        let mut case = Case::new("\"a:1\", \"b:1\"", SETTINGS);
        assert!(case.fail(1, 1_000).changed);
        assert!(take_all_back(&case.service));
        assert!(case.ejected().is_empty());
        assert!(!take_all_back(&case.service));
    }
}
