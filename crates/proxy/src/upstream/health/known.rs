//! What a process tells its successor of an endpoint's health, so that an upgrade sends nobody to
//! endpoints that are known to be down, and waits for no checks whose outcome is known.

use std::time::Duration;

use portcullis_config::model::Service;
use portcullis_core::health::EjectionCause;

use super::{EndpointHealth, Verdict};
use crate::clock;

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KnownHealth {
    /// What active checks say; none before the first has ended.
    pub healthy: Option<bool>,
    /// The ejection under way.
    pub ejected: Option<KnownEjection>,
}

/// An ejection that goes on in another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEjection {
    /// Why it began.
    pub cause: EjectionCause,
    /// How long it still lasts.
    pub left: Duration,
    /// How many times the base it lasts.
    pub times: u32,
}

impl EndpointHealth {
    /// What there is to tell; none if nothing is known.
    #[must_use]
    pub fn known(&self) -> Option<KnownHealth> {
        let healthy = match self.verdict() {
            Verdict::Unchecked | Verdict::Awaited => None,
            Verdict::Healthy => Some(true),
            Verdict::Unhealthy => Some(false),
        };
        let ejections = self.book().ejections;
        let ejected = ejections.cause.filter(|_| self.is_ejected()).map(|cause| KnownEjection {
            cause,
            left: Duration::from_millis(ejections.until.saturating_sub(clock::millis())),
            times: ejections.times,
        });
        let known = KnownHealth { healthy, ejected };
        (known != KnownHealth::default()).then_some(known)
    }

    /// Begins with what another process knew, as far as `service` wants to know such things.
    pub(crate) fn recall(self, known: KnownHealth, service: &Service) -> EndpointHealth {
        if let (Some(healthy), Some(_)) = (known.healthy, &service.health) {
            self.set_verdict(if healthy { Verdict::Healthy } else { Verdict::Unhealthy });
        }
        if let (Some(ejected), Some(_)) = (known.ejected, service.outliers) {
            let left = u64::try_from(ejected.left.as_millis()).unwrap_or(u64::MAX);
            let mut book = self.book();
            book.ejections.cause = Some(ejected.cause);
            book.ejections.until = clock::millis().saturating_add(left);
            book.ejections.times = ejected.times;
            drop(book);
            self.set_ejected(true);
        }
        self
    }
}
