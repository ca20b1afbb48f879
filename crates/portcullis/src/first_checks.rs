//! Whether the endpoints that take nothing before their first check have had it. Until then a new
//! process is not ready; what a reload adds later does not make it unready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use portcullis_proxy::Snapshot;
use tokio::sync::watch;

/// How often it is looked whether the checks are over, by those who wait for that.
const LOOK: Duration = Duration::from_millis(20);

/// The first checks of a process.
#[derive(Debug)]
pub(crate) struct FirstChecks {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    over: AtomicBool,
}

impl FirstChecks {
    pub(crate) fn new(snapshots: watch::Receiver<Arc<Snapshot>>) -> FirstChecks {
        FirstChecks { snapshots, over: AtomicBool::new(false) }
    }

    /// What is still waited for, if anything is.
    pub(crate) fn awaited(&self) -> Option<String> {
        if self.over.load(Relaxed) {
            return None;
        }
        let snapshot = Arc::clone(&self.snapshots.borrow());
        match snapshot.awaits_checks() {
            Some((service, 1)) => Some(format!("an endpoint of {service} was not checked yet")),
            Some((service, count)) => {
                Some(format!("{count} endpoints of {service} were not checked yet"))
            }
            None => {
                self.over.store(true, Relaxed);
                None
            }
        }
    }

    /// Waits until they are over. A check has a deadline, so that they will be.
    pub(crate) async fn over(&self) {
        while self.awaited().is_some() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
