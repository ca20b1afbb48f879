//! The endpoints of a service that take requests at the moment, made ready to be chosen from.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{Balance, Service, SlowStart};

use super::hash::StableHash;
use super::table::{Claim, Table};
use super::turns::Turns;
use super::weigh::{Facts, Weighed, warmth, weigh};
use crate::snapshot::{EndpointHealth, EndpointState};

/// In how many steps an endpoint warms up, and the least time that a step takes.
const WARMING_STEPS: u32 = 50;
const LEAST_STEP: Duration = Duration::from_millis(50);

/// Endpoints that take requests, and whose turn it is among them.
#[derive(Debug)]
pub(crate) struct View {
    /// Those that take requests, in the order of the configuration.
    pub(super) members: Box<[Member]>,
    pub(super) turns: Turns,
    /// For choosing by hash.
    pub(super) table: Option<Table>,
    /// Endpoints that could take requests where no member will do, the best first.
    pub(super) reserve: Box<[u32]>,
    /// Endpoints are used that are not available: what says so may be wrong.
    pub(super) panic: bool,
    /// The weight of all members.
    pub(super) total: u64,
    /// Endpoints that are available, whatever their weight.
    available: usize,
    /// When the view should be made anew for endpoints that warm up.
    next_step: Option<Duration>,
}

/// An endpoint that takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Its index among the endpoints of the service.
    pub(super) endpoint: u32,
    pub(super) weight: u64,
}

/// What a view is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) service: &'a Service,
    pub(crate) endpoints: &'a [Arc<EndpointState>],
    /// Where the gateway stands.
    pub(crate) zone: Option<&'a str>,
    /// When the service came to be known. Endpoints that are as old are not warmed up.
    pub(crate) begun_ms: u64,
    pub(crate) now_ms: u64,
}

impl View {
    /// The view of a service's endpoints as they are now.
    pub(crate) fn of(around: &Around<'_>) -> View {
        let Around { service, endpoints, .. } = around;
        let facts: Vec<Facts> = (0..endpoints.len()).map(|i| facts(around, i)).collect();
        let Weighed { weights, reserve, panic } = weigh(&facts, &service.availability);
        let members: Box<[Member]> = (0u32..)
            .zip(&weights)
            .filter(|(_, weight)| **weight > 0)
            .map(|(endpoint, &weight)| Member { endpoint, weight })
            .collect();
        let weights: Vec<u64> = members.iter().map(|member| member.weight).collect();
        let table = match &service.balance {
            Balance::Hash(hash) => {
                let claims: Vec<Claim> = members
                    .iter()
                    .map(|member| Claim { id: id(endpoints, *member), weight: member.weight })
                    .collect();
                Some(Table::new(hash.algorithm, &claims, endpoints.len()))
            }
            _ => None,
        };
        View {
            turns: Turns::new(&weights),
            total: weights.iter().sum(),
            members,
            table,
            reserve: reserve.into(),
            panic,
            available: facts.iter().filter(|fact| fact.available).count(),
            next_step: next_step(service, &facts),
        }
    }

    /// Whether endpoints are used that are not available.
    pub(crate) fn is_panicking(&self) -> bool {
        self.panic
    }

    /// Endpoints that are available, those that weigh nothing included.
    pub(crate) fn available(&self) -> usize {
        self.available
    }

    /// After how long the view should be made anew though nothing happens.
    pub(crate) fn next_step(&self) -> Option<Duration> {
        self.next_step
    }

    /// What part of the requests an endpoint gets, from 0 to 1.
    pub(crate) fn share(&self, endpoint: usize) -> f64 {
        let member = self.member(endpoint).map(|position| self.members[position].weight);
        member.map_or(0.0, |weight| weight as f64 / self.total as f64)
    }

    /// The position among the members of an endpoint.
    pub(super) fn member(&self, endpoint: usize) -> Option<usize> {
        self.members.binary_search_by_key(&endpoint, |member| member.endpoint as usize).ok()
    }
}

fn facts(around: &Around<'_>, i: usize) -> Facts {
    let (written, health) = (&around.service.endpoints[i], &around.endpoints[i].health);
    let since = health.since_available();
    let slow_start = around.service.slow_start.filter(|_| since > around.begun_ms);
    let slow_start = slow_start.or_else(|| after_ejection(around.service, health));
    Facts {
        weight: written.weight,
        priority: written.priority,
        local: around.zone.is_none_or(|zone| written.zone.as_deref() == Some(zone)),
        available: health.is_available(),
        warmth: warmth(slow_start.as_ref(), around.now_ms.saturating_sub(since)),
    }
}

/// What an endpoint is to a hash: the same on every node.
fn id(endpoints: &[Arc<EndpointState>], member: Member) -> u64 {
    StableHash::new().part(endpoints[member.endpoint as usize].label.as_bytes()).end()
}

fn next_step(service: &Service, facts: &[Facts]) -> Option<Duration> {
    let warming = facts.iter().any(|fact| fact.available && fact.warmth < 100);
    let window = service.slow_start.map(|slow_start| slow_start.window);
    let window = window.or(service.outliers.map(|outliers| outliers.base_ejection));
    Some((window.filter(|_| warming)? / WARMING_STEPS).max(LEAST_STEP))
}

/// How an endpoint comes back that was ejected, where the service says nothing about it: whether it
/// does better now only requests tell, and it begins with a few.
fn after_ejection(service: &Service, health: &EndpointHealth) -> Option<SlowStart> {
    let outliers = service.outliers.filter(|_| health.is_back_from_ejection())?;
    Some(SlowStart { window: outliers.base_ejection, min_share: 0.1 })
}
