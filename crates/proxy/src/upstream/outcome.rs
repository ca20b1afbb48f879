//! What became of a try at an endpoint, told in one place to all that learn from it.

use std::time::Duration;

use portcullis_core::Reason;

use super::outlier;
use crate::snapshot::{CompiledService, EndpointState};
use crate::worker::Worker;

/// What became of a try at an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// What the request met.
    pub(crate) met: Met,
    /// From the request's leaving to the first byte of a final reply, or to the end of patience.
    /// None where nobody asked ([`CompiledService::is_timed`]), or nothing was sent.
    pub(crate) latency: Option<Duration>,
}

/// What a request met at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// A reply of this status; that of gRPC as the status of HTTP that stands for it.
    Reply(u16),
    /// Nothing, or nothing whole, and the endpoint is to blame.
    Failed(Reason),
}

impl Met {
    /// What a failure says about the endpoint; nothing where others are to blame. `sent` is whether
    /// all of the request had gone, `stale` whether the connection had been idle and may have been
    /// dead already.
    pub(crate) fn failure(reason: Reason, sent: bool, stale: bool) -> Option<Met> {
        let counts = match reason {
            Reason::ConnectFailed
            | Reason::ConnectTimeout
            | Reason::UpstreamTls
            | Reason::UpstreamMalformed
            | Reason::FirstByteTimeout
            | Reason::UpstreamStalled
            | Reason::UpstreamTruncated => true,
            Reason::UpstreamReset => !stale,
            // A request that came slowly is not the endpoint's fault.
            Reason::TotalTimeout => sent,
            _ => false,
        };
        counts.then_some(Met::Failed(reason))
    }

    /// Whether it stands for an endpoint that is not there, or cannot do its work: no reply or a
    /// broken one, or a reply that says so for what is behind it.
    pub(crate) fn is_gateway_error(self) -> bool {
        match self {
            Met::Reply(status) => matches!(status, 502..=504),
            Met::Failed(_) => true,
        }
    }

    /// Whether it is an error of the server, whichever.
    pub(crate) fn is_5xx(self) -> bool {
        match self {
            Met::Reply(status) => status >= 500,
            Met::Failed(_) => true,
        }
    }
}

/// Tells it to all that learn from it: every try at an endpoint is reported here, once.
pub(crate) fn report(
    worker: &Worker,
    service: &CompiledService,
    endpoint: &EndpointState,
    outcome: Outcome,
) {
    if let Some(settings) = &service.service.outliers {
        outlier::count(worker, settings, service, endpoint, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_endpoints_faults_count() {
        let counts = |reason, sent, stale| Met::failure(reason, sent, stale).is_some();
        assert!(counts(Reason::ConnectFailed, false, false));
        assert!(counts(Reason::UpstreamReset, true, false));
        // An idle connection that had been closed says nothing.
        assert!(!counts(Reason::UpstreamReset, true, true));
        assert!(counts(Reason::TotalTimeout, true, false));
        assert!(!counts(Reason::TotalTimeout, false, false));
        for other in [Reason::ClientGone, Reason::BodyTimeout, Reason::Saturated, Reason::Shutdown]
        {
            assert!(!counts(other, true, false), "{other:?}");
        }
    }

    #[test]
    fn a_503_is_a_gateway_error_and_a_500_is_not() {
        assert!(Met::Reply(503).is_gateway_error() && Met::Reply(503).is_5xx());
        assert!(!Met::Reply(500).is_gateway_error() && Met::Reply(500).is_5xx());
        assert!(!Met::Reply(499).is_5xx());
        assert!(Met::Failed(Reason::ConnectFailed).is_gateway_error());
    }
}
