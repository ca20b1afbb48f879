//! The health of endpoints: what checks found, who was ejected and why.

use portcullis_core::health::{CheckResult, EjectionCause, HealthMetrics};

use super::ServiceScrape;
use super::page::{Kind, Page};

/// What was found out about the endpoints of a service.
#[derive(Debug)]
pub struct HealthScrape<'a> {
    /// What was counted.
    pub metrics: &'a HealthMetrics,
    /// Whether the service has active checks.
    pub checked: bool,
    /// How many of its endpoints are ejected now; `None` where none may be.
    pub ejected: Option<usize>,
}

pub(super) fn render(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_health_checks_total",
        Kind::Counter,
        "Active checks of endpoints, by service and how they ended.",
    );
    for service in services.iter().filter(|service| service.health.checked) {
        for result in CheckResult::ALL {
            let count = service.health.metrics.checks[result as usize].value();
            page.sample(&[("service", service.name), ("result", result.code())], count);
        }
    }
    let ejecting =
        || services.iter().filter_map(|of| Some((of.name, of.health.metrics, of.health.ejected?)));
    page.family(
        "portcullis_endpoints_ejected",
        Kind::Gauge,
        "Endpoints that are ejected now, by service.",
    );
    for (service, _, ejected) in ejecting() {
        page.sample(&[("service", service)], ejected as u64);
    }
    page.family(
        "portcullis_endpoint_ejections_total",
        Kind::Counter,
        "Ejections of endpoints, by service and cause.",
    );
    for (service, metrics, _) in ejecting() {
        for cause in EjectionCause::ALL {
            let count = metrics.ejections[cause as usize].value();
            page.sample(&[("service", service), ("cause", cause.code())], count);
        }
    }
    page.family(
        "portcullis_endpoint_ejections_spared_total",
        Kind::Counter,
        "Ejections that did not take place because there would have been too many.",
    );
    for (service, metrics, _) in ejecting() {
        page.sample(&[("service", service)], metrics.spared.value());
    }
}
