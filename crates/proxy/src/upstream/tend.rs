//! Keeps the views of services up to date while workers serve: one task on the control side, woken
//! when something has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::state::Bell;
use crate::snapshot::Snapshot;

/// Changes within so long are shown together: an endpoint that flutters costs no more than this.
const GATHER: Duration = Duration::from_millis(10);

/// Makes views anew whenever something has changed, for the snapshots that the workers have, until
/// there will be no more of them.
pub(crate) async fn tend(bell: Arc<Bell>, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    loop {
        tokio::select! {
            () = bell.rung() => tokio::time::sleep(GATHER).await,
            // What changed while it was compiled is shown now.
            changed = snapshots.changed() => if changed.is_err() { return },
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        for service in snapshot.services.iter().flatten() {
            if service.state.is_stale() {
                service.state.refresh(service);
            }
        }
    }
}
