//! What became of questions to those that are asked whether requests may pass.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How one was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthzResult {
    /// A call, and the request may pass.
    Allowed,
    /// A call, and it may not.
    Denied,
    /// A call that brought no answer.
    Failed,
    /// No call, for too many were under way.
    Full,
    /// No call, for the answer was remembered.
    Remembered,
}

impl AuthzResult {
    /// Every one, by position.
    pub const ALL: [AuthzResult; 5] = [
        AuthzResult::Allowed,
        AuthzResult::Denied,
        AuthzResult::Failed,
        AuthzResult::Full,
        AuthzResult::Remembered,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AuthzResult::Allowed => "allowed",
            AuthzResult::Denied => "denied",
            AuthzResult::Failed => "failed",
            AuthzResult::Full => "full",
            AuthzResult::Remembered => "remembered",
        }
    }
}

/// How often each has happened, and how long calls took. All workers count here: next to a call it
/// is nothing.
#[derive(Debug, Default)]
pub struct AuthzCounts {
    results: [AtomicU64; AuthzResult::ALL.len()],
    micros: AtomicU64,
}

impl AuthzCounts {
    /// Counts one that was answered without a call.
    pub fn add(&self, result: AuthzResult) {
        self.results[result as usize].fetch_add(1, Relaxed);
    }

    /// Counts a call that took so long.
    pub fn called(&self, result: AuthzResult, took: std::time::Duration) {
        self.add(result);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How often it has happened.
    #[must_use]
    pub fn of(&self, result: AuthzResult) -> u64 {
        self.results[result as usize].load(Relaxed)
    }

    /// How long all calls together took, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.micros.load(Relaxed) as f64 / 1e6
    }
}
