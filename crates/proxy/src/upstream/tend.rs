//! Keeps the views of services up to date while workers serve: one task on the control side, woken
//! when something has changed, and by the clock while endpoints warm up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::state::Bell;
use crate::snapshot::{CompiledService, Snapshot};

/// Changes within so long are shown together: an endpoint that flutters costs no more than this.
const GATHER: Duration = Duration::from_millis(10);

/// Makes views anew whenever something has changed, for the snapshots that the workers have, until
/// there will be no more of them.
pub(crate) async fn tend(bell: Arc<Bell>, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let mut warming: Vec<Warming> = Vec::new();
    loop {
        let next = warming.iter().map(|warming| warming.due).min();
        tokio::select! {
            // What comes together is shown together.
            () = bell.rung() => sleep(GATHER).await,
            changed = snapshots.changed() => if changed.is_err() { return },
            () = until(next) => {
                step(&mut warming);
                continue;
            }
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        // A step that is due stays due: others' changes must not put it off for ever.
        let before = by_slot(warming.drain(..));
        for service in snapshot.services.iter().flatten() {
            // What changed while it was compiled is shown now.
            if service.views.is_stale(&service.state) {
                service.state.refresh(service);
            } else if let Some(known) = before.get(&service.slot)
                && Arc::ptr_eq(&known.service, service)
            {
                warming.push(known.clone());
                continue;
            }
            warming.extend(Warming::of(service));
        }
    }
}

fn by_slot(warming: impl Iterator<Item = Warming>) -> HashMap<usize, Warming> {
    warming.map(|one| (one.service.slot, one)).collect()
}

/// A service with endpoints that warm up, and when its next step is due.
#[derive(Clone)]
struct Warming {
    service: Arc<CompiledService>,
    due: Instant,
}

impl Warming {
    fn of(service: &Arc<CompiledService>) -> Option<Warming> {
        let step = service.views.newest().next_step()?;
        Some(Warming { service: Arc::clone(service), due: Instant::now() + step })
    }
}

/// Takes the steps that are due.
fn step(warming: &mut Vec<Warming>) {
    let now = Instant::now();
    let (due, mut later): (Vec<_>, Vec<_>) = warming.drain(..).partition(|one| one.due <= now);
    for Warming { service, .. } in due {
        service.state.refresh(&service);
        later.extend(Warming::of(&service));
    }
    *warming = later;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
