//! What is told about the health of endpoints: outcomes of checks, causes of ejections, and how
//! often each came up. One thread judges, so that every counter has a single writer.

use crate::metrics::Counter;

/// How an active check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// As it should.
    Passed,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection was lost before the answer was whole.
    Reset,
    /// The answer breaks the protocol.
    Malformed,
    /// The answer has another status than the ones expected.
    Status,
    /// The content is not the one expected.
    Body,
    /// The endpoint says that it does not serve (`grpc.health.v1`).
    NotServing,
}

impl CheckResult {
    /// Every one, by position.
    pub const ALL: [CheckResult; 9] = [
        CheckResult::Passed,
        CheckResult::Connect,
        CheckResult::Tls,
        CheckResult::Timeout,
        CheckResult::Reset,
        CheckResult::Malformed,
        CheckResult::Status,
        CheckResult::Body,
        CheckResult::NotServing,
    ];

    /// Its name in metrics, logs and on the admin listener.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            CheckResult::Passed => "passed",
            CheckResult::Connect => "connect",
            CheckResult::Tls => "tls",
            CheckResult::Timeout => "timeout",
            CheckResult::Reset => "reset",
            CheckResult::Malformed => "malformed",
            CheckResult::Status => "status",
            CheckResult::Body => "body",
            CheckResult::NotServing => "not_serving",
        }
    }
}

/// Why an endpoint was ejected for what requests met there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectionCause {
    /// So many replies of 5xx, or failures, in a row.
    Consecutive5xx,
    /// So many failures to get a reply, or replies that say so, in a row.
    ConsecutiveGatewayErrors,
    /// It succeeds less often than it should.
    SuccessRate,
    /// It answers far slower than the others.
    Latency,
}

impl EjectionCause {
    /// Every one, by position.
    pub const ALL: [EjectionCause; 4] = [
        EjectionCause::Consecutive5xx,
        EjectionCause::ConsecutiveGatewayErrors,
        EjectionCause::SuccessRate,
        EjectionCause::Latency,
    ];

    /// Its name in metrics, logs and on the admin listener; the key that configures it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            EjectionCause::Consecutive5xx => "consecutive_5xx",
            EjectionCause::ConsecutiveGatewayErrors => "consecutive_gateway_errors",
            EjectionCause::SuccessRate => "success_rate",
            EjectionCause::Latency => "latency",
        }
    }
}

/// What was counted about the health of a service's endpoints.
#[derive(Debug, Default)]
pub struct HealthMetrics {
    /// Active checks, by [`CheckResult`]'s position.
    pub checks: [Counter; CheckResult::ALL.len()],
    /// Ejections, by [`EjectionCause`]'s position.
    pub ejections: [Counter; EjectionCause::ALL.len()],
    /// Endpoints that should have been ejected, had it not been too many.
    pub spared: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_at_its_position() {
        for (i, result) in CheckResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, i, "{}", result.code());
        }
        for (i, cause) in EjectionCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, i, "{}", cause.code());
        }
    }
}
