//! Waiting for what another thread or process does. The deadline is far beyond what a slow machine
//! needs: it only keeps a broken test from hanging.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything is waited for before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; `false` when it did not within [`PATIENCE`].
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    until(|| condition().then_some(())).is_some()
}

/// Waits until `attempt` gives a value; `None` when it did not within [`PATIENCE`].
pub fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
