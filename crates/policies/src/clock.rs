//! The clock of counts: nanoseconds since the process began to count.

use std::sync::OnceLock;
use std::time::Instant;

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// A moment in nanoseconds of a clock that only goes forward.
#[must_use]
pub fn nanos(at: Instant) -> u64 {
    let since = at.saturating_duration_since(*BEGUN.get_or_init(Instant::now)).as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// The same clock in milliseconds. It begins at 1.
pub(crate) fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000 + 1
}
