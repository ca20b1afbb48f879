//! What is counted of services and their endpoints.

use portcullis_core::metrics::{
    Counter, EndpointMetrics, EndpointSeries, ServiceMetrics, StickyMetrics, StickyResult,
};

use super::health::HealthScrape;
use super::page::{Kind, Page};
use super::tokens::TokenScrape;

/// A service.
#[derive(Debug)]
pub struct ServiceScrape<'a> {
    /// Its name.
    pub name: &'a str,
    /// Endpoints get requests that are not available.
    pub panicking: bool,
    /// How often it was laid out anew which endpoints get requests.
    pub views: u64,
    /// What became of clients' cookies, where it has one.
    pub sticky: Option<&'a StickyMetrics>,
    /// The health of its endpoints.
    pub health: HealthScrape<'a>,
    /// How many requests it may have under way adapts to how long they take.
    pub adapts: bool,
    /// What workers counted of it.
    pub metrics: &'a ServiceMetrics,
    /// Of its breaker, if it can open: 0 closed, 1 half open, 2 open; and how often it has opened.
    pub breaker: Option<(u64, u64)>,
    /// The token that is shown to it, if it is configured.
    pub token: Option<TokenScrape>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointScrape<'a>>,
}

/// An endpoint.
#[derive(Debug)]
pub struct EndpointScrape<'a> {
    /// Its address as configured.
    pub endpoint: &'a str,
    /// Whether it is well, as far as is known.
    pub available: bool,
    /// The part of the service's requests that it is to get, from 0 to 1.
    pub share: f64,
    /// Its counters.
    pub metrics: &'a EndpointMetrics,
}

/// Appends the families of these services.
pub(super) fn render(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    let sum = |endpoint: &EndpointScrape<'_>, counter: fn(&EndpointSeries) -> &Counter| {
        endpoint.metrics.shards().fold(0u64, |sum, s| sum.wrapping_add(counter(s).value()))
    };
    page.family(
        "portcullis_endpoint_requests_total",
        Kind::Counter,
        "Requests and connections sent to an endpoint, those that failed included.",
    );
    each(services, |labels, endpoint| page.sample(labels, sum(endpoint, |s| &s.requests)));
    page.family(
        "portcullis_endpoint_requests_active",
        Kind::Gauge,
        "Requests and connections that an endpoint has under way now.",
    );
    each(services, |labels, endpoint| page.sample(labels, sum(endpoint, |s| &s.active)));
    page.family(
        "portcullis_endpoint_available",
        Kind::Gauge,
        "Whether an endpoint is well as far as is known (1) or not (0).",
    );
    each(services, |labels, endpoint| page.sample(labels, endpoint.available.into()));
    page.family(
        "portcullis_endpoint_share",
        Kind::Gauge,
        "The part of its service's requests that an endpoint is to get now, from 0 to 1.",
    );
    each(services, |labels, endpoint| page.sample_fraction(labels, endpoint.share));
    page.family(
        "portcullis_service_panicking",
        Kind::Gauge,
        "Whether endpoints get requests that are not available (1), because too few are.",
    );
    for service in services {
        page.sample(&[("service", service.name)], service.panicking.into());
    }
    page.family(
        "portcullis_service_views_total",
        Kind::Counter,
        "How often it was laid out anew which endpoints of a service get requests.",
    );
    for service in services {
        page.sample(&[("service", service.name)], service.views);
    }
    sticky(services, page);
}

fn each<'a>(
    services: &'a [ServiceScrape<'a>],
    mut write: impl FnMut(&[(&str, &str)], &EndpointScrape<'a>),
) {
    for service in services {
        for endpoint in &service.endpoints {
            write(&[("service", service.name), ("endpoint", endpoint.endpoint)], endpoint);
        }
    }
}

fn sticky(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_sticky_requests_total",
        Kind::Counter,
        "Replies of services with a sticky cookie, by what became of the client's.",
    );
    for service in services {
        let Some(metrics) = service.sticky else { continue };
        for result in StickyResult::ALL {
            let count = metrics
                .shards()
                .fold(0u64, |sum, shard| sum.wrapping_add(shard.0[result as usize].value()));
            page.sample(&[("service", service.name), ("result", result.code())], count);
        }
    }
}
