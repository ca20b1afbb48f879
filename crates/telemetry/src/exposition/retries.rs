//! What is counted of services: retries, what they were spared, breakers.

use portcullis_core::metrics::{Counter, RetryCause, RetryDenial, ServiceSeries, Spared};

use super::page::{Kind, Page};
use super::services::ServiceScrape;

/// Appends the families of these services. One that no worker has used yet is left out.
pub(super) fn render(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    let used: Vec<_> =
        services.iter().filter(|service| service.metrics.shards().next().is_some()).collect();
    page.family(
        "portcullis_service_requests_active",
        Kind::Gauge,
        "Requests that a service has under way.",
    );
    for service in &used {
        page.sample(&[("service", service.name)], service.metrics.sum(|series| &series.active));
    }
    let mut by = |name, label, help, values: &[&'static str], of: Of| {
        page.family(name, Kind::Counter, help);
        for service in &used {
            for (position, value) in values.iter().enumerate() {
                let count = service.metrics.sum(|series| of(series, position));
                page.sample(&[("service", service.name), (label, value)], count);
            }
        }
    };
    by(
        "portcullis_retries_total",
        "cause",
        "Requests sent once more, by what for.",
        &RetryCause::ALL.map(RetryCause::code),
        |series, position| &series.retries[position],
    );
    by(
        "portcullis_retries_denied_total",
        "why",
        "Requests that should have been sent once more and were not, by why.",
        &RetryDenial::ALL.map(RetryDenial::code),
        |series, position| &series.denied[position],
    );
    by(
        "portcullis_service_spared_total",
        "why",
        "Requests and connections that a service was spared, by why.",
        &Spared::ALL.map(Spared::code),
        |series, position| &series.spared[position],
    );
    page.family(
        "portcullis_backup_requests_total",
        Kind::Counter,
        "Requests and connections that went on from a service to its backup.",
    );
    for service in &used {
        page.sample(&[("service", service.name)], service.metrics.sum(|series| &series.passed_on));
    }
    breakers(services, page);
}

/// The counter at a position.
type Of = fn(&ServiceSeries, usize) -> &Counter;

fn breakers(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    let breakers: Vec<_> =
        services.iter().filter_map(|service| Some((service.name, service.breaker?))).collect();
    page.family(
        "portcullis_breaker_state",
        Kind::Gauge,
        "Where a breaker stands: 0 closed, 1 half open, 2 open.",
    );
    for (name, (phase, _)) in &breakers {
        page.sample(&[("service", name)], *phase);
    }
    page.family("portcullis_breaker_trips_total", Kind::Counter, "How often a breaker has opened.");
    for (name, (_, trips)) in &breakers {
        page.sample(&[("service", name)], *trips);
    }
}
