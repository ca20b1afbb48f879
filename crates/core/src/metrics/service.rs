//! What is counted of services: by one writer a worker, for metrics and for what is decided by it.

use super::{Counter, Sharded};

/// What a request was sent again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// No connection to the endpoint.
    ConnectFailure,
    /// The endpoint had certainly not worked on it.
    Refused,
    /// An idle connection had ended unnoticed.
    Stale,
    /// The connection was lost before a whole head had come.
    Reset,
    /// No reply in time.
    Timeout,
    /// A status that is worth another try.
    Status,
    /// A code of gRPC that is.
    GrpcStatus,
}

impl RetryCause {
    /// Every one, by position.
    pub const ALL: [RetryCause; 7] = [
        RetryCause::ConnectFailure,
        RetryCause::Refused,
        RetryCause::Stale,
        RetryCause::Reset,
        RetryCause::Timeout,
        RetryCause::Status,
        RetryCause::GrpcStatus,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            RetryCause::ConnectFailure => "connect_failure",
            RetryCause::Refused => "refused",
            RetryCause::Stale => "stale",
            RetryCause::Reset => "reset",
            RetryCause::Timeout => "timeout",
            RetryCause::Status => "status",
            RetryCause::GrpcStatus => "grpc_status",
        }
    }
}

/// Why a retry that the configuration asks for did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDenial {
    /// The method may not be sent twice.
    Method,
    /// The attempts are used up.
    Attempts,
    /// The content is not there any more.
    Content,
    /// The endpoint asks for more patience than there is.
    RetryAfter,
    /// The time for the whole exchange would be over.
    Time,
    /// Too many retries were under way.
    Budget,
}

impl RetryDenial {
    /// Every one, by position.
    pub const ALL: [RetryDenial; 6] = [
        RetryDenial::Method,
        RetryDenial::Attempts,
        RetryDenial::Content,
        RetryDenial::RetryAfter,
        RetryDenial::Time,
        RetryDenial::Budget,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            RetryDenial::Method => "method",
            RetryDenial::Attempts => "attempts",
            RetryDenial::Content => "content",
            RetryDenial::RetryAfter => "retry_after",
            RetryDenial::Time => "time",
            RetryDenial::Budget => "budget",
        }
    }
}

/// Why a service was spared a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// Its breaker is open.
    Open,
    /// It has as many connections as it may.
    Connections,
    /// As many requests as may wait for a connection do.
    Pending,
    /// It has as many requests as it may.
    Requests,
}

impl Spared {
    /// Every one, by position.
    pub const ALL: [Spared; 4] =
        [Spared::Open, Spared::Connections, Spared::Pending, Spared::Requests];

    /// Its name in metrics and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Spared::Open => "open",
            Spared::Connections => "connections",
            Spared::Pending => "pending",
            Spared::Requests => "requests",
        }
    }
}

/// What one worker counted for one service.
#[derive(Debug, Default)]
pub struct ServiceSeries {
    /// Requests under way.
    pub active: Counter,
    /// Retries under way, those that wait included.
    pub retrying: Counter,
    /// Retries that failed, and for a while still count as if they were under way.
    pub cooling: Counter,
    /// When the last of them did, in milliseconds of the gateway's clock.
    pub cooling_since_ms: Counter,
    /// Good replies.
    pub good: Counter,
    /// Retries, by [`RetryCause`]'s position.
    pub retries: [Counter; RetryCause::ALL.len()],
    /// Retries that did not take place, by [`RetryDenial`]'s position.
    pub denied: [Counter; RetryDenial::ALL.len()],
    /// Requests that the service was spared, by [`Spared`]'s position.
    pub spared: [Counter; Spared::ALL.len()],
    /// Requests that went on to the backup.
    pub passed_on: Counter,
    /// Requests turned away because the service had too much to do, by importance.
    pub shed: [Counter; crate::IMPORTANCES.len()],
    /// Requests that the worker lets be under way now, where that adapts to how long they take.
    pub adaptive_limit: Counter,
}

/// A service's counters.
pub type ServiceMetrics = Sharded<ServiceSeries>;

impl ServiceMetrics {
    /// The sum of a counter over all workers.
    pub fn sum(&self, counter: impl Fn(&ServiceSeries) -> &Counter) -> u64 {
        self.shards().fold(0, |sum, shard| sum.wrapping_add(counter(shard).value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_at_its_position() {
        for (i, cause) in RetryCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, i, "{}", cause.code());
        }
        for (i, denial) in RetryDenial::ALL.into_iter().enumerate() {
            assert_eq!(denial as usize, i, "{}", denial.code());
        }
        for (i, spared) in Spared::ALL.into_iter().enumerate() {
            assert_eq!(spared as usize, i, "{}", spared.code());
        }
    }
}
