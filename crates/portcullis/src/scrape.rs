//! What the metrics page shows of services, read from where it is counted.

use portcullis_policies::grants::Told;
use portcullis_proxy::snapshot::{CompiledService, Standing};
use portcullis_proxy::{Compiler, Phase};
use portcullis_telemetry::{EndpointScrape, HealthScrape, ServiceScrape, TokenScrape};

/// The services in use.
pub(crate) fn services(compiler: &Compiler) -> Vec<ServiceScrape<'_>> {
    compiler.services().map(|service| of(service)).collect()
}

fn of(service: &CompiledService) -> ServiceScrape<'_> {
    let Standing { panicking, shares, .. } = service.standing();
    let endpoints = service.endpoints.iter().zip(shares);
    ServiceScrape {
        name: &service.service.name,
        panicking,
        views: service.state.views_made(),
        sticky: service.sticky_cookie().map(|_| &service.state.sticky),
        health: health(service),
        adapts: service.service.overload.is_some(),
        metrics: service.metrics(),
        breaker: service.breaker().map(|(phase, trips)| (place(phase), trips)),
        token: service.token.as_ref().map(|token| self::token(token.told())),
        endpoints: endpoints
            .map(|(endpoint, share)| EndpointScrape {
                endpoint: &endpoint.label,
                available: endpoint.health.is_available(),
                share,
                metrics: &endpoint.metrics,
            })
            .collect(),
    }
}

fn token(told: Told) -> TokenScrape {
    let Told { left, granted, failed, rejected } = told;
    TokenScrape { left, granted, failed, rejected }
}

fn place(phase: Phase) -> u64 {
    match phase {
        Phase::Closed => 0,
        Phase::HalfOpen => 1,
        Phase::Open => 2,
    }
}

fn health(service: &CompiledService) -> HealthScrape<'_> {
    let ejected = service.endpoints.iter().filter(|endpoint| endpoint.health.is_ejected()).count();
    HealthScrape {
        metrics: service.state.health(),
        checked: service.service.health.is_some(),
        ejected: service.service.outliers.map(|_| ejected),
    }
}
