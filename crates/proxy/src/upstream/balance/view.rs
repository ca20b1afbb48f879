//! The endpoints of a service that take requests at the moment, made ready to be chosen from.

use std::sync::Arc;

use portcullis_config::model::Service;

use super::turns::Turns;
use crate::snapshot::EndpointState;

/// Endpoints that take requests, and whose turn it is among them.
#[derive(Debug)]
pub(crate) struct View {
    /// Those that take requests.
    pub(super) members: Box<[Member]>,
    pub(super) turns: Turns,
    /// No endpoint is available, so that all are used: what says so is likelier wrong.
    pub(super) panic: bool,
}

/// An endpoint that takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Its index among the endpoints of the service.
    pub(super) endpoint: u32,
    pub(super) weight: u64,
}

impl View {
    /// The view of a service's endpoints as they are now.
    pub(crate) fn of(service: &Service, endpoints: &[Arc<EndpointState>]) -> View {
        let all = || service.endpoints.iter().zip(endpoints).zip(0u32..);
        let panic = !all().any(|((e, state), _)| e.weight > 0 && state.health.is_available());
        let members: Box<[Member]> = all()
            .filter(|((_, state), _)| panic || state.health.is_available())
            .filter(|((endpoint, _), _)| endpoint.weight > 0)
            .map(|((written, _), endpoint)| Member { endpoint, weight: written.weight.into() })
            .collect();
        let weights: Vec<u64> = members.iter().map(|member| member.weight).collect();
        View { turns: Turns::new(&weights), members, panic }
    }

    /// Whether endpoints are used that are said not to be available.
    pub(crate) fn is_panicking(&self) -> bool {
        self.panic
    }
}
