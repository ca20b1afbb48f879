//! A gate between threads: a test lets an origin go on, or an origin tells a test that it is there.

use std::sync::{Arc, Condvar, Mutex};

use crate::PATIENCE;

/// Lets as many pass as it was opened times. Nobody waits for ever: when it is not opened within
/// [`PATIENCE`], the one that waits fails.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    openings: Arc<(Mutex<usize>, Condvar)>,
}

impl Gate {
    /// A closed one.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets one more pass.
    ///
    /// # Panics
    /// Another user panicked.
    pub fn open(&self) {
        let (openings, opened) = &*self.openings;
        *openings.lock().expect("no panic before") += 1;
        opened.notify_all();
    }

    /// Waits until it may pass.
    ///
    /// # Panics
    /// It never may.
    pub fn pass(&self) {
        assert!(self.try_pass(), "a gate that nobody opened");
    }

    /// Waits until it may pass; `false` when it never may.
    ///
    /// # Panics
    /// Another user panicked.
    #[must_use]
    pub fn try_pass(&self) -> bool {
        let (openings, opened) = &*self.openings;
        let closed = openings.lock().expect("no panic before");
        let waited = opened.wait_timeout_while(closed, PATIENCE, |openings| *openings == 0);
        let (mut openings, _) = waited.expect("no panic before");
        let open = *openings > 0;
        *openings -= usize::from(open);
        open
    }
}
