//! The clock of what workers share: whole milliseconds in an atomic, which an `Instant` does not
//! fit into.

use std::sync::LazyLock;
use std::time::Instant;

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds from the clock's first use to `at`, and one more: 0 is before everything.
pub(crate) fn millis(at: Instant) -> u64 {
    let since = at.saturating_duration_since(*BEGIN).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
}
