//! Copies of requests, and requests that are turned away.

use portcullis_core::{AuthOutcome, CredentialKind, IMPORTANCES, MirrorOutcome};

use super::Scrape;
use super::page::{Kind, Page};

impl Scrape<'_> {
    /// What happens to requests besides their being forwarded.
    pub(super) fn traffic(&self, page: &mut Page<'_>) {
        self.authentication(page);
        page.family(
            "portcullis_mirrored_requests_total",
            Kind::Counter,
            "Requests drawn to be copied for another service, by what became of the copy.",
        );
        for outcome in MirrorOutcome::ALL {
            let count = self.sum(|w| &w.mirrored[outcome as usize]);
            page.sample(&[("outcome", outcome.code())], count);
        }
        self.shed(page);
    }

    /// Requests turned away: by a worker that was late, and for a service with too much to do.
    fn shed(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_shed_requests_total",
            Kind::Counter,
            "Requests turned away because there was too much to do: by importance, by what had it \
             (a worker, seen by its lag, or a service, by its adaptive limit), and by service.",
        );
        for (place, name) in IMPORTANCES.into_iter().enumerate() {
            let labels = [("cause", "lag"), ("importance", name)];
            page.sample(&labels, self.sum(|w| &w.shed[place]));
        }
        let adapting = || self.services.iter().filter(|service| service.adapts);
        for service in adapting() {
            for (place, name) in IMPORTANCES.into_iter().enumerate() {
                let labels = [("cause", "limit"), ("importance", name), ("service", service.name)];
                page.sample(&labels, service.metrics.sum(|series| &series.shed[place]));
            }
        }
        page.family(
            "portcullis_service_adaptive_limit",
            Kind::Gauge,
            "Requests that all workers together let a service have under way now.",
        );
        for service in adapting() {
            let limit = service.metrics.sum(|series| &series.adaptive_limit);
            page.sample(&[("service", service.name)], limit);
        }
    }

    /// What came of looking for credentials. Kinds that nobody ever looked for are left out.
    fn authentication(&self, page: &mut Page<'_>) {
        page.family(
            "portcullis_authentication_total",
            Kind::Counter,
            "Credentials looked for in requests, by kind and by what came of it.",
        );
        for kind in CredentialKind::ALL {
            let count = |out: AuthOutcome| self.sum(|w| &w.auth[kind as usize][out as usize]);
            if AuthOutcome::ALL.into_iter().all(|outcome| count(outcome) == 0) {
                continue;
            }
            for outcome in AuthOutcome::ALL {
                let labels = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
                page.sample(&labels, count(outcome));
            }
        }
    }
}
