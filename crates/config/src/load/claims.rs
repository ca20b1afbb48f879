//! Which TCP routes take which connections of which listeners, kept up to date by what comes and
//! goes, so that two that take the same are found at the cost of the change.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::unit::UnitId;
use crate::model::{HostPattern, Name, TcpRoute};

/// A server name of a listener that is taken; `None` is what no other takes.
pub(crate) type Claim = (Name, Option<HostPattern>);

/// What TCP routes without faults claim.
#[derive(Default)]
pub(crate) struct Claims {
    by_listener: HashMap<Name, BTreeSet<UnitId>>,
    by_service: HashMap<Name, BTreeSet<UnitId>>,
    claimed: HashMap<Claim, BTreeSet<UnitId>>,
    clashes: HashSet<Claim>,
}

impl Claims {
    pub(crate) fn add(&mut self, id: UnitId, route: &TcpRoute) {
        self.by_listener.entry(route.listener.clone()).or_default().insert(id);
        for part in &route.services {
            self.by_service.entry(part.service.clone()).or_default().insert(id);
        }
        for claim in claims(route) {
            let ids = self.claimed.entry(claim.clone()).or_default();
            ids.insert(id);
            if ids.len() > 1 {
                self.clashes.insert(claim);
            }
        }
    }

    /// Takes a route out, which need not be in.
    pub(crate) fn remove(&mut self, id: UnitId, route: &TcpRoute) {
        take(&mut self.by_listener, &route.listener, id);
        for part in &route.services {
            take(&mut self.by_service, &part.service, id);
        }
        for claim in claims(route) {
            if take(&mut self.claimed, &claim, id) < 2 {
                self.clashes.remove(&claim);
            }
        }
    }

    /// The TCP routes of each listener that has any.
    pub(crate) fn by_listener(&self) -> impl Iterator<Item = (&Name, &BTreeSet<UnitId>)> {
        self.by_listener.iter()
    }

    /// The TCP routes of a listener.
    pub(crate) fn of_listener(&self, name: &Name) -> Option<&BTreeSet<UnitId>> {
        self.by_listener.get(name)
    }

    /// The TCP routes to each service that has any.
    pub(crate) fn by_service(&self) -> impl Iterator<Item = (&Name, &BTreeSet<UnitId>)> {
        self.by_service.iter()
    }

    /// What several TCP routes take.
    pub(crate) fn clashes(&self) -> impl Iterator<Item = (&Claim, &BTreeSet<UnitId>)> {
        self.clashes.iter().filter_map(|claim| Some((claim, self.claimed.get(claim)?)))
    }
}

fn claims(route: &TcpRoute) -> impl Iterator<Item = Claim> {
    let named = route.sni.iter().cloned().map(Some);
    let any = route.sni.is_empty().then_some(None);
    named.chain(any).map(|sni| (route.listener.clone(), sni))
}

/// Takes an id out; how many are left.
fn take<K: Eq + std::hash::Hash>(
    map: &mut HashMap<K, BTreeSet<UnitId>>,
    key: &K,
    id: UnitId,
) -> usize {
    let Some(ids) = map.get_mut(key) else { return 0 };
    ids.remove(&id);
    let left = ids.len();
    if left == 0 {
        map.remove(key);
    }
    left
}
