//! A clock for what is kept in atomics: whole milliseconds since the process began to ask.

use std::sync::OnceLock;
use std::time::Instant;

static BEGUN: OnceLock<Instant> = OnceLock::new();

/// Milliseconds of a clock that only goes forward. It begins at 1, so that 0 can mean "never".
pub(crate) fn millis() -> u64 {
    let since = BEGUN.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
}
