//! Whether the endpoints that take nothing before their first check have had it, and whether there
//! are keys of every issuer and tokens for services. Until then a new process is not ready; what a reload adds later does not
//! make it unready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use portcullis_policies::Registry;
use portcullis_proxy::Snapshot;
use tokio::sync::watch;

use crate::issuers;

/// How long a process that takes over waits for tokens.
const TOKENS: Duration = Duration::from_secs(5);
/// How often it is looked whether the checks are over, by those who wait for that.
const LOOK: Duration = Duration::from_millis(20);

/// The first checks of a process.
#[derive(Debug)]
pub(crate) struct FirstChecks {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    over: AtomicBool,
    registry: Arc<Registry>,
    /// There have been keys of every issuer, and tokens for every service.
    keys: AtomicBool,
}

impl FirstChecks {
    pub(crate) fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        registry: &Arc<Registry>,
    ) -> FirstChecks {
        let registry = Arc::clone(registry);
        FirstChecks {
            snapshots,
            over: AtomicBool::default(),
            registry,
            keys: AtomicBool::default(),
        }
    }

    /// Why requests are not taken yet, if anything is still waited for. Keys come from others, who
    /// may be down for long: only readiness waits for them.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let awaited = self.awaited();
        if awaited.is_some() || self.keys.load(Relaxed) {
            return awaited;
        }
        let lacking = issuers::awaited(&self.registry.issuers().all()).or_else(|| {
            let tokens = self.registry.grants().all();
            let without = tokens.iter().find(|token| token.show().is_none())?;
            Some(format!("there is no token yet to show to the service {}", without.service()))
        });
        self.keys.store(lacking.is_none(), Relaxed);
        lacking
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

    /// Waits for the first tokens as well, though not for long: whoever grants them may be down.
    pub(crate) async fn first_tokens(&self) {
        let all = async {
            for grant in self.registry.grants().all() {
                grant.tried().await;
            }
        };
        let _ = tokio::time::timeout(TOKENS, all).await;
    }

    /// Waits until they are over. A check has a deadline, so that they will be.
    pub(crate) async fn over(&self) {
        while self.awaited().is_some() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
