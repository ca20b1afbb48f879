//! The health of endpoints: who is available, what checks found, who was ejected and why.

use portcullis_core::health::{CheckResult, EjectionCause, HealthMetrics};

use super::page::{Kind, Page};

/// What there is to tell about the endpoints of a service.
#[derive(Debug)]
pub struct ServiceHealth<'a> {
    /// The service's name.
    pub service: &'a str,
    /// What was counted.
    pub metrics: &'a HealthMetrics,
    /// Whether it has active checks.
    pub checked: bool,
    /// Whether its endpoints may be ejected.
    pub ejects: bool,
    /// Its endpoints.
    pub endpoints: Vec<EndpointFacts<'a>>,
}

/// What there is to tell about an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointFacts<'a> {
    /// Its address.
    pub endpoint: &'a str,
    /// Whether its health lets it take requests.
    pub available: bool,
    /// Whether it is ejected.
    pub ejected: bool,
}

pub(super) fn render(services: &[ServiceHealth<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_endpoint_available",
        Kind::Gauge,
        "Whether an endpoint is neither unhealthy nor ejected.",
    );
    for of in services {
        for facts in &of.endpoints {
            let labels = [("service", of.service), ("endpoint", facts.endpoint)];
            page.sample(&labels, u64::from(facts.available));
        }
    }
    page.family(
        "portcullis_health_checks_total",
        Kind::Counter,
        "Active checks of endpoints, by service and how they ended.",
    );
    for of in services.iter().filter(|of| of.checked) {
        for result in CheckResult::ALL {
            let count = of.metrics.checks[result as usize].value();
            page.sample(&[("service", of.service), ("result", result.code())], count);
        }
    }
    let ejecting = || services.iter().filter(|of| of.ejects);
    page.family(
        "portcullis_endpoints_ejected",
        Kind::Gauge,
        "Endpoints that are ejected now, by service.",
    );
    for of in ejecting() {
        let count = of.endpoints.iter().filter(|facts| facts.ejected).count();
        page.sample(&[("service", of.service)], count as u64);
    }
    page.family(
        "portcullis_endpoint_ejections_total",
        Kind::Counter,
        "Ejections of endpoints, by service and cause.",
    );
    for of in ejecting() {
        for cause in EjectionCause::ALL {
            let count = of.metrics.ejections[cause as usize].value();
            page.sample(&[("service", of.service), ("cause", cause.code())], count);
        }
    }
    page.family(
        "portcullis_endpoint_ejections_spared_total",
        Kind::Counter,
        "Ejections that did not take place because there would have been too many.",
    );
    for of in ejecting() {
        page.sample(&[("service", of.service)], of.metrics.spared.value());
    }
}
