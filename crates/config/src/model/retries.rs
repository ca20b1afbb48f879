//! Retries: when a request is sent once more.

use std::sync::Arc;
use std::time::Duration;

/// When a request is sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Most times that it is sent, the first included; at least 2.
    pub attempts: u32,
    /// What is worth another try.
    pub on: RetryOn,
    /// Methods that may be sent twice.
    pub methods: Vec<Arc<str>>,
    /// Whether a request with an `Idempotency-Key` may be sent twice, whatever its method.
    pub idempotency_key: bool,
    /// How long one try may take to connect, and then to reply; `None` leaves the timeouts.
    pub per_try_timeout: Option<Duration>,
    /// The most that is waited before the second try; doubles with each.
    pub backoff_base: Duration,
    /// The most that is waited before any; at least `backoff_base`.
    pub backoff_max: Duration,
    /// The longest `Retry-After` that is waited for.
    pub retry_after: Duration,
    /// Most bytes of content that are kept to be sent again.
    pub buffer: usize,
    /// Only another endpoint is asked, and at once; where there is none, nobody is.
    pub elsewhere: bool,
}

/// What is worth another try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// No endpoint could be connected to.
    pub connect_failure: bool,
    /// The endpoint said that it has not worked on it.
    pub refused: bool,
    /// The connection was lost before a whole head had come.
    pub reset: bool,
    /// No reply came in time.
    pub timeout: bool,
    /// Statuses, 400 to 599.
    pub statuses: Vec<u16>,
    /// Codes of gRPC, a bit each; never the one of success.
    pub grpc: u32,
}

impl RetryOn {
    /// Whether a reply of this status is worth another try.
    #[must_use]
    pub fn has_status(&self, status: u16) -> bool {
        status >= 400 && self.statuses.contains(&status)
    }

    /// Whether a call that ended with this code of gRPC is.
    #[must_use]
    pub fn has_grpc(&self, code: u8) -> bool {
        code < 32 && self.grpc >> code & 1 == 1
    }
}

/// Most retries at once for a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudget {
    /// Relative to the requests under way that are no retries; 0 to 1.
    pub share: f64,
    /// So many always.
    pub minimum: u32,
}

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget { share: 0.2, minimum: 3 }
    }
}
